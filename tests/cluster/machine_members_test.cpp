// Members that change under a machine: links, answers and the log follow.
#include "tests/cluster/machine_group.hpp"
#include "wire/entry.hpp"

namespace kuilt::cluster::test {
namespace {

std::vector<raft::Member> members_of(const std::vector<std::size_t>& machines) {
  std::vector<raft::Member> members;
  for (const std::size_t i : machines) members.push_back({node_id(i), "", "", "", true});
  std::sort(members.begin(), members.end(),
            [](const auto& x, const auto& y) { return x.id < y.id; });
  return members;
}

ChangeMembers to(std::uint64_t number, const std::vector<std::size_t>& machines) {
  return {number, {members_of(machines), true}};
}

bool has_changed_to(const MachineGroup& group, std::size_t i, std::vector<raft::Member> members) {
  const auto& seen = group.configurations(i);
  return !seen.empty() && !seen.back()->is_changing() && seen.back()->members == members;
}

TEST(MachineMembers, ChangeGoesThroughTheJointConfigurationToTheMembersThatAreWanted) {
  MachineGroup group(4);
  const std::size_t leader = group.elect();
  const std::size_t leaves = leader == 3 ? 2 : 3;
  std::vector<std::size_t> stay;
  for (std::size_t i = 0; i < 4; ++i) {
    if (i != leaves) stay.push_back(i);
  }

  group.give(leader, to(7, stay));

  ASSERT_TRUE(group.run_until([&] {
    return std::all_of(stay.begin(), stay.end(),
                       [&](std::size_t i) { return has_changed_to(group, i, members_of(stay)); });
  }));
  EXPECT_EQ(group.judged.at(7), raft::ChangeRefusal::none);
  ASSERT_EQ(group.configurations(leader).size(), 2U);
  EXPECT_TRUE(group.configurations(leader).front()->is_joint());
  group.submit(leader, 1, proposal("s", 1));
  EXPECT_TRUE(group.run_until([&] { return group.answer(1).has_value(); }));
}

TEST(MachineMembers, ChangeOnAFollowerIsRefusedByName) {
  MachineGroup group(3);
  group.elect();

  group.give(group.follower(), to(1, {0, 1}));
  group.run_for(10ms);

  EXPECT_EQ(group.judged.at(1), raft::ChangeRefusal::not_leader);
}

// What is refused here would be in the log for good, and no server could read it back.
TEST(MachineMembers, WhatNoEntryMayHoldIsRefusedByName) {
  MachineGroup group(3);
  const std::size_t leader = group.elect();
  std::uint64_t number = 0;
  const auto refusal = [&](const ChangeMembers& change) {
    group.give(leader, change);
    group.run_for(5ms);
    return group.judged.at(change.number);
  };
  const auto with = [&](const std::string& name, const std::string& address) {
    ChangeMembers change = to(++number, {0, 1, 2});
    change.change.members.front().name = name;
    change.change.members.front().peer_url = address;
    return change;
  };
  const Position before = group[leader].raft().last();

  EXPECT_EQ(refusal(with(std::string(1025, 'n'), "")), raft::ChangeRefusal::unsound_text);
  EXPECT_EQ(refusal(with("\xff", "")), raft::ChangeRefusal::unsound_text);
  EXPECT_EQ(refusal(with("n", "\xff")), raft::ChangeRefusal::unsound_text);
  // Every entry on the way has room for this address once, and a joint one would have it twice.
  const std::string half(600 << 10, 'h');
  EXPECT_EQ(refusal(with("n", half + half)), raft::ChangeRefusal::too_large);
  EXPECT_EQ(group[leader].raft().last(), before);

  EXPECT_EQ(refusal(with(std::string(1024, 'n'), half)), raft::ChangeRefusal::none);
  group.run_for(50ms);
  ChangeMembers joint = to(++number, {0, 1});
  joint.change.members.front().peer_url = half;
  EXPECT_EQ(refusal(joint), raft::ChangeRefusal::too_large);
}

TEST(MachineMembers, ChangeThatWasMadeFromOtherMembersIsRefused) {
  MachineGroup group(3);
  const std::size_t leader = group.elect();
  const std::size_t leaves = leader == 2 ? 1 : 2;
  std::vector<std::size_t> stay;
  for (std::size_t i = 0; i < 3; ++i) {
    if (i != leaves) stay.push_back(i);
  }
  const raft::SharedConfiguration before = group[leader].raft().configuration();
  group.give(leader, to(1, stay));
  ASSERT_TRUE(group.run_until([&] { return has_changed_to(group, leader, members_of(stay)); }));

  // It would bring back the one that left.
  ChangeMembers late = to(2, {0, 1, 2});
  late.made_from = before;
  group.give(leader, late);
  group.run_for(10ms);
  EXPECT_EQ(group.judged.at(2), raft::ChangeRefusal::change_under_way);

  late.number = 3;
  late.made_from = group[leader].raft().configuration();
  group.give(leader, late);
  group.run_for(10ms);
  EXPECT_EQ(group.judged.at(3), raft::ChangeRefusal::none);
}

TEST(MachineMembers, ProposalsBesideAChangeAreInTheLogOnceAndInOrder) {
  MachineGroup group(3);
  const std::size_t leader = group.elect();
  const std::size_t follower = group.follower();
  group.give(leader, to(1, {leader, follower}));
  for (std::uint64_t i = 1; i <= 20; ++i) group.submit(leader, i, proposal("s", i));

  ASSERT_TRUE(group.run_until([&] { return group.answer(20).has_value(); }));
  ASSERT_TRUE(group.run_until(
      [&] { return has_changed_to(group, follower, members_of({leader, follower})); }));

  std::uint64_t commands = 0;
  for (const raft::Entry& entry : group.committed(leader)) {
    if (entry.kind != raft::EntryKind::command) continue;
    EXPECT_EQ(wire::decode_command(entry).or_throw().request_id, RequestId(++commands));
  }
  EXPECT_EQ(commands, 20U);
}

TEST(MachineMembers, LeaderThatLeavesAnswersWhatItTookAndAnotherOneLeads) {
  MachineGroup group(3);
  const std::size_t leaver = group.elect();
  std::vector<std::size_t> stay;
  for (std::size_t i = 0; i < 3; ++i) {
    if (i != leaver) stay.push_back(i);
  }
  group.submit(leaver, 1, proposal("s", 1));
  group.give(leaver, to(1, stay));

  ASSERT_TRUE(group.run_until([&] { return group.answer(1).has_value(); }));
  EXPECT_TRUE(std::holds_alternative<wire::CommittedOutcome>(*group.answer(1)));
  ASSERT_TRUE(group.run_until([&] { return group.leader() && *group.leader() != leaver; }));
  group.submit(stay.front(), 2, proposal("s", 2));
  ASSERT_TRUE(group.run_until([&] { return group.answer(2).has_value(); }));
  EXPECT_TRUE(std::holds_alternative<wire::CommittedOutcome>(*group.answer(2)));

  // Who asks the one that left is refused in time, and with certainty.
  group.submit(leaver, 3, proposal("s", 3));
  ASSERT_TRUE(group.run_until([&] { return group.answer(3).has_value(); }, 30s));
  const auto answer = group.answer(3);
  const auto* refused = std::get_if<wire::RefusedOutcome>(&*answer);
  ASSERT_NE(refused, nullptr);
  EXPECT_EQ(refused->code, ErrorCode::no_leader);
  EXPECT_TRUE(refused->certain);
}

}  // namespace
}  // namespace kuilt::cluster::test
