// Proposals while a leader hands over: none is refused, none is lost, none is in the log twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine_group.hpp"

#include <algorithm>

#include "wire/entry.hpp"

namespace kuilt::cluster::test {
namespace {

using raft::TransferEnd;

bool is_committed(const std::optional<wire::Outcome>& outcome) {
  return outcome && std::holds_alternative<wire::CommittedOutcome>(*outcome);
}
std::size_t commands(const std::vector<raft::Entry>& log) {
  return static_cast<std::size_t>(
      std::ranges::count(log, raft::EntryKind::command, &raft::Entry::kind));
}
/// "NUMBER: HOW" of each that has ended.
std::vector<std::string> shown(const std::vector<TransferEnded>& transfers) {
  std::vector<std::string> lines;
  for (const TransferEnded& each : transfers) {
    lines.push_back(std::to_string(each.number) + ": " + std::string(name_of(each.how.end)));
  }
  return lines;
}
/// So long that a test can look at what waits: the order to stand goes nowhere.
void hold_orders(MachineGroup& group) {
  group.lost = [](const MachineGroup::Flying& flying) {
    const auto* message = std::get_if<raft::Message>(&flying.message);
    return message != nullptr && std::holds_alternative<raft::TimeoutNow>(*message);
  };
}

using ::testing::ElementsAre;

TEST(Transfer, LeadGoesToTheServerThatIsNamed) {
  MachineGroup group(3);
  const std::size_t old = group.elect();
  const std::size_t target = (old + 1) % 3;
  const Instant begun = group.now;

  group.give(old, TransferLeadership{7, node_id(target)});

  ASSERT_TRUE(group.run_until([&] { return !group.transfers.empty(); }));
  EXPECT_THAT(shown(group.transfers), ElementsAre("7: done"));
  EXPECT_EQ(group.leader(), target);
  EXPECT_LT(group.now - begun, 50ms) << "nobody waits for an election timeout";
  EXPECT_EQ(group[old].counters().transfers_done, 1U);
}

TEST(Transfer, NoProposalOfAnyClientFailsWhileTheLeadGoesRound) {
  MachineGroup group(3);
  group.disk_time = 3ms;
  group.elect();
  std::uint64_t number = 0;
  for (int round = 0; round < 12; ++round) {
    group.give(*group.leader(), TransferLeadership{});
    for (int step = 0; step < 20; ++step) {
      for (std::size_t i = 0; i < 3; ++i) {
        ++number;
        group.submit(i, 1, proposal("s" + std::to_string(i), number, number));
      }
      group.run_for(3ms);
    }
    group.run_for(200ms);
  }

  EXPECT_EQ(group.count(&Counters::transfers_done), 12U);
  for (std::uint64_t each = 1; each <= number; ++each) {
    ASSERT_TRUE(is_committed(group.answer(1, each))) << each;
  }
  EXPECT_EQ(commands(group.committed(0)), number) << "each is in the log once";
}

TEST(Transfer, WhatComesMeanwhileWaitsAndIsCommittedByTheNextLeader) {
  MachineGroup group(3);
  const std::size_t old = group.elect();
  const std::size_t other = (old + 1) % 3;
  hold_orders(group);
  group.give(old, TransferLeadership{1, node_id((old + 2) % 3)});
  group.run_for(5ms);

  group.submit(old, 1, proposal("s", 1));
  group.submit(other, 2, proposal("t", 1));
  group.run_for(150ms);

  EXPECT_FALSE(group.answer(1).has_value());
  EXPECT_FALSE(group.answer(2).has_value());
  EXPECT_EQ(commands(group.committed(old)), 0U);
  group.lost = nullptr;  // The leader says it again.
  ASSERT_TRUE(group.run_until([&] { return group.answer(1) && group.answer(2); }, 300ms));
  EXPECT_TRUE(is_committed(group.answer(1)));
  EXPECT_TRUE(is_committed(group.answer(2)));
  EXPECT_NE(group.leader(), old);
  group.run_for(100ms);
  EXPECT_EQ(commands(group.committed(old)), 2U);
}

TEST(Transfer, WhatWaitedIsTakenByTheOldLeaderWhenTheTargetDoesNotWin) {
  MachineGroup group(3);
  const std::size_t old = group.elect();
  const std::size_t other = (old + 1) % 3;
  const Term term = group[old].raft().term();
  hold_orders(group);
  group.give(old, TransferLeadership{4, node_id((old + 2) % 3)});
  group.run_for(5ms);
  group.submit(old, 1, proposal("s", 1));
  group.submit(other, 2, proposal("t", 1));

  ASSERT_TRUE(group.run_until([&] { return group.answer(1) && group.answer(2); }, 900ms));

  EXPECT_THAT(shown(group.transfers), ElementsAre("4: target_not_won"));
  EXPECT_TRUE(is_committed(group.answer(1)));
  EXPECT_TRUE(is_committed(group.answer(2)));
  EXPECT_EQ(group.leader(), old);
  EXPECT_EQ(group[old].raft().term(), term);
  EXPECT_EQ(group[old].counters().transfers_given_back, 1U);
}

TEST(Transfer, ATargetThatStaysBehindGivesTheLeadBack) {
  MachineGroup group(3);
  const std::size_t old = group.elect();
  const std::size_t target = (old + 1) % 3;
  group.disk_times[target] = 10s;
  group.submit(old, 1, proposal("s", 1));
  group.run_for(20ms);

  group.give(old, TransferLeadership{5, node_id(target)});
  group.run_for(10ms);
  group.submit(old, 2, proposal("s", 2));

  ASSERT_TRUE(group.run_until([&] { return group.answer(2).has_value(); }, 900ms));
  EXPECT_THAT(shown(group.transfers), ElementsAre("5: target_behind"));
  EXPECT_TRUE(is_committed(group.answer(2)));
  EXPECT_EQ(group.leader(), old);
}

TEST(Transfer, ARepeatOfWhatIsCommittedIsAnsweredAtOnce) {
  MachineGroup group(3);
  const std::size_t old = group.elect();
  group.submit(old, 1, proposal("s", 1));
  group.run_for(50ms);
  hold_orders(group);
  group.give(old, TransferLeadership{});
  group.run_for(5ms);
  ASSERT_TRUE(group[old].raft().hands_over());

  group.submit(old, 2, proposal("s", 1));
  group.run_for(5ms);

  ASSERT_TRUE(is_committed(group.answer(2)));
  EXPECT_TRUE(std::get<wire::CommittedOutcome>(*group.answer(2)).duplicate);
  EXPECT_TRUE(group[old].raft().hands_over());
}

TEST(Transfer, WhatIsInQuestionWaitsAndIsAskedAgainByTheNextLeader) {
  MachineOptions options;
  options.applies = options.admits = true;
  MachineGroup group(3, options);
  const std::size_t old = group.elect();
  group.is_mute = true;
  group.submit(old, 1, proposal("s", 1));
  group.submit((old + 1) % 3, 2, proposal("t", 1));
  group.run_for(10ms);
  ASSERT_EQ(group.questions.size(), 2U);

  group.give(old, TransferLeadership{});
  group.run_for(5ms);
  group.is_mute = false;  // Verdicts on the old leader's questions come, and find nobody.

  ASSERT_TRUE(group.run_until([&] { return group.answer(1) && group.answer(2); }));
  EXPECT_TRUE(is_committed(group.answer(1)));
  EXPECT_TRUE(is_committed(group.answer(2)));
  EXPECT_NE(group.leader(), old);
  EXPECT_GT(group.questions.size(), 3U);
  group.run_for(100ms);
  EXPECT_EQ(commands(group.committed(old)), 2U);
}

TEST(Transfer, EachRequestEndsUnderItsOwnNumber) {
  MachineGroup group(3);
  const std::size_t old = group.elect();
  const std::size_t other = (old + 1) % 3;
  hold_orders(group);

  group.give(other, TransferLeadership{1, {}});
  group.give(old, TransferLeadership{2, NodeId::named("stranger")});
  group.give(old, TransferLeadership{3, node_id(old)});
  group.give(old, TransferLeadership{4, node_id(other)});
  group.give(old, TransferLeadership{5, node_id(other)});
  group.run_for(50ms);

  EXPECT_THAT(shown(group.transfers),
              ::testing::UnorderedElementsAre("1: not_leader", "2: unknown_target", "3: done",
                                              "5: under_way"));
  group.lost = nullptr;
  group.run_for(200ms);
  EXPECT_EQ(shown(group.transfers).back(), "4: done");
  EXPECT_EQ(group.count(&Counters::transfers_done), 1U);
}

TEST(Transfer, OfOneMachineThereIsNoSuccessor) {
  MachineGroup group(1);
  group.elect();

  group.give(0, TransferLeadership{1, {}});
  group.submit(0, 1, proposal("s", 1));
  group.run_for(20ms);

  EXPECT_THAT(shown(group.transfers), ElementsAre("1: no_successor"));
  EXPECT_TRUE(is_committed(group.answer(1)));
}

}  // namespace
}  // namespace kuilt::cluster::test
