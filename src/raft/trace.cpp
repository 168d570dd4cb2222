#include "raft/trace.hpp"

#include <algorithm>
#include <utility>

#include "kuilt/detail/overloaded.hpp"

namespace kuilt::raft {
namespace {

Action handler_of(const Message& message) {
  const auto handler = Overloaded{
      [](const VoteRequest& m) {
        return m.pre ? Action::handle_pre_vote_request : Action::handle_request_vote_request;
      },
      [](const VoteReply& m) {
        return m.pre ? Action::handle_pre_vote_response : Action::handle_request_vote_response;
      },
      [](const AppendRequest&) { return Action::handle_append_entries_request; },
      [](const AppendReply&) { return Action::handle_append_entries_response; },
      [](const Heartbeat&) { return Action::handle_heartbeat_request; },
      [](const HeartbeatReply&) { return Action::handle_heartbeat_response; },
      [](const ReadRequest&) { return Action::handle_read_index_request; },
      [](const ReadReply&) { return Action::handle_read_index_response; },
      [](const TimeoutNow&) { return Action::handle_timeout_now; },
  };
  return std::visit(handler, message);
}

// Of a message that goes out by itself. Most answers belong to the action that they answer.
Action sender_of(const Message& message) {
  const auto sender = Overloaded{
      [](const VoteRequest& m) { return m.pre ? Action::request_pre_vote : Action::request_vote; },
      [](const VoteReply&) { return Action::unexplained; },
      [](const AppendRequest&) { return Action::append_entries; },
      [](const AppendReply&) { return Action::unexplained; },
      [](const Heartbeat&) { return Action::heartbeat; },
      [](const HeartbeatReply&) { return Action::unexplained; },
      [](const ReadRequest&) { return Action::request_read_index; },
      [](const ReadReply&) { return Action::answer_read_index; },
      [](const TimeoutNow&) { return Action::timeout_now; },
  };
  return std::visit(sender, message);
}

bool is_response(const Message& message) {
  return std::holds_alternative<VoteReply>(message) ||
         std::holds_alternative<AppendReply>(message) ||
         std::holds_alternative<HeartbeatReply>(message) ||
         std::holds_alternative<ReadReply>(message);
}

bool is_from_a_leader(const Message& message) {
  return std::holds_alternative<AppendRequest>(message) ||
         std::holds_alternative<Heartbeat>(message);
}

// The specification has no drop for requests of an earlier term: their handlers say no.
bool is_answered_when_stale(const Message& message) {
  return std::holds_alternative<VoteRequest>(message) || is_from_a_leader(message);
}

// A pre-vote names a term that nobody is in, whether it is asked for or granted.
bool names_a_term_to_be_in(const Message& message) {
  if (const auto* request = std::get_if<VoteRequest>(&message)) return !request->pre;
  if (const auto* reply = std::get_if<VoteReply>(&message)) return !reply->pre || !reply->granted;
  return true;
}

bool asks_for_pre_vote(const Outgoing& outgoing) {
  const auto* request = std::get_if<VoteRequest>(&outgoing.message);
  return request != nullptr && request->pre;
}

// The actions of one step, in an order in which each follows from the one before.
class Telling {
 public:
  Telling(const Core& core, const Output& out, Standing& now)
      : core_(core), out_(out), now_(now), told_(out.send.size()) {
    now_.durable = core.durable_index();
  }

  std::vector<Transition> tell(const Input& input, bool more_is_durable) {
    const auto on_input = Overloaded{
        [&](const Tick&) { on_tick(); },
        [&](const Received& received) { on_message(received); },
        [&](const Propose&) {},
        [&](const Written&) {
          if (more_is_durable) changed(Action::persist);
        },
        [&](const Loaded&) {},
        [&](const PeerLost&) {},
        [&](const Read& read) { add(Action::read_index).read = read.id; },
        [&](const TransferLeadership& request) {
          add(Action::transfer_leadership).peer = request.target;
        },
        [&](const ChangeMembership&) {
          add(Action::change_membership).why = name_of(out_.change_refused);
        },
    };
    std::visit(on_input, input);
    follow_up();
    return std::move(told_actions_);
  }

 private:
  Transition& add(Action action) {
    Transition& added = told_actions_.emplace_back();
    added.action = action;
    added.server = core_.self();
    return added;
  }
  Transition& changed(Action action) {
    Transition& added = add(action);
    added.after = now_;
    return added;
  }

  void on_tick() {
    const bool asks_again = std::ranges::any_of(out_.send, asks_for_pre_vote);
    const bool stands = core_.role() == Role::pre_candidate;
    const bool won_at_once = core_.term() > now_.hard.term;
    if (won_at_once || (stands && (asks_again || now_.role != Role::pre_candidate))) {
      now_.role = Role::pre_candidate;
      changed(Action::start_pre_vote);
    }
  }

  void on_message(const Received& received) {
    const Term term = term_of(received.message);
    const bool entered = term > now_.hard.term && core_.term() >= term;
    if (entered && names_a_term_to_be_in(received.message)) {
      now_.hard = {term, NodeId()};
      now_.role = Role::follower;
      about(changed(Action::update_term), received);
    }
    handle(received);
  }

  static void about(Transition& transition, const Received& received) {
    transition.peer = received.from;
    transition.message = received.message;
  }

  void handle(const Received& received) {
    const bool stale = out_.refused == Refusal::stale_term;
    const bool refused = out_.refused != Refusal::none;
    Transition& handled = add(handler_of(received.message));
    about(handled, received);
    take_reply(handled, refused);
    if (stale && is_response(received.message)) {
      handled.action = Action::drop_stale_response;
    } else if (refused && !(stale && is_answered_when_stale(received.message))) {
      handled.action = Action::refuse_message;
      handled.why = name_of(out_.refused);
    }
    if (is_from_a_leader(received.message) && core_.role() == Role::follower) {
      now_.role = Role::follower;
      now_.last = core_.last();
      now_.commit = core_.commit_index();
    }
    const auto* reply = std::get_if<VoteReply>(&received.message);
    if (reply != nullptr && reply->committed) now_.commit = core_.commit_index();
    const bool asked_for_vote = handled.action == Action::handle_request_vote_request;
    if (asked_for_vote) now_.hard.vote = core_.hard_state().vote;
    handled.after = now_;
  }

  // A leader may answer a read in the step in which it was asked for; that is an action of its own.
  void take_reply(Transition& handled, bool refused) {
    for (std::size_t i = 0; i < out_.send.size(); ++i) {
      const Message& message = out_.send[i].message;
      const bool answers = is_response(message) && out_.send[i].to == handled.peer;
      if (!answers || (std::holds_alternative<ReadReply>(message) && !refused)) continue;
      handled.reply = message;
      told_[i] = true;
      return;
    }
  }

  // What a step may lead to, whatever came in.
  void follow_up() {
    if (core_.term() > now_.hard.term) {
      now_.hard = {now_.hard.term.next(), core_.self()};
      now_.role = Role::candidate;
      changed(Action::timeout);
    }
    if (core_.role() == Role::leader && now_.role != Role::leader) {
      now_.role = Role::leader;
      changed(Action::become_leader);
    }
    if (now_.role == Role::leader) tell_appended();
    if (out_.configuration) add(Action::change_configuration).configuration = core_.configuration();
    if (now_.role == Role::leader && core_.commit_index() > now_.commit) {
      now_.commit = core_.commit_index();
      changed(Action::advance_commit_index);
    }
    tell_sent();
    if (now_.role == Role::leader && core_.role() == Role::follower) {
      now_.role = Role::follower;
      changed(Action::step_down);
    }
    tell_ends();
    if (now_ == standing_of(core_)) return;
    now_ = standing_of(core_);
    changed(Action::unexplained);
  }

  void tell_appended() {
    for (const Entry& entry : out_.appended) {
      now_.last = entry.at;
      changed(Action::client_request).entry = entry;
    }
  }

  void tell_sent() {
    for (std::size_t i = 0; i < out_.send.size(); ++i) {
      if (told_[i]) continue;
      Transition& sent = add(sender_of(out_.send[i].message));
      sent.peer = out_.send[i].to;
      sent.message = out_.send[i].message;
    }
  }

  void tell_ends() {
    for (const FinishedRead& read : out_.reads) {
      Transition& end = add(Action::finish_read);
      end.read = read.id;
      end.index = read.index;
      if (!read.index) end.why = name_of(read.failure);
    }
    if (!out_.transfer) return;
    Transition& end = add(Action::end_transfer);
    end.peer = out_.transfer->target;
    end.why = name_of(out_.transfer->end);
  }

  const Core& core_;
  const Output& out_;
  Standing& now_;
  std::vector<bool> told_;  // Of what is sent, by place.
  std::vector<Transition> told_actions_;
};

}  // namespace

Standing standing_of(const Core& core) {
  return {core.role(), core.hard_state(), core.last(), core.commit_index(), core.durable_index()};
}

std::vector<Transition> Tracer::stepped(const Core& core, const Input& input, const Output& out) {
  const bool more_is_durable = core.durable_index() > now_.durable;
  return Telling(core, out, now_).tell(input, more_is_durable);
}

void TraceLines::booted(Instant at, const Core& core) {
  tracers_.insert_or_assign(core.self(), Tracer(core));
  Transition restart;
  restart.action = Action::restart;
  restart.server = core.self();
  restart.recovered = Recovered{core.base(), core.term_ranges(), core.committed_configuration(),
                                core.configuration()};
  restart.after = standing_of(core);
  tell(at, restart);
}

void TraceLines::stepped(Instant at, const Core& core, const Input& input, const Output& out) {
  for (const Transition& transition : tracers_.at(core.self()).stepped(core, input, out)) {
    tell(at, transition);
  }
}

void TraceLines::message(Instant at, Action what, NodeId from, NodeId to, const Message& message) {
  Transition done;
  done.action = what;
  done.server = from;
  done.peer = to;
  done.message = message;
  tell(at, done);
}

void TraceLines::tell(Instant at, const Transition& transition) {
  sink_(line_of(transition, ++lines_, at, name_of_));
}

}  // namespace kuilt::raft
