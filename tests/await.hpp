// await.hpp: how tests wait for other threads and processes: for a condition, and within bounds.
#pragma once

#include <chrono>
#include <thread>

namespace kuilt {

/// Waits until `condition` holds, looking again after each `pause`. False: it took too long; the
/// patience is far more than anything takes that a test waits for.
template <class Condition>
[[nodiscard]] bool comes_true(Condition condition,
                              std::chrono::nanoseconds patience = std::chrono::seconds(20),
                              std::chrono::nanoseconds pause = std::chrono::milliseconds(1)) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(pause);
  }
  return true;
}

}  // namespace kuilt
