// transfer.cpp: a leader hands over (dissertation 3.10). It takes no proposals until its successor
// has the whole log, and then tells it to stand for election at once. What makes it safe is that
// the successor wins an election like any other: nothing here decides who leads.
#include <algorithm>

#include "raft/core.hpp"

namespace kuilt::raft {
namespace {

// Proposals wait meanwhile: no longer than their callers do, however long an election may take.
constexpr Duration patience_max = std::chrono::seconds(2);

}  // namespace

bool Core::hands_over() const {
  return role_ == Role::leader && transfer_ && transfer_->term == hard_.term;
}

// --- The leader's side ---

void Core::on_transfer(const TransferLeadership& request, Output& out) {
  const auto answer = [&](TransferEnd end) { out.transfer = TransferEnded{end, request.target}; };
  if (transfer_) return answer(TransferEnd::under_way);
  if (role_ != Role::leader) return answer(TransferEnd::not_leader);
  if (request.target == self()) return answer(TransferEnd::done);
  const auto slot = request.target ? slot_of(*request.target) : best_successor();
  if (!slot) {
    return answer(request.target ? TransferEnd::unknown_target : TransferEnd::no_successor);
  }
  const Peer& peer = peers_[*slot];
  if (!peer.voter) return answer(TransferEnd::target_does_not_vote);
  if (!is_heard(peer)) return answer(TransferEnd::target_silent);
  if (peer.progress.disk_stalled()) return answer(TransferEnd::target_disk_stalled);
  // As long as clients would wait at most, had the leader died instead.
  const Duration patience = std::min(options_.election_timeout_max, patience_max);
  transfer_ = Transfer{.target = peer.id, .term = hard_.term, .until = now_ + patience};
}

// The one that lacks least: it can stand soonest.
std::optional<Core::Slot> Core::best_successor() const {
  std::optional<Slot> best;
  for (Slot slot = 0; slot < peers_.size(); ++slot) {
    const Peer& peer = peers_[slot];
    const bool can_stand = peer.voter && is_heard(peer) && !peer.progress.disk_stalled();
    if (slot == self_ || !can_stand) continue;
    if (!best || peer.progress.match() > peers_[*best].progress.match()) best = slot;
  }
  return best;
}

// Runs at the end of each step in which a hand-over is under way.
void Core::follow_transfer(Output& out) {
  if (hands_over()) return tell_to_stand(out);
  const auto leads_now = leader();
  if (hard_.term == transfer_->term || !leads_now) return;
  end_transfer(*leads_now == transfer_->target ? TransferEnd::done : TransferEnd::another_won, out);
}

// Once in each heartbeat round: a message may be lost, or find the target's disk busy.
void Core::tell_to_stand(Output& out) {
  const Peer& target = peers_[slot_of(transfer_->target).value()];
  // What the target vouches for is on its disk, and is all that this leader has.
  if (target.progress.match() != log_.last().index || transfer_->asked_in == round_) return;
  transfer_->asked_in = round_;
  send(target.id, TimeoutNow{hard_.term, log_.last()}, hard_write_, out);
}

void Core::give_up_transfer(Output& out) {
  const bool asked = transfer_->asked_in != 0;
  end_transfer(asked ? TransferEnd::target_not_won : TransferEnd::target_behind, out);
}

void Core::end_transfer(TransferEnd end, Output& out) {
  out.transfer = TransferEnded{end, transfer_->target};
  transfer_.reset();
}

// --- The successor's side ---

Refusal Core::on_timeout_now(NodeId from, const TimeoutNow& order, Output& out) {
  if (order.term < hard_.term) return Refusal::stale_term;
  if (order.term > hard_.term || leader_ != from) return Refusal::sender_does_not_lead;
  if (!peers_[self_].voter) return Refusal::learner_does_not_stand;
  // It has come late: the leader has taken proposals again since.
  if (order.last != log_.last()) return Refusal::log_differs;
  // As for a timeout (rule 7). The leader asks again.
  if (disk_stalled_) return Refusal::disk_stalled;
  if (!durability_.done(hard_write_)) return Refusal::vote_not_durable;
  become_candidate(true, out);  // Without a pre-vote: that would find a leader that is live.
  return Refusal::none;
}

}  // namespace kuilt::raft
