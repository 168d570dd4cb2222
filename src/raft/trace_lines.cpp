// trace_lines.cpp: transitions as JSON. Variables and fields of messages are named as in raft.tla.
#include <utility>

#include "kuilt/detail/overloaded.hpp"
#include "raft/trace.hpp"

namespace kuilt::raft {
namespace {

using NameOf = TraceLines::NameOf;

// An object under construction. Names and words need no escapes: servers are named by whoever
// traces, everything else is ours.
class Object {
 public:
  Object& number(std::string_view key, std::uint64_t value) {
    return raw(key, std::to_string(value));
  }
  template <class Tag>
  Object& number(std::string_view key, Number<Tag> value) {
    return number(key, value.value());
  }
  Object& flag(std::string_view key, bool value) { return raw(key, value ? "true" : "false"); }
  Object& text(std::string_view key, std::string_view value) {
    return raw(key, '"' + std::string(value) + '"');
  }
  Object& raw(std::string_view key, std::string_view value) {
    text_ += text_.empty() ? "\"" : ",\"";
    text_ += key;
    text_ += "\":";
    text_ += value;
    return *this;
  }
  [[nodiscard]] std::string done() const { return '{' + text_ + '}'; }

 private:
  std::string text_;
};

template <class Items, class ToText>
std::string list_of(const Items& items, ToText to_text) {
  std::string text;
  for (const auto& item : items) text += (text.empty() ? "" : ",") + to_text(item);
  return '[' + text + ']';
}

std::string voters_in(const std::vector<Member>& members, const NameOf& name) {
  std::vector<NodeId> voters;
  for (const Member& member : members) {
    if (member.voter) voters.push_back(member.id);
  }
  return list_of(voters, [&](NodeId id) { return '"' + name(id) + '"'; });
}

void add(Object& object, const Configuration& configuration, const NameOf& name) {
  object.raw("voters", voters_in(configuration.members, name));
  if (configuration.is_joint()) object.raw("outgoing", voters_in(configuration.outgoing, name));
}

std::string text_of(const Configuration& configuration, const NameOf& name) {
  Object object;
  add(object, configuration, name);
  return object.done();
}

std::string_view value_of(EntryKind kind) {
  switch (kind) {
    case EntryKind::no_op: return "no_op";
    case EntryKind::configuration: return "configuration";
    case EntryKind::command: return "command";
    case EntryKind::cut: return "cut";
  }
  KUILT_FAIL("an entry has a kind");
}

std::string text_of(const Entry& entry, const NameOf& name) {
  Object object;
  object.number("term", entry.at.term).text("value", value_of(entry.kind));
  if (entry.configuration) add(object, *entry.configuration, name);
  return object.done();
}

Object begin_message(std::string_view type, Term term) {
  Object object;
  object.text("mtype", type).number("mterm", term);
  return object;
}

void add_last(Object& object, Position last) {
  object.number("mlastLogTerm", last.term).number("mlastLogIndex", last.index);
}

std::string text_of(const VoteRequest& request) {
  Object object =
      begin_message(request.pre ? "PreVoteRequest" : "RequestVoteRequest", request.term);
  add_last(object, request.last);
  if (request.transfer) object.flag("mtransfer", true);
  return object.done();
}

std::string text_of(const VoteReply& reply) {
  Object object = begin_message(reply.pre ? "PreVoteResponse" : "RequestVoteResponse", reply.term);
  object.flag("mvoteGranted", reply.granted);
  if (!reply.committed) return object.done();
  object.number("mcommitIndex", reply.committed->index);
  object.number("mcommitTerm", reply.committed->term);
  return object.done();
}

std::string text_of(const AppendRequest& request, const NameOf& name) {
  Object object = begin_message("AppendEntriesRequest", request.term);
  object.number("mprevLogIndex", request.prev.index).number("mprevLogTerm", request.prev.term);
  const auto to_text = [&](const Entry& entry) { return text_of(entry, name); };
  object.raw("mentries", list_of(request.entries, to_text));
  return object.number("mcommitIndex", request.commit).done();
}

std::string text_of(const AppendReply& reply) {
  Object object = begin_message("AppendEntriesResponse", reply.term);
  object.flag("msuccess", reply.accepted).number("mmatchIndex", reply.durable);
  if (reply.accepted) return object.done();
  object.number("mprevLogIndex", reply.rejected_prev);
  object.number("mconflictIndex", reply.conflict.index);
  return object.number("mconflictTerm", reply.conflict.term).done();
}

std::string text_of(const Heartbeat& heartbeat) {
  Object object = begin_message("HeartbeatRequest", heartbeat.term);
  object.number("mcommitIndex", heartbeat.commit.index);
  object.number("mcommitTerm", heartbeat.commit.term);
  return object.number("mround", heartbeat.round).done();
}

std::string text_of(const HeartbeatReply& reply) {
  Object object = begin_message("HeartbeatResponse", reply.term);
  return object.number("mround", reply.round).number("mlastLogIndex", reply.last).done();
}

std::string text_of(const ReadRequest& request) {
  return begin_message("ReadIndexRequest", request.term).number("mnumber", request.number).done();
}

std::string text_of(const ReadReply& reply) {
  Object object = begin_message("ReadIndexResponse", reply.term);
  object.number("mnumber", reply.number).flag("mconfirmed", reply.confirmed);
  return object.number("mindex", reply.index).done();
}

std::string text_of(const TimeoutNow& order) {
  Object object = begin_message("TimeoutNow", order.term);
  add_last(object, order.last);
  return object.done();
}

std::string text_of(const Message& message, const NameOf& name) {
  const auto in_words = Overloaded{
      [](const VoteRequest& m) { return text_of(m); },
      [](const VoteReply& m) { return text_of(m); },
      [&](const AppendRequest& m) { return text_of(m, name); },
      [](const AppendReply& m) { return text_of(m); },
      [](const Heartbeat& m) { return text_of(m); },
      [](const HeartbeatReply& m) { return text_of(m); },
      [](const ReadRequest& m) { return text_of(m); },
      [](const ReadReply& m) { return text_of(m); },
      [](const TimeoutNow& m) { return text_of(m); },
  };
  return std::visit(in_words, message);
}

std::string_view state_of(Role role) {
  switch (role) {
    case Role::follower: return "Follower";
    case Role::pre_candidate: return "PreCandidate";
    case Role::candidate: return "Candidate";
    case Role::leader: return "Leader";
  }
  KUILT_FAIL("a role has a name");
}

std::string text_of(const Standing& standing, const NameOf& name) {
  Object object;
  object.text("state", state_of(standing.role)).number("currentTerm", standing.hard.term);
  const NodeId vote = standing.hard.vote;
  object.raw("votedFor", vote.is_none() ? "null" : '"' + name(vote) + '"');
  object.number("lastLogTerm", standing.last.term).number("lastLogIndex", standing.last.index);
  object.number("commitIndex", standing.commit);
  return object.number("durableIndex", standing.durable).done();
}

void add(Object& object, const Recovered& recovered, const NameOf& name) {
  object.number("baseTerm", recovered.base.term).number("baseIndex", recovered.base.index);
  // The term of each entry would be long: where a term begins is enough.
  object.raw("log", list_of(recovered.terms, [](const TermRange& range) {
               Object run;
               return run.number("from", range.first).number("term", range.term).done();
             }));
  object.raw("committedConfiguration", text_of(*recovered.committed, name));
  object.raw("configuration", text_of(*recovered.in_force, name));
}

}  // namespace

std::string_view name_of(Action action) {
  switch (action) {
    case Action::restart: return "Restart";
    case Action::timeout: return "Timeout";
    case Action::request_vote: return "RequestVote";
    case Action::become_leader: return "BecomeLeader";
    case Action::client_request: return "ClientRequest";
    case Action::advance_commit_index: return "AdvanceCommitIndex";
    case Action::append_entries: return "AppendEntries";
    case Action::handle_request_vote_request: return "HandleRequestVoteRequest";
    case Action::handle_request_vote_response: return "HandleRequestVoteResponse";
    case Action::handle_append_entries_request: return "HandleAppendEntriesRequest";
    case Action::handle_append_entries_response: return "HandleAppendEntriesResponse";
    case Action::update_term: return "UpdateTerm";
    case Action::drop_stale_response: return "DropStaleResponse";
    case Action::duplicate_message: return "DuplicateMessage";
    case Action::drop_message: return "DropMessage";
    case Action::leftover_message: return "LeftoverMessage";
    case Action::start_pre_vote: return "StartPreVote";
    case Action::request_pre_vote: return "RequestPreVote";
    case Action::handle_pre_vote_request: return "HandlePreVoteRequest";
    case Action::handle_pre_vote_response: return "HandlePreVoteResponse";
    case Action::heartbeat: return "Heartbeat";
    case Action::handle_heartbeat_request: return "HandleHeartbeatRequest";
    case Action::handle_heartbeat_response: return "HandleHeartbeatResponse";
    case Action::persist: return "Persist";
    case Action::step_down: return "StepDown";
    case Action::refuse_message: return "RefuseMessage";
    case Action::read_index: return "ReadIndex";
    case Action::request_read_index: return "RequestReadIndex";
    case Action::handle_read_index_request: return "HandleReadIndexRequest";
    case Action::handle_read_index_response: return "HandleReadIndexResponse";
    case Action::answer_read_index: return "AnswerReadIndex";
    case Action::finish_read: return "FinishRead";
    case Action::transfer_leadership: return "TransferLeadership";
    case Action::timeout_now: return "TimeoutNow";
    case Action::handle_timeout_now: return "HandleTimeoutNow";
    case Action::end_transfer: return "EndTransfer";
    case Action::change_membership: return "ChangeMembership";
    case Action::change_configuration: return "ChangeConfiguration";
    case Action::unexplained: return "Unexplained";
  }
  KUILT_FAIL("an action has a name");
}

std::string line_of(const Transition& transition, std::uint64_t number, Instant at,
                    const NameOf& name) {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(at.time_since_epoch());
  Object line;
  line.number("n", number).number("at", static_cast<std::uint64_t>(micros.count()));
  line.text("server", name(transition.server)).text("action", name_of(transition.action));
  if (transition.peer) line.text("peer", name(*transition.peer));
  if (transition.message) line.raw("message", text_of(*transition.message, name));
  if (transition.reply) line.raw("reply", text_of(*transition.reply, name));
  if (transition.entry) line.raw("entry", text_of(*transition.entry, name));
  if (transition.configuration) add(line, *transition.configuration, name);
  if (transition.read) line.number("read", *transition.read);
  if (transition.index) line.number("index", *transition.index);
  if (!transition.why.empty()) line.text("why", transition.why);
  if (transition.recovered) add(line, *transition.recovered, name);
  if (transition.after) line.raw("after", text_of(*transition.after, name));
  return line.done();
}

}  // namespace kuilt::raft
