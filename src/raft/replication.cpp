// replication.cpp: how the log gets to the followers, and when an entry is decided.
#include <algorithm>
#include <utility>

#include "raft/core.hpp"

namespace kuilt::raft {
namespace {

Index last_verified(const AppendRequest& request) {
  return Index(request.prev.index.value() + request.entries.size());
}

}  // namespace

// --- The follower's side ---

Refusal Core::on_append_request(NodeId from, const AppendRequest& request, Output& out) {
  if (request.term < hard_.term) {
    // Makes a leader of the past step down. It answers no prev, so nobody can take it for a
    // rejection, not even a sender that has since come to lead our term.
    send(from, AppendReply{hard_.term, false, {}, {}, {}, boot_}, hard_write_, out);
    return Refusal::stale_term;
  }
  follow(from, request.term, out);
  // What comes before our base is committed, and so the same in every leader's log.
  if (request.prev.index >= log_.base().index && !log_.contains(request.prev)) {
    reject(from, request, out);
    return Refusal::none;
  }
  return accept(from, request, out);
}

void Core::reject(NodeId from, const AppendRequest& request, Output& out) const {
  // Terms never go down: only entries of ours up to prev's term can match.
  const Index before_prev(request.prev.index.value() - 1);
  const Position conflict = log_.last_not_above(request.prev.term, before_prev);
  const AppendReply reply{.term = hard_.term,
                          .accepted = false,
                          .durable = {},
                          .rejected_prev = request.prev.index,
                          .conflict = conflict,
                          .boot = boot_};
  send(from, reply, hard_write_, out);
}

Refusal Core::accept(NodeId from, const AppendRequest& request, Output& out) {
  // Every entry is compared, not only the first: a batch may overlap what is here already.
  const auto known = [&](const Entry& entry) {
    return entry.at.index < log_.base().index || log_.contains(entry.at);
  };
  const auto fresh = std::ranges::find_if_not(request.entries, known);
  if (fresh != request.entries.end()) {
    if (!has_room_for({fresh, request.entries.end()})) return Refusal::unsynced_tail_full;
    if (fresh->at.index <= log_.last().index) {
      truncate_after(Index(fresh->at.index.value() - 1), out);
    }
    append({fresh, request.entries.end()}, out);
  }
  // Neither the answer nor the commit index may rest on a tail of ours that this message did not
  // verify: the leader may be about to replace it.
  const Index verified = last_verified(request);
  commit_through(std::min(request.commit, verified));
  const AppendReply reply{.term = hard_.term,
                          .accepted = true,
                          .durable = verified,
                          .rejected_prev = {},
                          .conflict = {},
                          .boot = boot_};
  send(from, reply, std::max(hard_write_, durability_.write_of(verified)), out);
  return Refusal::none;
}

Refusal Core::on_heartbeat(NodeId from, const Heartbeat& heartbeat, Output& out) {
  if (heartbeat.term < hard_.term) {
    // As for a stale append: it confirms no round.
    send(from, HeartbeatReply{hard_.term, 0, {}, {}, boot_}, hard_write_, out);
    return Refusal::stale_term;
  }
  follow(from, heartbeat.term, out);
  // Index and term together vouch for the whole log before them (Raft 5.3, log matching).
  if (log_.contains(heartbeat.commit)) commit_through(heartbeat.commit.index);
  const HeartbeatReply reply{.term = hard_.term,
                             .round = heartbeat.round,
                             .last = log_.last().index,
                             .disk_age = durability_.age(now_),
                             .boot = boot_};
  send(from, reply, hard_write_, out);
  return Refusal::none;
}

// --- The leader's side ---

void Core::on_propose(const Propose& propose, Output& out) {
  KUILT_CHECK(role_ == Role::leader && !hands_over());
  for (const Entry& entry : propose.entries) {
    KUILT_CHECK(entry.at.term == hard_.term);
    KUILT_CHECK(!entry.configuration || (may_configure() && propose.entries.size() == 1));
  }
  append(propose.entries, out);
}

// What every answer to a leader has to pass. Something, if it ends here.
std::optional<Refusal> Core::not_for_this_leader(Term term, Output& out) {
  if (term < hard_.term) return Refusal::stale_term;
  if (term > hard_.term) {
    adopt(term, out);
    return Refusal::none;
  }
  if (role_ != Role::leader) return Refusal::late_reply;
  return std::nullopt;
}

Refusal Core::on_append_reply(NodeId from, const AppendReply& reply, Output& out) {
  if (const auto end = not_for_this_leader(reply.term, out)) return *end;
  Peer& peer = peers_[slot_of(from).value()];
  peer.progress.hear(reply.boot, now_);
  if (!reply.accepted) return on_rejection(peer, reply);
  peer.progress.acknowledge(reply.durable, now_);
  follow_catch_up(peer);
  advance_commit();
  return Refusal::none;
}

Refusal Core::on_rejection(Peer& peer, const AppendReply& reply) {
  if (!peer.progress.expects_rejection_of(reply.rejected_prev)) return Refusal::late_reply;
  const Index before_prev(reply.rejected_prev.value() - 1);
  const Position agreed =
      log_.last_not_above(reply.conflict.term, std::min(reply.conflict.index, before_prev));
  peer.progress.reject(agreed.index.next());
  // Only when the follower lacks what is no longer in our log: asking at once would spin.
  if (peer.progress.next() > reply.rejected_prev) {
    peer.progress.pause(now_ + options_.retransmit_after);
  }
  return Refusal::none;
}

Refusal Core::on_heartbeat_reply(NodeId from, const HeartbeatReply& reply, Output& out) {
  if (const auto end = not_for_this_leader(reply.term, out)) return *end;
  Peer& peer = peers_[slot_of(from).value()];
  Progress& progress = peer.progress;
  progress.hear(reply.boot, now_);
  progress.answer(reply.round);
  progress.hear_disk(reply.disk_age >= options_.disk_stall_max);
  progress.resume();
  if (progress.lost_in_flight(reply.round, reply.last)) progress.probe();
  if (auto& farewell = peer.farewell; farewell && farewell->told_in_round != 0) {
    // It has the whole log through the entry that leaves it out, and knows that it is committed.
    if (reply.round >= farewell->told_in_round) farewell->until = now_;
  }
  return Refusal::none;
}

void Core::on_loaded(const Loaded& loaded, Output& out) {
  const auto slot = slot_of(loaded.peer);
  if (role_ != Role::leader || !slot) return;
  Peer& peer = peers_[*slot];
  if (peer.progress.loading() != loaded.first) return;  // Asked for in an earlier term.
  peer.progress.loaded();
  Index expected = loaded.first;
  bool sound = !loaded.entries.empty();
  for (const Entry& entry : loaded.entries) {
    sound = sound && entry.at.index == expected && log_.contains(entry.at);
    expected = expected.next();
  }
  if (!sound) {
    peer.progress.pause(now_ + options_.heartbeat_interval);
  } else if (!gives_way() && !peer.progress.probing() && peer.progress.next() == loaded.first) {
    send_append(peer, loaded.entries, out);
  }
}

void Core::on_peer_lost(const PeerLost& lost) {
  if (reads_.asked && reads_.asked->to == lost.peer) ask_again_later();
  const auto slot = slot_of(lost.peer);
  if (role_ != Role::leader || !slot) return;
  Progress& progress = peers_[*slot].progress;
  progress.probe();
  // Until the link is back there is nobody to ask; an answer to a heartbeat ends the pause.
  progress.pause(now_ + options_.retransmit_after);
}

// Outside every window: a full one must not keep a leader from being heard.
void Core::broadcast_heartbeat(Output& out) {
  heartbeat_due_ = now_ + options_.heartbeat_interval;
  ++round_;
  if (gives_way()) return;
  begin_read_round();
  count_farewell_rounds();
  const Heartbeat heartbeat{hard_.term, {commit_, *log_.term_at(commit_)}, round_};
  for (const Peer& peer : peers_) {
    if (peer.id != self()) send(peer.id, heartbeat, hard_write_, out);
  }
}

// Runs at the end of each of a leader's steps: whatever may go out now, does.
void Core::replicate(Output& out) {
  if (gives_way()) return;
  for (Peer& peer : peers_) {
    if (peer.id == self()) continue;
    if (peer.progress.overdue(now_, options_.retransmit_after)) peer.progress.probe();
    replicate_to(peer, out);
  }
}

void Core::replicate_to(Peer& peer, Output& out) {
  Progress& progress = peer.progress;
  const Index last = log_.last().index;
  while (!progress.blocked(now_)) {
    const bool in_memory = progress.next() >= log_.first_in_memory();
    const bool unverified = progress.probing() && progress.match().next() < progress.next();
    if (progress.next() > last && !unverified) return;
    if (!in_memory && !progress.probing()) return ask_for_entries(peer, out);
    const std::size_t room =
        std::min(progress.room(options_.window_bytes_max), options_.append_bytes_max);
    std::vector<Entry> entries;
    if (in_memory) entries = log_.slice(progress.next(), room, progress.in_flight().empty());
    if (entries.empty() && !progress.probing()) return;  // The window is full.
    send_append(peer, std::move(entries), out);
  }
}

// The leader does not wait for its own disk (rule 2).
void Core::send_append(Peer& peer, std::vector<Entry> entries, Output& out) {
  const Index prev(peer.progress.next().value() - 1);
  std::size_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.cost();
  AppendRequest request{hard_.term, {prev, log_.term_at(prev).value()}, commit_, {}};
  request.entries = std::move(entries);
  peer.progress.send({last_verified(request), bytes, round_}, now_);
  send(peer.id, std::move(request), hard_write_, out);
}

void Core::ask_for_entries(Peer& peer, Output& out) {
  if (peer.progress.loading()) return;
  const std::size_t room =
      std::min(peer.progress.room(options_.window_bytes_max), options_.append_bytes_max);
  if (room == 0) return;
  const Index last(log_.first_in_memory().value() - 1);
  peer.progress.load(peer.progress.next());
  out.need_entries.push_back({peer.id, peer.progress.next(), last, room});
}

// Replicas count once their disk does, this one included; the leader's own write is not waited for
// when enough others have it. Entries of earlier terms are never counted (Raft 5.4.2, rule 4).
void Core::advance_commit() {
  const auto durable_of = [&](const Peer& peer) {
    return peer.id == self() ? durability_.index() : peer.progress.match();
  };
  Index decided = commit_;
  for (const Peer& candidate : peers_) {
    const Index index = durable_of(candidate);
    const auto has_it = [&](const Peer& peer) { return durable_of(peer) >= index; };
    if (index > decided && majority(has_it)) decided = index;
  }
  if (decided > commit_ && log_.term_at(decided) == hard_.term) commit_through(decided);
}

}  // namespace kuilt::raft
