// Linearizable reads: which round confirms a read, and what never gives an index.
#include "tests/raft/fixture.hpp"

namespace kuilt::raft::test {
namespace {

const SharedConfiguration three = voters({a, b, c});

/// Leads in term 1; the first entry of the term is committed, at index 1.
Node leader(const Options& options = {}) {
  Node node(boot(a, three), options);
  node.lead({b});
  node.written();
  node.acknowledge(b, 1);
  EXPECT_TRUE(node.core().committed_in_own_term());
  return node;
}
/// Follows `b` in term 4, and has committed two entries.
Node follower(const Options& options = {}) {
  Node node(boot(a, three, {Term(4), NodeId()}, {1, 2, 4}, {}, 2), options);
  node.receive(b, Heartbeat{Term(4), at(2, 2), 1});
  return node;
}

const Output& read(Node& node, std::uint64_t id) { return node.step(Read{ReadId(id)}); }
const Output& answer(Node& node, NodeId from, std::uint64_t round) {
  return node.receive(from, HeartbeatReply{node.core().term(), round, Index(1), {}, boot_of(from)});
}
std::uint64_t round_of(const Output& out) { return only<Heartbeat>(out, b).round; }
std::vector<FinishedRead> with_index(std::vector<std::uint64_t> ids, std::uint64_t index) {
  std::vector<FinishedRead> all;
  for (const std::uint64_t id : ids) all.push_back({ReadId(id), Index(index)});
  return all;
}
std::vector<FinishedRead> failed(std::vector<std::uint64_t> ids, ReadFailure failure) {
  std::vector<FinishedRead> all;
  for (const std::uint64_t id : ids) all.push_back({ReadId(id), std::nullopt, failure});
  return all;
}
ReadReply confirmed(const ReadRequest& request, std::uint64_t index) {
  return {request.term, request.number, request.boot, true, Index(index)};
}

TEST(ReadIndex, MajorityThatAnswersARoundBegunForTheReadConfirmsIt) {
  Node node = leader();

  const std::uint64_t round = round_of(read(node, 7));  // At once, not at the next interval.
  EXPECT_TRUE(node.out().reads.empty());

  EXPECT_EQ(answer(node, b, round).reads, with_index({7}, 1));
}

TEST(ReadIndex, ServerOfAClusterOfOneConfirmsAtOnce) {
  Node node(boot(a, voters({a})));
  node.lead({});
  node.written();

  EXPECT_EQ(read(node, 7).reads, with_index({7}, 1));
}

TEST(ReadIndex, ReadThatComesInDuringARoundWaitsForTheNext) {
  Node node = leader();
  const std::uint64_t first = round_of(read(node, 1));

  const Output& out = read(node, 2);
  EXPECT_TRUE(sent<Heartbeat>(out).empty()) << "one round of reads is under way at a time";

  const std::uint64_t second = round_of(answer(node, b, first));
  EXPECT_EQ(node.out().reads, with_index({1}, 1));
  EXPECT_GT(second, first);
  EXPECT_TRUE(answer(node, c, first).reads.empty()) << "the answer is older than the read";
  EXPECT_EQ(answer(node, c, second).reads, with_index({2}, 1));
}

TEST(ReadIndex, ManyReadsShareARound) {
  Node node = leader();
  const std::uint64_t first = round_of(read(node, 1));
  for (std::uint64_t id = 2; id <= 9; ++id) read(node, id);
  node.receive(c, ReadRequest{Term(1), 5, boot_of(c)});

  const std::uint64_t second = round_of(answer(node, b, first));
  const Output& out = answer(node, b, second);

  EXPECT_EQ(out.reads, with_index({2, 3, 4, 5, 6, 7, 8, 9}, 1));
  EXPECT_EQ(out.round_reads, 9U);
  EXPECT_EQ(only<ReadReply>(out, c), (ReadReply{Term(1), 5, boot_of(c), true, Index(1)}));
}

TEST(ReadIndex, RoundBegunByACommitOrTheIntervalTakesReadsAlong) {
  Node node = leader();
  read(node, 1);  // Its round is lost.
  read(node, 2);

  node.wait(node.options().heartbeat_interval);
  const std::uint64_t round = round_of(node.out());

  EXPECT_EQ(answer(node, c, round).reads, with_index({1, 2}, 1));
}

TEST(ReadIndex, IndexIsTheCommitIndexWhenTheRoundBegan) {
  Node node = leader();
  const std::uint64_t round = round_of(read(node, 1));
  node.propose();
  node.written();
  node.acknowledge(b, 2);
  ASSERT_EQ(node.core().commit_index(), Index(2));

  EXPECT_EQ(answer(node, b, round).reads, with_index({1}, 1));
}

TEST(ReadIndex, AnswerToAnEarlierRoundConfirmsNothing) {
  Node node = leader();
  const std::uint64_t before = round_of(node.wait(node.options().heartbeat_interval));
  const std::uint64_t round = round_of(read(node, 1));
  ASSERT_GT(round, before);

  EXPECT_TRUE(answer(node, b, before).reads.empty());
  EXPECT_EQ(answer(node, b, round).reads, with_index({1}, 1));
}

TEST(ReadIndex, FiveVotersNeedThree) {
  Node node(boot(a, voters({a, b, c, d, e}, {stranger})));
  node.lead({b, c});
  node.written();
  node.acknowledge(b, 1);
  node.acknowledge(c, 1);
  const std::uint64_t round = round_of(read(node, 1));

  EXPECT_TRUE(answer(node, b, round).reads.empty());
  EXPECT_TRUE(answer(node, b, round).reads.empty()) << "one peer counts once";
  EXPECT_TRUE(answer(node, stranger, round).reads.empty()) << "a learner does not count";
  EXPECT_EQ(answer(node, c, round).reads, with_index({1}, 1));
}

TEST(ReadIndex, NothingIsAnsweredBeforeTheFirstCommitOfTheTerm) {
  Node node(boot(a, three, {Term(2), NodeId()}, {1, 2}, {}, 1));
  node.lead({b});
  node.written();
  ASSERT_EQ(node.core().commit_index(), Index(1)) << "the entry at 2 may have been acknowledged";
  read(node, 1);
  const std::uint64_t early = round_of(node.wait(node.options().heartbeat_interval));

  EXPECT_TRUE(answer(node, b, early).reads.empty());
  node.acknowledge(b, 3);
  EXPECT_EQ(answer(node, b, round_of(node.out())).reads, with_index({1}, 3));
}

TEST(ReadIndex, LossOfTheLeadFailsEveryPendingRead) {
  Node node = leader();
  const std::uint64_t round = round_of(read(node, 1));
  read(node, 2);
  node.receive(c, ReadRequest{Term(1), 5, boot_of(c)});

  const Output& out = node.receive(b, Heartbeat{Term(2), at(1, 1), 1});

  EXPECT_EQ(out.reads, failed({2, 1}, ReadFailure::leadership_lost));
  EXPECT_EQ(only<ReadReply>(out, c), (ReadReply{Term(2), 5, boot_of(c), false, {}}));
  EXPECT_TRUE(answer(node, c, round).reads.empty());
}

TEST(ReadIndex, LeaderThatNobodyHearsFailsItsReads) {
  Node node = leader();
  read(node, 1);

  node.wait(node.options().election_timeout_max);

  EXPECT_EQ(node.core().role(), Role::follower);
  EXPECT_EQ(node.out().reads, failed({1}, ReadFailure::leadership_lost));
}

TEST(ReadIndex, ReadOfALostLeadIsNotAnsweredInALaterOne) {
  Node node = leader();
  const std::uint64_t round = round_of(read(node, 1));
  node.time_out();
  ASSERT_EQ(node.core().role(), Role::follower);
  node.lead({b});
  ASSERT_EQ(node.core().role(), Role::leader);
  node.written();
  node.acknowledge(b, 2);

  EXPECT_GT(round_of(node.out()), round);
  EXPECT_TRUE(answer(node, b, round_of(node.out())).reads.empty());
}

TEST(ReadIndex, AnswerOfAPeerThatStartedAnewSinceStillCounts) {
  Node node = leader();
  const std::uint64_t round = round_of(read(node, 1));
  const Index last(1);

  node.receive(b, HeartbeatReply{Term(1), round - 1, last, {}, boot_of(b, 2)});
  EXPECT_TRUE(node.out().reads.empty());
  node.receive(b, HeartbeatReply{Term(1), round, last, {}, boot_of(b, 1)});

  EXPECT_EQ(node.out().reads, with_index({1}, 1));
}

TEST(ReadIndex, MoreThanTheBoundAreBusy) {
  Options options;
  options.reads_max = 2;
  Node node = leader(options);
  const std::uint64_t round = round_of(read(node, 1));
  read(node, 2);

  EXPECT_EQ(read(node, 3).reads, failed({3}, ReadFailure::busy));
  answer(node, b, round);
  EXPECT_TRUE(read(node, 4).reads.empty());
}

TEST(ReadIndex, FollowerAsksTheLeaderOnceForAllThatWaits) {
  Node node = follower();

  const ReadRequest first = only<ReadRequest>(read(node, 1), b);
  EXPECT_EQ(first, (ReadRequest{Term(4), 1, boot_of(a)}));
  EXPECT_TRUE(sent<ReadRequest>(read(node, 2)).empty()) << "it joins the next request";
  EXPECT_TRUE(sent<ReadRequest>(read(node, 3)).empty());

  const ReadRequest second = only<ReadRequest>(node.receive(b, confirmed(first, 9)), b);
  EXPECT_EQ(node.out().reads, with_index({1}, 9)) << "beyond what this server has: it waits";
  EXPECT_EQ(node.receive(b, confirmed(second, 10)).reads, with_index({2, 3}, 10));
}

TEST(ReadIndex, RequestWithoutAnAnswerIsSentAgainUnderANewNumber) {
  Node node = follower();
  const ReadRequest first = only<ReadRequest>(read(node, 1));
  node.hold_up(node.options().retransmit_after);
  node.receive(b, Heartbeat{Term(4), at(2, 2), 2});

  const ReadRequest second = only<ReadRequest>(node.step(Tick{}));

  EXPECT_GT(second.number, first.number);
  EXPECT_EQ(node.receive(b, confirmed(first, 9)).refused, Refusal::late_reply);
  EXPECT_TRUE(node.out().reads.empty());
  EXPECT_EQ(node.receive(b, confirmed(second, 9)).reads, with_index({1}, 9));
}

TEST(ReadIndex, LostLinkToTheLeaderIsNoReasonToFail) {
  Node node = follower();
  const ReadRequest first = only<ReadRequest>(read(node, 1));

  node.step(PeerLost{c});
  EXPECT_EQ(node.wait(node.options().heartbeat_interval).send.size(), 0U) << "the wrong link";
  node.step(PeerLost{b});
  EXPECT_EQ(node.out().wake_at, node.now() + node.options().heartbeat_interval);
  const ReadRequest second = only<ReadRequest>(node.wait(node.options().heartbeat_interval));

  EXPECT_EQ(node.receive(b, confirmed(first, 9)).refused, Refusal::late_reply);
  EXPECT_EQ(node.receive(b, confirmed(second, 9)).reads, with_index({1}, 9));
}

TEST(ReadIndex, ReadsOfAFollowerGoOnToTheNextLeader) {
  Node node = follower();
  const ReadRequest first = only<ReadRequest>(read(node, 1));

  const ReadRequest second = only<ReadRequest>(node.receive(c, Heartbeat{Term(5), at(2, 2), 1}), c);

  EXPECT_EQ(second.term, Term(5));
  EXPECT_EQ(node.receive(b, confirmed(first, 9)).refused, Refusal::stale_term);
  EXPECT_EQ(node.receive(c, confirmed(second, 9)).reads, with_index({1}, 9));
}

TEST(ReadIndex, ReadsOfAFollowerThatComesToLeadJoinItsRounds) {
  Node node(boot(a, three, {Term(4), NodeId()}, {1, 2, 4}, {}, 2));
  node.receive(b, Heartbeat{Term(4), at(2, 2), 1});
  only<ReadRequest>(read(node, 1), b);
  node.lead({c});
  node.written();

  node.acknowledge(c, 4);
  EXPECT_EQ(answer(node, c, round_of(node.out())).reads, with_index({1}, 4));
}

TEST(ReadIndex, LeaderThatSaysNoIsAskedAgainLater) {
  Node node = follower();
  const ReadRequest first = only<ReadRequest>(read(node, 1));
  ReadReply no = confirmed(first, 0);
  no.confirmed = false;

  EXPECT_TRUE(node.receive(b, no).reads.empty());
  EXPECT_TRUE(sent<ReadRequest>(node.out()).empty());
  EXPECT_EQ(only<ReadRequest>(node.wait(node.options().heartbeat_interval)).number,
            first.number + 1);
}

TEST(ReadIndex, WithoutALeaderAReadFailsInTime) {
  Node node(boot(a, three));
  EXPECT_TRUE(read(node, 1).send.empty());
  const Duration wait = node.options().read_wait_max;

  EXPECT_TRUE(node.wait(wait - 1ns).reads.empty());
  EXPECT_EQ(node.wait(1ns).reads, failed({1}, ReadFailure::no_leader));
}

TEST(ReadIndex, ReadThatTheLeaderDoesNotAnswerTimesOut) {
  Node node = follower();
  read(node, 1);

  node.hold_up(node.options().read_wait_max);
  node.receive(b, Heartbeat{Term(4), at(2, 2), 2});

  EXPECT_EQ(node.step(Tick{}).reads, failed({1}, ReadFailure::timed_out));
}

TEST(ReadIndex, CoreAsksToBeWokenForTheReadThatFailsFirst) {
  Options options;
  options.election_timeout_min = 50s;
  options.election_timeout_max = 60s;
  options.learner_silence_max = 60s;
  Node node(boot(a, three), options);
  const Instant begin = node.now();
  read(node, 1);
  node.hold_up(1s);

  EXPECT_EQ(read(node, 2).wake_at, begin + options.read_wait_max);
}

TEST(ReadIndex, PeerHasOnePlaceWithTheLeader) {
  Node node = leader();
  const std::uint64_t first = round_of(read(node, 1));
  node.receive(c, ReadRequest{Term(1), 5, boot_of(c)});
  node.receive(c, ReadRequest{Term(1), 6, boot_of(c)});  // It has given up the one before.
  const std::uint64_t second = round_of(answer(node, b, first));
  node.receive(c, ReadRequest{Term(1), 1, boot_of(c, 2)});  // Another life of it.

  const std::uint64_t third = round_of(answer(node, b, second));
  EXPECT_TRUE(sent<ReadReply>(node.out()).empty());
  EXPECT_EQ(only<ReadReply>(answer(node, b, third)).boot, boot_of(c, 2));
}

// Refused by this very guard, with a negative answer at most, and without a change.
void expect_refused(Node node, NodeId from, const Message& message, Refusal refusal) {
  const std::string before = node.core().fingerprint();
  const Output& out = node.receive(from, message);
  EXPECT_EQ(out.refused, refusal);
  EXPECT_TRUE(out.reads.empty());
  for (const ReadReply& reply : sent<ReadReply>(out)) EXPECT_FALSE(reply.confirmed);
  EXPECT_EQ(node.core().fingerprint(), before);
}

TEST(ReadRefusals, RequestOfAStrangerIsOfAnUnknownSender) {
  expect_refused(leader(), stranger, ReadRequest{Term(1), 1, boot_of(stranger)},
                 Refusal::unknown_sender);
  expect_refused(leader(), stranger, ReadReply{Term(1), 1, boot_of(a), true, Index(1)},
                 Refusal::unknown_sender);
  EXPECT_EQ(leader().receive(c, ReadRequest{Term(1), 1, boot_of(c)}).refused, Refusal::none);
}

TEST(ReadRefusals, RequestToWhoDoesNotLeadIsAnsweredWithoutAnIndex) {
  Node one = follower();
  const ReadRequest current{Term(4), 1, boot_of(c)};
  EXPECT_EQ(only<ReadReply>(one.receive(c, current), c),
            (ReadReply{Term(4), 1, boot_of(c), false, {}}));
  EXPECT_EQ(one.out().refused, Refusal::not_leading);

  expect_refused(follower(), c, current, Refusal::not_leading);
  expect_refused(follower(), c, ReadRequest{Term(3), 1, boot_of(c)}, Refusal::stale_term);
  expect_refused(leader(), c, ReadRequest{Term(0), 1, boot_of(c)}, Refusal::stale_term);
  expect_refused(leader(), c, ReadRequest{Term(2), 1, boot_of(c)}, Refusal::not_leading);
}

TEST(ReadRefusals, CopyOfARequestIsRepeated) {
  Node node = leader();
  const ReadRequest request{Term(1), 5, boot_of(c)};
  node.receive(c, request);

  expect_refused(node, c, request, Refusal::repeated_read_request);
  expect_refused(node, c, ReadRequest{Term(1), 4, boot_of(c)}, Refusal::repeated_read_request);
  EXPECT_EQ(node.receive(b, ReadRequest{Term(1), 4, boot_of(b)}).refused, Refusal::none);
  EXPECT_EQ(node.receive(c, ReadRequest{Term(1), 6, boot_of(c)}).refused, Refusal::none);
}

TEST(ReadRefusals, ReplyIsForTheRequestThatIsOut) {
  Node node = follower();
  const ReadRequest request = only<ReadRequest>(read(node, 1));
  const ReadReply sound = confirmed(request, 9);
  ReadReply of_earlier_life = sound;
  of_earlier_life.boot = boot_of(a, 9);
  ReadReply never_asked = sound;
  never_asked.number = request.number + 1;
  ReadReply old = sound;
  old.number = 0;
  ReadReply of_earlier_term = sound;
  of_earlier_term.term = Term(3);

  expect_refused(node, b, of_earlier_life, Refusal::late_reply);
  expect_refused(node, b, old, Refusal::late_reply);
  expect_refused(node, b, never_asked, Refusal::answers_unknown_read);
  expect_refused(node, c, sound, Refusal::answers_unknown_read);
  expect_refused(node, b, of_earlier_term, Refusal::stale_term);
  EXPECT_EQ(node.receive(b, sound).reads, with_index({1}, 9));
  expect_refused(node, b, sound, Refusal::late_reply);
}

TEST(ReadRefusals, IndexIsNotBelowWhatTheAskerHadCommitted) {
  Node node = follower();
  const ReadRequest request = only<ReadRequest>(read(node, 1));

  expect_refused(node, b, confirmed(request, 1), Refusal::read_below_commit);
  EXPECT_EQ(node.receive(b, confirmed(request, 2)).reads, with_index({1}, 2));
}

TEST(ReadRefusals, ReplyOfALaterTermTellsOfIt) {
  Node node = follower();
  ReadReply no = confirmed(only<ReadRequest>(read(node, 1)), 9);
  no.term = Term(5);
  no.confirmed = false;

  EXPECT_TRUE(node.receive(b, no).reads.empty());
  EXPECT_EQ(node.core().term(), Term(5));
}

TEST(ReadIndex, FingerprintTellsWhereReadsAre) {
  Node node = leader();
  const std::string none = node.core().fingerprint();
  const std::uint64_t round = round_of(read(node, 1));
  const std::string in_round = node.core().fingerprint();
  read(node, 2);
  const std::string waiting = node.core().fingerprint();
  node.receive(c, ReadRequest{Term(1), 5, boot_of(c)});
  const std::string of_peer = node.core().fingerprint();
  answer(node, c, round - 1);

  EXPECT_NE(none, in_round);
  EXPECT_NE(in_round, waiting);
  EXPECT_NE(waiting, of_peer);
  Node other = follower();
  const std::string idle = other.core().fingerprint();
  read(other, 1);
  EXPECT_NE(other.core().fingerprint(), idle);
}

TEST(ReadIndex, EachFailureHasAName) {
  EXPECT_EQ(name_of(ReadFailure::none), "none");
  EXPECT_EQ(name_of(ReadFailure::busy), "busy");
  EXPECT_EQ(name_of(ReadFailure::leadership_lost), "leadership_lost");
  EXPECT_EQ(name_of(ReadFailure::no_leader), "no_leader");
  EXPECT_EQ(name_of(ReadFailure::timed_out), "timed_out");
}

}  // namespace
}  // namespace kuilt::raft::test
