// gate.cpp: the one gate that each message of a peer passes before anything acts on it (rule 8).
// What no sound server of this cluster would send to this one ends here, and changes nothing. What
// is of the past, late, or not for now is no lie: whoever handles the message says so, and may have
// to answer. That the sender belongs to the cluster was proven on its link; that it is in the
// configuration of this server is asked only of answers (rule 6).
#include <algorithm>

#include "kuilt/detail/overloaded.hpp"
#include "raft/core.hpp"

namespace kuilt::raft {
namespace {

// What no sound leader of this cluster sends, told from the message alone.
Refusal malformed(const AppendRequest& request, const Parameters& in_force) {
  if (request.prev.term > request.term) return Refusal::entry_term_grows_beyond_message;
  Position before = request.prev;
  const Parameters* parameters = &in_force;
  for (const Entry& entry : request.entries) {
    if (entry.at.index != before.index.next()) return Refusal::entries_not_contiguous;
    if (entry.at.term > request.term) return Refusal::entry_term_grows_beyond_message;
    if (entry.at.term < before.term) return Refusal::entry_terms_decrease;
    if ((entry.kind == EntryKind::configuration) != (entry.configuration != nullptr)) {
      return Refusal::entry_kind_and_configuration_disagree;
    }
    // What holds for those that follow, also where a server hears of its cluster for the first
    // time.
    if (entry.configuration) parameters = &entry.configuration->parameters;
    if (entry.stored.size() > parameters->stored_bytes_max()) {
      return Refusal::entry_larger_than_allowed;
    }
    before = entry.at;
  }
  return Refusal::none;
}

}  // namespace

Refusal Core::judge(NodeId from, const Message& message) const {
  if (from == self()) return Refusal::sender_is_self;
  const Term term = term_of(message);
  if (term > hard_.term && term.value() - hard_.term.value() > options_.term_jump_max) {
    return Refusal::term_jump;
  }
  return std::visit([&](const auto& m) { return flaw_in(from, m); }, message);
}

// A term has one leader at most: a second one is lying.
bool Core::is_second_leader(NodeId from, Term term) const {
  return term == hard_.term && leader_ && leader_ != from;
}

// Whether it says of what is committed here that something else is. Below the base all logs are
// the same.
bool Core::contradicts_commit(Position position) const {
  return position.index >= log_.base().index && position.index <= commit_ &&
         !log_.contains(position);
}

// --- From whoever stands for election ---

Refusal Core::flaw_in(NodeId /*from*/, const VoteRequest& request) const {
  if (request.term == Term(0)) return Refusal::no_term;
  // Both kinds ask for a term that their sender has yet to enter, or has just entered.
  return request.last.term >= request.term ? Refusal::log_beyond_term : Refusal::none;
}

Refusal Core::flaw_in(NodeId from, const VoteReply& reply) const {
  if (!slot_of(from)) return Refusal::unknown_sender;
  if (!reply.granted) {
    const bool lies = reply.committed && contradicts_commit(*reply.committed);
    return lies ? Refusal::conflict_below_commit : Refusal::none;
  }
  // A server stands in the term that its disk knows it has voted for itself in.
  const bool never_stood = reply.term == hard_.term && !reply.pre && hard_.vote != self();
  const Term latest = reply.pre ? hard_.term.next() : hard_.term;
  return never_stood || reply.term > latest ? Refusal::vote_not_asked_for : Refusal::none;
}

// --- From whoever leads ---

Refusal Core::flaw_in(NodeId from, const AppendRequest& request) const {
  if (request.term == Term(0)) return Refusal::no_term;
  const Refusal flaw = malformed(request, configuration()->parameters);
  // One of the past is told so, whatever its log was.
  if (flaw != Refusal::none || request.term < hard_.term) return flaw;
  if (is_second_leader(from, request.term)) return Refusal::second_leader_in_term;
  // Terms never go down: a log with that `prev` cannot hold what is committed here.
  const Position prev = request.prev;
  const bool lacks = prev.index > commit_ && prev.term < log_.term_at(commit_);
  if (lacks || contradicts_commit(prev)) return Refusal::conflict_below_commit;
  for (const Entry& entry : request.entries) {
    if (entry.at.index > commit_) break;
    if (contradicts_commit(entry.at)) return Refusal::conflict_below_commit;
  }
  return Refusal::none;
}

Refusal Core::flaw_in(NodeId from, const Heartbeat& heartbeat) const {
  if (heartbeat.term == Term(0)) return Refusal::no_term;
  if (heartbeat.commit.term > heartbeat.term) return Refusal::commit_beyond_term;
  if (heartbeat.term < hard_.term) return Refusal::none;
  if (is_second_leader(from, heartbeat.term)) return Refusal::second_leader_in_term;
  const bool lies = contradicts_commit(heartbeat.commit);
  return lies ? Refusal::conflict_below_commit : Refusal::none;
}

Refusal Core::flaw_in(NodeId /*from*/, const TimeoutNow& order) const {
  if (order.term == Term(0)) return Refusal::no_term;
  return order.last.term > order.term ? Refusal::log_beyond_term : Refusal::none;
}

// --- Answers, which only members give ---

// Those of a later term say no more than that it is there: nobody obeys this server in it.
Refusal Core::flaw_in(NodeId from, const AppendReply& reply) const {
  if (!slot_of(from)) return Refusal::unknown_sender;
  const bool answers = reply.accepted || reply.rejected_prev != Index(0);
  if (reply.term > hard_.term && answers) return Refusal::answers_unasked_term;
  if (!reply.accepted && answers) {
    const bool before = reply.conflict.index < reply.rejected_prev;
    return before && reply.conflict.term <= reply.term ? Refusal::none
                                                       : Refusal::rejection_without_sense;
  }
  const bool is_mine = reply.term == hard_.term && role_ == Role::leader;
  const bool beyond = reply.accepted && reply.durable > log_.last().index;
  return is_mine && beyond ? Refusal::acknowledges_beyond_log : Refusal::none;
}

Refusal Core::flaw_in(NodeId from, const HeartbeatReply& reply) const {
  if (!slot_of(from)) return Refusal::unknown_sender;
  if (reply.term > hard_.term && reply.round != 0) return Refusal::answers_unasked_term;
  const bool is_mine = reply.term == hard_.term && role_ == Role::leader;
  return is_mine && reply.round > round_ ? Refusal::answers_unknown_round : Refusal::none;
}

Refusal Core::flaw_in(NodeId from, const ReadRequest& /*request*/) const {
  return slot_of(from) ? Refusal::none : Refusal::unknown_sender;
}

Refusal Core::flaw_in(NodeId from, const ReadReply& reply) const {
  if (!slot_of(from)) return Refusal::unknown_sender;
  if (reply.term > hard_.term) {
    return reply.confirmed ? Refusal::answers_unasked_term : Refusal::none;
  }
  if (reply.term < hard_.term || reply.boot != boot_) return Refusal::none;
  if (reply.number > reads_.last_request) return Refusal::answers_unknown_read;
  if (!reads_.asked || reply.number != reads_.asked->number) return Refusal::none;
  if (from != reads_.asked->to) return Refusal::answers_unknown_read;
  const bool below = reply.confirmed && reply.index < reads_.asked->commit;
  return below ? Refusal::read_below_commit : Refusal::none;
}

bool tells_of_a_fault(Refusal refusal) {
  switch (refusal) {
    case Refusal::term_jump:
    case Refusal::second_leader_in_term:
    case Refusal::entries_not_contiguous:
    case Refusal::entry_term_grows_beyond_message:
    case Refusal::entry_terms_decrease:
    case Refusal::entry_kind_and_configuration_disagree:
    case Refusal::entry_larger_than_allowed:
    case Refusal::conflict_below_commit:
    case Refusal::acknowledges_beyond_log:
    case Refusal::answers_unknown_round:
    case Refusal::answers_unknown_read:
    case Refusal::read_below_commit:
    case Refusal::sender_is_self:
    case Refusal::no_term:
    case Refusal::log_beyond_term:
    case Refusal::commit_beyond_term:
    case Refusal::vote_not_asked_for:
    case Refusal::answers_unasked_term:
    case Refusal::rejection_without_sense: return true;
    case Refusal::none:
    case Refusal::unknown_sender:  // Of a server that left meanwhile.
    case Refusal::stale_term:
    case Refusal::leader_is_live:
    case Refusal::late_reply:
    case Refusal::not_leading:
    case Refusal::repeated_read_request:
    case Refusal::sender_does_not_lead:  // The order overtook what says who leads.
    case Refusal::learner_does_not_stand:
    case Refusal::log_differs:
    case Refusal::vote_not_durable:
    case Refusal::candidate_left:
    case Refusal::disk_stalled:
    case Refusal::unsynced_tail_full: return false;
  }
  KUILT_FAIL("a refusal tells of a fault or not");
}

}  // namespace kuilt::raft
