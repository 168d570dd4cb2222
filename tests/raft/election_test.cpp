#include "tests/raft/fixture.hpp"

namespace kuilt::raft::test {
namespace {

const SharedConfiguration three = voters({a, b, c});

VoteRequest vote_request(std::uint64_t term, Position last = {}) {
  return {Term(term), false, last};
}
VoteRequest pre_vote_request(std::uint64_t term, Position last = {}) {
  return {Term(term), true, last};
}

TEST(Election, SingleVoterLeadsOnceItsVoteIsDurableAndCommitsOnceItsNoOpIs) {
  Node node(boot(a, voters({a})));

  node.time_out();
  EXPECT_EQ(node.core().role(), Role::candidate);
  EXPECT_EQ(node.out().write->hard, (HardState{Term(1), a}));

  node.written();
  EXPECT_EQ(node.core().role(), Role::leader);
  EXPECT_EQ(node.core().last(), at(1, 1));
  EXPECT_EQ(node.core().commit_index(), Index(0));

  node.written();
  EXPECT_EQ(node.core().commit_index(), Index(1));
  EXPECT_TRUE(node.core().committed_in_own_term());
}

TEST(Election, SingleVoterStartsNoSecondElectionWhileItsVoteIsOnTheWayToDisk) {
  Node node(boot(a, voters({a})));
  node.time_out();

  node.time_out();
  node.time_out();

  EXPECT_EQ(node.core().term(), Term(1));
  EXPECT_FALSE(node.out().write);
  node.written();
  EXPECT_EQ(node.core().role(), Role::leader);
}

TEST(Election, PreVoteEntersNoTermAndWritesNothing) {
  Node node(boot(a, three, {Term(4), b}, {4}));

  const Output& out = node.time_out();

  EXPECT_EQ(node.core().role(), Role::pre_candidate);
  EXPECT_EQ(node.core().hard_state(), (HardState{Term(4), b}));
  EXPECT_FALSE(out.write);
  EXPECT_THAT(sent<VoteRequest>(out),
              testing::ElementsAre(pre_vote_request(5, at(1, 4)), pre_vote_request(5, at(1, 4))));
}

TEST(Election, CandidateAsksForVotesOnlyOnceItsOwnIsDurable) {
  Node node(boot(a, three));
  node.time_out();

  const Output& out = node.receive(b, VoteReply{Term(1), true, true});

  EXPECT_EQ(node.core().role(), Role::candidate);
  EXPECT_EQ(out.write->hard, (HardState{Term(1), a}));
  EXPECT_EQ(only<VoteRequest>(out, c), vote_request(1));
  EXPECT_EQ(needs_of<VoteRequest>(out), out.write->seq);
}

TEST(Election, OwnVoteCountsOnlyOnceItIsDurable) {
  Node node(boot(a, three));
  node.time_out();
  node.receive(b, VoteReply{Term(1), true, true});

  node.receive(b, VoteReply{Term(1), false, true});
  EXPECT_EQ(node.core().role(), Role::candidate);

  node.written();
  EXPECT_EQ(node.core().role(), Role::leader);
}

TEST(Election, VoteIsPersistedBeforeItIsPromised) {
  Node node(boot(a, three));

  const Output& out = node.receive(b, vote_request(5));

  EXPECT_EQ(out.write->hard, (HardState{Term(5), b}));
  EXPECT_EQ(only<VoteReply>(out, b), (VoteReply{Term(5), false, true}));
  EXPECT_EQ(needs_of<VoteReply>(out), out.write->seq);
}

TEST(Election, VoteThatIsDurableIsRepeatedAtOnce) {
  Node node(boot(a, three));
  node.receive(b, vote_request(5));
  node.written();

  const Output& out = node.receive(b, vote_request(5));

  EXPECT_TRUE(only<VoteReply>(out, b).granted);
  EXPECT_EQ(needs_of<VoteReply>(out), WriteSeq(0));
  EXPECT_FALSE(out.write);
}

TEST(Election, RepeatedVoteStillWaitsForTheWriteOfTheFirst) {
  Node node(boot(a, three));
  const WriteSeq seq = node.receive(b, vote_request(5)).write->seq;

  EXPECT_EQ(needs_of<VoteReply>(node.receive(b, vote_request(5))), seq);
}

TEST(Election, TermHasOneVoteOnly) {
  Node node(boot(a, three));
  node.receive(b, vote_request(5));

  const Output& out = node.receive(c, vote_request(5));

  EXPECT_EQ(only<VoteReply>(out, c), (VoteReply{Term(5), false, false}));
  EXPECT_EQ(node.core().hard_state().vote, b);
}

TEST(Election, VoteSurvivesRestart) {
  Node node(boot(a, three, {Term(5), b}));

  EXPECT_FALSE(only<VoteReply>(node.receive(c, vote_request(5)), c).granted);
  EXPECT_TRUE(only<VoteReply>(node.receive(b, vote_request(5)), b).granted);
}

TEST(Election, VoteSurvivesStepDownInTheSameTerm) {
  Node candidate(boot(a, three));
  candidate.time_out();
  candidate.receive(b, VoteReply{Term(1), true, true});
  ASSERT_EQ(candidate.core().role(), Role::candidate);

  candidate.receive(b, Heartbeat{Term(1), {}, 1});
  EXPECT_EQ(candidate.core().role(), Role::follower);
  EXPECT_EQ(candidate.core().hard_state(), (HardState{Term(1), a}));

  candidate.wait(candidate.options().election_timeout_min - 1ms);
  candidate.receive(c, vote_request(1, at(9, 1)));
  EXPECT_EQ(candidate.core().hard_state(), (HardState{Term(1), a}));
}

TEST(Election, PreVoteGrantIsNoVote) {
  Node node(boot(a, voters({a, b, c, d, e})));
  node.time_out();
  node.receive(b, VoteReply{Term(1), true, true});
  node.receive(c, VoteReply{Term(1), true, true});
  node.written();
  ASSERT_EQ(node.core().role(), Role::candidate);

  node.receive(d, VoteReply{Term(1), true, true});
  node.receive(e, VoteReply{Term(1), true, true});

  EXPECT_EQ(node.core().role(), Role::candidate);
}

// A vote takes two fsyncs, the candidate's and the voter's. If they take longer than the timeout,
// every vote comes after the next pre-vote round has begun.
TEST(Election, VotesThatComeAfterThePreVoteBeganStillElect) {
  Node node(boot(a, three));
  node.time_out();
  node.receive(b, VoteReply{Term(1), true, true});
  node.written();
  node.time_out();
  ASSERT_EQ(node.core().role(), Role::pre_candidate);

  node.receive(b, VoteReply{Term(1), false, true});

  EXPECT_EQ(node.core().role(), Role::leader);
  EXPECT_EQ(node.core().term(), Term(1));
}

TEST(Election, AVoteForALogOfBeforeARestartIsLate) {
  Node node(boot(a, three, {Term(1), a}, {1}));
  node.time_out();
  ASSERT_EQ(node.core().role(), Role::pre_candidate);

  for (const NodeId voter : {b, c}) {
    EXPECT_EQ(node.receive(voter, VoteReply{Term(1), false, true}).refused, Refusal::late_reply);
  }

  EXPECT_EQ(node.core().role(), Role::pre_candidate);
}

TEST(Election, AVoteIsLateOnceAnotherLeads) {
  Node node(boot(a, voters({a, b, c, d, e})));
  node.time_out();
  node.receive(b, VoteReply{Term(1), true, true});
  node.receive(c, VoteReply{Term(1), true, true});
  node.written();
  node.receive(b, VoteReply{Term(1), false, true});
  node.receive(c, Heartbeat{Term(1), {}, 1});
  node.time_out();
  ASSERT_EQ(node.core().role(), Role::pre_candidate);

  EXPECT_EQ(node.receive(d, VoteReply{Term(1), false, true}).refused, Refusal::late_reply);

  EXPECT_EQ(node.core().role(), Role::pre_candidate);
}

TEST(Election, DuplicateVoteCountsOnce) {
  Node node(boot(a, voters({a, b, c, d, e})));
  node.time_out();
  node.receive(b, VoteReply{Term(1), true, true});
  node.receive(b, VoteReply{Term(1), true, true});
  EXPECT_EQ(node.core().role(), Role::pre_candidate);

  node.receive(c, VoteReply{Term(1), true, true});
  node.written();
  node.receive(b, VoteReply{Term(1), false, true});
  node.receive(b, VoteReply{Term(1), false, true});
  EXPECT_EQ(node.core().role(), Role::candidate);

  node.receive(c, VoteReply{Term(1), false, true});
  EXPECT_EQ(node.core().role(), Role::leader);
}

TEST(Election, LearnerNeverCampaignsAndItsVoteNeverCounts) {
  Node learner(boot(d, voters({a, b, c}, {d})));
  learner.time_out();
  EXPECT_EQ(learner.core().role(), Role::follower);
  EXPECT_TRUE(learner.out().send.empty());

  Node node(boot(a, voters({a, b, c}, {d})));
  node.time_out();
  EXPECT_TRUE(sent<VoteRequest>(node.out(), d).empty());
  node.receive(d, VoteReply{Term(1), true, true});
  EXPECT_EQ(node.core().role(), Role::pre_candidate);
}

TEST(Election, LearnerGrantsAVoteThatItIsAskedFor) {
  // It may have become a voter without knowing yet (etcd#10998).
  Node learner(boot(d, voters({a, b, c}, {d})));

  EXPECT_TRUE(only<VoteReply>(learner.receive(a, vote_request(3)), a).granted);
}

TEST(Election, CandidateOutsideTheConfigurationMayBeVotedFor) {
  // This server's configuration may be the older one (rule 6): the other log goes on.
  Node node(boot(a, three));

  const VoteRequest request = vote_request(3, at(1, 1));
  EXPECT_TRUE(only<VoteReply>(node.receive(stranger, request), stranger).granted);
}

TEST(Election, ComparesLastTermBeforeLength) {
  const auto granted = [](Position candidate) {
    Node voter(boot(a, three, {Term(5), NodeId()}, {1, 1, 3}));
    return only<VoteReply>(voter.receive(b, vote_request(6, candidate)), b).granted;
  };

  EXPECT_TRUE(granted(at(3, 3)));
  EXPECT_TRUE(granted(at(1, 4)));
  EXPECT_TRUE(granted(at(4, 3)));
  EXPECT_FALSE(granted(at(2, 3)));
  EXPECT_FALSE(granted(at(9, 2)));
}

TEST(Election, ComparesWithTheBaseWhenTheLogIsEmpty) {
  const auto granted = [](Position candidate) {
    Node voter(boot(a, three, {Term(7), NodeId()}, {}, at(1000, 7)));
    return only<VoteReply>(voter.receive(b, vote_request(8, candidate)), b).granted;
  };

  EXPECT_TRUE(granted(at(1000, 7)));
  EXPECT_FALSE(granted(at(999, 7)));
  EXPECT_FALSE(granted(at(2000, 6)));
}

TEST(Election, RefusedVoteStillAdoptsTheTermButEarnsNoPatience) {
  Node node(boot(a, three, {Term(5), NodeId()}, {5}));
  const Instant due = node.wait(0ms).wake_at;

  const Output& out = node.receive(b, vote_request(6));

  EXPECT_EQ(node.core().hard_state(), (HardState{Term(6), NodeId()}));
  EXPECT_EQ(out.wake_at, due);
}

TEST(Election, GrantedVoteResetsTheTimer) {
  Node node(boot(a, three));
  const Instant due = node.wait(0ms).wake_at;
  node.wait(299ms);

  EXPECT_GE(node.receive(b, vote_request(6)).wake_at, node.now() + 300ms);
  EXPECT_GT(node.out().wake_at, due);
}

TEST(Election, TimeoutIsDrawnAnewEachTime) {
  Node node(boot(a, three));
  std::vector<Duration> waits;
  for (int i = 0; i < 20; ++i) {
    const Output& out = node.receive(b, Heartbeat{Term(1), {}, 1});
    waits.push_back(out.wake_at - node.now());
  }

  EXPECT_THAT(waits, testing::Each(testing::AllOf(testing::Ge(300ms), testing::Lt(600ms))));
  std::ranges::sort(waits);
  EXPECT_EQ(std::ranges::adjacent_find(waits), waits.end());
}

TEST(Stickiness, RequestWhileALeaderIsHeardIsIgnoredAndItsTermNotAdopted) {
  Node node(boot(a, three));
  node.receive(b, Heartbeat{Term(1), {}, 1});
  node.wait(299ms);
  for (const bool pre : {true, false}) {
    const Output& out = node.receive(c, VoteRequest{Term(9), pre, at(9, 8)});
    EXPECT_EQ(out.refused, Refusal::leader_is_live);
    EXPECT_TRUE(out.send.empty());
    EXPECT_EQ(node.core().term(), Term(1));
  }

  node.wait(1ms);
  EXPECT_TRUE(only<VoteReply>(node.receive(c, pre_vote_request(9, at(9, 8))), c).granted);
}

TEST(Stickiness, LeaderWithALiveQuorumIgnoresCandidates) {
  Node node(boot(a, three));
  node.lead({b});

  const Output& out = node.receive(c, vote_request(9, at(9, 8)));

  EXPECT_EQ(out.refused, Refusal::leader_is_live);
  EXPECT_EQ(node.core().role(), Role::leader);
}

TEST(Stickiness, LeaderThatStepsDownLetsTheOthersElectAnother) {
  Node follower(boot(c, three));
  follower.receive(a, Heartbeat{Term(1), {}, 1});

  follower.wait(300ms);

  EXPECT_TRUE(only<VoteReply>(follower.receive(b, pre_vote_request(2)), b).granted);
}

TEST(Election, CandidateFromThePastLearnsTheTermFromARefusal) {
  Node voter(boot(a, three, {Term(7), NodeId()}));
  const Output& refused = voter.receive(b, pre_vote_request(3));
  EXPECT_EQ(refused.refused, Refusal::stale_term);
  const VoteReply reply = only<VoteReply>(refused, b);
  EXPECT_EQ(reply, (VoteReply{Term(7), true, false}));

  Node candidate(boot(b, three, {Term(2), NodeId()}));
  candidate.time_out();
  candidate.receive(a, reply);
  EXPECT_EQ(candidate.core().role(), Role::follower);
  EXPECT_EQ(candidate.core().term(), Term(7));
}

TEST(Election, LeaderOfThePastIsToldTheTermAndStepsDown) {
  Node follower(boot(a, three, {Term(7), NodeId()}));
  const HeartbeatReply beat = only<HeartbeatReply>(follower.receive(b, Heartbeat{Term(1), {}, 1}));
  const AppendReply append =
      only<AppendReply>(follower.receive(b, AppendRequest{Term(1), {}, {}, entries({1})}));
  EXPECT_EQ(beat.round, 0U);
  EXPECT_FALSE(append.accepted);

  for (const Message& answer : {Message(beat), Message(append)}) {
    Node leader(boot(b, three));
    leader.lead({c});
    ASSERT_EQ(leader.core().role(), Role::leader);
    leader.receive(a, answer);
    EXPECT_EQ(leader.core().role(), Role::follower);
    EXPECT_EQ(leader.core().term(), Term(7));
    EXPECT_EQ(leader.out().write->hard, (HardState{Term(7), NodeId()}));
  }
}

TEST(CheckQuorum, LeaderThatHearsNoQuorumStepsDownAndKeepsItsVote) {
  Node node(boot(a, three));
  node.lead({b});
  node.wait(599ms);
  EXPECT_EQ(node.core().role(), Role::leader);

  const Output& out = node.wait(1ms);

  EXPECT_EQ(node.core().role(), Role::follower);
  EXPECT_EQ(node.core().leader(), std::nullopt);
  EXPECT_EQ(node.core().hard_state(), (HardState{Term(1), a}));
  EXPECT_TRUE(out.leadership);
}

TEST(CheckQuorum, AnswersOfAQuorumKeepTheLeader) {
  Node node(boot(a, three));
  node.lead({b});
  node.written();
  for (int i = 0; i < 10; ++i) {
    node.wait(500ms);
    node.receive(b, HeartbeatReply{Term(1), 1, {}, {}, boot_of(b)});
  }

  EXPECT_EQ(node.core().role(), Role::leader);
}

// What came in while this server was held up is heard before it is judged who was silent.
TEST(CheckQuorum, ALeaderThatWasHeldUpHearsTheRepliesBeforeItCountsItsQuorum) {
  Node node(boot(a, three));
  node.lead({b});
  node.hold_up(2s);
  node.written();
  node.receive(b, HeartbeatReply{Term(1), 1, {}, {}, boot_of(b)});

  node.step(Tick{});

  EXPECT_EQ(node.core().role(), Role::leader);
}

TEST(CheckQuorum, AFollowerThatWasHeldUpHearsItsLeaderBeforeItCampaigns) {
  Node node(boot(a, three));
  node.receive(b, Heartbeat{Term(1), {}, 1});
  node.hold_up(2s);
  node.receive(c, HeartbeatReply{Term(1), 1, {}, {}, boot_of(c)});
  node.receive(b, Heartbeat{Term(1), {}, 2});

  node.step(Tick{});

  EXPECT_EQ(node.core().role(), Role::follower);
}

TEST(CheckQuorum, LearnersDoNotCount) {
  Node node(boot(a, voters({a, b, c}, {d, e})));
  node.lead({b});
  node.wait(599ms);
  node.receive(d, HeartbeatReply{Term(1), 1, {}, {}, boot_of(d)});
  node.receive(e, HeartbeatReply{Term(1), 1, {}, {}, boot_of(e)});

  node.wait(1ms);

  EXPECT_EQ(node.core().role(), Role::follower);
}

TEST(Election, LeaderIsForgottenOnceItIsSilent) {
  Node learner(boot(d, voters({a, b, c}, {d})));
  learner.receive(a, Heartbeat{Term(1), {}, 1});
  EXPECT_EQ(learner.core().leader(), a);

  learner.time_out();

  EXPECT_EQ(learner.core().leader(), std::nullopt);
  EXPECT_TRUE(learner.out().leadership);
}

TEST(Election, EveryGroupSizeElectsWithItsMajorityAndNoLess) {
  const std::vector<NodeId> ids = {a, b, c, d, e, NodeId::named("f"), NodeId::named("g")};
  for (const std::size_t size : {1U, 2U, 3U, 5U, 7U}) {
    const std::vector<NodeId> all(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(size));
    const std::size_t others = size / 2;
    Node node(boot(a, voters(all)));
    if (others > 0) {
      node.lead({all.begin() + 1, all.begin() + static_cast<std::ptrdiff_t>(others)});
      EXPECT_NE(node.core().role(), Role::leader) << size;
    }
    Node winner(boot(a, voters(all)));
    winner.lead({all.begin() + 1, all.begin() + 1 + static_cast<std::ptrdiff_t>(others)});
    EXPECT_EQ(winner.core().role(), Role::leader) << size;
  }
}

}  // namespace
}  // namespace kuilt::raft::test
