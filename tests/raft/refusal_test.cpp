// Rule 8: what a peer sends is checked, and each refusal has a name. Every test shows the sound
// neighbour of the refused message too, so that no guard can hide behind another.
#include <deque>
#include <limits>
#include <set>

#include "tests/raft/fixture.hpp"

namespace kuilt::raft::test {
namespace {

const NodeId f = NodeId::named("f");
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
  expect_refused(leader(), a, beat, Refusal::sender_is_self);
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

// Who says so does not lead, whatever the term: it is not even heard.
void expect_contradiction(const Message& message) {
  Node node = follower();
  const Output& out = node.receive(b, message);
  EXPECT_EQ(out.refused, Refusal::conflict_below_commit);
  EXPECT_TRUE(out.send.empty());
  EXPECT_EQ(node.core().fingerprint(), follower().core().fingerprint());
}

TEST(Refusals, NothingCommittedIsReplaced) {
  expect_contradiction(append(4, at(1, 1), {command(2, 3)}));  // Another entry at commit.
  expect_contradiction(append(4, at(2, 3), {}));               // Another prev at commit.
  expect_contradiction(append(4, at(9, 1), {}));  // A log that cannot hold what is committed.
  expect_contradiction(Heartbeat{Term(4), at(2, 3), 1});
  expect_contradiction(append(9, at(1, 1), {command(2, 3)}));
  expect_contradiction(Heartbeat{Term(9), at(1, 8), 1});
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

TEST(Refusals, NobodyElseHasOurId) {
  const Heartbeat beat{Term(5), {}, 1};
  const VoteRequest vote{Term(5), true, at(9, 4)};

  expect_refused(follower(), a, beat, Refusal::sender_is_self);
  expect_refused(follower(), a, vote, Refusal::sender_is_self);
  expect_obeyed(follower(), b, beat);
  expect_obeyed(follower(), b, vote);
}

TEST(Refusals, WhoeverAsksOrLeadsIsInATerm) {
  const Node fresh(boot(a, three));

  expect_refused(fresh, b, Heartbeat{Term(0), {}, 1}, Refusal::no_term);
  expect_refused(fresh, b, append(0, {}, {}), Refusal::no_term);
  expect_refused(fresh, b, VoteRequest{Term(0), false, {}}, Refusal::no_term);
  expect_refused(fresh, b, TimeoutNow{Term(0), {}}, Refusal::no_term);
  expect_obeyed(fresh, b, Heartbeat{Term(1), {}, 1});
  expect_obeyed(fresh, b, append(1, {}, {}));
  expect_obeyed(fresh, b, VoteRequest{Term(1), false, {}});
}

TEST(Refusals, NobodysLogIsOfALaterTermThanItself) {
  expect_refused(follower(), b, VoteRequest{Term(5), false, at(9, 5)}, Refusal::log_beyond_term);
  expect_refused(follower(), b, VoteRequest{Term(5), true, at(9, 6)}, Refusal::log_beyond_term);
  expect_obeyed(follower(), b, VoteRequest{Term(5), false, at(9, 4)});
  expect_obeyed(follower(), b, VoteRequest{Term(5), true, at(9, 4)});

  Node led = follower();
  led.receive(b, Heartbeat{Term(4), {}, 1});
  expect_refused(led, b, TimeoutNow{Term(4), at(3, 5)}, Refusal::log_beyond_term);
  expect_obeyed(led, b, TimeoutNow{Term(4), at(3, 4)});

  expect_refused(follower(), b, Heartbeat{Term(4), at(9, 5), 1}, Refusal::commit_beyond_term);
  expect_obeyed(follower(), b, Heartbeat{Term(4), at(9, 4), 1});
}

// A vote names nobody: it is for whom it is sent to. So one for another cannot be told from one
// that was not asked for.
TEST(Refusals, VoteIsForWhoeverStood) {
  Node candidate(boot(a, three));
  candidate.time_out();
  candidate.receive(b, VoteReply{Term(1), true, true});
  candidate.written();
  Node voter(boot(a, three));
  voter.receive(b, VoteRequest{Term(1), false, {}});
  voter.written();
  const VoteReply vote{Term(1), false, true};

  expect_refused(voter, c, vote, Refusal::vote_not_asked_for);
  expect_refused(follower(), c, VoteReply{Term(4), false, true}, Refusal::vote_not_asked_for);
  expect_refused(candidate, c, VoteReply{Term(2), false, true}, Refusal::vote_not_asked_for);
  expect_refused(candidate, c, VoteReply{Term(3), true, true}, Refusal::vote_not_asked_for);
  expect_refused(candidate, stranger, vote, Refusal::unknown_sender);
  expect_obeyed(candidate, c, vote);
}

TEST(Refusals, VoterThatRefusesAndContradictsWhatIsCommittedIsLying) {
  const VoteReply lie{Term(4), true, false, at(2, 3)};
  const VoteReply word{Term(4), true, false, at(2, 2)};

  expect_refused(follower(), b, lie, Refusal::conflict_below_commit);
  expect_obeyed(follower(), b, word);
}

TEST(Refusals, NobodyObeysUsInATermThatWeHaveNotLed) {
  const AppendReply ack{Term(2), true, Index(1), {}, {}, boot_of(b)};
  const AppendReply rejection{Term(2), false, {}, Index(1), {}, boot_of(b)};
  const HeartbeatReply beat{Term(2), 1, Index(1), {}, boot_of(b)};
  const ReadReply read{Term(2), 1, boot_of(a), true, Index(1)};
  for (const Message& message : std::vector<Message>{ack, rejection, beat, read}) {
    expect_refused(leader(), b, message, Refusal::answers_unasked_term);
  }
  // What says no more than that the term is there ends the lead.
  const AppendReply no_append{Term(2), false, {}, {}, {}, boot_of(b)};
  const HeartbeatReply no_beat{Term(2), 0, {}, {}, boot_of(b)};
  const ReadReply no_read{Term(2), 1, boot_of(a), false, {}};
  for (const Message& message : std::vector<Message>{no_append, no_beat, no_read}) {
    Node node = leader();
    EXPECT_EQ(node.receive(b, message).refused, Refusal::none);
    EXPECT_EQ(node.core().term(), Term(2));
  }
}

TEST(Refusals, LogsAgreeOnlyBeforeWhatWasRejected) {
  const auto rejected = [](Position conflict) {
    return AppendReply{Term(1), false, {}, Index(1), conflict, boot_of(b)};
  };

  expect_refused(leader(), b, rejected(at(1, 0)), Refusal::rejection_without_sense);
  expect_refused(leader(), b, rejected(at(0, 2)), Refusal::rejection_without_sense);
  EXPECT_NE(leader().receive(b, rejected(at(0, 0))).refused, Refusal::rejection_without_sense);
}

// Rule 6: {A,B,E} has become {D,E,F} while E was away: A and B are gone, and F is down. E does not
// know D, and D can win only with E's vote.
TEST(Gate, VoterThatMissedTheWholeChangeVotesForAndFollowsWhomItDoesNotKnow) {
  Boot with_change = boot(d, voters({a, b, e}), {Term(1), NodeId()}, {1, 1});
  with_change.tail[1].kind = EntryKind::configuration;
  with_change.tail[1].configuration = voters({d, e, f});
  Node successor(std::move(with_change));
  Node lagging(boot(e, voters({a, b, e}), {Term(1), NodeId()}, {1}));
  struct Sent {
    NodeId from;
    Outgoing what;
  };
  std::deque<Sent> network;
  // What came of the last step, once its writes are done.
  const auto settle = [&](Node& node, NodeId id) {
    for (bool written = true; written;) {
      for (const Outgoing& outgoing : node.out().send) network.push_back({id, outgoing});
      written = node.out().write.has_value();
      if (written) node.written();
    }
  };

  lagging.hold_up(1s);
  successor.time_out();
  settle(successor, d);
  for (; !network.empty(); network.pop_front()) {
    const auto [from, what] = network.front();
    if (what.to != d && what.to != e) continue;
    Node& receiver = what.to == d ? successor : lagging;
    EXPECT_EQ(receiver.receive(from, what.message).refused, Refusal::none);
    settle(receiver, what.to);
  }

  EXPECT_EQ(successor.core().role(), Role::leader);
  EXPECT_EQ(successor.core().commit_index(), Index(3));
  EXPECT_EQ(lagging.core().leader(), d);
  EXPECT_TRUE(lagging.core().configuration()->votes(f));
}

// --- No message, however absurd, does more than be refused or change what any peer may change ---

Message random_message(Rng& rng) {
  const auto number = [&] {
    const std::uint64_t edge = std::numeric_limits<std::uint64_t>::max();
    return rng.chance(90) ? rng.below(6) : rng.chance(50) ? edge - rng.below(3) : rng.next();
  };
  const auto position = [&] { return Position{Index(number()), Term(number())}; };
  const Term term(number());
  switch (rng.below(9)) {
    case 0: return VoteRequest{term, rng.chance(50), position(), rng.chance(30)};
    case 1: {
      VoteReply reply{term, rng.chance(50), rng.chance(50)};
      if (rng.chance(30)) reply.committed = position();
      return reply;
    }
    case 2: {
      AppendRequest request{term, position(), Index(number()), {}};
      for (std::uint64_t left = rng.below(4); left > 0; --left) {
        request.entries.push_back({position(), EntryKind::command, Bytes("x"), {}});
      }
      if (rng.chance(80)) {
        Index after = request.prev.index;
        for (Entry& entry : request.entries) entry.at.index = after = after.next();
      }
      return request;
    }
    case 3:
      return AppendReply{term,       rng.chance(50),          Index(number()), Index(number()),
                         position(), boot_of(b, rng.below(2))};
    case 4: return Heartbeat{term, position(), number()};
    case 5:
      return HeartbeatReply{term, number(), Index(number()),
                            Duration(static_cast<Duration::rep>(number())), boot_of(b)};
    case 6: return ReadRequest{term, number(), boot_of(b, rng.below(2))};
    case 7: return ReadReply{term, number(), boot_of(a), rng.chance(50), Index(number())};
    default: return TimeoutNow{term, position()};
  }
}

TEST(Gate, NoMessageOfAPeerBreaksAnAssertionAndWhatIsRefusedAsAFaultChangesNothing) {
  std::set<Refusal> seen;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Rng rng(seed);
    Node node = seed % 2 == 0 ? follower() : leader();
    for (int i = 0; i < 100; ++i) {
      const NodeId from = rng.chance(90) ? (rng.chance(50) ? b : c) : rng.chance(50) ? a : stranger;
      const std::string before = node.core().fingerprint();
      const Output& out = node.receive(from, random_message(rng));
      seen.insert(out.refused);
      if (tells_of_a_fault(out.refused)) {
        ASSERT_EQ(node.core().fingerprint(), before);
      }
      if (rng.chance(30) && out.write) node.written();
      if (rng.chance(5)) node.wait(std::chrono::milliseconds(rng.below(700)));
    }
  }
  for (const Refusal refusal :
       {Refusal::term_jump, Refusal::second_leader_in_term, Refusal::entries_not_contiguous,
        Refusal::entry_term_grows_beyond_message, Refusal::entry_terms_decrease,
        Refusal::conflict_below_commit, Refusal::acknowledges_beyond_log,
        Refusal::answers_unknown_round, Refusal::sender_is_self, Refusal::no_term,
        Refusal::log_beyond_term, Refusal::commit_beyond_term, Refusal::vote_not_asked_for,
        Refusal::answers_unasked_term, Refusal::rejection_without_sense}) {
    EXPECT_TRUE(seen.contains(refusal)) << name_of(refusal);
  }
}

TEST(Refusals, EachHasAName) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Refusal::rejection_without_sense); ++i) {
    names.insert(name_of(static_cast<Refusal>(i)));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(Refusal::rejection_without_sense) + 1);
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
