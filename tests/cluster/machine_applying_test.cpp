// A machine beside a state machine: results, and what it admits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine_group.hpp"

#include <algorithm>

#include "wire/entry.hpp"

namespace kuilt::cluster::test {
namespace {

using ::testing::ElementsAre;

MachineOptions applying() {
  MachineOptions options;
  options.applies = true;
  return options;
}
MachineOptions admitting() {
  MachineOptions options = applying();
  options.admits = true;
  return options;
}
/// "at INDEX: RESULT", with "again" if it is a duplicate; the refusal's name; "" while there is
/// no answer.
std::string shown(const std::optional<wire::Outcome>& outcome) {
  if (!outcome) return "";
  if (const auto* refused = std::get_if<wire::RefusedOutcome>(&*outcome)) {
    return std::string(name_of(refused->code)) + (refused->certain ? ", certain" : ", uncertain");
  }
  const auto& committed = std::get<wire::CommittedOutcome>(*outcome);
  return std::string(committed.duplicate ? "again " : "") + "at " +
         std::to_string(committed.at.index.value()) + ": " +
         (committed.result ? std::string(committed.result->text()) : "no result");
}
std::size_t commands(const std::vector<raft::Entry>& log) {
  return static_cast<std::size_t>(
      std::ranges::count(log, raft::EntryKind::command, &raft::Entry::kind));
}
bool is_raft(const MachineGroup::Flying& flying) {
  return std::holds_alternative<raft::Message>(flying.message);
}
/// Refuses commands that begin with "no".
std::optional<std::string> no_to_no(const AdmissionQuestion& question) {
  if (!question.command.text().starts_with("no")) return std::nullopt;
  return "not " + std::string(question.command.text()) + ", " + question.author;
}

TEST(Applying, AnAnswerLeavesWhenTheEntryIsAppliedAndBringsTheResult) {
  MachineGroup group(1, applying());
  group.elect();
  group.stuck_at[0] = Index(1002);
  group.submit(0, 1, proposal("s", 1));

  group.run_for(100ms);
  ASSERT_EQ(commands(group.committed(0)), 1U);
  EXPECT_EQ(shown(group.answer(1)), "") << "committed, and not yet applied";
  EXPECT_EQ(group[0].waiting(), 1U);

  group.stuck_at.clear();
  group.run_for(5ms);
  EXPECT_EQ(shown(group.answer(1)), "at 1002: result 1002");
  EXPECT_EQ(group[0].waiting(), 0U);
  EXPECT_EQ(group[0].applied(), Index(1002));
}

TEST(Applying, WithoutAStateMachineNobodyWaitsForOne) {
  MachineGroup group(1);
  group.elect();
  group.submit(0, 1, proposal("s", 1));

  group.run_for(50ms);

  EXPECT_EQ(shown(group.answer(1)), "at 1002: no result");
}

TEST(Applying, ADuplicateBringsTheOriginalResultWhileItIsKept) {
  MachineOptions options = applying();
  options.results_max = 2;
  MachineGroup group(1, options);
  group.elect();
  for (std::uint64_t id = 1; id <= 3; ++id) {
    group.submit(0, id, proposal("s", id));
    group.run_for(10ms);
    EXPECT_EQ(shown(group.answer(id)),
              "at " + std::to_string(1001 + id) + ": result " + std::to_string(1001 + id));
  }

  for (std::uint64_t id = 1; id <= 3; ++id) group.submit(0, 10 + id, proposal("s", id));
  group.run_for(10ms);

  EXPECT_EQ(shown(group.answer(11)), "again at 1002: no result");
  EXPECT_EQ(shown(group.answer(12)), "again at 1003: result 1003");
  EXPECT_EQ(shown(group.answer(13)), "again at 1004: result 1004");
}

TEST(Applying, BoundsOfZeroStillGiveAFreshCommitItsResult) {
  MachineOptions options = applying();
  options.results_bytes_max = 0;
  MachineGroup group(1, options);
  group.elect();
  group.submit(0, 1, proposal("s", 1));
  group.run_for(10ms);

  EXPECT_EQ(shown(group.answer(1)), "at 1002: result 1002");
}

TEST(Applying, ARepeatOfWhatIsCommittedWaitsUntilItIsAppliedToo) {
  MachineGroup group(1, applying());
  group.elect();
  group.stuck_at[0] = Index(1002);
  group.submit(0, 1, proposal("s", 1));
  group.run_for(50ms);
  group.give(0, LinkClosed{LinkId(1)});
  group.submit(0, 2, proposal("s", 1));
  group.submit(0, 3, proposal("s", 1));
  group.run_for(50ms);
  EXPECT_EQ(shown(group.answer(2)), "");

  group.stuck_at.clear();
  group.run_for(5ms);

  EXPECT_EQ(shown(group.answer(1)), "") << "nobody is there to hear it";
  EXPECT_EQ(shown(group.answer(2)), "again at 1002: result 1002");
  EXPECT_EQ(shown(group.answer(3)), "again at 1002: result 1002");
}

TEST(Applying, AFollowerAnswersWhatTheLeaderCallsARepeatFromItsOwnStateMachine) {
  MachineGroup group(3, applying());
  const std::size_t leader = group.elect();
  const std::size_t follower = group.follower();
  group.submit(leader, 1, proposal("s", 1));
  group.lost = [&](const auto& flying) { return flying.to == follower && is_raft(flying); };
  ASSERT_TRUE(group.run_until([&] { return group.answer(1).has_value(); }));
  const std::string first = shown(group.answer(1));

  // The follower does not know that it is committed, so the leader must tell it; and its own log
  // brings the entry only then.
  group.submit(follower, 2, proposal("s", 1));
  group.run_for(50ms);
  ASSERT_GT(group[leader].counters().committed_repeats, 0U);
  EXPECT_EQ(shown(group.answer(2)), "");
  group.lost = nullptr;
  group.run_for(1s);

  EXPECT_EQ(shown(group.answer(2)), "again " + first);
}

TEST(Applying, ASlowStateMachineMakesNobodyWaitForEver) {
  MachineGroup group(1, applying());
  group.elect();
  group.stuck_at[0] = Index(1002);
  group.submit(0, 1, proposal("s", 1));
  group.run_for(21s);
  EXPECT_EQ(shown(group.answer(1)), "unknown_outcome, uncertain");
  EXPECT_EQ(group[0].waiting(), 0U);

  group.submit(0, 2, proposal("s", 1));
  group.stuck_at.clear();
  group.run_for(50ms);

  EXPECT_EQ(shown(group.answer(2)), "again at 1002: result 1002");
}

TEST(Applying, ALeaderThatIsDeposedStillAnswersWhatIsCommitted) {
  MachineGroup group(3, applying());
  const std::size_t old = group.elect();
  group.stuck_at[old] = Index(1002);
  group.submit(old, 1, proposal("s", 1));
  group.run_for(50ms);
  group.isolate(old);
  group.run_for(2s);
  group.isolated.clear();
  group.run_for(500ms);
  ASSERT_NE(group.leader(), old);

  group.stuck_at.clear();
  group.run_for(50ms);

  EXPECT_EQ(shown(group.answer(1)), "at 1002: result 1002");
  EXPECT_EQ(group[old].counters().reforwards, 0U);
}

TEST(Admitting, WhatTheStateMachineRefusesIsCertainlyNotInTheLogAndCarriesItsWords) {
  MachineGroup group(1, admitting());
  group.refuses = no_to_no;
  group.elect();
  group.submit(0, 1, proposal("s", 1, 1, "no way"));
  group.submit(0, 2, proposal("s", 2, 1, "yes"));

  group.run_for(50ms);

  EXPECT_EQ(shown(group.answer(1)), "not_admitted, certain");
  EXPECT_EQ(std::get<wire::RefusedOutcome>(*group.answer(1)).message, "not no way, ann");
  EXPECT_EQ(shown(group.answer(2)), "at 1002: result 1002");
  EXPECT_EQ(commands(group.committed(0)), 1U);
  EXPECT_EQ(group.count(&Counters::not_admitted), 1U);
}

TEST(Admitting, ARepeatIsNotInQuestion) {
  MachineGroup group(1, admitting());
  group.elect();
  group.submit(0, 1, proposal("s", 1));
  group.run_for(50ms);

  group.refuses = [](const auto&) { return "never"; };
  group.submit(0, 2, proposal("s", 1));
  group.run_for(50ms);

  EXPECT_EQ(shown(group.answer(2)), "again at 1002: result 1002");
  EXPECT_EQ(group.questions.size(), 1U);
}

TEST(Admitting, WhatGotInByAnotherWayMeanwhileIsARepeatWhateverTheVerdict) {
  MachineGroup group(3, admitting());
  const std::size_t leader = group.elect();
  group.refuses = [&](const AdmissionQuestion& question) {
    return question.number == 1 ? std::nullopt : std::optional<std::string>("not twice");
  };
  group.is_mute = true;
  group.submit(group.follower(), 1, proposal("s", 1));
  group.run_for(10ms);
  group.submit(leader, 2, proposal("s", 1));
  group.run_for(10ms);
  ASSERT_EQ(group.questions.size(), 2U);

  group.is_mute = false;
  group.run_for(100ms);

  EXPECT_EQ(shown(group.answer(1)), "at 1002: result 1002");
  EXPECT_EQ(shown(group.answer(2)), "again at 1002: result 1002");
  EXPECT_EQ(commands(group.committed(leader)), 1U);
}

TEST(Admitting, OrderIsKept) {
  MachineGroup group(1, admitting());
  group.elect();
  for (std::uint64_t id = 1; id <= 5; ++id) group.submit(0, 1, proposal("s", id, id));

  group.run_for(50ms);

  for (std::uint64_t id = 1; id <= 5; ++id) {
    const std::string index = std::to_string(1001 + id);
    EXPECT_EQ(shown(group.answer(1, id)), "at " + index + ": result " + index);
  }
}

TEST(Admitting, TheQuestionComesAfterAllThatWasAcknowledgedBefore) {
  MachineGroup group(3, admitting());
  const std::size_t old = group.elect();
  group.submit(old, 1, proposal("s", 1));
  group.run_for(50ms);
  group.isolate(old);
  ASSERT_TRUE(group.run_until([&] { return group.leader() && *group.leader() != old; }));

  // Its first question, before it has committed anything of its own term.
  const std::size_t leader = *group.leader();
  group.submit(leader, 2, proposal("s", 2));
  group.run_for(500ms);

  ASSERT_EQ(group.questions.size(), 2U);
  EXPECT_EQ(group.questions[0].after, Index(1001)) << "the first entry of the term";
  EXPECT_GE(group.questions[1].after, Index(1003)) << "past the command, and the new term's first";
  EXPECT_EQ(shown(group.answer(2)), "at 1004: result 1004");
}

TEST(Admitting, AFollowersProposalIsAskedAboutByTheLeaderAndRefusedThroughItsEntryServer) {
  MachineGroup group(3, admitting());
  group.refuses = no_to_no;
  group.elect();
  group.submit(group.follower(), 1, proposal("s", 1, 1, "no"));
  group.submit(group.follower(), 2, proposal("s", 2, 1, "yes"));

  group.run_for(100ms);

  EXPECT_EQ(shown(group.answer(1)), "not_admitted, certain");
  EXPECT_EQ(shown(group.answer(2)), "at 1002: result 1002");
}

TEST(Admitting, ARefusalAfterALostForwardIsUncertain) {
  MachineGroup group(3, admitting());
  group.refuses = no_to_no;
  group.elect();
  group.lost = [&, left = 1](const auto& flying) mutable {
    return std::holds_alternative<wire::Forward>(flying.message) && left-- > 0;
  };
  group.submit(group.follower(), 1, proposal("s", 1, 1, "no"));

  group.run_for(1500ms);

  EXPECT_EQ(shown(group.answer(1)), "not_admitted, uncertain");
}

TEST(Admitting, ALostLeadTakesTheQuestionsToTheNextLeaderWithoutADoubt) {
  MachineGroup group(3, admitting());
  const std::size_t old = group.elect();
  group.refuses = no_to_no;
  group.is_mute = true;
  group.submit(old, 1, proposal("s", 1, 1, "no"));
  group.submit(old, 2, proposal("s", 2, 1, "yes"));
  group.run_for(10ms);
  ASSERT_EQ(group.questions.size(), 2U);
  group.isolate(old);
  ASSERT_TRUE(group.run_until([&] { return group.leader() && *group.leader() != old; }));

  group.is_mute = false;  // The old leader's state machine answers, too late.
  group.isolated.clear();
  ASSERT_TRUE(group.run_until([&] { return group.answer(1) && group.answer(2); }));

  EXPECT_EQ(shown(group.answer(1)), "not_admitted, certain");
  EXPECT_EQ(shown(group.answer(2)), "at 1003: result 1003");
  group.run_for(500ms);
  EXPECT_EQ(commands(group.committed(old)), 1U);
  EXPECT_EQ(group.count(&Counters::reforwards), 0U);
}

TEST(Admitting, ALostLeadTellsTheEntryServersOfWhatWasInQuestion) {
  MachineGroup group(3, admitting());
  const std::size_t old = group.elect();
  const std::size_t follower = group.follower();
  group.is_mute = true;
  group.submit(follower, 1, proposal("s", 1));
  group.run_for(10ms);

  // A higher term ends its lead, while the link to the entry server works.
  group.lost = [](const auto& flying) { return is_raft(flying); };
  group.run_for(700ms);
  ASSERT_NE(group[old].raft().role(), raft::Role::leader);

  const auto is_not_leader = [](const MachineGroup::Flying& flying) {
    const auto* reply = std::get_if<wire::ForwardReply>(&flying.message);
    if (reply == nullptr || reply->answers.size() != 1) return false;
    const auto* refused = std::get_if<wire::RefusedOutcome>(&reply->answers.front().outcome);
    return refused != nullptr && refused->code == ErrorCode::not_leader && refused->certain;
  };
  EXPECT_EQ(std::ranges::count_if(group.sent, is_not_leader), 1);
}

TEST(Admitting, IsBusyBeyondItsBytesButOneAlwaysFits) {
  MachineOptions options = admitting();
  options.admission_bytes_max = 1;
  MachineGroup group(1, options);
  group.elect();
  group.is_mute = true;
  group.submit(0, 1, proposal("s", 1));
  group.submit(0, 2, proposal("s", 2));
  group.run_for(10ms);
  group.is_mute = false;
  group.run_for(50ms);

  EXPECT_EQ(shown(group.answer(1)), "at 1002: result 1002");
  EXPECT_EQ(shown(group.answer(2)), "busy, certain");
}

TEST(Admitting, AQuestionWithoutAnAnswerEndsInARefusalThatIsCertain) {
  MachineGroup group(1, admitting());
  group.elect();
  group.is_mute = true;
  group.submit(0, 1, proposal("s", 1));
  group.run_for(21s);
  EXPECT_EQ(shown(group.answer(1)), "busy, certain");

  group.is_mute = false;  // Too late.
  group.run_for(50ms);

  EXPECT_EQ(commands(group.committed(0)), 0U);
}

TEST(Admitting, NobodyIsAnsweredOnALinkThatClosedWhileTheQuestionWasOpen) {
  MachineGroup group(1, admitting());
  group.elect();
  group.is_mute = true;
  group.submit(0, 1, proposal("s", 1));
  group.run_for(10ms);
  group.give(0, LinkClosed{LinkId(1)});
  group.run_for(10ms);
  group.is_mute = false;
  group.run_for(50ms);

  EXPECT_EQ(group[0].waiting(), 0U);
  EXPECT_EQ(commands(group.committed(0)), 0U);
}

}  // namespace
}  // namespace kuilt::cluster::test
