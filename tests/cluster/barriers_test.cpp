// Read barriers of a server: one read for all of a turn, answered once the server is as far.
#include <gtest/gtest.h>

#include "machine_group.hpp"

namespace kuilt::cluster::test {
namespace {

std::optional<Index> index_of(const MachineGroup& group, std::uint64_t link,
                              std::uint64_t number = 1) {
  const auto answer = group.barrier(link, number);
  const auto* reached = answer ? std::get_if<wire::Reached>(&*answer) : nullptr;
  return reached == nullptr ? std::nullopt : std::optional(reached->index);
}
std::string refusal_of(const MachineGroup& group, std::uint64_t link, std::uint64_t number = 1) {
  const auto answer = group.barrier(link, number);
  const auto* refused = answer ? std::get_if<wire::RefusedOutcome>(&*answer) : nullptr;
  if (refused == nullptr) return "";
  return std::string(name_of(refused->code)) + (refused->certain ? ", certain" : ", uncertain");
}
bool is_read(const MachineGroup::Flying& flying) {
  const auto* raft = std::get_if<raft::Message>(&flying.message);
  return raft != nullptr && (std::holds_alternative<raft::ReadRequest>(*raft) ||
                             std::holds_alternative<raft::ReadReply>(*raft));
}

TEST(ReadBarrier, EveryServerAnswersWithAllThatWasAcknowledged) {
  MachineGroup group(3);
  const std::size_t leader = group.elect();
  group.submit(leader, 1, proposal("s", 1));
  ASSERT_TRUE(group.run_until([&] { return group.answer(1).has_value(); }));
  const Index acknowledged = std::get<wire::CommittedOutcome>(*group.answer(1)).at.index;

  for (std::size_t i = 0; i < 3; ++i) group.give(i, BarrierCall{LinkId(10 + i), 1});

  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(group.run_until([&] { return group.barrier(10 + i).has_value(); }));
    EXPECT_EQ(index_of(group, 10 + i), acknowledged);
    EXPECT_GE(group[i].raft().commit_index(), acknowledged) << "and is as far itself";
  }
  EXPECT_EQ(group.count(&Counters::reads_led), 1U);
  EXPECT_EQ(group.count(&Counters::reads_asked), 2U);
  EXPECT_EQ(group.count(&Counters::barriers), 3U);
}

TEST(ReadBarrier, AllOfATurnStandBehindOneRead) {
  MachineGroup group(1);
  group.elect();
  for (std::uint64_t link = 10; link < 30; ++link) group.give(0, BarrierCall{LinkId(link), 4});

  group.run_for(5ms);

  for (std::uint64_t link = 10; link < 30; ++link) EXPECT_TRUE(index_of(group, link, 4));
  EXPECT_EQ(group.count(&Counters::reads_led), 1U);
}

TEST(ReadBarrier, FollowerThatLagsAnswersOnceItHasCaughtUp) {
  MachineGroup group(3);
  const std::size_t leader = group.elect();
  const std::size_t follower = group.follower();
  // Its log is cut off, its reads are not.
  group.lost = [&](const auto& flying) { return flying.to == follower && !is_read(flying); };
  group.submit(leader, 1, proposal("s", 1));
  ASSERT_TRUE(group.run_until([&] { return group.answer(1).has_value(); }));
  const Index acknowledged = std::get<wire::CommittedOutcome>(*group.answer(1)).at.index;

  group.give(follower, BarrierCall{LinkId(10), 1});
  group.run_for(100ms);
  EXPECT_FALSE(group.barrier(10)) << "the index is known, and this server is not there";

  group.lost = nullptr;
  ASSERT_TRUE(group.run_until([&] { return group.barrier(10).has_value(); }));
  EXPECT_EQ(index_of(group, 10), acknowledged);
}

TEST(ReadBarrier, ServerThatDoesNotCatchUpSaysSoInTime) {
  MachineOptions options;
  options.barrier_within_max = 200ms;
  MachineGroup group(3, options);
  const std::size_t leader = group.elect();
  const std::size_t follower = group.follower();
  group.lost = [&](const auto& flying) { return flying.to == follower && !is_read(flying); };
  group.submit(leader, 1, proposal("s", 1));
  ASSERT_TRUE(group.run_until([&] { return group.answer(1).has_value(); }));

  group.give(follower, BarrierCall{LinkId(10), 1});
  group.run_for(250ms);

  EXPECT_EQ(refusal_of(group, 10), "timed_out, certain");
}

TEST(ReadBarrier, OwnProgramIsAnsweredOnceItsStateMachineHasApplied) {
  MachineOptions options;
  options.applies = true;
  MachineGroup group(1, options);
  group.elect();
  group.submit(0, 1, proposal("s", 1));
  group.stuck_at[0] = Index(1002);
  group.run_for(20ms);
  ASSERT_EQ(group[0].applied(), Index(1001));

  group.give(0, BarrierCall{own_program, 1, BarrierKind::applied});
  group.give(0, BarrierCall{LinkId(10), 1, BarrierKind::published});
  group.run_for(20ms);
  EXPECT_EQ(index_of(group, 10), Index(1002)) << "a client observes: it need not wait";
  EXPECT_FALSE(group.barrier(0));

  group.stuck_at.clear();
  group.run_for(20ms);
  EXPECT_EQ(index_of(group, 0), Index(1002));
}

TEST(ReadBarrier, WithoutALeaderItIsRefusedByName) {
  MachineGroup group(3);
  group.isolate(0);
  group.isolate(1);
  group.isolate(2);
  group.give(0, BarrierCall{LinkId(10), 1});

  group.run_for(group.options().raft.read_wait_max + 10ms);

  EXPECT_EQ(refusal_of(group, 10), "no_leader, certain");
  EXPECT_EQ(group.count(&Counters::reads_failed), 1U);
}

TEST(ReadBarrier, LeaderThatIsCutOffNeverAnswersWithAnIndex) {
  MachineGroup group(3);
  const std::size_t leader = group.elect();
  group.isolate(leader);
  group.give(leader, BarrierCall{LinkId(10), 1});

  ASSERT_TRUE(group.run_until([&] { return group.barrier(10).has_value(); }));

  EXPECT_EQ(refusal_of(group, 10), "not_leader, certain");
  EXPECT_EQ(group.count(&Counters::reads_lost), 1U);
}

TEST(ReadBarrier, ReadOfAFollowerSurvivesAFailover) {
  MachineGroup group(3);
  const std::size_t leader = group.elect();
  const std::size_t follower = group.follower();
  group.isolate(leader);
  group.give(follower, BarrierCall{LinkId(10), 1});

  ASSERT_TRUE(group.run_until([&] { return group.barrier(10).has_value(); }));

  EXPECT_TRUE(index_of(group, 10));
  EXPECT_NE(group.leader(), leader);
}

TEST(ReadBarrier, BeyondTheBoundItIsBusy) {
  MachineOptions options;
  options.barriers_max = 2;
  MachineGroup group(3, options);
  for (std::uint64_t link = 10; link < 13; ++link) group.give(0, BarrierCall{LinkId(link), 1});

  group.run_for(2ms);

  EXPECT_FALSE(group.barrier(11));
  EXPECT_EQ(refusal_of(group, 12), "busy, certain");
  EXPECT_EQ(group.count(&Counters::refused_busy), 1U);
}

TEST(ReadBarrier, CoreThatHoldsTooManyReadsIsBusy) {
  MachineOptions options;
  options.raft.reads_max = 1;
  MachineGroup group(3, options);
  group.give(0, BarrierCall{LinkId(10), 1});
  group.run_for(2ms);

  group.give(0, BarrierCall{LinkId(11), 1});
  group.run_for(2ms);

  EXPECT_FALSE(group.barrier(10));
  EXPECT_EQ(refusal_of(group, 11), "busy, certain");
}

}  // namespace
}  // namespace kuilt::cluster::test
