// stall.cpp: a disk that hangs (rule 7). A leader counts the others' disks and could go on
// committing without its own; but it would hold in memory what it can not write, vouch for less and
// less, and after a restart lack what it led. So it gives way to one whose disk works.
#include <algorithm>

#include "raft/core.hpp"

namespace kuilt::raft {

// Whoever is the only one to decide has nobody to give way to: its proposals wait for its disk.
bool Core::is_majority_alone() const {
  return majority([&](const Peer& peer) { return peer.id == self(); });
}

// Time is looked at here alone, so what a core that was held up hears of its disk comes first. With
// nothing to write no disk hangs.
void Core::watch_disk(Output& out) {
  const auto& unfinished = durability_.unfinished();
  disk_stalled_ = !unfinished.empty() && durability_.age(now_) >= options_.disk_stall_max;
  if (role_ != Role::leader || !disk_stalled_ || is_majority_alone()) {
    give_way_until_.reset();
  } else if (!gives_way()) {
    give_way(out);
  } else if (now_ >= *give_way_until_) {
    step_down();
  }
}

// From now on it sends nothing that keeps the others patient. Until the first of them may run out
// of patience there is time for a successor to vouch for the whole log.
void Core::give_way(Output& out) {
  out.gave_way = true;
  give_way_until_ = now_ + options_.election_timeout_min;
  if (hands_over()) {
    transfer_->until = *give_way_until_;
    return;
  }
  const auto successor = best_successor();
  if (!successor) return step_down();
  transfer_ =
      Transfer{.target = peers_[*successor].id, .term = hard_.term, .until = *give_way_until_};
}

// A hand-over that has begun ends as any other does.
void Core::end_stall() {
  if (!disk_stalled_ || durability_.age(now_) >= options_.disk_stall_max) return;
  disk_stalled_ = false;
  give_way_until_.reset();
}

Instant Core::stall_wake() const {
  if (gives_way()) return *give_way_until_;
  const auto& unfinished = durability_.unfinished();
  if (disk_stalled_ || unfinished.empty()) return Instant::max();
  return unfinished.front().since + options_.disk_stall_max;
}

// Rule 13 for a follower's disk. One leader sends no more than its window beyond what is
// acknowledged; but each new one begins with a window of its own.
bool Core::has_room_for(std::span<const Entry> entries) const {
  const std::size_t waiting = durability_.unfinished_bytes();
  std::size_t bytes = waiting;
  for (const Entry& entry : entries) bytes += entry.cost();
  return waiting == 0 ||
         bytes <= std::max(options_.uncommitted_bytes_max, options_.window_bytes_max);
}

}  // namespace kuilt::raft
