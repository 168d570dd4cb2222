#include "explore/explorer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace kuilt::explore {
namespace {

constexpr std::size_t plenty = 1'000'000;

// One election and one entry, on slow disks.
Slice small() {
  Slice slice{.name = "small", .about = "for tests", .terms_max = Term(1)};
  slice.heartbeats_lost = true;
  slice.limits[static_cast<std::size_t>(Kind::time_out)] = 1;
  slice.limits[static_cast<std::size_t>(Kind::propose)] = 1;
  slice.limits[static_cast<std::size_t>(Kind::slow_disk)] = unlimited;
  return slice;
}

Slice with(Slice slice, Kind kind, std::uint32_t limit) {
  slice.limits[static_cast<std::size_t>(kind)] = limit;
  return slice;
}

TEST(Explorer, FinishesASliceAndSaysHowManyStatesItHas) {
  const Report report = Explorer(small()).run(plenty);

  EXPECT_TRUE(report.finished);
  EXPECT_FALSE(report.violation);
  EXPECT_GT(report.states, 1000U);
  EXPECT_GT(report.transitions, report.states);
  EXPECT_GT(report.depth, 20U);
}

TEST(Explorer, IsTheSameEachTime) {
  const Report one = Explorer(small()).run(plenty);
  const Report two = Explorer(small()).run(plenty);

  EXPECT_EQ(one.states, two.states);
  EXPECT_EQ(one.transitions, two.transitions);
}

TEST(Explorer, SaysThatItDidNotFinish) {
  const Report report = Explorer(small()).run(100);

  EXPECT_FALSE(report.finished);
  EXPECT_FALSE(report.violation);
}

// Any of three servers may be the one that times out, and it makes no difference which.
TEST(Explorer, TakesStatesThatAnExchangeOfMembersMakesEqualForOne) {
  const Report reduced = Explorer(small()).run(plenty);
  const Report whole = Explorer(small(), {.exchange_members = false}).run(plenty);

  EXPECT_TRUE(whole.finished);
  EXPECT_GT(whole.states, 2 * reduced.states);
  EXPECT_LE(whole.states, 6 * reduced.states);
  EXPECT_EQ(whole.depth, reduced.depth);
}

TEST(Explorer, EachKindOfTroubleAddsStates) {
  const std::size_t without = Explorer(small()).run(plenty).states;

  for (const Kind kind :
       {Kind::beat, Kind::send_again, Kind::crash, Kind::lose, Kind::repeat, Kind::overtake}) {
    const Report report = Explorer(with(small(), kind, 1)).run(plenty);
    EXPECT_FALSE(report.violation) << name_of(kind);
    EXPECT_GT(report.states, without) << name_of(kind);
  }
}

// What the explorer rests on. A field of the core that decides something and is not in its
// fingerprint makes this fail.
TEST(Explorer, ServersWithEqualFingerprintsHaveEqualFutures) {
  std::vector<Slice> slices{small(), with(small(), Kind::crash, 1), with(small(), Kind::beat, 2),
                            with(small(), Kind::send_again, 2), with(small(), Kind::lose, 1)};
  slices.front().heartbeats_lost = false;
  for (const char* name : {"late-answer", "forgotten", "late-append", "tails"}) {
    slices.push_back(*find_slice(name));
  }
  for (const Slice& slice : slices) {
    Explorer explorer(slice, {.keep_twins = true});
    ASSERT_TRUE(explorer.run(plenty).finished) << slice.name;

    EXPECT_GT(explorer.twins(), 10U) << slice.name;
    EXPECT_EQ(explorer.twins_that_differ(), std::nullopt) << slice.name;
  }
}

// The control: what is not so is found, on the shortest way, and told in words.
TEST(Explorer, FindsThatADiskLiesAndTellsTheShortestWay) {
  Slice slice = small();
  slice.disks_lie = true;

  const Report report = Explorer(slice).run(plenty);

  ASSERT_TRUE(report.violation);
  EXPECT_EQ(*report.violation, "a candidate asks for votes only when its own is durable");
  EXPECT_FALSE(report.finished);
  ASSERT_FALSE(report.trace.empty());
  EXPECT_EQ(report.trace.front(), "1. a times out");
  const auto is_step = [](const std::string& line) { return line[0] != ' '; };
  EXPECT_EQ(std::ranges::count_if(report.trace, is_step), 4);  // Asks, is heard, hears, writes.
}

TEST(Explorer, TellsTheShortestWayAsATraceOfRaftToo) {
  Slice slice = small();
  slice.disks_lie = true;

  const Report report = Explorer(slice).run(plenty);

  const auto tells = [&](const std::string& action) {
    return std::ranges::count_if(report.raft_trace, [&](const std::string& line) {
      return line.find("\"action\":\"" + action + "\"") != std::string::npos;
    });
  };
  EXPECT_EQ(tells("Restart"), 3);
  EXPECT_EQ(tells("StartPreVote"), 1);
  EXPECT_EQ(tells("HandlePreVoteRequest"), 1);
  EXPECT_EQ(tells("Timeout"), 1);
  EXPECT_EQ(tells("Unexplained"), 0);
}

TEST(Explorer, TheWayToAStepThatFailsInsideIsTold) {
  Explorer explorer(small());
  static_cast<void>(explorer.run(100));

  const std::vector<std::string> trace = explorer.trace_of_current();

  ASSERT_GT(trace.size(), 1U);
  EXPECT_EQ(trace.front().substr(0, 3), "1. ");
  EXPECT_GT(explorer.raft_trace_of_current().size(), 3U);
}

TEST(Slices, HaveNamesOfTheirOwnAndSayWhatTheyAreAbout) {
  std::set<std::string> names;
  for (const Slice& slice : all_slices()) {
    EXPECT_TRUE(names.insert(slice.name).second) << slice.name;
    EXPECT_FALSE(slice.about.empty()) << slice.name;
    EXPECT_EQ(find_slice(slice.name), &slice);
    EXPECT_LE(slice.voters(), voters_max);
  }
  EXPECT_EQ(find_slice("no such slice"), nullptr);
}

// What a slice begins with must be sound itself, or what it finds says nothing.
TEST(Slices, BeginSoundly) {
  for (const Slice& slice : all_slices()) {
    const Report report = Explorer(slice).run(1);
    EXPECT_FALSE(report.violation) << slice.name << ": " << *report.violation;
  }
}

}  // namespace
}  // namespace kuilt::explore
