// routing.cpp: the ways of proposals: judged by the leader, forwarded by all others, answered where
// they came in.
#include <algorithm>
#include <utility>

#include "cluster/machine.hpp"
#include "kuilt/detail/check.hpp"
#include "kuilt/detail/overloaded.hpp"
#include "wire/entry.hpp"

namespace kuilt::cluster {

namespace {

RequestKey key_of(const wire::Proposal& proposal) {
  return {proposal.session, proposal.request_id,
          wire::command_digest(proposal.room, proposal.command), proposal.birth, proposal.author};
}

// Of a forward's timeout.
constexpr std::uint32_t doublings_max = 3;

// Below the floor, what an earlier attempt did is no longer known: that is no refusal to rely on.
bool is_certain(ErrorCode code) { return code != ErrorCode::below_floor; }

wire::RefusedOutcome refusal_of(const ClientSessionTable::Refuse& refuse, Duration retry_after) {
  // Room in the window or in the table comes with time; the other refusals stay what they are.
  const bool passes =
      refuse.code == ErrorCode::window_full || refuse.code == ErrorCode::too_many_sessions;
  return {refuse.code, refuse.message, is_certain(refuse.code),
          passes ? retry_after : Duration::zero()};
}

}  // namespace

void Machine::on_submit(Turn& turn, Submit& submit) {
  for (wire::Proposal& proposal : submit.proposals) {
    ++counters_.proposals;
    accept(turn, submit.link, std::move(proposal));
  }
}

void Machine::accept(Turn& turn, LinkId link, wire::Proposal proposal) {
  Waiter waiter{link, proposal.number};
  const auto answer = [&](wire::Outcome outcome) {
    turn.out.answers.push_back({link, {waiter.number, std::move(outcome)}});
  };
  if (const auto complaint = sessions_.complaint_about(proposal)) {
    return answer(refusal_of(*complaint, options_.busy_retry_after));
  }
  const RequestKey key = key_of(proposal);
  if (const auto ticket = waiting_.find(key)) {
    if (!waiting_room_for(Waiting::cost_of_waiter())) {
      wire::RefusedOutcome full = busy("too many proposals wait on this server");
      full.certain = false;  // The attempt that it would have joined may succeed.
      return answer(std::move(full));
    }
    const Whereabouts where = waiting_.at(*ticket).where;
    const bool here = where == Whereabouts::in_log || where == Whereabouts::committed;
    if (here) {
      ++counters_.suppressed_repeats;
      ++counters_.joined_repeats;
    }
    waiter.duplicate = here;
    return waiting_.join(*ticket, waiter);
  }
  accept_new(turn, waiter, key, std::move(proposal));
}

void Machine::accept_new(Turn& turn, Waiter waiter, const RequestKey& key,
                         wire::Proposal proposal) {
  const auto answer = [&](wire::Outcome outcome) {
    turn.out.answers.push_back({waiter.link, {waiter.number, std::move(outcome)}});
  };
  const std::size_t bytes = Waiting::cost_of(proposal);
  if (!waiting_room_for(bytes + Waiting::cost_of_waiter())) {
    return answer(busy("too many proposals wait on this server"));
  }
  if (takes_proposals()) {
    const Decision decision = decide(turn, proposal);
    waiter.duplicate = decision.repeat;
    return follow(turn, waiting_.add(std::move(proposal), key, waiter, turn.now), decision);
  }
  if (const auto at = committed_already(proposal)) {
    ++counters_.suppressed_repeats;
    ++counters_.committed_repeats;
    const Ticket ticket = waiting_.add(std::move(proposal), key, waiter, turn.now);
    return resolve(turn, ticket, wire::CommittedOutcome{*at, true});
  }
  if (reachable_leader() && !forward_room_for(bytes, waiting_.parked_bytes())) {
    return answer(busy("too many forwarded proposals without an outcome"));
  }
  waiter.duplicate = sessions_.find(key.session, key.request_id).has_value();
  waiting_.add(std::move(proposal), key, waiter, turn.now);
}

void Machine::on_forward(Turn& turn, NodeId from, wire::Forward& forward) {
  // Taken, even if it is only to be refused: a copy must not find a leader where this found none.
  if (!taken_[from].take(forward.number)) return refused("forward_repeated");
  wire::ForwardReply reply{forward.number, core_.term(), {}};
  for (std::uint32_t i = 0; i < forward.proposals.size(); ++i) {
    const wire::Proposal& proposal = forward.proposals[i];
    // Whoever hands over refuses as if it did not lead: the entry server asks again, or the next.
    Decision decision = takes_proposals() ? decide(turn, proposal) : Decision{not_the_leader()};
    if (decision.outcome) reply.answers.push_back({i, *std::move(decision.outcome)});
    if (!decision.in_question) continue;
    const ForwardPlace place{from, forward.number, i};
    ask(turn, ForwardedCandidate{place, proposal}, proposal);
  }
  if (!reply.answers.empty()) turn.out.send.push_back({from, std::move(reply)});
}

Machine::Decision Machine::decide(const Turn& turn, const wire::Proposal& proposal,
                                  const AdmissionVerdict* verdict) {
  const LogTime stamp = stamp_at(turn.now);
  const auto on_verdict = Overloaded{
      [&](const ClientSessionTable::Append&) { return decide_new(stamp, proposal, verdict); },
      [&](const ClientSessionTable::Repeat& judged) { return repeat(judged.at); },
      [&](const ClientSessionTable::Refuse& judged) {
        return Decision{refusal_of(judged, options_.busy_retry_after)};
      },
  };
  return std::visit(on_verdict, sessions_.judge(proposal, last_index(), stamp));
}

// Only what is new is in question: a repeat is a repeat, whatever the state machine says by now.
Machine::Decision Machine::decide_new(LogTime stamp, const wire::Proposal& proposal,
                                      const AdmissionVerdict* verdict) {
  if (options_.admits && verdict == nullptr) {
    if (admission_.has_room_for(Waiting::cost_of(proposal))) return {.in_question = true};
    return {busy("too many proposals wait for the state machine to admit them")};
  }
  if (verdict != nullptr && verdict->refusal) {
    ++counters_.not_admitted;
    return {wire::RefusedOutcome{ErrorCode::not_admitted, *verdict->refusal, true, Duration{}}};
  }
  return append(stamp, proposal);
}

// Puts a waiting proposal where the leader's decision wants it.
void Machine::follow(Turn& turn, Ticket ticket, const Decision& decision) {
  if (decision.outcome) return resolve(turn, ticket, *decision.outcome);
  if (!decision.in_question) return waiting_.put_in_log(ticket);
  ask(turn, ticket, waiting_.at(ticket).proposal);
  waiting_.put_to_question(ticket);
}

Machine::Decision Machine::append(LogTime stamp, const wire::Proposal& proposal) {
  const std::size_t unsettled =
      std::max(core_.uncommitted_bytes(), core_.undurable_bytes()) + batch_bytes_;
  if (unsettled != 0 &&
      unsettled + Waiting::cost_of(proposal) > options_.raft.uncommitted_bytes_max) {
    return {busy("too many entries wait to be committed, or for this server's disk")};
  }
  const wire::Command command{.at = {last_index().next(), core_.term()},
                              .log_time = stamp,
                              .log_id = 0,
                              .room = proposal.room,
                              .author = proposal.author,
                              .request_id = proposal.request_id,
                              .body = proposal.command,
                              .session = proposal.session,
                              .birth = proposal.birth,
                              .floor = proposal.floor,
                              .digest = wire::command_digest(proposal.room, proposal.command)};
  batch_.push_back(wire::encode_command(command));
  batch_bytes_ += batch_.back().cost();
  sessions_.append(command);
  ++counters_.appended;
  return {};
}

Machine::Decision Machine::repeat(Position at) {
  ++counters_.suppressed_repeats;
  if (at.index > core_.commit_index()) {
    ++counters_.joined_repeats;
    return {std::nullopt, true};
  }
  ++counters_.committed_repeats;
  return {wire::CommittedOutcome{at, true}};
}

std::optional<Position> Machine::committed_already(const wire::Proposal& proposal) const {
  const auto verdict = sessions_.judge(proposal, last_index());
  const auto* found = std::get_if<ClientSessionTable::Repeat>(&verdict);
  if (found == nullptr || found->at.index > core_.commit_index()) return std::nullopt;
  return found->at;
}

void Machine::on_forward_reply(Turn& turn, NodeId from, const wire::ForwardReply& reply) {
  const auto flight = waiting_.flights().find(reply.number);
  if (flight == waiting_.flights().end() || flight->second.to != from ||
      reply.term < flight->second.term) {
    ++counters_.stale_answers;
    return;
  }
  const std::vector<Ticket> places = flight->second.places;  // The flight ends with the last one.
  for (const wire::ForwardReply::Answer& answer : reply.answers) {
    if (answer.place >= places.size()) {
      refused("forward_reply_place");
      continue;
    }
    const Ticket ticket = places[answer.place];
    // Committed here, or answered already.
    if (!waiting_.contains(ticket) || waiting_.at(ticket).flight != reply.number) continue;
    on_forward_answer(turn, ticket, answer.outcome);
  }
}

void Machine::on_forward_answer(Turn& turn, Ticket ticket, const wire::Outcome& outcome) {
  const auto* refused = std::get_if<wire::RefusedOutcome>(&outcome);
  if (refused == nullptr || refused->code != ErrorCode::not_leader) {
    return resolve(turn, ticket, outcome);
  }
  // This attempt has ended without doubt; there may be a leader elsewhere, or here again soon.
  waiting_.park(ticket, turn.now, false);
  forward_from_ = turn.now + options_.busy_retry_after;
}

void Machine::take_over(Turn& turn) {
  for (const Ticket ticket : waiting_.tickets()) {
    if (waiting_.at(ticket).where == Whereabouts::committed) continue;
    if (waiting_.at(ticket).where == Whereabouts::forwarded) waiting_.park(ticket, turn.now, true);
    if (!waiting_.contains(ticket)) continue;
    follow(turn, ticket, decide(turn, waiting_.at(ticket).proposal));
  }
}

// The lead was not handed over after all: what waited for that goes into this leader's log.
void Machine::take_parked(Turn& turn) {
  const auto parked = waiting_.parked();
  for (const auto& [since, ticket] : parked) {
    follow(turn, ticket, decide(turn, waiting_.at(ticket).proposal));
  }
}

void Machine::give_up_leading(Turn& turn) {
  // The entries may survive or not, here or elsewhere: the next leader knows, or will see to it.
  for (const Ticket ticket : waiting_.tickets()) {
    if (waiting_.at(ticket).where == Whereabouts::in_log) waiting_.park(ticket, turn.now, true);
  }
  drop_questions(turn);
}

void Machine::resolve_committed(Turn& turn, const raft::Entry& entry) {
  if (entry.kind != raft::EntryKind::command || waiting_.size() == 0) return;
  const auto command = wire::decode_command(entry);
  KUILT_CHECK(command.has_value());
  const auto ticket = waiting_.find({command->session, command->request_id, command->digest,
                                     command->birth, std::string(command->author)});
  // The leader may have told this server before its own log did.
  if (!ticket || waiting_.at(*ticket).where == Whereabouts::committed) return;
  resolve(turn, *ticket, wire::CommittedOutcome{entry.at, false});
}

// The outcome is known: whoever waits hears it now, or once the entry is applied here.
void Machine::resolve(Turn& turn, Ticket ticket, const wire::Outcome& outcome) {
  if (is_yet_to_be_applied(outcome)) {
    return waiting_.put_to_apply(ticket, std::get<wire::CommittedOutcome>(outcome));
  }
  const bool in_doubt = waiting_.at(ticket).in_doubt;
  for (const Waiter& waiter : waiting_.take(ticket)) {
    const auto for_waiter = Overloaded{
        [&](wire::CommittedOutcome committed) -> wire::Outcome {
          committed.duplicate = committed.duplicate || waiter.duplicate;
          committed.result = results_.find(committed.at.index);
          return committed;
        },
        [&](wire::RefusedOutcome refused) -> wire::Outcome {
          refused.certain = refused.certain && !in_doubt;
          return refused;
        },
    };
    turn.out.answers.push_back({waiter.link, {waiter.number, std::visit(for_waiter, outcome)}});
  }
}

void Machine::on_timeouts(Turn& turn) {
  while (const auto due = waiting_.next_due()) {
    if (due->at > turn.now) break;
    ++counters_.lost_forwards;
    waiting_.time_out(due->flight, turn.now);
  }
  while (!waiting_.parked().empty()) {
    const auto [since, ticket] = *waiting_.parked().begin();
    if (since + options_.leader_wait_max > turn.now) break;
    if (reachable_leader()) {
      resolve(turn, ticket, busy("the leader took no more proposals in time"));
    } else {
      resolve(turn, ticket,
              wire::RefusedOutcome{ErrorCode::no_leader, "no leader was reachable in time", true,
                                   options_.busy_retry_after});
    }
  }
  // Wherever it is: a leader that can't commit, or one new leader after the other.
  while (const auto oldest = waiting_.oldest()) {
    if (waiting_.at(*oldest).added_at + options_.answer_within_max > turn.now) break;
    resolve(turn, *oldest, overdue(waiting_.at(*oldest).where));
  }
}

// What is told of a proposal that found no outcome in time, by where it is.
wire::RefusedOutcome Machine::overdue(Whereabouts where) {
  const auto unknown = [this](std::string why) {
    return wire::RefusedOutcome{ErrorCode::unknown_outcome, std::move(why), false,
                                options_.busy_retry_after};
  };
  switch (where) {
    // In no log, and given up here: its verdict will find nobody who waits.
    case Whereabouts::asked: return busy("the state machine did not say in time if it admits it");
    case Whereabouts::committed: return unknown("committed, but not applied here in time");
    case Whereabouts::parked:
    case Whereabouts::forwarded:
    case Whereabouts::in_log: break;
  }
  return unknown("neither committed nor refused in time; it may still be committed");
}

void Machine::forward_parked(Turn& turn) {
  const auto leader = reachable_leader();
  if (!leader || turn.now < forward_from_) return;
  std::vector<std::vector<Ticket>> frames;
  std::size_t frame_bytes = 0;
  std::size_t all_bytes = 0;
  for (const auto& [since, ticket] : waiting_.parked()) {
    const std::size_t bytes = waiting_.at(ticket).bytes;
    if (!forward_room_for(bytes, all_bytes)) break;
    if (frames.empty() || frame_bytes + bytes > options_.forward_bytes_max) {
      frames.emplace_back();
      frame_bytes = 0;
    }
    frames.back().push_back(ticket);
    frame_bytes += bytes;
    all_bytes += bytes;
  }
  for (const std::vector<Ticket>& tickets : frames) send_forward(turn, *leader, tickets);
}

void Machine::send_forward(Turn& turn, NodeId leader, const std::vector<Ticket>& tickets) {
  wire::Forward forward;
  std::uint32_t losses = 0;
  for (const Ticket ticket : tickets) {
    const WaitingProposal& waiting = waiting_.at(ticket);
    if (waiting.in_doubt) ++counters_.reforwards;
    losses = std::max(losses, waiting.losses);
    forward.proposals.push_back(waiting.proposal);
  }
  ++counters_.forwards;
  // Longer each time: if the leader is farther away than the timeout, an answer still arrives.
  const Instant due = turn.now + options_.forward_timeout * (1U << std::min(losses, doublings_max));
  forward.number = waiting_.depart(tickets, leader, core_.term(), due);
  turn.out.send.push_back({leader, std::move(forward)});
}

std::optional<NodeId> Machine::reachable_leader() const {
  const auto leader = core_.leader();
  if (!leader || *leader == core_.self() || links_down_.contains(*leader)) return std::nullopt;
  return leader;
}

// One proposal always fits, whatever the limit.
bool Machine::waiting_room_for(std::size_t bytes) const {
  return waiting_.size() == 0 || waiting_.bytes() + bytes <= options_.waiting_bytes_max;
}

bool Machine::forward_room_for(std::size_t bytes, std::size_t before) const {
  const std::size_t taken = waiting_.forwarded_bytes() + before;
  return taken == 0 || taken + bytes <= options_.forward_window_bytes_max;
}

wire::RefusedOutcome Machine::busy(std::string message) {
  ++counters_.refused_busy;
  return {ErrorCode::busy, std::move(message), true, options_.busy_retry_after};
}

wire::RefusedOutcome Machine::not_the_leader() const {
  return {ErrorCode::not_leader, "this server does not lead, or hands over", true,
          options_.busy_retry_after};
}

Index Machine::last_index() const {
  return batch_.empty() ? core_.last().index : batch_.back().at.index;
}

LogTime Machine::stamp_at(Instant now) const {
  const auto since = static_cast<std::uint64_t>((now - elected_at_).count());
  return std::max(LogTime(log_time_before_.value() + since), sessions_.log_time());
}

}  // namespace kuilt::cluster
