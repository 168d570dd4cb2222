// names.cpp: enumerations as people and metrics read them.
#include "raft/core.hpp"

namespace kuilt::raft {

std::string_view name_of(Role role) {
  switch (role) {
    case Role::follower: return "follower";
    case Role::pre_candidate: return "pre_candidate";
    case Role::candidate: return "candidate";
    case Role::leader: return "leader";
  }
  KUILT_FAIL("a role has a name");
}

std::string_view name_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::none: return "none";
    case Refusal::unknown_sender: return "unknown_sender";
    case Refusal::stale_term: return "stale_term";
    case Refusal::term_jump: return "term_jump";
    case Refusal::leader_is_live: return "leader_is_live";
    case Refusal::second_leader_in_term: return "second_leader_in_term";
    case Refusal::entries_not_contiguous: return "entries_not_contiguous";
    case Refusal::entry_term_grows_beyond_message: return "entry_term_grows_beyond_message";
    case Refusal::entry_terms_decrease: return "entry_terms_decrease";
    case Refusal::entry_kind_and_configuration_disagree:
      return "entry_kind_and_configuration_disagree";
    case Refusal::entry_larger_than_allowed: return "entry_larger_than_allowed";
    case Refusal::conflict_below_commit: return "conflict_below_commit";
    case Refusal::acknowledges_beyond_log: return "acknowledges_beyond_log";
    case Refusal::answers_unknown_round: return "answers_unknown_round";
    case Refusal::late_reply: return "late_reply";
    case Refusal::not_leading: return "not_leading";
    case Refusal::repeated_read_request: return "repeated_read_request";
    case Refusal::answers_unknown_read: return "answers_unknown_read";
    case Refusal::read_below_commit: return "read_below_commit";
    case Refusal::sender_does_not_lead: return "sender_does_not_lead";
    case Refusal::learner_does_not_stand: return "learner_does_not_stand";
    case Refusal::log_differs: return "log_differs";
    case Refusal::vote_not_durable: return "vote_not_durable";
    case Refusal::candidate_left: return "candidate_left";
    case Refusal::disk_stalled: return "disk_stalled";
    case Refusal::unsynced_tail_full: return "unsynced_tail_full";
    case Refusal::sender_is_self: return "sender_is_self";
    case Refusal::no_term: return "no_term";
    case Refusal::log_beyond_term: return "log_beyond_term";
    case Refusal::commit_beyond_term: return "commit_beyond_term";
    case Refusal::vote_not_asked_for: return "vote_not_asked_for";
    case Refusal::answers_unasked_term: return "answers_unasked_term";
    case Refusal::rejection_without_sense: return "rejection_without_sense";
  }
  KUILT_FAIL("a refusal has a name");
}

std::string_view name_of(ChangeRefusal refusal) {
  switch (refusal) {
    case ChangeRefusal::none: return "none";
    case ChangeRefusal::not_leader: return "not_leader";
    case ChangeRefusal::nothing_committed_in_term: return "nothing_committed_in_term";
    case ChangeRefusal::change_under_way: return "change_under_way";
    case ChangeRefusal::handing_over: return "handing_over";
    case ChangeRefusal::no_voters: return "no_voters";
    case ChangeRefusal::same_members: return "same_members";
    case ChangeRefusal::too_many_members: return "too_many_members";
    case ChangeRefusal::members_not_distinct: return "members_not_distinct";
    case ChangeRefusal::unknown_learner: return "unknown_learner";
    case ChangeRefusal::learner_behind: return "learner_behind";
    case ChangeRefusal::name_in_use: return "name_in_use";
    case ChangeRefusal::unsound_text: return "unsound_text";
    case ChangeRefusal::too_large: return "too_large";
    case ChangeRefusal::majority_silent: return "majority_silent";
  }
  KUILT_FAIL("a refusal has a name");
}

std::string_view name_of(ReadFailure failure) {
  switch (failure) {
    case ReadFailure::none: return "none";
    case ReadFailure::busy: return "busy";
    case ReadFailure::leadership_lost: return "leadership_lost";
    case ReadFailure::no_leader: return "no_leader";
    case ReadFailure::timed_out: return "timed_out";
  }
  KUILT_FAIL("a failure has a name");
}

std::string_view name_of(TransferEnd end) {
  switch (end) {
    case TransferEnd::done: return "done";
    case TransferEnd::not_leader: return "not_leader";
    case TransferEnd::under_way: return "under_way";
    case TransferEnd::unknown_target: return "unknown_target";
    case TransferEnd::target_does_not_vote: return "target_does_not_vote";
    case TransferEnd::target_silent: return "target_silent";
    case TransferEnd::no_successor: return "no_successor";
    case TransferEnd::target_behind: return "target_behind";
    case TransferEnd::target_not_won: return "target_not_won";
    case TransferEnd::another_won: return "another_won";
    case TransferEnd::target_disk_stalled: return "target_disk_stalled";
  }
  KUILT_FAIL("an end has a name");
}

}  // namespace kuilt::raft
