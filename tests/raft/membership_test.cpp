// How the members of a cluster change: joint consensus, and those that leave.
#include "tests/raft/members.hpp"

namespace kuilt::raft::test {
namespace {

// --- In force when appended, undone when truncated ---

TEST(Membership, ConfigurationIsInForceOnceItIsAppendedAndNotFirstWhenCommitted) {
  Node follower(boot(b, voters({a, b}), {Term(1), NodeId()}));

  const Output& out = hears(follower, a, {entry_of(1, 1, voters({a, b, c, d, e}))}, {}, 0);

  EXPECT_TRUE(out.configuration);
  EXPECT_EQ(follower.core().commit_index(), Index(0));
  EXPECT_EQ(sent<VoteRequest>(follower.time_out()).size(), 4U);
}

TEST(Membership, TruncationBringsBackTheConfigurationBefore) {
  Node follower(boot(b, voters({a, b, c}), {Term(1), NodeId()}));
  hears(follower, a, {entry_of(1, 1, joint({a, b, c}, {a, d})), command(2, 1)}, {}, 0);
  hears(follower, a, {entry_of(3, 1, voters({a, d}))}, at(2, 1), 0);

  hears(follower, c, {command(3, 2)}, at(2, 1), 0, 2);
  EXPECT_TRUE(follower.out().configuration);
  EXPECT_TRUE(follower.core().configuration()->is_joint());

  hears(follower, c, {command(1, 3)}, {}, 0, 3);
  follower.written();
  EXPECT_EQ(*follower.core().configuration(), *voters({a, b, c}));
  EXPECT_EQ(sent<VoteRequest>(follower.time_out()).size(), 2U);
}

TEST(Membership, RestartFindsTheConfigurationsThatMayBeRolledBack) {
  Boot from = boot(b, voters({a, b, c}), {Term(1), NodeId()}, {1, 1, 1}, {}, 1);
  from.tail[1] = entry_of(2, 1, joint({a, b, c}, {a, b, d}));
  from.tail[2] = entry_of(3, 1, voters({a, b, d}));
  Node follower(std::move(from));
  EXPECT_EQ(*follower.core().configuration(), *voters({a, b, d}));
  EXPECT_EQ(*follower.core().committed_configuration(), *voters({a, b, c}));

  hears(follower, c, {command(3, 2)}, at(2, 1), 0, 2);
  EXPECT_TRUE(follower.core().configuration()->is_joint());

  hears(follower, c, {command(2, 3)}, at(1, 1), 0, 3);
  EXPECT_EQ(*follower.core().configuration(), *voters({a, b, c}));
}

// --- What is refused ---

TEST(Membership, EachChangeThatCannotBeIsRefusedByItsName) {
  Node leader = leader_of(voters({a, b, c}, {d}), {b, c});
  const auto refusal = [&](const ChangeMembership& change) {
    return leader.step(change).change_refused;
  };
  ChangeMembership twice = to({a, b, c});
  twice.members.push_back(twice.members.front());
  ChangeMembership namesakes = to({a, b, c});
  for (Member& member : namesakes.members) member.name = "ann";
  ChangeMembership nobody = to({a});
  nobody.members.push_back({});
  ChangeMembership many = to({a});
  for (std::uint64_t i = 1; i <= members_max; ++i) {
    many.members.push_back({NodeId(1, i), "", "", "", false});
  }

  EXPECT_EQ(refusal(to({})), ChangeRefusal::no_voters);
  EXPECT_EQ(refusal(to({}, {a, b})), ChangeRefusal::no_voters);
  EXPECT_EQ(refusal(to({a, b, c}, {d})), ChangeRefusal::same_members);
  EXPECT_EQ(refusal(twice), ChangeRefusal::members_not_distinct);
  EXPECT_EQ(refusal(namesakes), ChangeRefusal::members_not_distinct);
  EXPECT_EQ(refusal(nobody), ChangeRefusal::members_not_distinct);
  EXPECT_EQ(refusal(many), ChangeRefusal::too_many_members);
  EXPECT_EQ(refusal(to({a, b, c, e}, {d}, false)), ChangeRefusal::unknown_learner);
  EXPECT_EQ(leader.out().configure, nullptr);
  EXPECT_EQ(leader.core().last().index, Index(2));

  EXPECT_EQ(refusal(to({a, b, c})), ChangeRefusal::none);  // The control: without the learner.
  EXPECT_NE(leader.out().configure, nullptr);
}

// Both would be members at once until the new one has caught up.
TEST(Membership, NewServerMayNotHaveTheNameOfOneThatStaysUntilItHasCaughtUp) {
  auto named = std::make_shared<Configuration>(*voters({a, b, c}));
  for (Member& member : named->members) member.name = member.id == c ? "cora" : "";
  Node leader = leader_of(named, {b, c});
  ChangeMembership replace = to({a, b, d});
  for (Member& member : replace.members) member.name = member.id == d ? "cora" : "";

  EXPECT_EQ(leader.step(replace).change_refused, ChangeRefusal::name_in_use);
  EXPECT_EQ(leader.out().configure, nullptr);

  for (Member& member : replace.members) member.name = member.id == d ? "dora" : "";
  EXPECT_EQ(leader.step(replace).change_refused, ChangeRefusal::none);
}

TEST(Membership, OnlyALeaderThatHasCommittedInItsOwnTermBeginsAChange) {
  Node node(boot(a, voters({a, b, c}), {Term(1), NodeId()}, {1}, {}, 1));
  EXPECT_EQ(node.step(to({a, b})).change_refused, ChangeRefusal::not_leader);

  node.lead({b, c});
  EXPECT_EQ(node.step(to({a, b})).change_refused, ChangeRefusal::nothing_committed_in_term);
  EXPECT_EQ(node.out().configure, nullptr);

  node.acknowledge(b, 2);
  node.acknowledge(c, 2);
  EXPECT_EQ(node.step(to({a, b})).change_refused, ChangeRefusal::none);
}

TEST(Membership, OneChangeAtATime) {
  Node leader = leader_of(voters({a, b, c}), {b, c});
  leader.step(to({a, b, c}, {d}));
  configure(leader);
  EXPECT_EQ(leader.step(to({a, b})).change_refused, ChangeRefusal::change_under_way);

  leader.acknowledge(b, 3);
  leader.acknowledge(c, 3);
  leader.step(to({a, b}, {d}));
  EXPECT_EQ(leader.out().change_refused, ChangeRefusal::none);
  configure(leader);
  leader.written();
  leader.acknowledge(b, 4);  // The joint configuration is committed.
  leader.acknowledge(c, 4);
  configure(leader);
  EXPECT_EQ(leader.step(to({a, c}, {d})).change_refused, ChangeRefusal::change_under_way);

  leader.written();
  leader.acknowledge(b, 5);
  EXPECT_EQ(leader.step(to({a, c}, {d})).change_refused, ChangeRefusal::none);
}

TEST(Membership, NoChangeBeginsOrGoesOnWhileTheLeadIsHandedOver) {
  Node idle = leader_of(voters({a, b, c}), {b, c});
  Node leader = idle;
  leader.step(TransferLeadership{b});
  EXPECT_EQ(leader.step(to({a, b})).change_refused, ChangeRefusal::handing_over);
  EXPECT_EQ(leader.out().configure, nullptr);
  EXPECT_EQ(idle.step(to({a, b})).change_refused, ChangeRefusal::none);

  configure(idle);
  idle.written();
  idle.step(TransferLeadership{b});
  idle.acknowledge(b, 3);
  EXPECT_EQ(idle.core().commit_index(), Index(3));
  EXPECT_EQ(idle.out().configure, nullptr);
  idle.wait(idle.options().election_timeout_max - 1ns);
  idle.acknowledge(b, 3);
  EXPECT_EQ(idle.out().configure, nullptr);

  idle.wait(1ns);  // The hand-over is given up.
  EXPECT_FALSE(idle.core().hands_over());
  EXPECT_NE(idle.out().configure, nullptr);
}

// --- Both halves decide ---

TEST(Membership, JointConfigurationIsCommittedByAMajorityOfEachHalf) {
  Node leader = leader_of(voters({a, b, c}, {d, e}), {b, c});
  leader.acknowledge(d, 2);
  leader.acknowledge(e, 2);
  leader.step(to({a, d, e}));
  configure(leader);
  EXPECT_TRUE(leader.core().configuration()->is_joint());
  leader.written();

  leader.acknowledge(b, 3);  // The half before alone,
  leader.acknowledge(c, 3);
  EXPECT_EQ(leader.core().commit_index(), Index(2));
  EXPECT_EQ(leader.out().configure, nullptr);

  leader.acknowledge(d, 3);  // and now the half after as well.
  EXPECT_EQ(leader.core().commit_index(), Index(3));
  ASSERT_NE(leader.out().configure, nullptr);
  EXPECT_EQ(*leader.out().configure, *voters({a, d, e}));
}

TEST(Membership, JointConfigurationIsNotCommittedByTheHalfAfterAlone) {
  Node leader = leader_of(voters({a, b, c}, {d, e}), {b, c});
  leader.acknowledge(d, 2);
  leader.acknowledge(e, 2);
  leader.step(to({d, e}));
  configure(leader);
  leader.written();

  leader.acknowledge(d, 3);
  leader.acknowledge(e, 3);
  EXPECT_EQ(leader.core().commit_index(), Index(2));

  leader.acknowledge(b, 3);
  EXPECT_EQ(leader.core().commit_index(), Index(3));
}

TEST(Membership, JointElectionNeedsPreVotesAndVotesOfBothHalves) {
  Node node(boot(a, joint({a, b, c}, {d, e}), {Term(1), NodeId()}, {1}, {}, 1));
  node.time_out();
  EXPECT_EQ(sent<VoteRequest>(node.out()).size(), 4U);
  node.receive(d, VoteReply{Term(2), true, true});
  node.receive(e, VoteReply{Term(2), true, true});
  EXPECT_EQ(node.core().role(), Role::pre_candidate);
  node.receive(b, VoteReply{Term(2), true, true});
  EXPECT_EQ(node.core().role(), Role::candidate);

  node.written();
  node.receive(b, VoteReply{Term(2), false, true});
  node.receive(c, VoteReply{Term(2), false, true});
  node.receive(d, VoteReply{Term(2), false, true});
  EXPECT_EQ(node.core().role(), Role::candidate);
  node.receive(e, VoteReply{Term(2), false, true});
  EXPECT_EQ(node.core().role(), Role::leader);
}

TEST(Membership, LeaderThatOneHalfNoLongerHearsStepsDown) {
  Node leader = leader_of(joint({a, b, c}, {a, d, e}), {b, c, d, e});
  for (int i = 0; i < 20; ++i) {
    for (const NodeId other : {b, c}) {
      leader.receive(other, HeartbeatReply{leader.core().term(), 1, Index(2), {}, boot_of(other)});
    }
    leader.wait(50ms);
  }
  EXPECT_EQ(leader.core().role(), Role::follower);
}

TEST(Membership, ServersThatDoNotVoteAreNotCounted) {
  Node leader = leader_of(voters({a, b, c}, {d, e}), {b, c});
  leader.propose();
  leader.written();

  leader.acknowledge(d, 3);
  leader.acknowledge(e, 3);
  EXPECT_EQ(leader.core().commit_index(), Index(2));

  leader.acknowledge(b, 3);
  EXPECT_EQ(leader.core().commit_index(), Index(3));
}

// --- From the joint configuration to the new one ---

TEST(Membership, ChangeThatKeepsTheVotersIsNotJoint) {
  Node leader = leader_of(voters({a, b, c}), {b, c});

  leader.step(to({a, b, c}, {d}));

  ASSERT_NE(leader.out().configure, nullptr);
  EXPECT_FALSE(leader.out().configure->is_changing());
}

TEST(Membership, NewLeaderGoesOnWithTheJointConfigurationThatItFinds) {
  Boot from = boot(b, voters({a, b, c}), {Term(1), NodeId()}, {1, 1}, {}, 1);
  from.tail[1] = entry_of(2, 1, joint({a, b, c}, {b, c, d}));
  Node leader(std::move(from));
  leader.lead({a, c, d});
  EXPECT_EQ(leader.out().configure, nullptr);

  leader.written();
  leader.acknowledge(c, 2);  // Of an earlier term: not committed by counting, and not left.
  leader.acknowledge(d, 2);
  EXPECT_EQ(leader.core().commit_index(), Index(1));
  EXPECT_EQ(leader.out().configure, nullptr);

  leader.acknowledge(c, 3);
  ASSERT_NE(leader.out().configure, nullptr);
  EXPECT_EQ(*leader.out().configure, *voters({b, c, d}));
}

TEST(Membership, NewLeaderThatFindsACommittedJointConfigurationLeavesItToo) {
  Node leader(boot(b, joint({a, b, c}, {b, c, d}), {Term(1), NodeId()}, {1}, {}, 1));
  leader.lead({a, c, d});
  EXPECT_EQ(leader.out().configure, nullptr);
  leader.written();
  leader.acknowledge(c, 2);
  ASSERT_NE(leader.out().configure, nullptr);

  configure(leader);
  EXPECT_EQ(leader.out().configure, nullptr);  // Once, and not once per step.
  leader.wait(50ms);
  EXPECT_EQ(leader.out().configure, nullptr);
}

TEST(Membership, LeaderLeavesTheClusterOnceTheOthersHaveCommittedThatItDoes) {
  Node leader = leader_of(voters({a, b, c}), {b, c});
  leave_joint(leader, {b, c}, {b, c});
  EXPECT_EQ(leader.core().role(), Role::leader);

  leader.written();
  leader.acknowledge(b, 4);  // b and itself would be two of three; itself does not count.
  EXPECT_EQ(leader.core().commit_index(), Index(3));
  EXPECT_EQ(leader.core().role(), Role::leader);

  const Output& out = leader.acknowledge(c, 4);
  EXPECT_EQ(leader.core().commit_index(), Index(4));
  EXPECT_EQ(leader.core().role(), Role::follower);
  EXPECT_TRUE(out.leadership);
  EXPECT_EQ(only<Heartbeat>(out, b).commit, at(4, 2));
  EXPECT_TRUE(sent<VoteRequest>(leader.time_out()).empty());
}

TEST(Membership, LeaderThatLeavesReplicatesUntilThatIsCommittedAndIsSilentThen) {
  Node leader = leader_of(voters({a, b, c}), {b, c});
  leave_joint(leader, {b, c}, {b, c});
  EXPECT_EQ(only<AppendRequest>(leader.out(), b).entries.size(), 1U);
  EXPECT_EQ(only<AppendRequest>(leader.propose(), c).entries.size(), 1U);
  EXPECT_FALSE(sent<Heartbeat>(leader.wait(50ms), b).empty());

  leader.acknowledge(b, 4);
  leader.acknowledge(c, 4);
  EXPECT_EQ(leader.core().role(), Role::follower);
  EXPECT_TRUE(leader.wait(50ms).send.empty());
}

TEST(Membership, LastVoterThatStaysCommitsByItsOwnDisk) {
  Node leader = leader_of(voters({a, b, c}), {b, c});
  leave_joint(leader, {a}, {b});
  leader.propose();
  EXPECT_EQ(leader.core().commit_index(), Index(3));

  leader.written();
  EXPECT_EQ(leader.core().commit_index(), Index(5));
}

TEST(Membership, SoleVoterHandsTheClusterToOneThatTakesItsPlace) {
  Node leader = leader_of(voters({a}, {b}), {});
  leader.acknowledge(b, 2);
  leader.step(to({b}));
  configure(leader);
  leader.written();
  EXPECT_EQ(leader.core().commit_index(), Index(2));
  leader.acknowledge(b, 3);
  configure(leader);
  leader.acknowledge(b, 4);
  EXPECT_EQ(leader.core().role(), Role::follower);
  EXPECT_EQ(leader.core().commit_index(), Index(4));
}

// Its log may be the longest of those that a majority before the change needs (raft-lessons, B15).
TEST(Membership, ServerThatAnUncommittedConfigurationLeavesOutCampaignsAndDoesNotCountItself) {
  Boot from = boot(a, joint({a, b}, {c, d}), {Term(1), NodeId()}, {1, 1}, {}, 1);
  from.tail[1] = entry_of(2, 1, voters({c, d}));
  Node node(std::move(from));

  node.time_out();
  EXPECT_EQ(sent<VoteRequest>(node.out()).size(), 2U);
  node.receive(c, VoteReply{Term(2), true, true});
  EXPECT_EQ(node.core().role(), Role::pre_candidate);
  node.receive(d, VoteReply{Term(2), true, true});
  EXPECT_EQ(node.core().role(), Role::candidate);
}

// --- Servers outside the configuration ---

TEST(Membership, ServerThatKnowsOfNoClusterAnswersAndNeverCampaigns) {
  Node fresh(boot(d, voters({})));
  EXPECT_TRUE(sent<VoteRequest>(fresh.time_out()).empty());
  EXPECT_EQ(fresh.core().role(), Role::follower);

  hears(fresh, a, {entry_of(1, 1, voters({a, b, c}, {d}))}, {}, 1);
  EXPECT_EQ(fresh.core().commit_index(), Index(1));
  fresh.written();
  EXPECT_TRUE(sent<VoteRequest>(fresh.time_out()).empty());

  fresh.receive(b, VoteRequest{Term(2), false, at(1, 1)});
  fresh.written();
  EXPECT_EQ(fresh.core().hard_state(), (HardState{Term(2), b}));
}

// {A, B, E} has become {D, E, F} while E lagged; A and B are gone. Only E's vote is left.
TEST(Membership, VoterGrantsItsVoteToACandidateThatItDoesNotKnow) {
  Node lagging(boot(e, voters({a, b, e}), {Term(1), NodeId()}, {1}, {}, 1));
  lagging.time_out();

  lagging.receive(d, VoteRequest{Term(2), true, at(3, 1)});
  EXPECT_TRUE(only<VoteReply>(lagging.out(), d).granted);
  lagging.receive(d, VoteRequest{Term(2), false, at(3, 1)});
  EXPECT_TRUE(only<VoteReply>(lagging.out(), d).granted);
  lagging.written();

  hears(lagging, d,
        {entry_of(2, 1, joint({a, b, e}, {d, e, f})), entry_of(3, 1, voters({d, e, f}))}, at(1, 1),
        3, 2);
  EXPECT_EQ(lagging.out().refused, Refusal::none);
  EXPECT_EQ(*lagging.core().configuration(), *voters({d, e, f}));
}

TEST(Membership, ServerThatLeftIsToldUntilItKnowsAndThenNoMore) {
  Node leader = leader_of(voters({a, b, c}), {b, c});
  leader.step(to({a, b}));
  configure(leader);
  leader.written();
  leader.acknowledge(b, 3);
  leader.acknowledge(c, 3);
  configure(leader);
  EXPECT_FALSE(sent<AppendRequest>(leader.out(), c).empty());  // The entry that leaves it out.
  leader.written();
  leader.acknowledge(b, 4);
  EXPECT_EQ(leader.core().commit_index(), Index(4));
  leader.acknowledge(c, 4);

  const Heartbeat told = only<Heartbeat>(leader.wait(50ms), c);
  EXPECT_EQ(told.commit, at(4, 2));
  leader.receive(c, HeartbeatReply{Term(2), told.round, Index(4), {}, boot_of(c)});

  EXPECT_TRUE(sent<Heartbeat>(leader.wait(50ms), c).empty());
  EXPECT_FALSE(sent<Heartbeat>(leader.out(), b).empty());
}

TEST(Membership, LateMessagesOfAServerThatLeftChangeNothing) {
  Node leader = leader_of(voters({a, b, c}), {b, c});
  leader.step(to({a, b}));
  configure(leader);
  leader.written();
  leader.acknowledge(b, 3);
  configure(leader);
  leader.written();
  leader.acknowledge(b, 4);
  EXPECT_EQ(leader.acknowledge(c, 4).refused, Refusal::none);  // It is still being told.
  const HeartbeatReply knows{
      Term(2), only<Heartbeat>(leader.wait(50ms), c).round, Index(4), {}, boot_of(c)};
  EXPECT_EQ(leader.receive(c, knows).refused, Refusal::none);
  const std::string before = leader.core().fingerprint();

  EXPECT_EQ(leader.receive(c, knows).refused, Refusal::unknown_sender);
  EXPECT_EQ(leader.acknowledge(c, 4).refused, Refusal::unknown_sender);
  leader.step(Loaded{c, Index(1), {command(1, 1)}});
  leader.step(PeerLost{c});

  EXPECT_EQ(leader.core().fingerprint(), before);
}

TEST(Membership, ServerThatLeftAndIsSilentIsNotToldForEver) {
  Node leader = leader_of(voters({a, b, c}), {b, c});
  leader.step(to({a, b}));
  configure(leader);
  leader.written();
  leader.acknowledge(b, 3);
  configure(leader);
  leader.written();
  leader.acknowledge(b, 4);

  bool silent = false;
  for (int i = 0; i < 200 && !silent; ++i) {
    leader.receive(b, HeartbeatReply{Term(2), 1, Index(4), {}, boot_of(b)});
    silent = sent<Heartbeat>(leader.wait(50ms), c).empty();
  }
  EXPECT_TRUE(silent);
  EXPECT_EQ(leader.core().role(), Role::leader);
}

TEST(Membership, CandidateThatLeftGetsNoVoteDisturbsNobodyAndIsToldWhatItLacks) {
  Boot from = boot(b, voters({a, b}), {Term(2), NodeId()}, {1, 2, 2}, {}, 3);
  Node follower(std::move(from));
  follower.time_out();

  follower.receive(c, VoteRequest{Term(9), false, at(1, 1)});
  EXPECT_EQ(follower.out().refused, Refusal::candidate_left);
  EXPECT_EQ(only<VoteReply>(follower.out(), c), (VoteReply{Term(2), false, false, at(3, 2)}));
  EXPECT_EQ(follower.core().term(), Term(2));

  // The controls: one that votes here, and one whose log may hold a later configuration.
  follower.receive(a, VoteRequest{Term(3), true, at(1, 1)});
  EXPECT_EQ(follower.out().refused, Refusal::none);
  follower.receive(c, VoteRequest{Term(3), true, at(4, 2)});
  EXPECT_TRUE(only<VoteReply>(follower.out(), c).granted);
}

// It was restarted, and its disk holds the change without a word that it is committed. There may
// never be another entry by which it would learn that.
TEST(Membership, CandidateThatLeftAndHasTheWholeLogIsToldThatItIsCommitted) {
  Boot from = boot(b, voters({a, b}), {Term(2), NodeId()}, {1, 2, 2}, {}, 3);
  Node follower(std::move(from));
  hears(follower, a, {}, at(3, 2), 3, 2);  // A leader is live: no other request gets an answer.

  follower.receive(c, VoteRequest{Term(3), true, at(3, 2)});
  EXPECT_EQ(follower.out().refused, Refusal::candidate_left);
  EXPECT_EQ(only<VoteReply>(follower.out(), c), (VoteReply{Term(2), true, false, at(3, 2)}));

  // The controls: one that votes here, and one whose log goes on.
  follower.receive(a, VoteRequest{Term(3), true, at(3, 2)});
  EXPECT_EQ(follower.out().refused, Refusal::leader_is_live);
  follower.receive(c, VoteRequest{Term(3), true, at(4, 2)});
  EXPECT_EQ(follower.out().refused, Refusal::leader_is_live);
}

TEST(Membership, LeaderBringsTheNewsToACandidateThatLeft) {
  Node leader = leader_of(voters({a, b}), {b});
  EXPECT_TRUE(sent<AppendRequest>(leader.wait(50ms), c).empty());

  leader.receive(c, VoteRequest{Term(3), true, at(1, 1)});

  EXPECT_EQ(leader.out().refused, Refusal::candidate_left);
  EXPECT_FALSE(sent<AppendRequest>(leader.out(), c).empty());
  EXPECT_EQ(leader.core().role(), Role::leader);
}

TEST(Membership, ServerThatIsToldWhatItLacksAsksForVotesMoreRarely) {
  Node node(boot(c, voters({a, b, c}), {Term(1), NodeId()}, {1}, {}, 1));
  node.time_out();
  node.receive(a, VoteReply{Term(1), true, false, at(3, 2)});

  EXPECT_FALSE(sent<VoteRequest>(node.time_out()).empty());
  EXPECT_TRUE(sent<VoteRequest>(node.time_out()).empty());
  EXPECT_TRUE(sent<VoteRequest>(node.time_out()).empty());

  hears(node, a, {command(2, 2), command(3, 2)}, at(1, 1), 1, 2);
  node.written();
  node.time_out();
  EXPECT_FALSE(sent<VoteRequest>(node.time_out()).empty());
}

TEST(Membership, WhatIsCommittedIsSoWhoeverSaysIt) {
  Node node(boot(c, voters({a, b, c}), {Term(2), NodeId()}, {1, 2, 2}, {}, 1));
  node.time_out();

  node.receive(a, VoteReply{Term(2), true, false, at(2, 2)});
  EXPECT_EQ(node.core().commit_index(), Index(2));

  node.receive(a, VoteReply{Term(2), true, false, at(2, 1)});
  EXPECT_EQ(node.out().refused, Refusal::conflict_below_commit);
}

TEST(Membership, FirstConfigurationSetsTheLimitForTheEntriesBehindIt) {
  auto first = std::make_shared<Configuration>(*voters({a}, {d}));
  first->parameters.command_bytes_max = std::uint64_t{8} << 20;
  Node fresh(boot(d, voters({})));
  const std::string large(std::size_t{4} << 20, 'x');

  hears(fresh, a, {entry_of(1, 1, first), command(2, 1, large)}, {}, 0);

  EXPECT_EQ(fresh.out().refused, Refusal::none);
  EXPECT_EQ(fresh.core().last().index, Index(2));
}

}  // namespace
}  // namespace kuilt::raft::test
