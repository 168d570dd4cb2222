// The oracle and the invariants can refuse: each rule is broken once, and named.
#include "sim/oracle.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/invariants.hpp"
#include "wire/entry.hpp"

namespace kuilt::sim {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

raft::Entry command(std::uint64_t index, ProposalNumber number, std::uint64_t request = 1,
                    std::uint64_t term = 1) {
  static std::string body;
  body = Oracle::sealed(number, "body");
  wire::Command command;
  command.at = {Index(index), Term(term)};
  command.author = "c0";
  command.request_id = RequestId(request);
  command.body = BytesView(body);
  command.session = SessionId(1, 1);
  command.digest = wire::command_digest(command.room, command.body);
  return wire::encode_command(command);
}

wire::FeedEntry told(std::uint64_t index, ProposalNumber number) {
  wire::FeedEntry entry;
  entry.at = {Index(index), Term(1)};
  entry.author = "c0";
  entry.request_id = RequestId(1);
  entry.command = Bytes(Oracle::sealed(number, "body"));
  return entry;
}

/// Two proposals, committed at 1 and 2.
struct TwoCommitted : ::testing::Test {
  TwoCommitted() {
    first = oracle.propose("", "body");
    second = oracle.propose("", "body");
    EXPECT_EQ(oracle.commit(command(1, first), 1, Term(1)), std::nullopt);
    EXPECT_EQ(oracle.commit(command(2, second), 2, Term(1)), std::nullopt);
    observer = oracle.observe("", Position{});
  }
  Oracle oracle{Position{}};
  ProposalNumber first = 0;
  ProposalNumber second = 0;
  ObserverNumber observer = 0;
};

TEST_F(TwoCommitted, WhatIsTrueIsAccepted) {
  EXPECT_EQ(oracle.resolved(first, wire::CommittedOutcome{{Index(1), Term(1)}, false}),
            std::nullopt);
  EXPECT_EQ(oracle.delivered(observer, told(1, first)), std::nullopt);
  EXPECT_EQ(oracle.delivered(observer, told(2, second)), std::nullopt);
}

TEST_F(TwoCommitted, AGapIsNamed) {
  EXPECT_THAT(oracle.delivered(observer, told(2, second)).value_or(""), HasSubstr("gap"));
}

TEST_F(TwoCommitted, ARepeatIsNamed) {
  ASSERT_EQ(oracle.delivered(observer, told(1, first)), std::nullopt);

  EXPECT_THAT(oracle.delivered(observer, told(1, first)).value_or(""), HasSubstr("repeat"));
}

TEST_F(TwoCommitted, BytesThatWereNeverCommittedAreNamed) {
  EXPECT_THAT(oracle.delivered(observer, told(1, second)).value_or(""), HasSubstr("other bytes"));
}

TEST_F(TwoCommitted, BeingLedPastAnEntryIsNamed) {
  EXPECT_THAT(oracle.advanced(observer, {Index(1), Term(1)}, 0).value_or(""),
              HasSubstr("led past"));
}

TEST_F(TwoCommitted, FromNowMayNotSkipWhatItsClientProposedSince) {
  const ObserverNumber early = oracle.observe("", std::nullopt);
  const ObserverNumber late = oracle.observe("", std::nullopt);
  const ProposalNumber third = oracle.propose("", "body");
  ASSERT_EQ(oracle.commit(command(3, third), 3, Term(1)), std::nullopt);
  const Position beyond{Index(3), Term(1)};

  EXPECT_EQ(oracle.owes(late, third), std::nullopt);  // The receipt came first.
  EXPECT_THAT(oracle.begins(late, beyond).value_or(""), HasSubstr("skipped"));
  EXPECT_EQ(oracle.begins(early, beyond), std::nullopt);  // The feed came first.
  EXPECT_THAT(oracle.owes(early, third).value_or(""), HasSubstr("began after (3, 1)"));
}

TEST_F(TwoCommitted, FromNowOwesNothingThatWasProposedBeforeOrElsewhere) {
  const ProposalNumber third = oracle.propose("", "body");
  const ObserverNumber now = oracle.observe("", std::nullopt);
  ASSERT_EQ(oracle.commit(command(3, third), 3, Term(1)), std::nullopt);
  const ProposalNumber aside = oracle.propose("side", "body");

  EXPECT_EQ(oracle.owes(now, third), std::nullopt);
  EXPECT_EQ(oracle.owes(now, aside), std::nullopt);
  EXPECT_EQ(oracle.begins(now, {Index(3), Term(1)}), std::nullopt);
}

TEST_F(TwoCommitted, AWrongDigestIsNamed) {
  ASSERT_EQ(oracle.delivered(observer, told(1, first)), std::nullopt);

  EXPECT_THAT(oracle.advanced(observer, {Index(1), Term(1)}, 99).value_or(""), HasSubstr("digest"));
}

TEST_F(TwoCommitted, AnAcknowledgementOfAnotherPlaceIsNamed) {
  const auto wrong = wire::CommittedOutcome{{Index(2), Term(1)}, false};

  EXPECT_THAT(oracle.resolved(first, wrong).value_or(""), HasSubstr("acknowledged at (2, 1)"));
}

TEST_F(TwoCommitted, ACertainRefusalOfWhatIsCommittedIsNamed) {
  const Error refused(ErrorCode::busy, Effect::none, "full");

  EXPECT_THAT(oracle.resolved(first, refused).value_or(""), HasSubstr("refused for certain"));
}

TEST_F(TwoCommitted, ACommitOfWhatWasRefusedIsNamed) {
  const ProposalNumber third = oracle.propose("", "body");
  ASSERT_EQ(oracle.resolved(third, Error(ErrorCode::busy, Effect::none, "full")), std::nullopt);

  EXPECT_THAT(oracle.commit(command(3, third), 3, Term(1)).value_or(""), HasSubstr("refused"));
}

TEST_F(TwoCommitted, AResultWhereThereIsNoStateMachineIsNamed) {
  const wire::CommittedOutcome told{{Index(1), Term(1)}, false, Bytes("1")};

  EXPECT_THAT(oracle.resolved(first, told).value_or(""), HasSubstr("no state machine"));
}

/// The same two, on servers with a state machine.
struct TwoApplied : ::testing::Test {
  TwoApplied() {
    first = oracle.propose("", "body");
    second = oracle.propose("", "body");
    EXPECT_EQ(oracle.commit(command(1, first), 1, Term(1)), std::nullopt);
    EXPECT_EQ(oracle.commit(command(2, second), 2, Term(1)), std::nullopt);
    DigestMachine state{Rng(1)};
    LogEntry entry;
    entry.command = Bytes("body");
    result_of_first = state.apply(entry);
    result_of_second = state.apply(entry);
  }
  [[nodiscard]] std::string complaint_about_second(std::optional<Bytes> result, bool duplicate) {
    const wire::CommittedOutcome told{{Index(2), Term(1)}, duplicate, std::move(result)};
    return oracle.resolved(second, told).value_or("");
  }
  [[nodiscard]] std::string complaint_about_server(std::uint64_t index, const Bytes& result,
                                                   const std::string& state) {
    LogEntry entry;
    entry.index = Index(index);
    shown = state;
    return oracle.applied("s1", entry, result, DigestMachine(Rng(1))).value_or("");
  }
  std::string shown = "0 points";
  Oracle oracle{Position{},
                {[] { return std::make_unique<DigestMachine>(Rng(1)); },
                 [this](const kuilt::StateMachine&) { return shown; }}};
  ProposalNumber first = 0;
  ProposalNumber second = 0;
  Bytes result_of_first;
  Bytes result_of_second;
};

TEST_F(TwoApplied, TheResultOfTheEntryIsAccepted) {
  EXPECT_EQ(complaint_about_second(result_of_second, false), "");
}

TEST_F(TwoApplied, ARepeatMayHaveLostItsResult) {
  EXPECT_EQ(complaint_about_second(std::nullopt, true), "");
}

TEST_F(TwoApplied, AFreshCommitWithoutAResultIsNamed) {
  EXPECT_THAT(complaint_about_second(std::nullopt, false), HasSubstr("without a result"));
}

TEST_F(TwoApplied, TheResultOfAnotherEntryIsNamed) {
  EXPECT_THAT(complaint_about_second(result_of_first, false), HasSubstr("not that of the entry"));
}

TEST_F(TwoApplied, AServerThatReturnsTheSameIsAccepted) {
  EXPECT_EQ(complaint_about_server(2, result_of_second, "0 points"), "");
}

TEST_F(TwoApplied, AServerThatReturnsSomethingElseIsNamed) {
  EXPECT_THAT(complaint_about_server(2, result_of_first, "0 points"),
              AllOf(HasSubstr("state machines differ: apply of entry 2"), HasSubstr("on s1")));
}

TEST_F(TwoApplied, AServerWithAnotherStateIsNamed) {
  EXPECT_THAT(complaint_about_server(2, result_of_second, "1 point"),
              HasSubstr("the state is \"1 point\", but \"0 points\""));
}

TEST_F(TwoApplied, AServerThatAppliesWhatIsNotCommittedIsNamed) {
  EXPECT_THAT(complaint_about_server(3, result_of_second, "0 points"),
              HasSubstr("applies what is not committed"));
}

TEST_F(TwoApplied, ADecisionByAStateThatIsTooOldIsNamed) {
  ASSERT_EQ(complaint_about_second(result_of_second, false), "");
  const Bytes third = oracle.command_of(oracle.propose("", "body"));

  EXPECT_EQ(oracle.asked(BytesView(third), Index(2)), std::nullopt);
  EXPECT_THAT(oracle.asked(BytesView(third), Index(1)).value_or(""), HasSubstr("it has applied 1"));
}

TEST_F(TwoCommitted, AProposalInTheLogTwiceIsNamed) {
  EXPECT_THAT(oracle.commit(command(3, first), 3, Term(1)).value_or(""), HasSubstr("twice"));
}

TEST_F(TwoCommitted, APhantomIsNamed) {
  EXPECT_THAT(oracle.commit(command(3, 77), 3, Term(1)).value_or(""), HasSubstr("nobody"));
}

/// Three servers with empty logs.
struct ThreeServers : ::testing::Test {
  static raft::Write write(std::uint64_t seq, std::vector<raft::Entry> entries, Term term,
                           NodeId vote = {}) {
    raft::Write write;
    write.seq = raft::WriteSeq(seq);
    write.hard = {term, vote};
    write.entries = std::move(entries);
    return write;
  }
  static raft::Configuration members(const std::vector<NodeId>& voters) {
    raft::Configuration configuration;
    for (const NodeId id : voters) configuration.members.push_back({id, "", "", "", true});
    std::ranges::sort(configuration.members, {}, &raft::Member::id);
    return configuration;
  }
  // All logs hold this configuration, committed and durable.
  void begin_with(const raft::Configuration& configuration) {
    const auto shared = std::make_shared<const raft::Configuration>(configuration);
    founding = wire::encode_configuration({Index(1), Term(1)}, LogTime(), shared);
    invariants.founded(shared);
    for (const ServerNumber server : {0U, 1U, 2U}) {
      invariants.ordered(server, write(1, {founding}, Term(1)));
      invariants.synced(server, raft::WriteSeq(1));
    }
    invariants.committed(0, {{}, founding.at, {founding}}, Term(1));
    EXPECT_EQ(complaint(), "");
  }
  // From the third server alone to the other two; so many of them hold what is committed.
  void commit_jointly(ServerNumber holders) {
    raft::Configuration joint = members({ids[0], ids[1]});
    joint.outgoing = members({ids[2]}).members;
    begin_with(joint);
    const raft::Entry entry = wire::no_op({Index(2), Term(1)});
    for (const ServerNumber server : {0U, 1U, 2U}) {
      invariants.ordered(server, write(2, {entry}, Term(1)));
      if (server < holders) invariants.synced(server, raft::WriteSeq(2));
    }
    invariants.committed(0, {founding.at, entry.at, {entry}}, Term(1));
  }
  [[nodiscard]] std::string complaint() const { return invariants.violation().value_or(""); }

  raft::Entry founding;
  std::vector<NodeId> ids{NodeId::named("s0"), NodeId::named("s1"), NodeId::named("s2")};
  Oracle oracle{Position{}};
  Invariants invariants{ids, Position{}, oracle};
};

TEST_F(ThreeServers, AVoteThatIsNotYetDurableMayNotLeave) {
  invariants.ordered(0, write(1, {}, Term(2), ids[1]));
  invariants.sends(0, 1, raft::Message(raft::VoteReply{Term(2), false, true}));

  EXPECT_THAT(complaint(), HasSubstr("a vote leaves only when it is durable"));
}

TEST_F(ThreeServers, AVoteThatIsDurableMayLeave) {
  invariants.ordered(0, write(1, {}, Term(2), ids[1]));
  invariants.synced(0, raft::WriteSeq(1));
  invariants.sends(0, 1, raft::Message(raft::VoteReply{Term(2), false, true}));

  EXPECT_EQ(complaint(), "");
}

TEST_F(ThreeServers, AVoteIsFinalWithinItsTerm) {
  invariants.ordered(0, write(1, {}, Term(2), ids[1]));
  invariants.ordered(0, write(2, {}, Term(2), ids[2]));

  EXPECT_THAT(complaint(), HasSubstr("a vote is final"));
}

TEST_F(ThreeServers, AnAppendThatIsNotYetDurableMayNotBeAcknowledged) {
  invariants.ordered(0, write(1, {wire::no_op({Index(1), Term(1)})}, Term(1)));
  raft::AppendReply reply;
  reply.term = Term(1);
  reply.accepted = true;
  reply.durable = Index(1);
  invariants.sends(0, 1, raft::Message(reply));

  EXPECT_THAT(complaint(), HasSubstr("acknowledged only when it is durable"));
}

TEST_F(ThreeServers, ACommitNeedsADurableMajority) {
  begin_with(members(ids));
  const raft::Entry entry = wire::no_op({Index(2), Term(1)});
  for (const ServerNumber server : {0U, 1U}) {
    invariants.ordered(server, write(2, {entry}, Term(1)));
  }
  invariants.synced(0, raft::WriteSeq(2));
  invariants.committed(0, {founding.at, entry.at, {entry}}, Term(1));

  EXPECT_THAT(complaint(), HasSubstr("durable on a majority"));
}

TEST_F(ThreeServers, AJointCommitNeedsADurableMajorityOfTheHalfBeforeToo) {
  commit_jointly(2);

  EXPECT_THAT(complaint(), HasSubstr("durable on a majority"));
}

TEST_F(ThreeServers, AJointCommitThatBothHalvesHoldIsOne) {
  commit_jointly(3);

  EXPECT_EQ(complaint(), "");
}

TEST_F(ThreeServers, TheSamePositionHoldsTheSameEntryInEveryLog) {
  const ProposalNumber first = oracle.propose("", "body");
  const ProposalNumber second = oracle.propose("", "body");
  invariants.ordered(0, write(1, {command(1, first)}, Term(1)));
  invariants.ordered(1, write(1, {command(1, second)}, Term(1)));

  EXPECT_THAT(complaint(), HasSubstr("log matching"));
}

TEST_F(ThreeServers, NoLogHoldsARequestTwice) {
  const ProposalNumber first = oracle.propose("", "body");
  invariants.ordered(0, write(1, {command(1, first)}, Term(1)));
  invariants.ordered(0, write(2, {command(2, first)}, Term(1)));

  EXPECT_THAT(complaint(), HasSubstr("twice"));
}

TEST_F(ThreeServers, NoLogHoldsACommandThatNoStateMachineAdmits) {
  const ProposalNumber first = oracle.propose("", "body");
  invariants.admit_only([](BytesView command) { return !command.text().starts_with("0:"); });
  invariants.ordered(0, write(1, {command(1, first)}, Term(1)));

  EXPECT_THAT(complaint(), HasSubstr("no state machine admits"));
}

TEST_F(ThreeServers, RecoveryMustFindWhatWasDurable) {
  invariants.ordered(0, write(1, {wire::no_op({Index(1), Term(1)})}, Term(1)));
  invariants.synced(0, raft::WriteSeq(1));
  invariants.booted(0, {Term(1), NodeId()}, {}, Index());

  EXPECT_THAT(complaint(), HasSubstr("recovery finds what was durable"));
}

TEST_F(ThreeServers, RecoveryMayFindAPrefixOfWhatWasUnderWay) {
  const raft::Entry entry = wire::no_op({Index(1), Term(1)});
  invariants.ordered(0, write(1, {entry}, Term(1)));
  invariants.ordered(0, write(2, {}, Term(2), ids[1]));
  invariants.booted(0, {Term(1), NodeId()}, {entry}, Index());

  EXPECT_EQ(complaint(), "");
}

}  // namespace
}  // namespace kuilt::sim
