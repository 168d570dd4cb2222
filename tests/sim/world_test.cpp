// Whole clusters for a few seeds. CI runs many more with the binary.
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/run.hpp"

namespace kuilt::sim {
namespace {

Report quick_run(std::uint64_t seed) { return run({.seed = seed, .quick = true, .listener = {}}); }

TEST(World, InvariantsHoldWhateverGoesWrong) {
  Coverage totals;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const Report report = quick_run(seed);

    ASSERT_FALSE(report.violation.has_value())
        << *report.violation << "\nreplay: kuilt-sim --seed " << seed << " --quick --trace";
    totals.add(report.coverage);
  }
  for (const auto& [name, total] : totals.totals()) {
    RecordProperty(name, std::to_string(total));
  }
  EXPECT_GT(totals.totals().at("acknowledged"), 0U);
  EXPECT_GT(totals.totals().at("power cuts"), 0U);
  EXPECT_GT(totals.totals().at("kills"), 0U);
}

TEST(World, OneSeedGivesOneRun) {
  for (const std::uint64_t seed : {3U, 17U}) {
    const Report once = quick_run(seed);
    const Report again = quick_run(seed);

    EXPECT_EQ(once.trace_hash, again.trace_hash);
    EXPECT_EQ(once.events, again.events);
    EXPECT_EQ(once.coverage.totals(), again.coverage.totals());
  }
}

TEST(World, AnotherSeedGivesAnotherRun) {
  EXPECT_NE(quick_run(1).trace_hash, quick_run(2).trace_hash);
}

TEST(Coverage, WhatNeverHappenedIsNamed) {
  Coverage coverage;
  coverage.count("truncations");

  const auto missing = coverage.missing();

  EXPECT_EQ(std::ranges::count(missing, "truncations"), 0);
  EXPECT_EQ(std::ranges::count(missing, "stale answers"), 1);
}

}  // namespace
}  // namespace kuilt::sim
