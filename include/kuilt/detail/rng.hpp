// rng.hpp: randomness as a seeded value.
#pragma once

#include <cstdint>

#include "kuilt/detail/check.hpp"

namespace kuilt {

/// A small, seedable random source (SplitMix64). Same seed, same numbers, on every machine;
/// std::uniform_int_distribution does not promise that. Not for secrets.
class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
    return mixed ^ (mixed >> 31);
  }

  /// A number in [0, bound). Pre: bound > 0. Skewed by less than bound / 2^64.
  std::uint64_t below(std::uint64_t bound) {
    KUILT_CHECK(bound > 0);
    return next() % bound;
  }

  /// True `percent` times in a hundred.
  bool chance(std::uint64_t percent) { return below(100) < percent; }

 private:
  std::uint64_t state_;
};

}  // namespace kuilt
