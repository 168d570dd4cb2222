#include "raft/outbox.hpp"
#include "tests/raft/fixture.hpp"

namespace kuilt::raft::test {
namespace {

const SharedConfiguration three = voters({a, b, c});

TEST(Commit, LeaderCountsItselfOnlyAtItsDurableIndex) {
  Node node(boot(a, three));
  node.lead({b});

  node.acknowledge(b, 1);
  EXPECT_EQ(node.core().commit_index(), Index(0));

  node.written();
  EXPECT_EQ(node.core().commit_index(), Index(1));
}

TEST(Commit, FollowersAloneDecideWhileTheLeadersDiskIsSlow) {
  Node node(boot(a, three));
  node.lead({b});

  node.acknowledge(b, 1);
  const Output& out = node.acknowledge(c, 1);

  EXPECT_EQ(node.core().durable_index(), Index(0));
  EXPECT_EQ(node.core().commit_index(), Index(1));
  EXPECT_TRUE(out.committed);
}

TEST(Commit, EntryOfAnEarlierTermIsNotCommittedByCounting) {
  Node node(boot(a, three, {Term(2), NodeId()}, {1, 2}));
  node.lead({b});
  ASSERT_EQ(node.core().last(), at(3, 3));
  node.written();

  node.acknowledge(b, 2);  // A majority holds the entry of term 2: Figure 8 says that is nothing.
  node.acknowledge(c, 2);
  EXPECT_EQ(node.core().commit_index(), Index(0));
  EXPECT_FALSE(node.core().committed_in_own_term());

  node.acknowledge(b, 3);
  EXPECT_EQ(node.core().commit_index(), Index(3));
  EXPECT_TRUE(node.core().committed_in_own_term());
}

TEST(Commit, MedianDecidesAmongFive) {
  Node node(boot(a, voters({a, b, c, d, e})));
  node.lead({b, c});
  node.propose(9);
  node.written();

  node.acknowledge(b, 9);
  EXPECT_EQ(node.core().commit_index(), Index(0));
  node.acknowledge(c, 4);
  EXPECT_EQ(node.core().commit_index(), Index(4));
  node.acknowledge(d, 7);
  EXPECT_EQ(node.core().commit_index(), Index(7));
}

TEST(Commit, LearnerGetsEntriesAndNeverCounts) {
  Node node(boot(a, voters({a, b, c}, {d})));
  node.lead({b});
  node.written();

  EXPECT_EQ(sent<AppendRequest>(node.propose(), d).size(), 0U);  // Its probe is under way.
  node.acknowledge(d, 2);
  EXPECT_EQ(node.core().commit_index(), Index(0));
  EXPECT_EQ(only<AppendRequest>(node.propose(), d).entries, std::vector{command(3, 1)});

  node.acknowledge(b, 2);
  EXPECT_EQ(node.core().commit_index(), Index(1));
}

TEST(Commit, NoticeGoesToEveryPeerAtOnce) {
  Node node(boot(a, three));
  node.lead({b});
  node.written();

  const Output& out = node.acknowledge(b, 1);

  EXPECT_EQ(only<Heartbeat>(out, b).commit, at(1, 1));
  EXPECT_EQ(only<Heartbeat>(out, c).commit, at(1, 1));
}

TEST(Commit, UncommittedBytesCountWhatIsNotDecided) {
  Node node(boot(a, three));
  node.lead({b});
  node.written();
  node.propose(1, std::string(100, 'x'));
  EXPECT_EQ(node.core().uncommitted_bytes(), 64U + 164U);

  node.acknowledge(b, 1);
  EXPECT_EQ(node.core().uncommitted_bytes(), 164U);

  node.receive(b, AppendRequest{Term(2), at(1, 1), Index(1), {command(2, 2)}});
  EXPECT_EQ(node.core().uncommitted_bytes(), 65U);
}

TEST(Commit, UndurableBytesCountWhatTheOwnDiskDoesNotHave) {
  Node node(boot(a, three));
  node.lead({b});
  node.propose(1, std::string(100, 'x'));
  node.acknowledge(b, 2);
  node.acknowledge(c, 2);
  ASSERT_EQ(node.core().uncommitted_bytes(), 0U) << "the others have committed it";
  EXPECT_EQ(node.core().undurable_bytes(), 64U + 164U);

  node.written();
  EXPECT_EQ(node.core().undurable_bytes(), 0U);

  node.propose(2);
  node.receive(b, AppendRequest{Term(2), at(2, 1), Index(2), {command(3, 2)}});
  EXPECT_EQ(node.core().undurable_bytes(), 65U) << "what was truncated is no longer waited for";
}

TEST(Commit, TruncatingDurableEntriesLeavesNothingUndurable) {
  Node node(boot(a, three, {Term(1), NodeId()}, {1, 1, 1}, {}, 1));

  node.receive(b, AppendRequest{Term(2), at(1, 1), Index(1), {command(2, 2)}});
  EXPECT_EQ(node.core().undurable_bytes(), 65U);

  node.written();
  EXPECT_EQ(node.core().undurable_bytes(), 0U);
}

TEST(Commit, RecoveredUncommittedEntriesCountAsUncommitted) {
  const Node node(boot(a, three, {Term(1), NodeId()}, {1, 1, 1}, {}, 1));

  EXPECT_EQ(node.core().commit_index(), Index(1));
  EXPECT_EQ(node.core().durable_index(), Index(3));
  EXPECT_EQ(node.core().uncommitted_bytes(), 2 * 65U);
}

// --- The outbox ---

Outgoing message(std::uint64_t round, std::uint64_t needs) {
  return {b, Heartbeat{Term(1), {}, round}, WriteSeq(needs)};
}

std::vector<std::uint64_t> rounds(const std::vector<Outgoing>& messages) {
  std::vector<std::uint64_t> out;
  for (const Outgoing& outgoing : messages) {
    out.push_back(std::get<Heartbeat>(outgoing.message).round);
  }
  return out;
}

TEST(Outbox, HoldsWhatIsNotYetDurableAndLetsTheRestPass) {
  Outbox outbox;

  EXPECT_THAT(rounds(outbox.put({message(1, 2), message(2, 0), message(3, 1)})),
              testing::ElementsAre(2));
  EXPECT_EQ(outbox.waiting(), 2U);
}

TEST(Outbox, ReleasesInTheOrderInWhichMessagesWerePut) {
  Outbox outbox;
  outbox.put({message(1, 3), message(2, 1), message(3, 2)});
  outbox.put({message(4, 1)});

  EXPECT_THAT(rounds(outbox.written(WriteSeq(2))), testing::ElementsAre(2, 3, 4));
  EXPECT_THAT(rounds(outbox.written(WriteSeq(3))), testing::ElementsAre(1));
  EXPECT_EQ(outbox.waiting(), 0U);
}

TEST(Outbox, RemembersWhatWasDurableBefore) {
  Outbox outbox;
  outbox.written(WriteSeq(5));
  outbox.written(WriteSeq(3));

  EXPECT_THAT(rounds(outbox.put({message(1, 5), message(2, 6)})), testing::ElementsAre(1));
}

// --- Copies ---

TEST(Fingerprint, TellsStatesApartAndForgetsWhatTheClockSays) {
  Node node(boot(a, three));
  const std::string fresh = node.core().fingerprint();
  const Core copy = node.core();
  EXPECT_EQ(copy.fingerprint(), fresh);

  node.lead({b});
  EXPECT_NE(node.core().fingerprint(), fresh);
  EXPECT_EQ(copy.fingerprint(), fresh);

  const auto led_since = [](Duration late) {
    Node other(boot(a, three));
    other.wait(late);
    return other.lead({b}), other.core().fingerprint();
  };
  EXPECT_EQ(led_since(1ms), led_since(250ms));
}

}  // namespace
}  // namespace kuilt::raft::test
