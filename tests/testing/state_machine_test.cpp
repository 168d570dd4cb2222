// The simulator judges state machines: each bug is found, named, and gone when it is mended.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kuilt/testing.hpp"
#include "tests/testing/sample_machines.hpp"

namespace kuilt::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::uint64_t seeds = 20;

/// Each client gives points to three names, and asks now and then who leads.
void play(SimulatedClient& me) {
  const auto once = [&me] {
    const std::uint64_t pick = me.random(4);
    const std::string command = pick == 3 ? "?" : std::string(1, static_cast<char>('a' + pick));
    me.propose(command).then([](const Result<Receipt>&) {});
  };
  for (int i = 1; i <= 40; ++i) me.after(milliseconds(i * 200), once);
}

template <class Make, class... Show>
Report played(std::uint64_t seed, Make make, Show... show) {
  Simulation simulation({.seed = seed});
  simulation.state_machine(make, show...);
  simulation.client(play);
  return simulation.run();
}

/// What is said of a state machine, over a few seeds; empty, if it is sound.
template <class Make, class... Show>
std::string judgement(Make make, Show... show) {
  const Report report =
      for_seeds(1, seeds, [&](std::uint64_t seed) { return played(seed, make, show...); });
  return report.violation.value_or("");
}

std::string text_of(const Scores& scores) { return scores.text(); }

TEST(StateMachines, OneThatIsDeterministicIsSound) {
  EXPECT_EQ(judgement([] { return std::make_unique<Scores>(); }), "");
  EXPECT_EQ(judgement([] { return std::make_unique<Scores>(); }, text_of), "");
}

TEST(StateMachines, AStaticCounterIsFound) {
  EXPECT_THAT(judgement([] { return std::make_unique<ScoresWithStaticCounter>(); }),
              AllOf(HasSubstr("state machines differ"), HasSubstr("ticket")));
}

TEST(StateMachines, AClockIsFound) {
  EXPECT_THAT(judgement([] { return std::make_unique<ScoresWithClock>(); }),
              HasSubstr("state machines differ: apply of entry"));
}

TEST(StateMachines, AnAddressIsFound) {
  EXPECT_THAT(judgement([] { return std::make_unique<ScoresWithAddress>(); }),
              HasSubstr("state machines differ"));
}

TEST(StateMachines, AStateThatOutlivesItsProcessIsFound) {
  const auto file = std::make_shared<std::map<std::string, int>>();
  EXPECT_THAT(judgement([file] { return std::make_unique<ScoresThatForget>(file); }),
              HasSubstr("state machines differ"));
}

TEST(StateMachines, AStateThatNoResultShowsIsFoundByItsText) {
  int machines = 0;
  const auto make = [&machines] { return std::make_unique<ScoresWithHiddenState>(++machines); };

  EXPECT_EQ(judgement(make), "") << "the control: results alone are equal";
  EXPECT_THAT(judgement(make, text_of), HasSubstr("the state is"));
}

TEST(StateMachines, AnAdmitThatChangesTheStateIsFoundByItsText) {
  EXPECT_THAT(judgement([] { return std::make_unique<ScoresThatCountQuestions>(); }, text_of),
              HasSubstr("admit leaves the state as it was"));
}

TEST(StateMachines, AnApplyThatThrowsIsNamedWithItsEntry) {
  EXPECT_THAT(judgement([] { return std::make_unique<ScoresThatThrow>(); }),
              AllOf(HasSubstr("apply of entry"), HasSubstr("threw: no such name: ?")));
}

TEST(StateMachines, SnapshotsThatAreWholeAreSoundAlsoIfSomeFail) {
  EXPECT_EQ(judgement([] { return std::make_unique<ScoresWithSnapshots>(); }, text_of), "");
  EXPECT_EQ(judgement([] { return std::make_unique<ScoresThatFreezeAtTimes>(); }, text_of), "");
}

TEST(StateMachines, ASnapshotThatLacksAPartOfTheStateIsFound) {
  EXPECT_THAT(judgement([] { return std::make_unique<ScoresThatFreezeTooLittle>(); }),
              HasSubstr("state machines differ"));
  EXPECT_THAT(judgement([] { return std::make_unique<ScoresThatFreezeTooLittle>(); }, text_of),
              HasSubstr("state machines differ: restored at index "));
}

TEST(StateMachines, ARestoreThatSaysNoIsNamed) {
  EXPECT_THAT(judgement([] { return std::make_unique<ScoresThatRestoreNothing>(); }),
              AllOf(HasSubstr("restore of the snapshot at index "), HasSubstr("cannot read that")));
}

TEST(StateMachines, AMakeThatMakesNothingIsNamed) {
  EXPECT_THAT(judgement([] { return std::unique_ptr<Scores>(); }),
              HasSubstr("it made no state machine"));
}

TEST(StateMachines, TheyAreMadeAgainAtEachRestart) {
  int machines = 0;
  std::uint64_t kills = 0;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Report report = played(seed, [&machines] {
      ++machines;
      return std::make_unique<Scores>();
    });
    ASSERT_TRUE(report.sound()) << report.text();
    const auto counted = report.counters.find("kills");
    if (counted != report.counters.end()) kills += counted->second;
  }

  EXPECT_GT(kills, 0U);
  EXPECT_GT(machines, 5 * 4) << "each time three servers, and the one they are compared with";
}

}  // namespace
}  // namespace kuilt::testing
