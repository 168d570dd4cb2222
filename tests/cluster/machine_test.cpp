// One way of a proposal per test: judged, forwarded, repeated, lost, refused.
#include "cluster/machine.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "machine_group.hpp"
#include "wire/entry.hpp"

namespace kuilt::cluster::test {
namespace {

std::optional<wire::CommittedOutcome> committed(const std::optional<wire::Outcome>& outcome) {
  const auto* found = outcome ? std::get_if<wire::CommittedOutcome>(&*outcome) : nullptr;
  return found == nullptr ? std::nullopt : std::optional(*found);
}
std::string refused(const std::optional<wire::Outcome>& outcome) {
  const auto* found = outcome ? std::get_if<wire::RefusedOutcome>(&*outcome) : nullptr;
  if (found == nullptr) return "";
  return std::string(name_of(found->code)) + (found->certain ? ", certain" : ", uncertain");
}
std::size_t commands(const std::vector<raft::Entry>& log) {
  return static_cast<std::size_t>(std::count_if(log.begin(), log.end(), [](const auto& entry) {
    return entry.kind == raft::EntryKind::command;
  }));
}
bool is_forward(const MachineGroup::Flying& flying) {
  return std::holds_alternative<wire::Forward>(flying.message);
}
bool is_append(const MachineGroup::Flying& flying) {
  const auto* raft = std::get_if<raft::Message>(&flying.message);
  return raft != nullptr && std::holds_alternative<raft::AppendRequest>(*raft);
}
bool is_raft(const MachineGroup::Flying& flying) {
  return std::holds_alternative<raft::Message>(flying.message);
}

TEST(OneMachine, CommitsWhatItIsGivenAndAnswersWithThePosition) {
  MachineGroup group(1);
  group.elect();

  group.submit(0, 1, proposal("s", 1));

  EXPECT_TRUE(group.run_until([&] { return group.answer(1).has_value(); }));
  const auto done = committed(group.answer(1));
  ASSERT_TRUE(done.has_value());
  EXPECT_EQ(done->at.index, Index(1002)) << "base 1000, then the first entry of the term";
  EXPECT_FALSE(done->duplicate);
  EXPECT_EQ(group[0].waiting(), 0U);
}

TEST(OneMachine, MakesAllProposalsOfATurnOneWrite) {
  MachineGroup group(1);
  group.elect();
  std::vector<Input> inputs;
  for (std::uint64_t i = 1; i <= 20; ++i)
    inputs.emplace_back(Submit{LinkId(i), {proposal("s", i)}});

  const Output out = group[0].step(group.now, std::move(inputs));

  ASSERT_EQ(out.writes.size(), 1U);
  EXPECT_EQ(out.writes[0].entries.size(), 20U);
}

TEST(OneMachine, AnswersACommittedRepeatAtOnceAndJoinsAnUncommittedOne) {
  MachineGroup group(1);
  group.elect();
  group.submit(0, 1, proposal("s", 1));
  group.submit(0, 2, proposal("s", 1));
  group.run_until([&] { return group.answer(2).has_value(); });
  const auto first = committed(group.answer(1));
  const auto joined = committed(group.answer(2));

  group.submit(0, 3, proposal("s", 1));
  group.run_for(1ms);

  const auto later = committed(group.answer(3));
  ASSERT_TRUE(first && joined && later);
  EXPECT_FALSE(first->duplicate);
  EXPECT_TRUE(joined->duplicate);
  EXPECT_TRUE(later->duplicate);
  EXPECT_EQ(first->at, joined->at);
  EXPECT_EQ(first->at, later->at);
  EXPECT_EQ(group[0].counters().joined_repeats, 1U);
  EXPECT_EQ(group[0].counters().committed_repeats, 1U);
  EXPECT_EQ(commands(group.committed(0)), 1U);
}

TEST(OneMachine, JudgesAnotherCommandUnderAWaitingIdByItself) {
  MachineGroup group(1);
  group.elect();
  group.submit(0, 1, proposal("s", 1, 1, "this"));
  group.submit(0, 2, proposal("s", 1, 1, "that"));

  group.run_for(10ms);

  EXPECT_TRUE(committed(group.answer(1)).has_value());
  EXPECT_EQ(refused(group.answer(2)), "request_id_reused, certain");
}

TEST(OneMachine, RefusesAProposalWithoutASession) {
  MachineGroup group(1);
  auto bare = proposal("s", 1);
  bare.session = SessionId();
  group.submit(0, 1, bare);

  group.run_for(1ms);

  EXPECT_EQ(refused(group.answer(1)), "invalid_argument, certain");
}

TEST(OneMachine, IsBusyBeyondItsUncommittedBytes) {
  MachineOptions options;
  options.raft.append_bytes_max = 1000;
  options.raft.uncommitted_bytes_max = 1500;
  MachineGroup group(1, options);
  group.elect();
  for (std::uint64_t i = 1; i <= 9; ++i) group.submit(0, i, proposal("s", i));

  group.run_for(50ms);

  EXPECT_TRUE(committed(group.answer(1)).has_value());
  EXPECT_EQ(refused(group.answer(9)), "busy, certain");
  EXPECT_GT(group[0].counters().refused_busy, 0U);
}

// With a disk as slow as this, the two others commit all of it at once.
TEST(ThreeMachines, ALeaderWhoseOwnDiskLagsIsBusyBeyondItsWindow) {
  MachineOptions options;
  options.raft.append_bytes_max = 1000;
  options.raft.uncommitted_bytes_max = 1500;
  MachineGroup group(3, options);
  const std::size_t leader = group.elect();
  group.disk_times[leader] = 5s;
  for (std::uint64_t i = 1; i <= 20; ++i) {
    group.submit(leader, i, proposal("s", i));
    group.run_for(10ms);
  }

  EXPECT_TRUE(committed(group.answer(1)).has_value()) << "the leader's disk is not waited for";
  EXPECT_EQ(refused(group.answer(20)), "busy, certain");

  group.run_for(6s);
  group.submit(leader, 21, proposal("s", 3, 21));
  group.run_for(50ms);
  EXPECT_TRUE(committed(group.answer(21, 21)).has_value());
}

TEST(OneMachine, LogTimeGoesOnFromTheLastStamp) {
  MachineGroup group(1);
  group.elect();
  group.submit(0, 1, proposal("s", 1));
  group.run_for(50ms);
  const LogTime before = group[0].sessions().log_time();

  group.submit(0, 1, proposal("s", 2, 2));
  group.run_for(50ms);

  const std::uint64_t passed = group[0].sessions().log_time().value() - before.value();
  EXPECT_EQ(passed, static_cast<std::uint64_t>(Duration(50ms).count()));
}

TEST(ThreeMachines, AFollowerForwardsAndAnswersFromItsOwnLog) {
  MachineGroup group(3);
  group.elect();
  const std::size_t follower = group.follower();

  group.submit(follower, 1, proposal("s", 1));

  ASSERT_TRUE(group.run_until([&] { return group.answer(1).has_value(); }));
  const auto done = committed(group.answer(1));
  ASSERT_TRUE(done.has_value());
  EXPECT_FALSE(done->duplicate);
  EXPECT_EQ(group.committed(follower).back().at, done->at);
  EXPECT_EQ(group.count(&Counters::forwards), 1U);
}

TEST(ThreeMachines, ARefusalOfTheLeaderReachesTheClient) {
  MachineGroup group(3);
  group.elect();
  auto unborn = proposal("s", 1);
  unborn.birth = Index(5000);
  group.submit(group.follower(), 1, unborn);

  group.run_for(50ms);

  EXPECT_EQ(refused(group.answer(1)), "session_expired, certain");
}

TEST(ThreeMachines, ALostForwardIsSentAgainUnderANewNumber) {
  MachineGroup group(3);
  group.elect();
  group.lost = [&, left = 1](const auto& flying) mutable {
    return is_forward(flying) && left-- > 0;
  };
  group.submit(group.follower(), 1, proposal("s", 1));

  group.run_for(1500ms);

  EXPECT_TRUE(committed(group.answer(1)).has_value());
  EXPECT_EQ(group.count(&Counters::lost_forwards), 1U);
  EXPECT_EQ(group.count(&Counters::reforwards), 1U);
  ASSERT_EQ(group.sent.size(), 2U);
  EXPECT_NE(std::get<wire::Forward>(group.sent[0].message).number,
            std::get<wire::Forward>(group.sent[1].message).number);
}

TEST(ThreeMachines, ARefusalAfterAnUnansweredForwardIsUncertain) {
  MachineGroup group(3);
  group.elect();
  group.lost = [&, left = 1](const auto& flying) mutable {
    return is_forward(flying) && left-- > 0;
  };
  auto unborn = proposal("s", 1);
  unborn.birth = Index(5000);
  group.submit(group.follower(), 1, unborn);

  group.run_for(1500ms);

  EXPECT_EQ(refused(group.answer(1)), "session_expired, uncertain");
}

TEST(ThreeMachines, AnAnswerToAnEarlierForwardIsStale) {
  MachineGroup group(3);
  const std::size_t leader = group.elect();
  const std::size_t follower = group.follower();
  group.lost = [&](const auto& flying) { return !is_raft(flying); };
  group.submit(follower, 1, proposal("s", 1));
  group.run_for(1100ms);  // The first has timed out, the second is on its way.
  ASSERT_EQ(group.sent.size(), 2U);
  const auto reply_to = [&](std::size_t i) {
    wire::ForwardReply reply{
        std::get<wire::Forward>(group.sent[i].message).number, group[leader].raft().term(), {}};
    reply.answers.emplace_back().outcome = wire::RefusedOutcome{ErrorCode::busy, "", true, 1ms};
    return reply;
  };
  auto of_earlier_term = reply_to(1);
  of_earlier_term.term = group_base.term;

  group.give(follower, FromPeer{node_id(leader), reply_to(0)});
  group.give(follower, FromPeer{node_id(3 - leader - follower), reply_to(1)});
  group.give(follower, FromPeer{node_id(leader), of_earlier_term});
  group.run_for(1ms);
  EXPECT_FALSE(group.answer(1).has_value());
  EXPECT_EQ(group[follower].counters().stale_answers, 3U);

  group.give(follower, FromPeer{node_id(leader), reply_to(1)});
  group.run_for(1ms);
  EXPECT_EQ(refused(group.answer(1)), "busy, uncertain");
}

TEST(ThreeMachines, ACopyOfAForwardIsNotJudgedAgain) {
  MachineGroup group(3);
  const std::size_t leader = group.elect();
  const wire::Forward forward{77, {proposal("s", 1)}};

  group.give(leader, FromPeer{node_id(group.follower()), forward});
  group.give(leader, FromPeer{node_id(group.follower()), forward});
  group.run_for(50ms);

  EXPECT_EQ(group[leader].counters().appended, 1U);
  EXPECT_EQ(group[leader].counters().suppressed_repeats, 0U);
  EXPECT_EQ(group[leader].counters().refused_peer_messages.at("forward_repeated"), 1U);
}

TEST(ThreeMachines, WithoutALeaderAProposalWaitsAndIsThenRefused) {
  MachineGroup group(3);
  group.lost = [](const auto&) { return true; };
  group.submit(0, 1, proposal("s", 1));

  group.run_for(9s);
  EXPECT_FALSE(group.answer(1).has_value());
  EXPECT_EQ(group[0].waiting(), 1U);
  group.run_for(2s);

  EXPECT_EQ(refused(group.answer(1)), "no_leader, certain");
  EXPECT_EQ(group[0].waiting(), 0U);
}

// Nothing deposes it: its followers hear it and answer, only their disks stand still.
TEST(ThreeMachines, WhatALeaderCannotCommitIsAnsweredAsUncertainInTheEnd) {
  MachineGroup group(3);
  const std::size_t leader = group.elect();
  for (std::size_t i = 0; i < 3; ++i) {
    if (i != leader) group.disk_times[i] = 60s;  // With a disk that hangs itself it would give way.
  }
  group.submit(leader, 1, proposal("s", 1));

  group.run_for(19s);
  EXPECT_FALSE(group.answer(1).has_value());
  EXPECT_EQ(group.leader(), leader);
  group.run_for(2s);

  EXPECT_EQ(refused(group.answer(1)), "unknown_outcome, uncertain");
  EXPECT_EQ(group[leader].waiting(), 0U);
}

TEST(ThreeMachines, ARefusalReachesTheClientThoughTheLeaderIsFartherThanTheTimeout) {
  MachineGroup group(3);
  const std::size_t leader = group.elect();
  const std::size_t follower = group.follower();
  group.late = [&](const auto& flying) { return is_raft(flying) ? Duration(1ms) : 700ms; };
  auto unborn = proposal("s", 1);
  unborn.birth = Index(5000);
  group.submit(follower, 1, unborn);

  EXPECT_TRUE(group.run_until([&] { return group.answer(1).has_value(); }));

  EXPECT_EQ(refused(group.answer(1)), "session_expired, uncertain");
  EXPECT_GT(group[follower].counters().lost_forwards, 0U);
  EXPECT_EQ(group.leader(), leader);
}

TEST(ThreeMachines, AParkedProposalGoesOutWhenThereIsALeader) {
  MachineGroup group(3);
  group.submit(0, 1, proposal("s", 1));
  group.submit(1, 2, proposal("t", 1));

  group.elect();

  EXPECT_TRUE(committed(group.answer(1)).has_value());
  EXPECT_TRUE(committed(group.answer(2)).has_value());
}

TEST(ThreeMachines, WhatWasForwardedToADeadLeaderIsInTheLogOnce) {
  MachineGroup group(3);
  const std::size_t old = group.elect();
  const std::size_t follower = group.follower();
  group.lost = [&](const auto& flying) { return flying.from == old && flying.to == follower; };
  group.submit(follower, 1, proposal("s", 1));
  group.run_for(20ms);  // The old leader and the third one have the entry; the follower does not.

  group.isolate(old);
  group.lost = nullptr;

  ASSERT_TRUE(group.run_until([&] { return group.answer(1).has_value(); }));
  EXPECT_TRUE(committed(group.answer(1)).has_value());
  group.run_for(100ms);
  EXPECT_EQ(commands(group.committed(follower)), 1U);
  EXPECT_GT(group.count(&Counters::suppressed_repeats), 0U);
}

TEST(ThreeMachines, ADeposedLeaderForwardsWhatItHadAppended) {
  MachineGroup group(3);
  const std::size_t old = group.elect();
  group.lost = [&](const auto& flying) { return flying.from == old && is_append(flying); };
  group.submit(old, 1, proposal("s", 1));
  group.run_for(5ms);
  group.isolate(old);
  group.run_for(2s);
  ASSERT_TRUE(group.leader().has_value());
  ASSERT_NE(group.leader(), old);
  group.submit(*group.leader(), 9, proposal("t", 1));
  group.run_for(100ms);

  group.isolated.clear();
  group.lost = nullptr;

  ASSERT_TRUE(group.run_until([&] { return group.answer(1).has_value(); }));
  EXPECT_TRUE(committed(group.answer(1)).has_value());
  EXPECT_EQ(group[old].counters().truncations, 1U);
  EXPECT_GT(group[old].counters().reforwards, 0U);
  EXPECT_EQ(commands(group.committed(old)), 2U);
}

TEST(ThreeMachines, AFollowerIsBusyBeyondItsForwardWindow) {
  MachineOptions options;
  options.forward_window_bytes_max = 1200;
  MachineGroup group(3, options);
  group.elect();
  const std::size_t follower = group.follower();
  for (std::uint64_t i = 1; i <= 3; ++i) group.submit(follower, i, proposal("s", i));

  group.run_for(100ms);

  EXPECT_TRUE(committed(group.answer(1)).has_value());
  EXPECT_TRUE(committed(group.answer(2)).has_value());
  EXPECT_EQ(refused(group.answer(3)), "busy, certain");
}

TEST(ThreeMachines, NobodyWaitsForAClosedLink) {
  MachineGroup group(3);
  group.lost = [](const auto&) { return true; };
  group.submit(0, 1, proposal("s", 1));
  group.run_for(1ms);
  ASSERT_EQ(group[0].waiting(), 1U);

  group.give(0, LinkClosed{LinkId(1)});
  group.run_for(1ms);

  EXPECT_EQ(group[0].waiting(), 0U);
}

TEST(ThreeMachines, ALinkThatBreaksSendsTheForwardAgainWhenItIsBack) {
  MachineGroup group(3);
  const std::size_t leader = group.elect();
  const std::size_t follower = group.follower();
  group.lost = [](const auto& flying) { return is_forward(flying); };
  group.submit(follower, 1, proposal("s", 1));
  group.run_for(5ms);
  group.lost = nullptr;
  group.give(follower, PeerDown{node_id(leader)});
  group.run_for(5ms);
  ASSERT_EQ(group.sent.size(), 1U);

  group.give(follower, PeerUp{node_id(leader)});
  group.run_for(50ms);

  EXPECT_TRUE(committed(group.answer(1)).has_value());
  EXPECT_EQ(group.count(&Counters::lost_forwards), 0U);
  EXPECT_EQ(group.count(&Counters::reforwards), 1U);
}

}  // namespace
}  // namespace kuilt::cluster::test
