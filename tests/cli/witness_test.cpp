// The judge of the demo and of the process tests has to be seen to refuse.
#include <string>

#include <gmock/gmock.h>

#include "cli/witness.hpp"

namespace kuilt::cli {
namespace {

/// Two observers of two acknowledged commands, all in order.
class WitnessTest : public testing::Test {
 protected:
  WitnessTest() : witness_(2) {
    for (const std::uint64_t index : {3U, 5U}) {
      const std::string command = "move " + std::to_string(index);
      witness_.proposed(command);
      witness_.acknowledged(command, index, 2, false);
      for (std::size_t observer = 0; observer < 2; ++observer) {
        witness_.observed(observer, index, 2, command);
      }
    }
  }
  Witness::Verdict verdict() const { return witness_.verdict(witness_.told_through()); }

  Witness witness_;
};

TEST_F(WitnessTest, OneHistoryIsSound) {
  const Witness::Verdict told = verdict();

  EXPECT_TRUE(told.sound());
  EXPECT_EQ(told.acknowledged, 2U);
  EXPECT_EQ(told.observed_least, 2U);
}

TEST_F(WitnessTest, AnEntryThatOneObserverMissedIsAGap) {
  witness_.proposed("late");
  witness_.observed(0, 6, 2, "late");

  EXPECT_EQ(verdict().gaps, 1U);
}

TEST_F(WitnessTest, ObserversThatAreLevelCanBeBehindWhatWasAcknowledged) {
  EXPECT_TRUE(witness_.caught_up(witness_.told_through()));
  witness_.proposed("answered first");
  witness_.acknowledged("answered first", 6, 2, false);

  EXPECT_FALSE(witness_.caught_up(witness_.told_through()));
}

TEST_F(WitnessTest, WhatOthersWriteMeanwhileIsNoGapForThoseThatHaveNotSeenIt) {
  const std::uint64_t through = witness_.told_through();
  witness_.observed(0, 6, 2, "of another");

  EXPECT_TRUE(witness_.caught_up(through));
  EXPECT_EQ(witness_.verdict(through).gaps, 0U);
}

TEST_F(WitnessTest, ACommandSeenTwiceIsARepeat) {
  witness_.observed(0, 6, 2, "move 3");
  witness_.observed(1, 6, 2, "move 3");

  EXPECT_EQ(verdict().repeats, 2U);
}

TEST_F(WitnessTest, AnIndexThatDoesNotRiseIsDisorder) {
  witness_.proposed("old");
  witness_.observed(0, 4, 2, "old");
  witness_.observed(1, 4, 2, "old");

  EXPECT_EQ(verdict().disorders, 2U);
}

TEST_F(WitnessTest, AnotherEntryAtTheSameIndexIsDisorder) {
  witness_.proposed("x");
  witness_.proposed("y");
  witness_.observed(0, 6, 2, "x");
  witness_.observed(1, 6, 2, "y");

  EXPECT_GE(verdict().disorders, 1U);
}

TEST_F(WitnessTest, AnAcknowledgedCommandThatNobodySawIsLost) {
  witness_.proposed("gone");
  witness_.acknowledged("gone", 6, 2, false);

  EXPECT_EQ(verdict().lost, 1U);
}

TEST_F(WitnessTest, AnAcknowledgedCommandElsewhereThanToldIsLost) {
  witness_.proposed("moved");
  witness_.acknowledged("moved", 6, 2, false);
  witness_.observed(0, 7, 2, "moved");
  witness_.observed(1, 7, 2, "moved");

  EXPECT_EQ(verdict().lost, 1U);
}

TEST_F(WitnessTest, WhatNobodyProposedIsAPhantom) {
  witness_.observed(0, 6, 2, "from nowhere");
  witness_.observed(1, 6, 2, "from nowhere");

  EXPECT_EQ(verdict().phantoms, 1U);
}

TEST_F(WitnessTest, WhatWasRefusedForCertainAndIsThereIsAPhantom) {
  witness_.proposed("refused");
  witness_.refused("refused");
  witness_.observed(0, 6, 2, "refused");
  witness_.observed(1, 6, 2, "refused");

  EXPECT_EQ(verdict().phantoms, 1U);
}

}  // namespace
}  // namespace kuilt::cli
