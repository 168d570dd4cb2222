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
/// Threads: none; one caller at a time. Copyable.
class RoomBudget {
 public:
  explicit RoomBudget(std::uint64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {}

  /// False: nothing was taken.
  bool take(Instant now, const std::string& principal, std::uint64_t bytes) {
    if (spent_.size() >= next_sweep_) sweep(now);
    Spent& spent = spent_[principal];
    spent = {left_of(spent, now), now};
    if (spent.bytes + bytes > bytes_per_second_) return false;
    spent.bytes += bytes;
    return true;
  }

 private:
  struct Spent {
    std::uint64_t bytes = 0;
    Instant at{};
  };
  [[nodiscard]] std::uint64_t left_of(const Spent& spent, Instant now) const {
    if (now - spent.at >= std::chrono::seconds(1)) return 0;
    const auto passed = static_cast<std::uint64_t>((now - spent.at).count());
    const std::uint64_t regained = bytes_per_second_ / 1000 * (passed / 1'000'000);
    return spent.bytes - std::min(spent.bytes, regained);
  }
  // Whoever has spent nothing needs no entry. Twice what is left is kept before the next sweep.
  void sweep(Instant now) {
    std::erase_if(spent_, [&](const auto& one) { return left_of(one.second, now) == 0; });
    next_sweep_ = std::max<std::size_t>(1024, 2 * spent_.size());
  }

  std::uint64_t bytes_per_second_;
  std::size_t next_sweep_ = 1024;
  std::map<std::string, Spent> spent_;
};

}  // namespace kuilt::cluster
