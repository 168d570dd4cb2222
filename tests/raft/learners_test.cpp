// Servers that are to vote: they catch up as learners first, and enough of them have to answer.
#include "tests/raft/members.hpp"

namespace kuilt::raft::test {
namespace {

// d is to vote beside a, b and c: what says so is committed.
Node leader_that_waits_for_d(Options options = {}) {
  Node leader = leader_of(voters({a, b, c}), {b, c}, options);
  leader.step(to({a, b, c, d}));
  configure(leader);
  leader.written();
  leader.acknowledge(b, 3);
  return leader;
}

TEST(Membership, NewVoterJoinsAsALearnerAndIsPromotedOnceItHasCaughtUp) {
  Node leader = leader_of(voters({a, b, c}), {b, c});
  leader.step(to({a, b, c, d}));
  configure(leader);
  EXPECT_EQ(ids_of(leader.core().configuration()->members, false), Ids{d});
  EXPECT_EQ(ids_of(leader.core().configuration()->wanted, true), sorted({a, b, c, d}));
  EXPECT_FALSE(leader.core().configuration()->is_joint());

  leader.written();
  leader.acknowledge(b, 3);
  EXPECT_EQ(leader.out().configure, nullptr);  // Nothing is known of d yet.

  leader.acknowledge(d, 3);
  ASSERT_NE(leader.out().configure, nullptr);
  EXPECT_EQ(ids_of(leader.out().configure->members, true), sorted({a, b, c, d}));
  EXPECT_EQ(ids_of(leader.out().configure->outgoing, true), sorted({a, b, c}));
  EXPECT_TRUE(leader.out().configure->wanted.empty());
}

TEST(Membership, LearnerThatTakesLongGetsAnotherRound) {
  Node leader = leader_that_waits_for_d();
  leader.propose(5);
  leader.acknowledge(b, 8);
  leader.hold_up(leader.options().election_timeout_min);

  leader.acknowledge(d, 3);
  EXPECT_EQ(leader.out().configure, nullptr);

  leader.hold_up(1ms);
  leader.acknowledge(d, 8);
  EXPECT_NE(leader.out().configure, nullptr);
}

// How much is under way to it at every moment is a matter of load, and not of being behind.
TEST(Membership, LearnerThatHasCaughtUpIsPromotedUnderAnyLoad) {
  Options options;
  options.learner_behind_max = 0;
  Node leader = leader_that_waits_for_d(options);
  leader.propose(50);

  leader.acknowledge(d, 3);

  EXPECT_NE(leader.out().configure, nullptr);
}

TEST(Membership, LearnerThatStartsAnewVouchesAgainBeforeItIsPromoted) {
  Node leader = leader_of(voters({a, b, c}), {b, c});
  leader.step(to({a, b, c, d}));
  configure(leader);
  leader.acknowledge(d, 3);
  EXPECT_EQ(leader.out().configure, nullptr);  // The entry that lets it join is not committed.
  leader.receive(d, HeartbeatReply{Term(2), 1, Index(3), {}, boot_of(d, 2)});

  leader.written();
  leader.acknowledge(b, 3);
  EXPECT_EQ(leader.out().configure, nullptr);

  AppendReply again = leader.accepted(d, 3);
  again.boot = boot_of(d, 2);
  leader.receive(d, again);
  EXPECT_NE(leader.out().configure, nullptr);
}

// Nothing follows that would end another round (seed 139 of the simulator).
TEST(Membership, LearnerThatTookLongAndHasTheWholeLogIsPromotedWhileNothingHappens) {
  Node leader = leader_that_waits_for_d();
  leader.hold_up(leader.options().election_timeout_min);

  leader.acknowledge(d, 3);

  EXPECT_NE(leader.out().configure, nullptr);
}

TEST(Membership, ChangeIsGivenUpWhenALearnerDoesNotCatchUpInSoManyRounds) {
  Options options;
  options.catch_up_rounds_max = 2;
  Node leader = leader_that_waits_for_d(options);
  for (std::uint64_t round = 0; round < 2; ++round) {
    EXPECT_EQ(leader.out().configure, nullptr);
    leader.propose();
    leader.hold_up(options.election_timeout_min);
    leader.acknowledge(d, 3 + round);
  }

  ASSERT_NE(leader.out().configure, nullptr);
  EXPECT_EQ(*leader.out().configure, *voters({a, b, c}, {d}));
  configure(leader);
  leader.written();
  leader.acknowledge(b, leader.core().last().index.value());
  EXPECT_EQ(leader.out().configure, nullptr);
  EXPECT_EQ(leader.step(to({a, b, c})).change_refused, ChangeRefusal::none);
}

TEST(Membership, ChangeIsGivenUpWhenALearnerIsSilent) {
  Options options;
  options.learner_silence_max = 1s;
  Node leader = leader_of(voters({a}), {}, options);
  leader.step(to({a, b}));
  configure(leader);
  leader.written();
  EXPECT_EQ(leader.out().configure, nullptr);
  leader.wait(900ms);
  EXPECT_EQ(leader.out().configure, nullptr);

  leader.wait(200ms);
  ASSERT_NE(leader.out().configure, nullptr);
  EXPECT_EQ(*leader.out().configure, *voters({a}, {b}));
}

TEST(Membership, NewLeaderGoesOnWaitingForLearners) {
  auto waits = std::make_shared<Configuration>(*voters({a, b, c}, {d}));
  waits->wanted = voters({a, b, d})->members;
  Node leader = leader_of(waits, {b, c});
  EXPECT_EQ(leader.out().configure, nullptr);

  leader.acknowledge(d, 2);
  ASSERT_NE(leader.out().configure, nullptr);
  EXPECT_EQ(ids_of(leader.out().configure->members, true), sorted({a, b, d}));
  EXPECT_EQ(ids_of(leader.out().configure->outgoing, true), sorted({a, b, c}));
}

TEST(Membership, LearnerIsPromotedAtOnceUnlessItIsFarBehind) {
  Options options;
  options.learner_behind_max = 5;
  Node leader = leader_of(voters({a, b, c}, {d}), {b, c}, options);
  leader.propose(6);
  leader.acknowledge(b, 8);
  leader.acknowledge(d, 2);
  EXPECT_EQ(leader.step(to({a, b, c, d}, {}, false)).change_refused, ChangeRefusal::learner_behind);

  leader.acknowledge(d, 3);
  EXPECT_EQ(leader.step(to({a, b, c, d}, {}, false)).change_refused, ChangeRefusal::none);
  EXPECT_TRUE(leader.out().configure->is_joint());
}

TEST(Membership, LearnerThatHasNotAnsweredIsBehindHoweverShortTheLogIs) {
  Node leader = leader_of(voters({a}, {b}), {});
  EXPECT_EQ(leader.step(to({a, b}, {}, false)).change_refused, ChangeRefusal::learner_behind);
  EXPECT_EQ(leader.step(to({a, b})).change_refused, ChangeRefusal::none);
  EXPECT_FALSE(leader.out().configure->is_joint());
  EXPECT_EQ(leader.out().configure->wanted, voters({a, b})->members);

  leader.acknowledge(b, 2);
  EXPECT_EQ(leader.step(to({a, b}, {}, false)).change_refused, ChangeRefusal::none);
  EXPECT_TRUE(leader.out().configure->is_joint());
}

// --- Whether those who are to vote answer ---

// b, and whoever else `answer`, do so now and then; the others have been silent for too long.
void silence_all_but(Node& leader, const Ids& answer, std::uint64_t index) {
  for (int i = 0; i < 2; ++i) {
    leader.hold_up(leader.options().election_timeout_max * 2 / 3);
    for (const NodeId id : answer) leader.acknowledge(id, index);
  }
}

TEST(Membership, ChangeAfterWhichNoMajorityAnswersIsRefused) {
  Node leader = leader_of(voters({a, b, c}), {b, c});
  EXPECT_EQ(Node(leader).step(to({a, c})).change_refused, ChangeRefusal::none);

  silence_all_but(leader, {b}, 2);

  EXPECT_EQ(leader.step(to({a, c})).change_refused, ChangeRefusal::majority_silent);
  EXPECT_EQ(leader.step(to({a, c}, {b})).change_refused, ChangeRefusal::majority_silent);
  EXPECT_EQ(leader.step(to({a, b})).change_refused, ChangeRefusal::none);
}

TEST(Membership, ChangeWaitsForAMajorityThatAnswersAndIsGivenUpWithoutOne) {
  Options options;
  options.learner_silence_max = 1s;
  Node leader = leader_of(voters({a, b, c, d, e}), {b, c, d, e}, options);
  leader.step(to({a, d, e, f}));
  configure(leader);
  leader.written();
  silence_all_but(leader, {b, c, f}, 3);  // a and f are two of four.
  EXPECT_EQ(leader.out().configure, nullptr);

  EXPECT_TRUE(Node(leader).acknowledge(d, 3).configure->is_joint());

  leader.wait(options.learner_silence_max - leader.options().election_timeout_max);
  ASSERT_NE(leader.out().configure, nullptr);
  EXPECT_EQ(*leader.out().configure, *voters({a, b, c, d, e}, {f}));
}

TEST(Membership, ProgressOfThoseWhoStayIsKept) {
  Node leader = leader_of(voters({a, b, c}), {b, c});
  leader.step(to({a, b}));
  configure(leader);
  EXPECT_EQ(leader.core().match_of(b), Index(2));
  EXPECT_EQ(leader.core().match_of(a), leader.core().durable_index());
}

}  // namespace
}  // namespace kuilt::raft::test
