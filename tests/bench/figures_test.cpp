// From numbers to figures.
#include <gtest/gtest.h>
#include <unistd.h>

#include "bench/proposers.hpp"
#include "bench/samples.hpp"
#include "bench/usage.hpp"

namespace kuilt::bench {
namespace {

TEST(Samples, PercentilesAreSamplesWhateverTheirOrder) {
  Samples samples;
  for (int i = 1000; i >= 0; --i) samples.add(Duration(i));

  const Spread spread = samples.spread();

  EXPECT_EQ(spread.p50, Duration(500));
  EXPECT_EQ(spread.p99, Duration(990));
  EXPECT_EQ(spread.p999, Duration(999));
}

TEST(Samples, NothingMeasuredIsZeroAndNoCrash) {
  EXPECT_EQ(Samples().percentile(0.99), Duration{});
}

TEST(Usage, MetricIsFoundByItsWholeName) {
  const std::string text =
      "# HELP a_total x\n# TYPE a_total counter\na_total_more 7\na_total 42.5\n";

  EXPECT_DOUBLE_EQ(metric(text, "a_total"), 42.5);
  EXPECT_DOUBLE_EQ(metric(text, "total"), 0);
}

TEST(Usage, ThisProcessHasMemoryAndTime) {
  EXPECT_GT(resident_bytes_of(::getpid()), 0U);
  const Duration before = cpu_time_of(::getpid());
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (cpu_time_of(::getpid()) == before && std::chrono::steady_clock::now() < until) {
  }
  EXPECT_GT(cpu_time_of(::getpid()), before);
}

TEST(Sizes, ProposalOnTheWireIsItsCommandAndALittleMore) {
  const ProposalSizes sizes = sizes_of(256);

  EXPECT_GT(sizes.request, 256U);
  EXPECT_LT(sizes.request, 256U + 80);
  EXPECT_GT(sizes.entry, 256U);
  EXPECT_LT(sizes.entry, 256U + 160);
  EXPECT_LT(sizes.answer, 64U);
}

}  // namespace
}  // namespace kuilt::bench
