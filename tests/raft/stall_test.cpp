// Rule 7: what a server does whose disk hangs, as a leader, as a follower, as a voter. And what a
// slow follower costs the others, and a process that was paused.
#include "raft/invariants.hpp"
#include "raft/outbox.hpp"
#include "tests/raft/fixture.hpp"

namespace kuilt::raft::test {
namespace {

const SharedConfiguration three = voters({a, b, c});
const Duration stall = Options{}.disk_stall_max;
const Duration patience = Options{}.election_timeout_min;

HeartbeatReply beat_of(const Node& node, NodeId from, Duration disk_age = {}) {
  return {node.core().term(), 0, Index(1), disk_age, boot_of(from)};
}

// Leads term 1; its log is one no-op, which all have.
Node leader_of(const SharedConfiguration& configuration = three) {
  Node node(boot(a, configuration));
  node.lead({b});
  node.written();
  node.acknowledge(b, 1);
  node.acknowledge(c, 1);
  return node;
}

// Time passes while the others are heard.
const Output& pass(Node& node, Duration time) {
  for (;; time -= 100ms) {
    node.receive(b, beat_of(node, b));
    node.receive(c, beat_of(node, c));
    if (time <= 100ms) return node.wait(time);
    node.wait(100ms);
  }
}

// Of two entries b has both, c has one, and the own disk has neither.
Node leader_with_a_hung_disk() {
  Node node = leader_of();
  node.propose(2);
  node.acknowledge(b, 3);
  node.acknowledge(c, 2);
  pass(node, stall);
  return node;
}

bool keeps_others_patient(const Output& out) {
  return !sent<Heartbeat>(out).empty() || !sent<AppendRequest>(out).empty();
}

// --- The leader ---

TEST(Stall, LeaderWhoseDiskHangsTellsTheVoterWithTheWholeLogToStand) {
  Node node = leader_of();
  node.propose(2);
  node.acknowledge(b, 3);
  ASSERT_EQ(node.core().commit_index(), Index(1)) << "one disk of three";

  pass(node, stall - 1ns);
  EXPECT_FALSE(node.core().disk_stalled());
  EXPECT_LE(node.out().wake_at, node.now() + 1ns);
  const Output& out = node.wait(1ns);

  EXPECT_TRUE(out.disk && out.gave_way);
  EXPECT_TRUE(node.core().disk_stalled());
  EXPECT_EQ(node.core().disk_age(), stall);
  EXPECT_EQ(only<TimeoutNow>(out, b), (TimeoutNow{Term(1), at(3, 1)}));
  EXPECT_TRUE(node.core().hands_over());
  EXPECT_FALSE(keeps_others_patient(out));
}

TEST(Stall, ThatTheOthersCouldGoOnWithoutTheOwnDiskChangesNothing) {
  Node node = leader_of();
  node.propose();
  node.acknowledge(b, 2);
  node.acknowledge(c, 2);
  ASSERT_EQ(node.core().commit_index(), Index(2)) << "committed on two disks of three";

  const Output& out = pass(node, stall);

  EXPECT_TRUE(out.gave_way);
  EXPECT_FALSE(keeps_others_patient(out));
}

TEST(Stall, LeaderThatGivesWaySendsNothingThatKeepsOthersPatient) {
  Node node = leader_with_a_hung_disk();

  EXPECT_FALSE(keeps_others_patient(node.wait(60ms)));
  EXPECT_FALSE(keeps_others_patient(node.acknowledge(c, 3)));
  EXPECT_EQ(node.core().commit_index(), Index(3));
  EXPECT_FALSE(keeps_others_patient(node.step(Read{ReadId(1)})));
  EXPECT_FALSE(keeps_others_patient(node.receive(c, node.rejected(c, 1, {}))));
  EXPECT_FALSE(keeps_others_patient(node.step(PeerLost{b})));
  for (Duration waited = 60ms; waited < patience; waited += 60ms) {
    EXPECT_FALSE(keeps_others_patient(node.wait(60ms)));
    EXPECT_GT(node.out().wake_at, node.now()) << "it does not spin";
  }
}

TEST(Stall, SuccessorIsToldAgainInEachRound) {
  Node node = leader_with_a_hung_disk();

  EXPECT_TRUE(sent<TimeoutNow>(node.acknowledge(b, 3)).empty());
  EXPECT_EQ(sent<TimeoutNow>(node.wait(node.options().heartbeat_interval), b).size(), 1U);
}

TEST(Stall, SuccessorThatLacksEntriesIsToldOnceItHasThemOnItsDisk) {
  Node node = leader_of();
  node.propose(2);
  node.acknowledge(b, 2);
  EXPECT_TRUE(sent<TimeoutNow>(pass(node, stall)).empty());

  EXPECT_EQ(only<TimeoutNow>(node.acknowledge(b, 3), b), (TimeoutNow{Term(1), at(3, 1)}));
}

TEST(Stall, LeaderThatNobodyRelievesInTimeStepsDown) {
  Node node = leader_with_a_hung_disk();

  node.wait(patience - 1ns);
  EXPECT_EQ(node.core().role(), Role::leader);
  const Output& out = node.wait(1ns);

  EXPECT_EQ(node.core().role(), Role::follower);
  EXPECT_TRUE(out.leadership);
  EXPECT_EQ(out.transfer, (TransferEnded{TransferEnd::target_not_won, b}));
  EXPECT_FALSE(node.core().leader());
}

TEST(Stall, SuccessorIsOneWhoseDiskWorks) {
  Node node = leader_of();
  node.propose(2);
  node.acknowledge(b, 3);
  node.acknowledge(c, 2);
  pass(node, stall - 1ns);
  node.receive(b, beat_of(node, b, stall));
  node.receive(c, beat_of(node, c, stall - 1ns));

  node.wait(1ns);

  EXPECT_TRUE(sent<TimeoutNow>(node.out(), b).empty());
  EXPECT_EQ(sent<TimeoutNow>(node.acknowledge(c, 3), c).size(), 1U);
}

TEST(Stall, LeaderWithoutAnySuccessorStepsDownAtOnce) {
  Node node = leader_of();
  node.propose();
  pass(node, stall - 1ns);
  node.receive(b, beat_of(node, b, stall));
  node.receive(c, beat_of(node, c, stall));

  const Output& out = node.wait(1ns);

  EXPECT_TRUE(out.gave_way);
  EXPECT_EQ(node.core().role(), Role::follower);
}

TEST(Stall, WhoeverAsksForAHandOverToAServerWhoseDiskHangsIsToldSo) {
  Node node = leader_of();
  node.receive(b, beat_of(node, b, stall));
  EXPECT_EQ(node.step(TransferLeadership{b}).transfer,
            (TransferEnded{TransferEnd::target_disk_stalled, b}));

  node.receive(b, beat_of(node, b, stall - 1ns));
  EXPECT_FALSE(node.step(TransferLeadership{b}).transfer);
}

TEST(Stall, HandOverThatWasAskedForEndsWithTheLead) {
  Node node = leader_of();
  node.propose();
  pass(node, stall - 1ms);
  node.step(TransferLeadership{c});

  pass(node, 1ms);
  EXPECT_TRUE(node.core().hands_over());
  node.wait(patience);

  EXPECT_EQ(node.out().transfer, (TransferEnded{TransferEnd::target_behind, c}));
  EXPECT_EQ(node.core().role(), Role::follower);
}

TEST(Stall, LeaderWhoseDiskIsBackLeadsOn) {
  Node node = leader_with_a_hung_disk();
  node.wait(60ms);

  const Output& out = node.written();
  EXPECT_TRUE(out.disk);
  EXPECT_FALSE(node.core().disk_stalled());
  EXPECT_EQ(sent<Heartbeat>(node.wait(60ms)).size(), 2U);

  pass(node, patience);
  EXPECT_EQ(node.core().role(), Role::leader);
  EXPECT_FALSE(node.core().hands_over());
  EXPECT_FALSE(node.propose().send.empty());
}

TEST(Stall, NothingToWriteIsHealthy) {
  Node node = leader_of();

  pass(node, 5 * stall);

  EXPECT_EQ(node.core().role(), Role::leader);
  EXPECT_FALSE(node.core().disk_stalled());
  EXPECT_EQ(node.core().disk_age(), 0ns);
}

TEST(Stall, SlowDiskThatIsDoneInTimeIsHealthy) {
  Node node = leader_of();
  for (int i = 0; i < 5; ++i) {
    node.propose();
    pass(node, stall - 1ms);
    node.written();
  }

  EXPECT_EQ(node.core().role(), Role::leader);
  EXPECT_FALSE(node.core().disk_stalled());
}

TEST(Stall, ThatTheNewestWriteIsYoungDoesNotHelp) {
  Node node = leader_of();
  node.propose();
  for (Duration waited{}; waited < stall; waited += 100ms) {
    pass(node, 100ms);
    if (!node.core().disk_stalled()) node.propose();
  }

  EXPECT_TRUE(node.core().disk_stalled());
}

TEST(Stall, LeaderThatIsTheOnlyVoterHasNobodyToGiveWayTo) {
  Node node(boot(a, voters({a}, {d})));
  node.time_out();
  node.written();
  node.propose();

  const Output& out = node.wait(stall);

  EXPECT_TRUE(node.core().disk_stalled());
  EXPECT_FALSE(out.gave_way);
  EXPECT_EQ(node.core().role(), Role::leader);
  EXPECT_EQ(sent<Heartbeat>(out, d).size(), 1U);
  EXPECT_GT(out.wake_at, node.now());
  EXPECT_EQ(node.written().committed, true);
  EXPECT_FALSE(node.core().disk_stalled());
}

TEST(Stall, LearnersAreNoSuccessors) {
  Node node(boot(a, voters({a, b}, {d})));
  node.lead({b});
  node.written();
  node.propose();
  node.acknowledge(d, 2);
  pass(node, stall - 1ns);
  node.receive(b, beat_of(node, b, stall));

  EXPECT_TRUE(sent<TimeoutNow>(node.wait(1ns)).empty());
  EXPECT_EQ(node.core().role(), Role::follower);
}

// --- Followers and voters ---

// Follows b in term 1; the write of its second entry hangs.
Node follower_with_a_hung_disk() {
  Node node(boot(a, three, {Term(1), NodeId()}, {1}));
  node.receive(b, AppendRequest{Term(1), at(1, 1), Index(0), {command(2, 1)}});
  for (Duration waited{}; waited < stall; waited += 100ms) {
    node.wait(100ms);
    node.receive(b, Heartbeat{Term(1), {}, 1});
  }
  return node;
}

TEST(Stall, ServerWhoseDiskHangsDoesNotStandUntilItIsBack) {
  Node node = follower_with_a_hung_disk();
  ASSERT_TRUE(node.core().disk_stalled());

  EXPECT_TRUE(node.time_out().send.empty());
  EXPECT_EQ(node.core().role(), Role::follower);
  node.time_out();
  EXPECT_EQ(node.core().role(), Role::follower);
  EXPECT_GT(node.out().wake_at, node.now());

  node.written();
  EXPECT_EQ(sent<VoteRequest>(node.time_out()).size(), 2U);
}

TEST(Stall, ServerThatLearnsThatItsDiskHangsWhenItIsToStandDoesNot) {
  Node node(boot(a, three, {Term(1), NodeId()}, {1}));
  node.receive(b, AppendRequest{Term(1), at(1, 1), Index(0), {command(2, 1)}});

  EXPECT_TRUE(node.wait(stall).send.empty());  // Both at once: the election timeout has passed.
  EXPECT_EQ(node.core().role(), Role::follower);
}

TEST(Stall, PreVotesThatComeAfterTheDiskHasHungLeadToNoCampaign) {
  Node node(boot(a, three, {Term(1), NodeId()}, {1}));
  node.receive(b, AppendRequest{Term(1), at(1, 1), Index(0), {command(2, 1)}});
  node.time_out();
  ASSERT_EQ(node.core().role(), Role::pre_candidate);
  for (Duration waited{}; waited < stall; waited += 100ms) node.wait(100ms);

  EXPECT_EQ(node.receive(c, VoteReply{Term(2), true, true}).refused, Refusal::disk_stalled);
  EXPECT_EQ(node.core().term(), Term(1));

  node.written();
  EXPECT_EQ(node.receive(c, VoteReply{Term(2), true, true}).refused, Refusal::none);
  EXPECT_EQ(node.core().role(), Role::candidate);
}

// Each refused by this guard: the same is answered once the disk is back.
TEST(Stall, VoterWhoseDiskHangsAnswersNoVote) {
  const VoteRequest vote{Term(2), false, at(2, 1), true};
  const VoteRequest pre{Term(2), true, at(2, 1)};
  const VoteRequest stale{Term(1), true, {}};
  for (const VoteRequest& request : {vote, pre, stale}) {
    Node node = follower_with_a_hung_disk();
    const std::string before = node.core().fingerprint();

    EXPECT_EQ(node.receive(c, request).refused, Refusal::disk_stalled);
    EXPECT_TRUE(node.out().send.empty());
    EXPECT_EQ(node.core().fingerprint(), before);

    node.written();
    node.hold_up(patience);
    EXPECT_EQ(sent<VoteReply>(node.receive(c, request), c).size(), 1U);
  }
}

TEST(Stall, OrderToStandIsRefusedWhileTheDiskHangs) {
  Node node = follower_with_a_hung_disk();
  const TimeoutNow order{Term(1), at(2, 1)};

  EXPECT_EQ(node.receive(b, order).refused, Refusal::disk_stalled);

  node.written();
  EXPECT_EQ(node.receive(b, order).refused, Refusal::none);
  EXPECT_EQ(node.core().role(), Role::candidate);
}

TEST(Stall, FollowerWhoseDiskHangsFollowsAndSaysHowOldItsWriteIs) {
  Node node = follower_with_a_hung_disk();

  const Output& out = node.receive(b, Heartbeat{Term(1), at(1, 1), 7});

  EXPECT_EQ(only<HeartbeatReply>(out, b).disk_age, stall);
  EXPECT_EQ(node.core().leader(), b);
  EXPECT_EQ(node.core().commit_index(), Index(1));
}

TEST(Stall, IsPartOfTheFingerprint) {
  Node young = leader_of();
  young.propose();
  Node old = young;
  young.hold_up(1ms);
  old.hold_up(2ms);
  young.receive(b, beat_of(young, b));
  old.receive(b, beat_of(old, b));
  EXPECT_NE(young.core().fingerprint(), old.core().fingerprint());

  Node answered = leader_of();
  Node stalled = leader_of();
  answered.receive(b, beat_of(answered, b));
  stalled.receive(b, beat_of(stalled, b, stall));
  EXPECT_NE(answered.core().fingerprint(), stalled.core().fingerprint());
}

TEST(Stall, WhoStandsThoughItsDiskHangsBreaksAPromise) {
  Node node = follower_with_a_hung_disk();
  const View before = view_of(node.core());
  View after = before;
  EXPECT_FALSE(broken_between(before, after));

  after.role = Role::pre_candidate;
  EXPECT_EQ(broken_between(before, after), "nobody stands whose disk hangs");
  after.disk_stalled = false;
  EXPECT_FALSE(broken_between(before, after));
}

// --- What waits for a disk has a bound (rule 13) ---

Options small_windows() {
  Options options;
  options.append_bytes_max = options.window_bytes_max = options.uncommitted_bytes_max = 1000;
  return options;
}

std::string of_size(std::size_t bytes) { return std::string(bytes, 'x'); }

TEST(UnsyncedTail, OfAFollowerIsBoundedThoughEachNewLeaderHasAWindowOfItsOwn) {
  Node node(boot(a, three, {Term(1), NodeId()}, {1}), small_windows());
  const auto append = [&](std::uint64_t index, std::uint64_t term) -> const Output& {
    const std::uint64_t prev = index == 2 ? 1 : term - 1;
    return node.receive(
        term % 2 == 0 ? b : c,
        AppendRequest{
            Term(term), at(index - 1, prev), Index(0), {command(index, term, of_size(336))}});
  };
  EXPECT_EQ(append(2, 2).refused, Refusal::none);
  EXPECT_EQ(append(3, 3).refused, Refusal::none);

  const Output& out = append(4, 4);

  EXPECT_EQ(out.refused, Refusal::unsynced_tail_full);
  EXPECT_TRUE(sent<AppendReply>(out).empty()) << "the leader sends it again";
  EXPECT_EQ(node.core().last(), at(3, 3));
  EXPECT_EQ(node.core().leader(), b) << "it is heard all the same";
  node.written();
  EXPECT_EQ(append(4, 4).refused, Refusal::none);
}

TEST(UnsyncedTail, WhatWasTruncatedStillWaitsForTheDiskAndCounts) {
  Node node(boot(a, three, {Term(1), NodeId()}, {1}), small_windows());
  node.receive(b, AppendRequest{Term(2), at(1, 1), {}, {command(2, 2, of_size(600))}});

  const Output& out =
      node.receive(c, AppendRequest{Term(3), at(1, 1), {}, {command(2, 3, of_size(600))}});

  EXPECT_EQ(out.refused, Refusal::unsynced_tail_full);
  EXPECT_EQ(node.core().last(), at(2, 2));
}

TEST(UnsyncedTail, OneEntryAlwaysFits) {
  Node node(boot(a, three, {Term(1), NodeId()}, {1}), small_windows());

  EXPECT_EQ(
      node.receive(b, AppendRequest{Term(1), at(1, 1), {}, {command(2, 1, of_size(5000))}}).refused,
      Refusal::none);
}

// --- A slow follower is neither a leak nor a brake ---

TEST(SlowFollower, HoldsUpNobodyAndIsSentNoMoreThanAWindow) {
  Options options = small_windows();
  options.uncommitted_bytes_max = 100'000;
  options.tail_bytes_max = 2000;
  Node node(boot(a, three), options);
  node.lead({b});
  std::size_t to_c = 0;
  std::size_t asked = 0;
  for (std::uint64_t index = 2; index <= 1000; ++index) {
    for (const AppendRequest& append : sent<AppendRequest>(node.propose(), c)) {
      for (const Entry& entry : append.entries) to_c += entry.cost();
    }
    node.written();
    node.acknowledge(b, index);
    node.receive(c, HeartbeatReply{Term(1), 0, Index(1), {}, boot_of(c)});
    asked += node.out().need_entries.size();
  }

  EXPECT_EQ(node.core().commit_index(), Index(1000)) << "two disks are enough";
  EXPECT_LE(to_c, options.window_bytes_max + options.append_bytes_max);
  EXPECT_GT(node.core().first_in_memory(), Index(900)) << "nothing is kept for it in memory";
  EXPECT_LE(asked, 1U);
}

TEST(SlowFollower, AnswersThatItsDiskHoldsBackDoNotPileUp) {
  Outbox outbox;
  for (std::uint64_t round = 1; round <= 1000; ++round) {
    outbox.put({{b, HeartbeatReply{Term(2), round, Index(9), {}, boot_of(a)}, WriteSeq(1)},
                {b, AppendReply{Term(2), true, Index(9), {}, {}, boot_of(a)}, WriteSeq(2)},
                {b, AppendReply{Term(2), false, {}, Index(4), at(3, 1), boot_of(a)}, WriteSeq(1)}});
  }
  EXPECT_EQ(outbox.waiting(), 3U);

  const auto released = outbox.written(WriteSeq(1));
  ASSERT_EQ(released.size(), 2U);
  EXPECT_EQ(std::get<HeartbeatReply>(released[0].message).round, 1000U) << "the last one";
  EXPECT_EQ(outbox.written(WriteSeq(2)).size(), 1U);
}

TEST(SlowFollower, NoAnswerTakesThePlaceOfOneThatSaysMoreOrLeavesEarlier) {
  Outbox outbox;
  const AppendReply less{Term(2), true, Index(3), {}, {}, boot_of(a)};
  const AppendReply more{Term(2), true, Index(9), {}, {}, boot_of(a)};
  const AppendReply later{Term(3), true, Index(9), {}, {}, boot_of(a)};
  outbox.put({{b, more, WriteSeq(2)}});
  outbox.put({{b, less, WriteSeq(2)}, {c, more, WriteSeq(2)}, {b, later, WriteSeq(2)}});
  EXPECT_EQ(outbox.waiting(), 4U);
  outbox.put({{b, later, WriteSeq(3)}});
  EXPECT_EQ(outbox.waiting(), 5U);
}

// --- A paused process that wakes up acts on nothing old ---

TEST(Paused, LeaderThatWakesUpStepsDownAndConfirmsNothing) {
  Node node = leader_of();
  node.step(Read{ReadId(1)});
  const std::uint64_t round = only<Heartbeat>(node.out(), b).round;
  node.hold_up(10s);

  const Output& out = node.step(Tick{});

  EXPECT_EQ(node.core().role(), Role::follower);
  EXPECT_TRUE(sent<Heartbeat>(out).empty());
  ASSERT_EQ(out.reads.size(), 1U);
  EXPECT_EQ(out.reads[0].index, std::nullopt);
  node.receive(b, HeartbeatReply{Term(1), round, Index(1), {}, boot_of(b)});
  EXPECT_TRUE(node.out().reads.empty()) << "the answer waited in its inbox, and is late";
}

TEST(Paused, LeaderThatFirstHearsOfItsSuccessorFollowsIt) {
  Node node = leader_of();
  node.propose();
  node.hold_up(10s);

  node.receive(b, Heartbeat{Term(2), at(1, 1), 1});
  const Output& out = node.step(Tick{});

  EXPECT_EQ(node.core().leader(), b);
  EXPECT_TRUE(out.send.empty());
}

TEST(Paused, CandidateThatWakesUpWinsByNoOldVotes) {
  Node node(boot(a, three));
  node.time_out();
  node.receive(b, VoteReply{Term(1), true, true});
  node.written();
  ASSERT_EQ(node.core().role(), Role::candidate);
  node.hold_up(10s);
  node.receive(c, Heartbeat{Term(2), {}, 1});
  node.written();

  EXPECT_EQ(node.receive(b, VoteReply{Term(1), false, true}).refused, Refusal::stale_term);
  EXPECT_EQ(node.core().leader(), c);
}

}  // namespace
}  // namespace kuilt::raft::test
