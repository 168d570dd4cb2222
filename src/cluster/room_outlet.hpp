// room_outlet.hpp: what of room traffic goes out to a client that reads slowly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "cluster/rooms.hpp"

namespace kuilt::cluster {

/// Room frames share a link with the log's feed and must not hold it up. Once a link has more
/// queued than the bound, nothing of rooms goes out on it before all of that has left: then the
/// feed has its turn. Messages of that time are dropped; rosters are asked for anew.
///
/// Threads: none; one caller at a time (a shard). Copyable.
class RoomOutlet {
 public:
  explicit RoomOutlet(std::size_t queued_bytes_max = std::size_t{256} << 10)
      : queued_bytes_max_(queued_bytes_max) {}

  /// Whether to send this frame on a link that has so much queued.
  bool admits(LinkId link, std::size_t queued, const RoomFrame& frame) {
    const auto found = slow_.find(link);
    if (found == slow_.end() && queued <= queued_bytes_max_) return true;
    Slow& slow = found == slow_.end() ? slow_[link] : found->second;
    slow.crowded = slow.crowded || queued > queued_bytes_max_;
    // Nobody would ask for it anew: it is small, and answers what the link itself has said.
    if (frame.kind == RoomFrameKind::refusal) return true;
    const bool is_roster = frame.kind == RoomFrameKind::roster;
    if (!slow.crowded && !(is_roster && slow.stale.contains(frame.room))) return true;
    if (is_roster) slow.stale.insert(frame.room);
    if (!is_roster) ++dropped_;
    return false;
  }
  /// The link has nothing queued any more: a roster to ask for anew, if one is out of date. One at
  /// a time: all rosters of a link may be more than it takes at once.
  std::optional<RoomRefresh> drained(LinkId link) {
    const auto slow = slow_.find(link);
    if (slow == slow_.end()) return std::nullopt;
    slow->second.crowded = false;
    std::set<RoomName>& stale = slow->second.stale;
    std::optional<RoomRefresh> refresh;
    if (!stale.empty()) {
      refresh = RoomRefresh{link, *stale.begin()};
      stale.erase(stale.begin());
    }
    if (stale.empty()) slow_.erase(slow);
    return refresh;
  }
  void closed(LinkId link) { slow_.erase(link); }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  struct Slow {
    bool crowded = false;      ///< Until what is queued has left.
    std::set<RoomName> stale;  ///< Rosters that lack changes.
  };
  std::size_t queued_bytes_max_;
  std::map<LinkId, Slow> slow_;
  std::uint64_t dropped_ = 0;
};

}  // namespace kuilt::cluster
