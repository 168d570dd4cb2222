// clock.hpp: the one place where the server reads a clock.
#pragma once

#include <chrono>

#include "kuilt/types.hpp"

namespace kuilt::server {

/// Monotonic time, as every pure layer gets it.
[[nodiscard]] inline Instant now() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return Instant(std::chrono::duration_cast<Duration>(since));
}

[[nodiscard]] inline std::chrono::steady_clock::time_point to_steady(Instant at) {
  using Clock = std::chrono::steady_clock;
  return Clock::time_point(std::chrono::duration_cast<Clock::duration>(at.time_since_epoch()));
}

}  // namespace kuilt::server
