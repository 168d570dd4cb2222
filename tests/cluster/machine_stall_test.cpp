// A disk that hangs, seen from outside: who leads after it, and what became of the proposals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine_group.hpp"

namespace kuilt::cluster::test {
namespace {

constexpr Duration forever = 1h;

bool is_committed(const std::optional<wire::Outcome>& outcome) {
  return outcome && std::holds_alternative<wire::CommittedOutcome>(*outcome);
}

struct HungLeader {
  explicit HungLeader(std::size_t machines) : group(machines) {
    old = group.elect();
    group.disk_times[old] = forever;
    group.submit(old, 1, proposal("s", 1));
    begun = group.now;
  }
  bool is_replaced() {
    const auto leader = group.leader();
    return leader && *leader != old;
  }
  [[nodiscard]] Duration stall() const { return group.options().raft.disk_stall_max; }
  [[nodiscard]] Duration election() const { return group.options().raft.election_timeout_max; }

  MachineGroup group;
  std::size_t old = 0;
  Instant begun{};
};

TEST(HungDisk, LeaderIsReplacedAtOnceByOneThatHasTheWholeLog) {
  HungLeader hung(3);

  ASSERT_TRUE(hung.group.run_until([&] { return hung.is_replaced(); }));

  EXPECT_GE(hung.group.now - hung.begun, hung.stall());
  EXPECT_LE(hung.group.now - hung.begun, hung.stall() + 50ms) << "nobody waits for a timeout";
  EXPECT_EQ(hung.group[hung.old].counters().disk_stalls, 1U);
  EXPECT_EQ(hung.group[hung.old].counters().gave_way, 1U);
}

TEST(HungDisk, LeaderIsReplacedInTwoElectionTimeoutsThoughItsOrderIsLost) {
  HungLeader hung(5);
  hung.group.lost = [](const MachineGroup::Flying& flying) {
    const auto* message = std::get_if<raft::Message>(&flying.message);
    return message != nullptr && std::holds_alternative<raft::TimeoutNow>(*message);
  };

  ASSERT_TRUE(hung.group.run_until([&] { return hung.is_replaced(); }));

  EXPECT_LE(hung.group.now - hung.begun, hung.stall() + 2 * hung.election());
}

TEST(HungDisk, WhatTheOldLeaderTookIsCommittedOnceAndAnswered) {
  HungLeader hung(3);
  for (std::uint64_t i = 2; hung.group.now - hung.begun < hung.stall() + 500ms; ++i) {
    hung.group.submit(hung.old, i, proposal("s", i));
    hung.group.run_for(20ms);
  }
  ASSERT_TRUE(hung.is_replaced());
  const std::uint64_t before = hung.group.count(&Counters::proposals);

  ASSERT_TRUE(hung.group.run_until([&] { return is_committed(hung.group.answer(before)); }));

  for (std::uint64_t link = 1; link <= before; ++link) {
    EXPECT_TRUE(is_committed(hung.group.answer(link))) << link;
  }
  const auto& log = hung.group.committed(*hung.group.leader());
  EXPECT_EQ(static_cast<std::uint64_t>(
                std::ranges::count(log, raft::EntryKind::command, &raft::Entry::kind)),
            before);
}

TEST(HungDisk, FollowerWithOneHoldsUpNobody) {
  MachineGroup group(3);
  const std::size_t leader = group.elect();
  group.disk_times[group.follower()] = forever;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    group.submit(leader, i, proposal("s", i));
    group.run_for(50ms);
    EXPECT_TRUE(is_committed(group.answer(i)));
  }
  EXPECT_EQ(group.leader(), leader);
  EXPECT_EQ(group[group.follower()].counters().disk_stalls, 1U);
}

TEST(HungDisk, ServerWithOneIsNotElected) {
  MachineGroup group(3);
  const std::size_t old = group.elect();
  const std::size_t hung = group.follower();
  group.disk_times[hung] = forever;
  group.submit(old, 1, proposal("s", 1));
  group.run_for(group.options().raft.disk_stall_max + 100ms);
  ASSERT_TRUE(group[hung].raft().disk_stalled());

  group.isolate(old);
  group.run_for(5s);

  // The third one stands and needs its vote, which it can not persist.
  EXPECT_EQ(group[3 - old - hung].raft().role(), raft::Role::pre_candidate);
  EXPECT_EQ(group[hung].raft().role(), raft::Role::follower);
  EXPECT_GT(group[hung].counters().refused_peer_messages.at("disk_stalled"), 0U);
}

TEST(HungDisk, HandOverThatSomebodyAsksForMeanwhileIsAnsweredOnce) {
  HungLeader hung(3);
  hung.group.lost = [](const MachineGroup::Flying& flying) {
    const auto* message = std::get_if<raft::Message>(&flying.message);
    return message != nullptr && std::holds_alternative<raft::TimeoutNow>(*message);
  };
  ASSERT_TRUE(hung.group.run_until([&] { return hung.group[hung.old].raft().hands_over(); }));

  hung.group.give(hung.old, TransferLeadership{7, node_id((hung.old + 1) % 3)});
  hung.group.run_for(2s);

  ASSERT_EQ(hung.group.transfers.size(), 1U);
  EXPECT_EQ(hung.group.transfers[0].number, 7U);
  EXPECT_EQ(hung.group.transfers[0].how.end, raft::TransferEnd::under_way);
}

// One way, either way: the leader hears nobody, or nobody hears it.
TEST(OneWayPartition, OfTheLeaderDoesNotStopTheCluster) {
  for (const bool mute : {false, true}) {
    MachineGroup group(3);
    const std::size_t old = group.elect();
    group.lost = [&](const MachineGroup::Flying& flying) {
      return (mute ? flying.from : flying.to) == old;
    };
    const std::size_t other = group.follower();
    group.submit(other, 1, proposal("s", 1));

    ASSERT_TRUE(group.run_until([&] { return is_committed(group.answer(1)); }, 5s)) << mute;
    EXPECT_NE(group.leader(), old);
    const Term term = group[other].raft().term();
    group.run_for(5s);
    EXPECT_EQ(group[other].raft().term(), term) << "and nobody disturbs the new leader";
  }
}

TEST(OneWayPartition, OfOneLinkDoesNotStopTheCluster) {
  MachineGroup group(3);
  const std::size_t leader = group.elect();
  const std::size_t cut = group.follower();
  group.lost = [&](const MachineGroup::Flying& flying) {
    return flying.from == leader && flying.to == cut;
  };
  for (std::uint64_t i = 1; i <= 50; ++i) {
    group.submit(leader, i, proposal("s", i));
    group.run_for(100ms);
  }

  EXPECT_TRUE(is_committed(group.answer(50)));
  EXPECT_EQ(group.leader(), leader) << "who hears no leader can not depose one that others hear";
}

}  // namespace
}  // namespace kuilt::cluster::test
