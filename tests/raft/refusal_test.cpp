// Rule 8: what a peer sends is checked, and each refusal has a name. Every test shows the sound
// neighbour of the refused message too, so that no guard can hide behind another.
#include <limits>
#include <set>

#include "tests/raft/fixture.hpp"

namespace kuilt::raft::test {
namespace {

const SharedConfiguration three = voters({a, b, c});

// A follower in term 4 with three entries, of which two are committed.
Node follower() { return Node(boot(a, three, {Term(4), NodeId()}, {1, 2, 4}, {}, 2)); }

Node leader() {
  Node node(boot(a, three));
  node.lead({b});
  node.written();
  return node;
}

AppendRequest append(std::uint64_t term, Position prev, std::vector<Entry> entries) {
  return {Term(term), prev, Index(0), std::move(entries)};
}

// Refused by this very guard: no answer, no write, no change at all.
void expect_refused(Node node, NodeId from, const Message& message, Refusal refusal) {
  const std::string before = node.core().fingerprint();
  const Output& out = node.receive(from, message);
  EXPECT_EQ(out.refused, refusal);
  EXPECT_TRUE(out.send.empty());
  EXPECT_FALSE(out.write);
  EXPECT_EQ(node.core().fingerprint(), before);
}

void expect_obeyed(Node node, NodeId from, const Message& message) {
  EXPECT_EQ(node.receive(from, message).refused, Refusal::none);
}

TEST(Refusals, ReplyOfAStrangerIsOfAnUnknownSender) {
  const HeartbeatReply beat{Term(1), 1, Index(1), {}, boot_of(b)};
  const AppendReply ack{Term(1), true, Index(1), {}, {}, boot_of(b)};
  const VoteReply vote{Term(9), false, false};

  expect_refused(leader(), stranger, beat, Refusal::unknown_sender);
  expect_refused(leader(), stranger, ack, Refusal::unknown_sender);
  expect_refused(leader(), stranger, vote, Refusal::unknown_sender);
  expect_refused(leader(), a, beat, Refusal::unknown_sender);
  expect_obeyed(leader(), b, beat);
  expect_obeyed(leader(), b, ack);
  expect_obeyed(leader(), b, vote);
}

TEST(Refusals, StrangerMayLead) {
  expect_obeyed(follower(), stranger, append(5, at(3, 4), {command(4, 5)}));
  expect_obeyed(follower(), stranger, Heartbeat{Term(5), {}, 1});
}

TEST(Refusals, MessageOfAnEarlierTermIsStale) {
  EXPECT_EQ(follower().receive(b, append(3, at(2, 2), {})).refused, Refusal::stale_term);
  EXPECT_EQ(follower().receive(b, Heartbeat{Term(3), {}, 1}).refused, Refusal::stale_term);
  EXPECT_EQ(follower().receive(b, VoteRequest{Term(3), false, {}}).refused, Refusal::stale_term);
  EXPECT_EQ(follower().receive(b, VoteRequest{Term(4), true, {}}).refused, Refusal::stale_term);
  expect_refused(leader(), b, AppendReply{Term(0), true, Index(1), {}, {}, boot_of(b)},
                 Refusal::stale_term);
  expect_refused(leader(), b, HeartbeatReply{Term(0), 0, Index(1), {}, boot_of(b)},
                 Refusal::stale_term);
  expect_obeyed(follower(), b, append(4, at(2, 2), {}));
  expect_obeyed(follower(), b, Heartbeat{Term(4), {}, 1});
  expect_obeyed(follower(), b, VoteRequest{Term(4), false, {}});
  expect_obeyed(follower(), b, VoteRequest{Term(5), true, {}});
}

TEST(Refusals, TermFarBeyondOursIsAJump) {
  const std::uint64_t jump = Options{}.term_jump_max;
  const std::uint64_t ceiling = std::numeric_limits<std::uint64_t>::max();

  for (const std::uint64_t term : {4 + jump + 1, ceiling}) {
    expect_refused(follower(), b, Heartbeat{Term(term), {}, 1}, Refusal::term_jump);
    expect_refused(follower(), b, VoteRequest{Term(term), false, {}}, Refusal::term_jump);
    expect_refused(follower(), b, VoteReply{Term(term), false, false}, Refusal::term_jump);
  }
  expect_obeyed(follower(), b, Heartbeat{Term(4 + jump), {}, 1});
}

TEST(Refusals, TermHasOneLeader) {
  Node node = follower();
  node.receive(b, Heartbeat{Term(4), {}, 1});

  expect_refused(node, c, Heartbeat{Term(4), {}, 1}, Refusal::second_leader_in_term);
  expect_refused(node, c, append(4, at(3, 4), {command(4, 4)}), Refusal::second_leader_in_term);
  expect_refused(leader(), c, Heartbeat{Term(1), {}, 1}, Refusal::second_leader_in_term);
  expect_obeyed(node, b, append(4, at(3, 4), {command(4, 4)}));
  expect_obeyed(node, c, append(5, at(3, 4), {command(4, 5)}));
}

TEST(Refusals, LeaderOfATermIsRememberedThroughSilence) {
  Node node = follower();
  node.receive(b, Heartbeat{Term(4), {}, 1});
  node.time_out();
  ASSERT_EQ(node.core().role(), Role::pre_candidate);

  expect_refused(node, c, Heartbeat{Term(4), {}, 1}, Refusal::second_leader_in_term);
  expect_obeyed(node, b, Heartbeat{Term(4), {}, 1});
}

TEST(Refusals, EntriesWithAGapAreNotContiguous) {
  expect_refused(follower(), b, append(4, at(3, 4), {command(5, 4)}),
                 Refusal::entries_not_contiguous);
  expect_refused(follower(), b, append(4, at(3, 4), {command(4, 4), command(6, 4)}),
                 Refusal::entries_not_contiguous);
  expect_obeyed(follower(), b, append(4, at(3, 4), {command(4, 4), command(5, 4)}));
}

TEST(Refusals, EntryTermMayNotExceedTheMessages) {
  expect_refused(follower(), b, append(4, at(3, 4), {command(4, 5)}),
                 Refusal::entry_term_grows_beyond_message);
  expect_refused(follower(), b, append(4, at(7, 5), {}), Refusal::entry_term_grows_beyond_message);
  expect_obeyed(follower(), b, append(5, at(3, 4), {command(4, 5)}));
}

TEST(Refusals, EntryTermsMayNotDecrease) {
  expect_refused(follower(), b, append(4, at(3, 4), {command(4, 3)}),
                 Refusal::entry_terms_decrease);
  expect_refused(follower(), b, append(6, at(3, 4), {command(4, 6), command(5, 5)}),
                 Refusal::entry_terms_decrease);
  expect_obeyed(follower(), b, append(6, at(3, 4), {command(4, 5), command(5, 6)}));
}

TEST(Refusals, AnEntryLargerThanTheClusterAllowsIsRefusedByName) {
  Entry largest = command(4, 4);
  largest.stored = Bytes(std::string(three->parameters.stored_bytes_max(), 'x'));
  Entry larger = command(4, 4);
  larger.stored = Bytes(std::string(three->parameters.stored_bytes_max() + 1, 'x'));

  expect_refused(follower(), b, append(4, at(3, 4), {larger}), Refusal::entry_larger_than_allowed);
  expect_obeyed(follower(), b, append(4, at(3, 4), {largest}));
}

TEST(Refusals, ConfigurationEntryCarriesAConfigurationAndNoOtherDoes) {
  Entry bare = command(4, 4);
  bare.kind = EntryKind::configuration;
  Entry dressed = command(4, 4);
  dressed.configuration = three;
  Entry sound = bare;
  sound.configuration = three;
  const auto refusal = Refusal::entry_kind_and_configuration_disagree;

  expect_refused(follower(), b, append(4, at(3, 4), {bare}), refusal);
  expect_refused(follower(), b, append(4, at(3, 4), {dressed}), refusal);
  expect_obeyed(follower(), b, append(4, at(3, 4), {sound}));
}

// The sender is heard as the leader of its term; its contradiction is not acted on.
void expect_contradiction(const Message& message) {
  Node node = follower();
  const Output& out = node.receive(b, message);
  EXPECT_EQ(out.refused, Refusal::conflict_below_commit);
  EXPECT_TRUE(out.send.empty());
  EXPECT_FALSE(out.truncated_after);
  EXPECT_EQ(node.core().last(), at(3, 4));
  EXPECT_EQ(node.core().commit_index(), Index(2));
}

TEST(Refusals, NothingCommittedIsReplaced) {
  expect_contradiction(append(4, at(1, 1), {command(2, 3)}));  // Another entry at commit.
  expect_contradiction(append(4, at(2, 3), {}));               // Another prev at commit.
  expect_contradiction(append(4, at(9, 1), {}));  // A log that cannot hold what is committed.
  expect_contradiction(Heartbeat{Term(4), at(2, 3), 1});
  expect_obeyed(follower(), b, append(4, at(2, 2), {command(3, 3)}));
  expect_obeyed(follower(), b, append(4, at(1, 1), {command(2, 2)}));
  expect_obeyed(follower(), b, append(4, at(9, 4), {}));
  expect_obeyed(follower(), b, Heartbeat{Term(4), at(2, 2), 1});
}

TEST(Refusals, BaseCountsAsCommitted) {
  Node node(boot(a, three, {Term(8), NodeId()}, {}, at(1000, 7)));

  EXPECT_EQ(node.receive(b, append(8, at(1000, 6), {})).refused, Refusal::conflict_below_commit);
  EXPECT_EQ(node.receive(b, append(8, at(999, 7), {command(1000, 8)})).refused,
            Refusal::conflict_below_commit);
  EXPECT_EQ(node.receive(b, append(8, at(999, 7), {command(1000, 7)})).refused, Refusal::none);
}

TEST(Refusals, NobodyAcknowledgesMoreThanThereIs) {
  expect_refused(leader(), b, AppendReply{Term(1), true, Index(2), {}, {}, boot_of(b)},
                 Refusal::acknowledges_beyond_log);
  expect_obeyed(leader(), b, AppendReply{Term(1), true, Index(1), {}, {}, boot_of(b)});
}

TEST(Refusals, NobodyAnswersARoundThatNeverWas) {
  expect_refused(leader(), b, HeartbeatReply{Term(1), 99, Index(1), {}, boot_of(b)},
                 Refusal::answers_unknown_round);
  expect_obeyed(leader(), b, HeartbeatReply{Term(1), 1, Index(1), {}, boot_of(b)});
}

TEST(Refusals, ReplyThatNobodyWaitsForIsLate) {
  expect_refused(follower(), b, AppendReply{Term(4), true, Index(1), {}, {}, boot_of(b)},
                 Refusal::late_reply);
  expect_refused(follower(), b, HeartbeatReply{Term(4), 1, Index(1), {}, boot_of(b)},
                 Refusal::late_reply);
  expect_refused(follower(), b, VoteReply{Term(4), false, true}, Refusal::late_reply);
  expect_refused(follower(), b, VoteReply{Term(5), true, true}, Refusal::late_reply);
}

TEST(Refusals, AbsurdPositionsAreAnsweredOrRefusedButNeverFatal) {
  const std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();

  EXPECT_FALSE(only<AppendReply>(follower().receive(b, append(4, at(huge, 4), {}))).accepted);
  follower().receive(b, append(4, at(huge, 4), {command(0, 4)}));
  follower().receive(b, Heartbeat{Term(4), at(huge, huge), huge});
  follower().receive(b, VoteRequest{Term(5), false, at(huge, huge)});
  leader().receive(b, AppendReply{Term(1), false, {}, Index(huge), at(huge, huge), boot_of(b)});
  leader().receive(b, AppendReply{Term(1), false, {}, Index(0), at(huge, huge), boot_of(b)});
  leader().receive(b, HeartbeatReply{Term(1), 0, Index(huge), Duration(-1), boot_of(b)});
}

TEST(Refusals, EachHasAName) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Refusal::read_below_commit); ++i) {
    names.insert(name_of(static_cast<Refusal>(i)));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(Refusal::read_below_commit) + 1);
  EXPECT_EQ(name_of(Role::pre_candidate), "pre_candidate");
}

TEST(RefusalDeathTest, ProposalToAFollowerIsOurOwnMistake) {
  Node node = follower();
  EXPECT_DEATH(node.propose(), "check failed");
}

TEST(RefusalDeathTest, ProposalWithAGapIsOurOwnMistake) {
  Node node = leader();
  EXPECT_DEATH(node.step(Propose{{command(9, 1)}}), "check failed");
  EXPECT_DEATH(node.step(Propose{{command(2, 2)}}), "check failed");
}

}  // namespace
}  // namespace kuilt::raft::test
