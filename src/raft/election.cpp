// election.cpp: who leads. Pre-vote, vote, check-quorum and stickiness are always on (rule 3).
#include <algorithm>
#include <utility>

#include "raft/core.hpp"

namespace kuilt::raft {
namespace {

// How much more rarely than others a server campaigns that cannot win.
constexpr int timeouts_in_vain = 10;

}  // namespace

void Core::restart_election_timer() {
  const Duration spread = options_.election_timeout_max - options_.election_timeout_min;
  const auto extra = rng_.below(static_cast<std::uint64_t>(spread.count()));
  election_due_ =
      now_ + options_.election_timeout_min + Duration(static_cast<Duration::rep>(extra));
}

void Core::on_election_timeout(Output& out) {
  leader_heard_.reset();
  restart_election_timer();
  if (campaigns_in_vain()) election_due_ += timeouts_in_vain * options_.election_timeout_max;
  if (!may_campaign()) return;
  // Whoever cannot persist does not campaign (rule 7), and never asks for a second vote while the
  // first is still on its way to the disk.
  if (disk_stalled_ || !durability_.done(hard_write_)) return;
  start_vote_round(Role::pre_candidate, false, out);
  // Nothing rests on a pre-vote, so the own one counts at once.
  count_pre_vote(self_, out);
}

void Core::start_vote_round(Role role, bool transfer, Output& out) {
  role_ = role;
  const bool pre = role == Role::pre_candidate;
  const VoteRequest request{pre ? hard_.term.next() : hard_.term, pre, log_.last(), transfer};
  for (Peer& peer : peers_) {
    peer.pre_granted = false;
    const bool votes = peer.voter || peer.outgoing_voter;
    if (votes && peer.id != self()) send(peer.id, request, hard_write_, out);
  }
}

void Core::become_candidate(bool transfer, Output& out) {
  adopt(hard_.term.next(), out);
  save({hard_.term, self()}, out);
  restart_election_timer();
  start_vote_round(Role::candidate, transfer, out);  // on_written counts the own vote.
}

void Core::become_leader(Output& out) {
  role_ = Role::leader;
  leader_ = self();
  leader_heard_.reset();
  for (Peer& peer : peers_) {
    peer.progress = Progress(log_.last().index.next(), now_);
    begin_catching_up(peer);
  }
  // Only an entry of this term can be committed by counting, and takes all before it along.
  append({Entry{{log_.last().index.next(), hard_.term}, EntryKind::no_op, {}, {}}}, out);
  broadcast_heartbeat(out);
}

// Everything that only a leader knows is forgotten; the term and the vote in it stay.
void Core::step_down() {
  const bool led = role_ == Role::leader;
  role_ = Role::follower;
  give_way_until_.reset();
  if (led) {
    restart_election_timer();
    follow_configuration();  // Nobody is told good-bye any more.
  }
  for (Peer& peer : peers_) {
    peer.granted = peer.pre_granted = false;
    peer.progress = Progress();
  }
}

void Core::adopt(Term term, Output& out) {
  KUILT_CHECK(term > hard_.term);
  step_down();
  save({term, NodeId()}, out);
  leader_.reset();
  leader_heard_.reset();
}

void Core::count_vote(Slot slot, Output& out) {
  peers_[slot].granted = true;
  if (majority([](const Peer& peer) { return peer.granted; })) become_leader(out);
}

void Core::count_pre_vote(Slot slot, Output& out) {
  peers_[slot].pre_granted = true;
  if (majority([](const Peer& peer) { return peer.pre_granted; })) become_candidate(false, out);
}

// Stickiness: a server that lost touch must not depose a leader that the others still hear.
bool Core::leader_is_live() const {
  if (role_ == Role::leader) return quorum_is_live();
  return leader_heard_ && now_ < *leader_heard_ + options_.election_timeout_min;
}

bool Core::is_heard(const Peer& peer) const {
  return peer.id == self() || now_ < peer.progress.heard() + options_.election_timeout_max;
}

bool Core::quorum_is_live() const {
  return majority([&](const Peer& peer) { return is_heard(peer); });
}

// Raft 5.4.1: terms first, then length. Position's own order compares indexes.
bool Core::is_up_to_date(Position candidate) const {
  const Position own = log_.last();
  return candidate.term > own.term || (candidate.term == own.term && candidate.index >= own.index);
}

// The leader of `term` speaks.
void Core::follow(NodeId leader, Term term, Output& out) {
  if (term > hard_.term) adopt(term, out);
  step_down();
  leader_ = leader;
  leader_heard_ = now_;
  restart_election_timer();
}

// Who asks need not be in the configuration that is in force here, nor need this server: a voter of
// a later one may depend on this vote (rule 6).
Refusal Core::on_vote_request(NodeId from, const VoteRequest& request, Output& out) {
  // The vote would be out long after the election: who asked is better off without the hope.
  if (disk_stalled_) return Refusal::disk_stalled;
  if (has_left(from, request.last)) {
    tell_that_it_left(from);
    const Position committed{commit_, *log_.term_at(commit_)};
    send(from, VoteReply{hard_.term, request.pre, false, committed}, hard_write_, out);
    return Refusal::candidate_left;
  }
  const bool stale = request.pre ? request.term <= hard_.term : request.term < hard_.term;
  if (stale) {
    // Our term in the answer is how a candidate from the past catches up.
    send(from, VoteReply{hard_.term, request.pre, false}, hard_write_, out);
    return Refusal::stale_term;
  }
  // The flag is the leader's own word that it may be deposed, and passes this rule alone.
  const bool asked_by_leader = request.transfer && !request.pre;
  if (leader_is_live() && !asked_by_leader) return Refusal::leader_is_live;
  if (request.pre) {
    const bool granted = is_up_to_date(request.last);
    send(from, VoteReply{granted ? request.term : hard_.term, true, granted}, hard_write_, out);
    return Refusal::none;
  }
  if (request.term > hard_.term) adopt(request.term, out);
  const bool free = hard_.vote.is_none() || hard_.vote == from;
  const bool granted = free && is_up_to_date(request.last);
  if (granted) {
    if (hard_.vote.is_none()) save({hard_.term, from}, out);
    restart_election_timer();  // Only a granted vote earns patience; else a rival could starve us.
  }
  send(from, VoteReply{hard_.term, false, granted}, hard_write_, out);
  return Refusal::none;
}

Refusal Core::on_vote_reply(NodeId from, const VoteReply& reply, Output& out) {
  const Slot slot = slot_of(from).value();
  if (!reply.granted) {
    if (reply.term > hard_.term) adopt(reply.term, out);
    if (reply.committed) hear_committed(*reply.committed);
    return Refusal::none;
  }
  if (reply.term < (reply.pre ? hard_.term.next() : hard_.term)) return Refusal::stale_term;
  // A vote is for this term, and counts after the next pre-vote round has begun as well: where a
  // disk is as slow as the election timeout, it always comes that late. Not after a restart: the
  // own vote was counted in this life, or the votes were for a log that may have been longer.
  const bool asks_again = role_ == Role::pre_candidate;
  const bool campaigns = role_ == Role::candidate || (asks_again && peers_[self_].granted);
  if (reply.pre ? !asks_again : !campaigns) return Refusal::late_reply;
  if (reply.pre) {
    if (disk_stalled_) return Refusal::disk_stalled;  // Since it asked.
    count_pre_vote(slot, out);
  } else {
    count_vote(slot, out);
  }
  return Refusal::none;
}

}  // namespace kuilt::raft
