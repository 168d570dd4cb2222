// samples.hpp: many durations, and what to say of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "kuilt/types.hpp"

namespace kuilt::bench {

/// What was waited for by most, by all but one in a hundred, and by all but one in a thousand.
struct Spread {
  Duration p50{};
  Duration p99{};
  Duration p999{};
};

class Samples {
 public:
  void add(Duration sample) { samples_.push_back(sample); }
  [[nodiscard]] std::size_t count() const { return samples_.size(); }

  /// The smallest sample that at least `share` of all do not exceed; zero without samples.
  [[nodiscard]] Duration percentile(double share) {
    if (samples_.empty()) return Duration{};
    const auto last = static_cast<double>(samples_.size() - 1);
    const auto place = samples_.begin() + static_cast<std::ptrdiff_t>(last * share + 0.5);
    std::nth_element(samples_.begin(), place, samples_.end());
    return *place;
  }
  [[nodiscard]] Spread spread() { return {percentile(0.5), percentile(0.99), percentile(0.999)}; }

 private:
  std::vector<Duration> samples_;
};

}  // namespace kuilt::bench
