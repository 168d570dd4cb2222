#include "tests/raft/fixture.hpp"

namespace kuilt::raft::test {
namespace {

const SharedConfiguration three = voters({a, b, c});

AppendRequest append(std::uint64_t term, Position prev, std::vector<Entry> entries,
                     std::uint64_t commit = 0) {
  return {Term(term), prev, Index(commit), std::move(entries)};
}

std::size_t bytes_of(const std::vector<AppendRequest>& requests) {
  std::size_t bytes = 0;
  for (const auto& request : requests) {
    for (const Entry& entry : request.entries) bytes += entry.cost();
  }
  return bytes;
}

// A leader of term 1 whose followers have its no-op; nothing is in flight.
Node leader(Options options = {}, SharedConfiguration configuration = three) {
  Node node(boot(a, std::move(configuration)), options);
  node.lead({b});
  node.written();
  for (const NodeId id : {b, c}) node.acknowledge(id, 1);
  return node;
}

TEST(Follower, AcknowledgesExactlyWhatTheMessageVerifiedOnceThatIsDurable) {
  Node node(boot(a, three));

  const Output& out = node.receive(b, append(1, {}, entries({1, 1})));

  EXPECT_EQ(out.write->entries, entries({1, 1}));
  EXPECT_EQ(out.appended, entries({1, 1}));
  EXPECT_EQ(only<AppendReply>(out, b), node.accepted(a, 2));
  EXPECT_EQ(needs_of<AppendReply>(out), out.write->seq);
}

TEST(Follower, RepeatedAppendIsNotWrittenAgainAndWaitsForTheFirstWrite) {
  Node node(boot(a, three));
  const WriteSeq seq = node.receive(b, append(1, {}, entries({1, 1}))).write->seq;

  const Output& repeat = node.receive(b, append(1, {}, entries({1, 1})));
  EXPECT_FALSE(repeat.write);
  EXPECT_EQ(needs_of<AppendReply>(repeat), seq);

  node.written();
  EXPECT_EQ(needs_of<AppendReply>(node.receive(b, append(1, {}, entries({1, 1})))), WriteSeq(0));
}

TEST(Follower, NeverAcknowledgesATailThatTheMessageDidNotVerify) {
  Node node(boot(a, three, {Term(2), NodeId()}, {1, 2, 2, 2}));

  const Output& out = node.receive(b, append(3, at(1, 1), {}, 4));

  EXPECT_EQ(only<AppendReply>(out).durable, Index(1));
  EXPECT_EQ(node.core().commit_index(), Index(1));
  EXPECT_EQ(node.core().last(), at(4, 2));
}

TEST(Follower, CommitsNoFurtherThanTheLastVerifiedIndex) {
  Node node(boot(a, three, {Term(2), NodeId()}, {1, 2, 2, 2}));

  node.receive(b, append(3, at(1, 1), {command(2, 2)}, 4));

  EXPECT_EQ(node.core().commit_index(), Index(2));
}

TEST(Follower, HeartbeatCommitsOnlyAnEntryOfTheSameTerm) {
  Node node(boot(a, three, {Term(2), NodeId()}, {1, 2, 2}));

  node.receive(b, Heartbeat{Term(3), at(3, 3), 1});
  EXPECT_EQ(node.core().commit_index(), Index(0));
  node.receive(b, Heartbeat{Term(3), at(9, 3), 2});
  EXPECT_EQ(node.core().commit_index(), Index(0));

  node.receive(b, Heartbeat{Term(3), at(2, 2), 3});
  EXPECT_EQ(node.core().commit_index(), Index(2));
  EXPECT_TRUE(node.out().committed);
}

TEST(Follower, ConflictAnywhereInTheBatchReplacesTheTailFromThere) {
  Node node(boot(a, three, {Term(2), NodeId()}, {1, 1, 2, 2}));

  const Output& out = node.receive(b, append(3, {}, entries({1, 1, 3})));

  EXPECT_EQ(out.truncated_after, Index(2));
  EXPECT_EQ(out.write->truncate_after, Index(2));
  EXPECT_EQ(out.appended, std::vector{command(3, 3)});
  EXPECT_EQ(node.core().last(), at(3, 3));
  EXPECT_EQ(node.core().durable_index(), Index(2));
}

TEST(Follower, ShorterAppendInsideTheLogDropsNothing) {
  Node node(boot(a, three, {Term(1), NodeId()}, {1, 1, 1, 1}));

  const Output& out = node.receive(b, append(1, {}, entries({1, 1})));

  EXPECT_FALSE(out.truncated_after);
  EXPECT_EQ(node.core().last(), at(4, 1));
}

TEST(Follower, OldWriteDoesNotVouchForEntriesThatReplacedItsOwn) {
  Node node(boot(a, three));
  const WriteSeq old_write = node.receive(b, append(1, {}, entries({1, 1, 1}))).write->seq;
  const WriteSeq new_write = node.receive(c, append(2, {}, entries({2, 2, 2}))).write->seq;
  EXPECT_EQ(needs_of<AppendReply>(node.out()), new_write);

  node.step(Written{old_write});
  EXPECT_EQ(node.core().durable_index(), Index(0));
  EXPECT_EQ(needs_of<AppendReply>(node.receive(c, append(2, {}, entries({2, 2, 2})))), new_write);

  node.step(Written{new_write});
  EXPECT_EQ(node.core().durable_index(), Index(3));
}

TEST(Follower, WriteNeverVouchesForACommitBeyondItsLog) {
  Node node(boot(a, three));

  const Output& out = node.receive(b, append(1, {}, entries({1, 1}), 9));

  EXPECT_EQ(out.write->commit, Index(2));
}

TEST(Follower, RejectionNamesWhereTheLogsMayStillAgree) {
  Node node(boot(a, three, {Term(4), NodeId()}, {1, 1, 3, 3, 4}));
  const auto conflict = [&](Position prev) {
    const AppendReply reply = only<AppendReply>(node.receive(b, append(9, prev, {})));
    EXPECT_FALSE(reply.accepted);
    EXPECT_EQ(reply.rejected_prev, prev.index);
    return reply.conflict;
  };

  EXPECT_EQ(conflict(at(50, 8)), at(5, 4));  // Too short: its last entry may match.
  EXPECT_EQ(conflict(at(5, 3)), at(4, 3));   // Whole terms above prev's are skipped.
  EXPECT_EQ(conflict(at(5, 2)), at(2, 1));
}

TEST(Follower, AppendThatBeginsInsideItsBaseIsAccepted) {
  Node node(boot(a, three, {Term(7), NodeId()}, {}, at(1000, 7)));
  const auto overlap = entries({7, 7, 7, 7}, 998);

  const Output& out = node.receive(b, append(7, at(998, 7), overlap));

  EXPECT_EQ(only<AppendReply>(out), node.accepted(a, 1002));
  EXPECT_EQ(out.appended, entries({7, 7}, 1000));
}

TEST(Leader, SendsBeforeItsOwnDiskIsDone) {
  Node node = leader();

  const Output& out = node.propose();

  EXPECT_EQ(only<AppendRequest>(out, b).entries, std::vector{command(2, 1)});
  EXPECT_EQ(needs_of<AppendRequest>(out), WriteSeq(0));
  EXPECT_EQ(out.write->entries, std::vector{command(2, 1)});
}

TEST(Leader, PipelinesWithoutWaitingForAnswers) {
  Node node = leader();

  EXPECT_EQ(only<AppendRequest>(node.propose(), b).prev, at(1, 1));
  EXPECT_EQ(only<AppendRequest>(node.propose(), b).prev, at(2, 1));
  EXPECT_EQ(only<AppendRequest>(node.propose(), b).prev, at(3, 1));
}

TEST(Leader, KeepsToTheWindowInBytesAndReopensItOnAnswers) {
  Options options;
  options.append_bytes_max = 300;
  options.window_bytes_max = 1000;
  Node node = leader(options);

  const auto first = sent<AppendRequest>(node.propose(100), b);
  EXPECT_LE(bytes_of(first), options.window_bytes_max);
  EXPECT_GT(bytes_of(first), options.window_bytes_max - options.append_bytes_max);
  for (const auto& request : first) EXPECT_LE(bytes_of({request}), options.append_bytes_max);

  EXPECT_TRUE(sent<AppendRequest>(node.propose(), b).empty());
  const Index through = first.front().entries.back().at.index;
  const auto next = sent<AppendRequest>(node.acknowledge(b, through.value()), b);
  ASSERT_FALSE(next.empty());
  EXPECT_EQ(next.front().prev.index, first.back().entries.back().at.index);
}

TEST(Leader, EntryLargerThanTheWindowStillGoesAlone) {
  Options options;
  options.append_bytes_max = 300;
  options.window_bytes_max = 1000;
  Node node = leader(options);

  const Output& out = node.propose(2, std::string(5000, 'x'));

  EXPECT_EQ(only<AppendRequest>(out, b).entries.size(), 1U);
}

TEST(Leader, HeartbeatPassesAFullWindow) {
  Options options;
  options.append_bytes_max = options.window_bytes_max = 300;
  Node node = leader(options);
  node.propose(100);

  EXPECT_EQ(sent<Heartbeat>(node.wait(50ms)).size(), 2U);
}

TEST(Leader, BacksOffByWholeTerms) {
  Boot from = boot(a, three, {Term(5), NodeId()}, {1, 1, 1, 4, 4, 4, 5});
  Node node(std::move(from));
  node.lead({b});
  ASSERT_EQ(only<AppendRequest>(node.out(), b).prev, at(7, 5));

  // The follower: 1 1 1 2 2 3 3 3.
  const auto retry = only<AppendRequest>(node.receive(b, node.rejected(b, 7, at(6, 3))), b);
  EXPECT_EQ(retry.prev, at(3, 1));
}

TEST(Leader, LateRejectionOfWhatMatchesChangesNothing) {
  Node node = leader();
  node.propose(5);
  node.acknowledge(b, 6);

  const Output& out = node.receive(b, node.rejected(b, 3, at(0, 0)));

  EXPECT_EQ(out.refused, Refusal::late_reply);
  EXPECT_EQ(only<AppendRequest>(node.propose(), b).prev, at(6, 1));
}

TEST(Leader, RepeatedRejectionStartsNoSecondProbe) {
  Node node = leader();
  node.propose(3);
  node.propose(3);
  const AppendReply rejection = node.rejected(b, 4, at(1, 1));
  EXPECT_EQ(only<AppendRequest>(node.receive(b, rejection), b).prev, at(1, 1));

  const Output& out = node.receive(b, rejection);

  EXPECT_EQ(out.refused, Refusal::late_reply);
  EXPECT_TRUE(sent<AppendRequest>(out).empty());
}

TEST(Leader, LateAndRepeatedAcknowledgementsAreHarmless) {
  Node node = leader();
  node.propose(3);
  node.written();
  node.acknowledge(b, 4);

  node.acknowledge(b, 2);
  node.acknowledge(b, 4);

  EXPECT_EQ(node.core().commit_index(), Index(4));
  EXPECT_EQ(only<AppendRequest>(node.propose(), b).prev, at(4, 1));
}

TEST(Leader, SendsAgainWhatStaysUnanswered) {
  Options options;
  options.election_timeout_max = 5s;
  Node node = leader(options);
  node.propose(2);
  EXPECT_TRUE(sent<AppendRequest>(node.wait(499ms), b).empty());

  const Output& out = node.wait(1ms);

  EXPECT_EQ(only<AppendRequest>(out, b).prev, at(1, 1));
  EXPECT_EQ(only<AppendRequest>(out, b).entries.size(), 2U);
}

TEST(Leader, SendsAgainAtOnceWhenAHeartbeatShowsTheLoss) {
  Node node = leader();
  node.propose(2);
  const Heartbeat beat = only<Heartbeat>(node.wait(50ms), b);
  const auto answer = [&](std::uint64_t last) {
    return HeartbeatReply{Term(1), beat.round, Index(last), {}, boot_of(b)};
  };

  EXPECT_TRUE(sent<AppendRequest>(node.receive(b, answer(3)), b).empty());
  EXPECT_EQ(only<AppendRequest>(node.receive(b, answer(1)), b).prev, at(1, 1));
}

TEST(Leader, LostLinkIsTriedAgainWhenTheFollowerAnswersAHeartbeat) {
  Node node = leader();
  node.propose(2);
  EXPECT_TRUE(sent<AppendRequest>(node.step(PeerLost{b}), b).empty());

  const Output& out = node.receive(b, HeartbeatReply{Term(1), 1, Index(1), {}, boot_of(b)});

  EXPECT_EQ(only<AppendRequest>(out, b).prev, at(1, 1));
}

TEST(Leader, FollowerOfANewBootVouchesAnew) {
  Node node = leader();
  node.propose(1);
  node.acknowledge(b, 2);
  AppendReply reply = node.rejected(b, 2, at(1, 1));
  reply.boot = boot_of(b, 2);

  node.receive(b, HeartbeatReply{Term(1), 1, Index(1), {}, boot_of(b, 2)});
  ASSERT_EQ(only<AppendRequest>(node.out(), b).prev, at(2, 1));
  EXPECT_EQ(only<AppendRequest>(node.receive(b, reply), b).prev, at(1, 1));
}

TEST(Leader, FollowerThatLacksWhatOurLogNoLongerHoldsIsNotAskedWithoutPause) {
  Node node(boot(a, three, {Term(7), NodeId()}, {}, at(1000, 7)));
  node.lead({b});
  const Output& out = node.receive(b, node.rejected(b, 1000, at(12, 3)));
  EXPECT_TRUE(sent<AppendRequest>(out, b).empty());
  EXPECT_EQ(out.refused, Refusal::none);

  node.receive(c, HeartbeatReply{Term(8), 1, {}, {}, boot_of(c)});
  const Output& later = node.wait(500ms);
  EXPECT_EQ(only<AppendRequest>(later, b).prev, at(1000, 7));
}

TEST(Leader, ForgetsItsFollowersWhenItStepsDown) {
  Node node = leader();
  node.propose(3);

  node.receive(b, HeartbeatReply{Term(9), 0, {}, {}, boot_of(b)});

  EXPECT_EQ(node.receive(b, AppendReply{Term(9), true, Index(4), {}, {}, boot_of(b)}).refused,
            Refusal::late_reply);
  EXPECT_TRUE(sent<AppendRequest>(node.wait(200ms)).empty());
  EXPECT_EQ(node.core().commit_index(), Index(1));
}

// --- Entries that left memory ---

Options small_memory() {
  Options options;
  options.tail_bytes_max = 200;  // Three small entries.
  return options;
}

// A leader of ten entries, of which c has none but the first and memory only the last few.
Node with_little_in_memory() {
  Node node = leader(small_memory());
  node.step(PeerLost{c});
  node.propose(9);
  node.acknowledge(b, 10);
  node.written();
  return node;
}

std::vector<Entry> stored(std::uint64_t first, std::uint64_t last) {
  std::vector<Entry> out;
  for (; first <= last; ++first) out.push_back(command(first, 1));
  return out;
}

// c accepts the probe after its entry 1: now the leader wants to send from 2 on.
const Output& answer_probe(Node& node) {
  node.receive(c, HeartbeatReply{Term(1), 1, Index(1), {}, boot_of(c)});
  EXPECT_TRUE(only<AppendRequest>(node.out(), c).entries.empty());
  return node.acknowledge(c, 1);
}

TEST(CatchUp, MemoryKeepsOnlyACommittedDurableTail) {
  Node node = leader(small_memory());
  node.propose(9);
  EXPECT_EQ(node.core().first_in_memory(), Index(2));  // The rest is not committed.

  node.acknowledge(b, 10);
  node.acknowledge(c, 10);
  EXPECT_EQ(node.core().commit_index(), Index(10));
  EXPECT_EQ(node.core().first_in_memory(), Index(2));  // Nor durable here, now.

  node.written();
  EXPECT_EQ(node.core().first_in_memory(), Index(8));
  EXPECT_EQ(node.core().term_at(Index(2)), Term(1));
}

TEST(CatchUp, OlderEntriesAreAskedForOnceAndSentWhenLoaded) {
  Node node = with_little_in_memory();

  const Output& out = answer_probe(node);
  ASSERT_EQ(out.need_entries.size(), 1U);
  EXPECT_EQ(out.need_entries[0].peer, c);
  EXPECT_EQ(out.need_entries[0].first, Index(2));
  EXPECT_EQ(out.need_entries[0].last, Index(7));
  EXPECT_TRUE(node.propose().need_entries.empty());

  node.step(Loaded{c, Index(2), stored(2, 4)});
  EXPECT_EQ(only<AppendRequest>(node.out(), c).entries, stored(2, 4));
  ASSERT_EQ(node.out().need_entries.size(), 1U);
  EXPECT_EQ(node.out().need_entries[0].first, Index(5));

  node.step(Loaded{c, Index(5), stored(5, 8)});
  const auto rest = sent<AppendRequest>(node.out(), c);
  ASSERT_EQ(rest.size(), 2U);
  EXPECT_EQ(rest[1].entries, stored(9, 11));  // From memory again.
}

TEST(CatchUp, FailedReadIsTriedAgainLater) {
  Node node = with_little_in_memory();
  answer_probe(node);

  node.step(Loaded{c, Index(2), {}});
  EXPECT_TRUE(node.out().need_entries.empty());
  EXPECT_TRUE(sent<AppendRequest>(node.out(), c).empty());

  node.wait(node.options().heartbeat_interval);
  ASSERT_EQ(node.out().need_entries.size(), 1U);
  EXPECT_EQ(node.out().need_entries[0].first, Index(2));
}

TEST(CatchUp, LoadedEntriesOfAnotherTermOrPlaceAreNotSent) {
  for (const auto& wrong : {entries({1, 9}, 1), entries({1, 1}, 2), stored(2, 30)}) {
    Node node = with_little_in_memory();
    answer_probe(node);

    node.step(Loaded{c, Index(2), wrong});

    EXPECT_TRUE(sent<AppendRequest>(node.out(), c).empty());
  }
}

TEST(CatchUp, AnswerToAnEarlierQuestionIsIgnored) {
  Node node = with_little_in_memory();
  answer_probe(node);

  node.step(Loaded{c, Index(3), stored(3, 4)});
  EXPECT_TRUE(sent<AppendRequest>(node.out(), c).empty());
  node.step(Loaded{b, Index(2), stored(2, 4)});
  EXPECT_TRUE(sent<AppendRequest>(node.out()).empty());

  node.step(Loaded{c, Index(2), stored(2, 4)});
  EXPECT_EQ(only<AppendRequest>(node.out(), c).entries, stored(2, 4));
}

TEST(LogBase, GroupOnABaseElectsReplicatesAndCommits) {
  Node node(boot(a, three, {Term(7), NodeId()}, {}, at(1000, 7)));
  node.lead({b});
  EXPECT_EQ(node.core().last(), at(1001, 8));
  EXPECT_EQ(only<AppendRequest>(node.out(), b).prev, at(1000, 7));

  node.acknowledge(b, 1001);
  node.written();

  EXPECT_EQ(node.core().commit_index(), Index(1001));
  EXPECT_EQ(node.core().term_at(Index(1000)), Term(7));
  EXPECT_EQ(node.core().term_at(Index(999)), std::nullopt);
}

}  // namespace
}  // namespace kuilt::raft::test
