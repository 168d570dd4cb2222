// Whole groups under random faults. A failure prints its seed; KUILT_RAFT_SEED=n replays it alone,
// KUILT_RAFT_SEEDS=n runs more of them.
#include "tests/raft/group.hpp"

#include <cstdlib>

namespace kuilt::raft::test {
namespace {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Unoptimised and sanitized, a seed takes fifty times as long.
#ifdef NDEBUG
constexpr std::uint64_t seeds_by_default = 120;
#else
constexpr std::uint64_t seeds_by_default = 4;
#endif

// Small limits, so that windows fill, batches split and memory is left behind within seconds.
Options tight() {
  Options options;
  options.append_bytes_max = 300;
  options.window_bytes_max = 1200;
  options.tail_bytes_max = 3000;
  return options;
}

GroupOptions options_of(std::uint64_t seed) {
  GroupOptions options;
  options.seed = seed;
  options.voters = seed % 2 == 0 ? 3 : 5;
  options.learners = seed % 5 == 0 ? 1 : 0;
  if (seed % 3 == 0) options.base = at(1000, 7);
  options.raft = tight();
  // One entry per append: those of earlier terms are acknowledged apart from the no-op after them.
  if (seed % 8 > 3) options.raft.append_bytes_max = 1;
  // Candidates that wake together, far from each other, win their pre-votes together too, and ask
  // for votes in the same term.
  if (seed % 4 < 2) {
    options.raft.election_timeout_max = options.raft.election_timeout_min + 5ms;
    options.link_delay_max = 100ms;
  }
  return options;
}

void run_one(std::uint64_t seed, Coverage& coverage) {
  Group group(options_of(seed));
  group.run(20s);
  ASSERT_FALSE(group.violation()) << "seed " << seed << ": " << *group.violation() << "\n"
                                  << group.history();
  group.heal();
  group.run(10s);
  ASSERT_FALSE(group.violation()) << "seed " << seed << ", healed: " << *group.violation() << "\n"
                                  << group.history();
  EXPECT_TRUE(group.converged()) << "seed " << seed << "\n" << group.history();
  coverage.add(group.coverage());
}

TEST(Group, KeepsItsPromisesUnderFaultsAndConvergesOnceHealed) {
  Coverage coverage;
  if (const std::uint64_t seed = number_from("KUILT_RAFT_SEED", 0); seed != 0) {
    return run_one(seed, coverage);
  }
  const std::uint64_t seeds = number_from("KUILT_RAFT_SEEDS", seeds_by_default);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    run_one(seed, coverage);
    if (HasFailure()) return;
  }

  EXPECT_GT(coverage.leaders, 0U);
  EXPECT_GT(coverage.crashes, 0U);
  EXPECT_GT(coverage.lost_writes, 0U);
  EXPECT_GT(coverage.lost_messages, 0U);
  EXPECT_GT(coverage.truncations, 0U);
  EXPECT_GT(coverage.loads, 0U);
  EXPECT_GT(coverage.commits, 0U);
  EXPECT_GT(coverage.reads_by_leaders, 0U);
  EXPECT_GT(coverage.reads_via_leaders, 0U);
  EXPECT_GT(coverage.shared_read_rounds, 0U);
  EXPECT_GT(coverage.failed_reads[ReadFailure::leadership_lost], 0U);
  EXPECT_GT(coverage.failed_reads[ReadFailure::no_leader], 0U);
  EXPECT_GT(coverage.late_orders, 0U);
  if (seeds >= 40) {
    EXPECT_GT(coverage.gave_way, 0U);
    EXPECT_GT(coverage.refusals[Refusal::disk_stalled], 0U);
  }
  for (const TransferEnd end : {TransferEnd::done, TransferEnd::not_leader, TransferEnd::under_way,
                                TransferEnd::target_silent, TransferEnd::target_behind,
                                TransferEnd::target_not_won, TransferEnd::another_won}) {
    EXPECT_GT(coverage.transfers[end], 0U) << name_of(end);
  }
  std::printf(
      "steps %lu, leaders %lu, crashes %lu, lost writes %lu, lost messages %lu, "
      "truncations %lu, loads %lu, commits %lu\n",
      coverage.steps, coverage.leaders, coverage.crashes, coverage.lost_writes,
      coverage.lost_messages, coverage.truncations, coverage.loads, coverage.commits);
  std::printf("reads by leaders %lu, via leaders %lu, shared rounds %lu\n",
              coverage.reads_by_leaders, coverage.reads_via_leaders, coverage.shared_read_rounds);
  for (const auto& [failure, count] : coverage.failed_reads) {
    std::printf("reads failed by %s: %lu\n", std::string(name_of(failure)).c_str(), count);
  }

  for (const auto& [end, count] : coverage.transfers) {
    std::printf("transfers, %s: %lu\n", std::string(name_of(end)).c_str(), count);
  }
  for (const auto& [refusal, count] : coverage.refusals) {
    std::printf("refused as %s: %lu\n", std::string(name_of(refusal)).c_str(), count);
  }
}

GroupOptions changing_options_of(std::uint64_t seed) {
  GroupOptions options = options_of(seed);
  options.changes = true;
  options.voters = 1 + seed % 5;
  options.learners = seed % 3 == 0 ? 1 : 0;
  options.spares = 7 - options.voters - options.learners;
  options.raft.learner_silence_max = 2s;
  options.raft.catch_up_rounds_max = 3;
  options.raft.learner_behind_max = 20;
  return options;
}

void run_one_with_changes(std::uint64_t seed, Coverage& coverage) {
  Group group(changing_options_of(seed));
  group.run(12s);
  ASSERT_FALSE(group.violation()) << "seed " << seed << ": " << *group.violation() << "\n"
                                  << group.history();
  group.heal();
  group.run(12s);
  ASSERT_FALSE(group.violation()) << "seed " << seed << ", healed: " << *group.violation() << "\n"
                                  << group.history();
  EXPECT_TRUE(group.converged()) << "seed " << seed << "\n" << group.history();
  EXPECT_TRUE(group.settled()) << "seed " << seed << "\n" << group.history();
  const std::uint64_t leaders = group.coverage().leaders;
  group.run(5s);
  EXPECT_EQ(group.coverage().leaders, leaders) << "who left disturbs nobody, seed " << seed << "\n"
                                               << group.history();
  // Only whoever knows nobody that has stayed is left without the news.
  coverage.unaware += group.unaware();
  coverage.add(group.coverage());
}

TEST(Group, KeepsItsPromisesWhileMembersComeAndGoUnderFaults) {
  Coverage coverage;
  if (const std::uint64_t seed = number_from("KUILT_RAFT_SEED", 0); seed != 0) {
    return run_one_with_changes(seed, coverage);
  }
  const std::uint64_t seeds = number_from("KUILT_RAFT_SEEDS", seeds_by_default / 3 + 1);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    run_one_with_changes(seed, coverage);
    if (HasFailure()) return;
  }

  EXPECT_GT(coverage.joint, 0U);
  EXPECT_GT(coverage.waits, 0U);
  EXPECT_GT(coverage.changes[ChangeRefusal::none], 0U);
  EXPECT_GT(coverage.changes[ChangeRefusal::change_under_way], 0U);
  if (seeds >= 40) {
    EXPECT_GT(coverage.led_from_outside, 0U);
    EXPECT_GT(coverage.rolled_back, 0U);
    EXPECT_GT(coverage.given_up, 0U);
    EXPECT_GT(coverage.changes[ChangeRefusal::nothing_committed_in_term], 0U);
    EXPECT_GT(coverage.changes[ChangeRefusal::learner_behind], 0U);
  }
  std::printf(
      "joint %lu, waits %lu, given up %lu, rolled back %lu, led from outside %lu, unaware %lu\n",
      coverage.joint, coverage.waits, coverage.given_up, coverage.rolled_back,
      coverage.led_from_outside, coverage.unaware);
  for (const auto& [refusal, count] : coverage.changes) {
    std::printf("changes, %s: %lu\n", std::string(name_of(refusal)).c_str(), count);
  }
}

TEST(Group, SameSeedGivesTheSameRun) {
  Group one(options_of(3));
  Group two(options_of(3));

  one.run(5s);
  two.run(5s);

  EXPECT_EQ(one.history(), two.history());
  EXPECT_EQ(one.coverage().steps, two.coverage().steps);
}

}  // namespace
}  // namespace kuilt::raft::test
