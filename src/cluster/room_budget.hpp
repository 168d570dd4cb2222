// room_budget.hpp: how many bytes of messages each principal may send to rooms.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

#include "kuilt/types.hpp"

namespace kuilt::cluster {

/// A token bucket per principal: a second's worth at once, and as much again in each second.
///
/// Kept as the moment from which on the bucket is full again, so that no time gets lost to rounding
/// however often it is asked.
///
/// Threads: none; one caller at a time. Copyable.
class RoomBudget {
 public:
  explicit RoomBudget(std::uint64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {}

  /// False: nothing was taken.
  bool take(Instant now, const std::string& principal, std::uint64_t bytes) {
    if (full_at_.size() >= next_sweep_) sweep(now);
    Instant& full_at = full_at_.try_emplace(principal, now).first->second;
    full_at = std::max(full_at, now);
    if (bytes > bytes_per_second_) return false;  // More than it ever holds.
    const Instant after = full_at + time_for(bytes);
    if (after > now + std::chrono::seconds(1)) return false;
    full_at = after;
    return true;
  }

 private:
  /// How long the bucket takes to regain so many, which one message has. Rounded up: none is free.
  [[nodiscard]] Duration time_for(std::uint64_t bytes) const {
    constexpr std::uint64_t second = 1'000'000'000;
    const std::uint64_t time = (bytes * second + bytes_per_second_ - 1) / bytes_per_second_;
    return Duration(static_cast<Duration::rep>(time));
  }
  // Whoever has spent nothing needs no entry. Twice what is left is kept before the next sweep.
  void sweep(Instant now) {
    std::erase_if(full_at_, [&](const auto& one) { return one.second <= now; });
    next_sweep_ = std::max<std::size_t>(1024, 2 * full_at_.size());
  }

  std::uint64_t bytes_per_second_;
  std::size_t next_sweep_ = 1024;
  std::map<std::string, Instant> full_at_;
};

}  // namespace kuilt::cluster
