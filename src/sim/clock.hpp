// clock.hpp: the clock of one process: it began at any time, and runs too fast or too slowly.
#pragma once

#include <cstdint>

#include "kuilt/types.hpp"

namespace kuilt::sim {

class Clock {
 public:
  Clock() = default;
  /// Gains `drift_ppm` millionths; may be negative. Pre: it does not stand still.
  Clock(Duration offset, std::int64_t drift_ppm) : offset_(offset), rate_(million + drift_ppm) {}

  [[nodiscard]] Instant local(Instant scene) const {
    return Instant(offset_ + Duration(scaled(scene.time_since_epoch().count(), rate_, million)));
  }
  /// When it is `local` here: no sooner, so that whoever is woken then finds it to be so.
  [[nodiscard]] Instant scene(Instant local) const {
    const std::int64_t elapsed = (local.time_since_epoch() - offset_).count();
    return Instant(Duration(scaled(elapsed, million, rate_) + (rate_ == million ? 0 : 2)));
  }

 private:
  static constexpr std::int64_t million = 1'000'000;

  // `count` * `by` / `of`, rounded down, of numbers whose product may not fit.
  static std::int64_t scaled(std::int64_t count, std::int64_t by, std::int64_t of) {
    const std::int64_t rest = count % of;
    return count / of * by + rest * by / of;
  }

  Duration offset_{};
  std::int64_t rate_ = million;
};

}  // namespace kuilt::sim
