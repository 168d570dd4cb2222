// The hand-over of the lead (dissertation 3.10): what the leader does, what the successor does, and
// what everybody else does to a candidate that says that the leader asked for it.
#include "raft/invariants.hpp"
#include "tests/raft/fixture.hpp"

namespace kuilt::raft::test {
namespace {

const SharedConfiguration three = voters({a, b, c});

// Leads term 1; its log is one no-op, which b has and c has not.
Node leader_of(const SharedConfiguration& configuration = three) {
  Node node(boot(a, configuration));
  node.lead({b});
  node.acknowledge(b, 1);
  return node;
}

// Follows b in term 1 with a log of one entry, all of it durable.
Node follower_of_b() {
  Node node(boot(a, three, {Term(1), NodeId()}, {1}));
  node.receive(b, Heartbeat{Term(1), {}, 1});
  return node;
}

const TimeoutNow stand{Term(1), at(1, 1)};

TransferEnd end_of(const Output& out) {
  EXPECT_TRUE(out.transfer.has_value());
  return out.transfer ? out.transfer->end : TransferEnd::done;
}

// --- The leader ---

TEST(Transfer, VoterWithTheWholeLogIsToldToStandAtOnce) {
  Node node = leader_of();

  const Output& out = node.step(TransferLeadership{b});

  EXPECT_EQ(only<TimeoutNow>(out, b), stand);
  EXPECT_TRUE(node.core().hands_over());
  EXPECT_FALSE(out.transfer);
}

TEST(Transfer, VoterThatLacksEntriesIsToldOnceItHasThemOnItsDisk) {
  Node node = leader_of();
  node.propose(2);

  EXPECT_TRUE(sent<TimeoutNow>(node.step(TransferLeadership{b})).empty());
  EXPECT_TRUE(sent<TimeoutNow>(node.acknowledge(b, 2)).empty());

  EXPECT_EQ(only<TimeoutNow>(node.acknowledge(b, 3), b), (TimeoutNow{Term(1), at(3, 1)}));
}

TEST(Transfer, TargetIsToldAgainInEachHeartbeatRoundAndNotMoreOften) {
  Node node = leader_of();
  node.step(TransferLeadership{b});

  EXPECT_TRUE(sent<TimeoutNow>(node.acknowledge(b, 1)).empty());
  EXPECT_EQ(sent<TimeoutNow>(node.wait(node.options().heartbeat_interval)).size(), 1U);
}

TEST(Transfer, WithoutATargetTheVoterThatLacksLeastIsChosen) {
  Node node = leader_of();
  node.acknowledge(c, 1);
  node.propose();
  node.acknowledge(c, 2);

  const Output& out = node.step(TransferLeadership{});

  EXPECT_EQ(sent<TimeoutNow>(out, c).size(), 1U);
  EXPECT_TRUE(sent<TimeoutNow>(out, b).empty());
}

TEST(Transfer, IsDoneWhenTheTargetLeads) {
  Node node = leader_of();
  node.step(TransferLeadership{b});

  const Output& deposed = node.receive(b, VoteRequest{Term(2), false, at(1, 1), true});
  EXPECT_FALSE(deposed.transfer);
  EXPECT_EQ(node.core().role(), Role::follower);
  node.written();
  const Output& out = node.receive(b, Heartbeat{Term(2), at(1, 1), 1});

  EXPECT_EQ(out.transfer, (TransferEnded{TransferEnd::done, b}));
}

TEST(Transfer, EndsWhenAnotherOneWins) {
  Node node = leader_of();
  node.step(TransferLeadership{b});

  const Output& out = node.receive(c, Heartbeat{Term(2), {}, 1});

  EXPECT_EQ(out.transfer, (TransferEnded{TransferEnd::another_won, b}));
}

TEST(Transfer, EndsWhenTheOldLeaderIsElectedAgain) {
  Node node = leader_of();
  node.step(TransferLeadership{b});
  node.wait(node.options().heartbeat_interval);
  node.receive(b, VoteReply{Term(2), false, false});  // It stood, and nobody heard it.
  ASSERT_EQ(node.core().role(), Role::follower);

  for (int i = 0; i < 2 && node.core().role() != Role::leader; ++i) {
    node.written();
    node.wait(node.options().election_timeout_max - node.options().heartbeat_interval - 1ns);
    node.receive(c, VoteReply{node.core().term().next(), true, true});
    node.written();
    node.receive(c, VoteReply{node.core().term(), false, true});
  }

  ASSERT_EQ(node.core().role(), Role::leader);
  EXPECT_EQ(end_of(node.out()), TransferEnd::another_won);
  EXPECT_FALSE(node.core().hands_over());
}

TEST(Transfer, TargetThatStaysBehindGivesTheLeadBack) {
  Node node = leader_of();
  node.step(TransferLeadership{c});
  node.wait(node.options().election_timeout_max - 1ns);
  node.acknowledge(b, 1);
  node.acknowledge(c, 0);
  ASSERT_TRUE(node.core().hands_over());

  const Output& out = node.wait(1ns);

  EXPECT_EQ(out.transfer, (TransferEnded{TransferEnd::target_behind, c}));
  EXPECT_EQ(node.core().role(), Role::leader);
  EXPECT_FALSE(node.core().hands_over());
  node.propose();
  EXPECT_EQ(node.core().last(), at(2, 1));
}

TEST(Transfer, TargetThatDoesNotWinInTimeGivesTheLeadBack) {
  Node node = leader_of();
  node.step(TransferLeadership{b});
  node.wait(node.options().election_timeout_max - 1ns);
  node.acknowledge(c, 1);

  EXPECT_EQ(end_of(node.wait(1ns)), TransferEnd::target_not_won);
  EXPECT_FALSE(node.core().hands_over());
  EXPECT_EQ(node.core().role(), Role::leader);
}

TEST(Transfer, DeadlineOfAnEarlierHandOverEndsNoLaterOne) {
  Node node = leader_of();
  const Duration limit = node.options().election_timeout_max;
  node.step(TransferLeadership{b});
  node.receive(b, VoteReply{Term(2), false, false});
  node.written();
  node.wait(limit - 1ns);
  node.receive(c, VoteReply{Term(3), true, true});
  node.written();
  ASSERT_EQ(end_of(node.receive(c, VoteReply{Term(3), false, true})), TransferEnd::another_won);
  node.step(TransferLeadership{c});

  EXPECT_FALSE(node.wait(1ns).transfer);  // The first one would have been given up now.
  node.wait(limit - 2ns);
  node.acknowledge(b, 1);
  EXPECT_TRUE(node.core().hands_over());

  EXPECT_EQ(node.wait(1ns).transfer, (TransferEnded{TransferEnd::target_behind, c}));
}

TEST(Transfer, IsGivenUpInTimeThoughTheLeadIsLost) {
  Node node = leader_of();
  node.step(TransferLeadership{b});
  node.receive(c, VoteReply{Term(5), false, false});
  ASSERT_EQ(node.core().role(), Role::follower);
  EXPECT_LE(node.out().wake_at, node.now() + node.options().election_timeout_max);

  EXPECT_EQ(end_of(node.wait(node.options().election_timeout_max)), TransferEnd::target_not_won);
}

TEST(Transfer, LeaderThatHandsOverAsksToBeWokenForTheEnd) {
  Node node = leader_of();
  node.step(TransferLeadership{c});
  const Instant until = node.now() + node.options().election_timeout_max;
  while (node.out().wake_at < until) {
    ASSERT_GT(node.out().wake_at, node.now());
    node.wait(node.out().wake_at - node.now());
    node.acknowledge(b, 1);
  }

  EXPECT_EQ(node.out().wake_at, until);
}

// Each refusal by name, beside a hand-over that begins.
TEST(Transfer, RequestIsRefusedByName) {
  const SharedConfiguration with_learner = voters({a, b, c}, {d});
  const auto asked = [](Node node, std::optional<NodeId> target) {
    const std::string before = node.core().fingerprint();
    const TransferEnd end = end_of(node.step(TransferLeadership{target}));
    EXPECT_TRUE(node.out().send.empty());
    EXPECT_EQ(node.core().fingerprint(), before);
    return end;
  };
  Node busy = leader_of();
  busy.step(TransferLeadership{b});
  Node deserted = leader_of();
  deserted.hold_up(deserted.options().election_timeout_max);

  EXPECT_EQ(asked(follower_of_b(), b), TransferEnd::not_leader);
  EXPECT_EQ(asked(busy, b), TransferEnd::under_way);
  EXPECT_EQ(asked(busy, c), TransferEnd::under_way);
  EXPECT_EQ(asked(leader_of(), stranger), TransferEnd::unknown_target);
  EXPECT_EQ(asked(leader_of(with_learner), d), TransferEnd::target_does_not_vote);
  EXPECT_EQ(end_of(Node(deserted).step(TransferLeadership{b})), TransferEnd::target_silent);
  EXPECT_EQ(end_of(deserted.step(TransferLeadership{})), TransferEnd::no_successor);
  EXPECT_EQ(asked(leader_of(), a), TransferEnd::done);
  Node sound = leader_of(with_learner);
  EXPECT_FALSE(sound.step(TransferLeadership{b}).transfer);
  EXPECT_TRUE(sound.core().hands_over());
}

TEST(Transfer, OneVoterHasNoSuccessor) {
  Node node(boot(a, voters({a}, {d})));
  node.time_out();
  node.written();
  ASSERT_EQ(node.core().role(), Role::leader);

  EXPECT_EQ(end_of(node.step(TransferLeadership{})), TransferEnd::no_successor);
}

TEST(TransferDeath, LeaderThatHandsOverTakesNoProposals) {
  Node node = leader_of();
  node.step(TransferLeadership{b});

  EXPECT_DEATH(node.propose(), "hands_over");
}

// --- The successor ---

TEST(Transfer, SuccessorStandsWithoutAPreVote) {
  Node node = follower_of_b();

  const Output& out = node.receive(b, stand);

  EXPECT_EQ(node.core().role(), Role::candidate);
  EXPECT_EQ(only<VoteRequest>(out, c), (VoteRequest{Term(2), false, at(1, 1), true}));
  // Rule 1: nobody is asked before the own vote is on disk.
  EXPECT_EQ(out.write->hard, (HardState{Term(2), a}));
  EXPECT_EQ(needs_of<VoteRequest>(out), out.write->seq);
}

TEST(Transfer, SuccessorLeadsOnceItsOwnVoteIsDurable) {
  Node node = follower_of_b();
  node.receive(b, stand);

  node.receive(b, VoteReply{Term(2), false, true});
  EXPECT_EQ(node.core().role(), Role::candidate);
  node.written();

  EXPECT_EQ(node.core().role(), Role::leader);
}

TEST(Transfer, SuccessorThatLosesStandsAgainLikeAnybodyElse) {
  Node node = follower_of_b();
  node.receive(b, stand);
  node.written();

  const Output& out = node.time_out();

  EXPECT_EQ(only<VoteRequest>(out, c), (VoteRequest{Term(3), true, at(1, 1), false}));
}

void expect_refused(Node node, NodeId from, const Message& message, Refusal refusal) {
  const std::string before = node.core().fingerprint();
  const Output& out = node.receive(from, message);
  EXPECT_EQ(out.refused, refusal);
  EXPECT_TRUE(out.send.empty());
  EXPECT_FALSE(out.write);
  EXPECT_EQ(node.core().fingerprint(), before);
}

// Each by its own guard: the message differs from the sound one in one thing.
TEST(Refusals, OrderToStandIsObeyedFromTheLeaderOfTheTermAlone) {
  expect_refused(follower_of_b(), b, TimeoutNow{Term(0), {}}, Refusal::no_term);
  expect_refused(follower_of_b(), b, TimeoutNow{Term(2), at(1, 1)}, Refusal::sender_does_not_lead);
  expect_refused(follower_of_b(), c, stand, Refusal::sender_does_not_lead);
  expect_refused(follower_of_b(), stranger, stand, Refusal::sender_does_not_lead);
  expect_refused(follower_of_b(), a, stand, Refusal::sender_is_self);
  expect_refused(leader_of(), b, stand, Refusal::sender_does_not_lead);
  expect_refused(Node(boot(a, three, {Term(1), NodeId()}, {1})), b, stand,
                 Refusal::sender_does_not_lead);  // As yet it knows of no leader in its term.
  EXPECT_EQ(follower_of_b().receive(b, stand).refused, Refusal::none);
}

TEST(Refusals, OrderToStandIsForTheLogThatTheLeaderHad) {
  Node longer = follower_of_b();
  longer.receive(b, AppendRequest{Term(1), at(1, 1), Index(0), {command(2, 1)}});
  longer.written();

  expect_refused(longer, b, stand, Refusal::log_differs);
  expect_refused(follower_of_b(), b, TimeoutNow{Term(1), at(2, 1)}, Refusal::log_differs);
  EXPECT_EQ(longer.receive(b, TimeoutNow{Term(1), at(2, 1)}).refused, Refusal::none);
}

TEST(Refusals, LearnerDoesNotStand) {
  Node node(boot(d, voters({a, b, c}, {d}), {Term(1), NodeId()}, {1}));
  node.receive(b, Heartbeat{Term(1), {}, 1});

  expect_refused(node, b, stand, Refusal::learner_does_not_stand);
}

TEST(Refusals, NobodyStandsWhileItsLastVoteIsOnItsWayToTheDisk) {
  Node node(boot(a, three));
  const TimeoutNow order{Term(1), {}};
  node.receive(b, Heartbeat{Term(1), {}, 1});

  expect_refused(node, b, order, Refusal::vote_not_durable);
  node.written();
  EXPECT_EQ(node.receive(b, order).refused, Refusal::none);
}

TEST(Transfer, OrderOfAnEarlierTermDoesNothing) {
  Node node = follower_of_b();
  node.receive(c, Heartbeat{Term(2), {}, 1});
  node.written();

  expect_refused(node, b, stand, Refusal::stale_term);
  expect_refused(node, c, stand, Refusal::stale_term);
}

// --- The voters ---

TEST(Transfer, VoterHearsACandidateThatItsLeaderAskedFor) {
  const VoteRequest vote{Term(2), false, at(1, 1), true};
  const VoteRequest unasked{Term(2), false, at(1, 1), false};
  const VoteRequest pre{Term(2), true, at(1, 1), true};

  expect_refused(follower_of_b(), c, unasked, Refusal::leader_is_live);
  expect_refused(follower_of_b(), c, pre, Refusal::leader_is_live);
  Node node = follower_of_b();
  const Output& out = node.receive(c, vote);

  EXPECT_EQ(out.refused, Refusal::none);
  EXPECT_EQ(only<VoteReply>(out, c), (VoteReply{Term(2), false, true}));
}

TEST(Transfer, TheFlagBuysNoVoteForAShorterLog) {
  Node node(boot(a, three, {Term(1), NodeId()}, {1, 1}));
  node.receive(b, Heartbeat{Term(1), {}, 1});

  const Output& out = node.receive(c, VoteRequest{Term(2), false, at(1, 1), true});

  EXPECT_FALSE(only<VoteReply>(out, c).granted);
  EXPECT_TRUE(node.core().hard_state().vote.is_none());
}

TEST(Transfer, TheFlagBuysNoSecondVote) {
  Node node = follower_of_b();
  node.receive(c, VoteRequest{Term(2), false, at(1, 1), true});
  node.written();

  const Output& out = node.receive(b, VoteRequest{Term(2), false, at(1, 1), true});

  EXPECT_FALSE(only<VoteReply>(out, b).granted);
  EXPECT_EQ(node.core().hard_state(), (HardState{Term(2), c}));
}

TEST(Transfer, TheFlagBuysNoVoteInAnEarlierTerm) {
  Node node(boot(a, three, {Term(3), NodeId()}, {1}));

  const Output& out = node.receive(c, VoteRequest{Term(2), false, at(1, 1), true});

  EXPECT_EQ(out.refused, Refusal::stale_term);
  EXPECT_FALSE(only<VoteReply>(out, c).granted);
}

// --- What is watched ---

TEST(Transfer, IsPartOfTheFingerprint) {
  Node idle = leader_of();
  Node handing_over = leader_of();
  Node to_another = leader_of();
  handing_over.step(TransferLeadership{b});
  to_another.step(TransferLeadership{c});

  EXPECT_NE(handing_over.core().fingerprint(), idle.core().fingerprint());
  EXPECT_NE(handing_over.core().fingerprint(), to_another.core().fingerprint());
}

TEST(Transfer, EntryAppendedWhileHandingOverIsABrokenPromise) {
  Node node = leader_of();
  node.step(TransferLeadership{c});
  const View before = view_of(node.core());
  View after = before;
  EXPECT_FALSE(broken_between(before, after));

  after.last = after.last.next();

  EXPECT_EQ(broken_between(before, after), "a leader that hands over appends nothing");
  after.hands_over = false;
  EXPECT_FALSE(broken_between(before, after));
  after.role = Role::follower;
  after.hands_over = true;
  EXPECT_EQ(broken_now(after), "only a leader hands over");
}

}  // namespace
}  // namespace kuilt::raft::test
