// The clock of a process that runs too fast or too slowly.
#include "sim/clock.hpp"

#include <gtest/gtest.h>

#include "kuilt/detail/rng.hpp"

namespace kuilt::sim {
namespace {

using namespace std::chrono_literals;

TEST(Clock, GainsOrLosesWhatItDrifts) {
  EXPECT_EQ(Clock(5h, 200'000).local(Instant(10s)), Instant(5h + 12s));
  EXPECT_EQ(Clock(5h, -200'000).local(Instant(10s)), Instant(5h + 8s));
  EXPECT_EQ(Clock(5h, 0).local(Instant(10s)), Instant(5h + 10s));
  EXPECT_EQ(Clock(5h, 0).scene(Instant(5h + 10s)), Instant(10s));
}

// Otherwise whoever asks to be woken at an instant is woken before it, and asks again for ever.
TEST(Clock, WhoIsWokenAtAnInstantFindsItToBeSo) {
  Rng rng(1);
  for (int i = 0; i < 10'000; ++i) {
    const auto drift = static_cast<std::int64_t>(rng.below(400'001)) - 200'000;
    const Clock clock(Duration(static_cast<Duration::rep>(rng.below(1'000'000'000'000))), drift);
    const Instant wanted =
        clock.local(Instant()) + Duration(static_cast<Duration::rep>(rng.below(200'000'000'000)));
    const Instant woken = clock.scene(wanted);
    ASSERT_GE(clock.local(woken), wanted) << drift;
    ASSERT_LE(clock.local(woken), wanted + 5ns) << drift;
  }
}

}  // namespace
}  // namespace kuilt::sim
