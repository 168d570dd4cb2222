#include "tests/client/core_bench.hpp"

namespace kuilt::client {
namespace {

TEST(Proposals, AnAnswerUnderTheAttemptsNumberIsTheOutcome) {
  Bench bench;
  const DialId dial = bench.admit_last();

  const CallId call = bench.propose("move");
  ASSERT_EQ(bench.proposals.size(), 1U);
  EXPECT_EQ(bench.last_proposal().command.text(), "move");
  EXPECT_EQ(bench.last_proposal().request_id, RequestId(1));
  EXPECT_EQ(bench.verdict(call), "pending");
  bench.answer(dial, bench.last_proposal().number, wire::CommittedOutcome{at(101, 3), true});

  ASSERT_TRUE(bench.committed(call));
  EXPECT_EQ(bench.outcome(call)->result->at, at(101, 3));
  EXPECT_TRUE(bench.outcome(call)->result->duplicate);
}

TEST(Proposals, TheSessionIsTheGivenOneAndItsBirthTheWelcomesCommit) {
  Bench bench;
  bench.commit = at(77);
  bench.admit_last();

  bench.propose("one");
  bench.propose("two");

  EXPECT_EQ(bench.proposals[0].second.session, SessionId::named("own"));
  EXPECT_EQ(bench.proposals[0].second.birth, Index(77));
  EXPECT_EQ(bench.proposals[1].second.request_id, RequestId(2));
  EXPECT_EQ(bench.proposals[1].second.birth, Index(77));
}

TEST(Proposals, OfOneTurnShareAFrame) {
  Bench bench;
  const DialId dial = bench.admit_last();
  std::vector<Input> turn;
  for (std::uint64_t i = 1; i <= 10; ++i) {
    turn.emplace_back(
        ProposeCall{CallId(i), "", Bytes(std::string("x")), bench.now + 1s, {}, {}, {}});
  }

  bench.step_all(std::move(turn));

  const auto frames = bench.sent<wire::Propose>(dial);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].proposals.size(), 10U);
}

TEST(Proposals, TheFloorFollowsOutcomesWithoutAGap) {
  Bench bench;
  const DialId dial = bench.admit_last();
  for (int i = 0; i < 3; ++i) bench.propose("x");

  bench.answer(dial, bench.proposals[1].second.number, wire::CommittedOutcome{at(102), false});
  bench.propose("fourth");
  EXPECT_EQ(bench.last_proposal().floor, RequestId(0));  // 1 is still open.
  bench.answer(dial, bench.proposals[0].second.number, wire::CommittedOutcome{at(101), false});
  bench.propose("fifth");

  EXPECT_EQ(bench.last_proposal().floor, RequestId(2));
  EXPECT_EQ(bench.last_proposal().request_id, RequestId(5));
}

TEST(Proposals, AnUnansweredAttemptIsRepeatedUnderTheSameIdAndAnotherNumber) {
  Bench bench;
  const DialId dial = bench.admit_last();
  bench.propose("x");

  bench.pass_alive(2900ms);
  EXPECT_EQ(bench.proposals.size(), 1U);
  bench.pass_alive(200ms);

  ASSERT_EQ(bench.proposals.size(), 2U);
  EXPECT_EQ(bench.proposals[1].first, dial);
  EXPECT_EQ(bench.proposals[1].second.request_id, bench.proposals[0].second.request_id);
  EXPECT_EQ(bench.proposals[1].second.session, bench.proposals[0].second.session);
  EXPECT_NE(bench.proposals[1].second.number, bench.proposals[0].second.number);
  EXPECT_EQ(bench.core.counters().retries, 1U);
}

TEST(Proposals, RepeatsOnOneLinkGrowRarer) {
  Bench bench;
  bench.admit_last();
  bench.propose("x", 1min);

  bench.pass_alive(59s);

  EXPECT_EQ(bench.proposals.size(), 5U);  // At 0, 3, 9, 21 and 45 seconds.
}

TEST(Proposals, AnAnswerToAnEarlierAttemptOfTheCallCounts) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.propose("x");
  bench.pass_alive(3100ms);
  ASSERT_EQ(bench.proposals.size(), 2U);

  bench.answer(dial, bench.proposals[0].second.number, wire::CommittedOutcome{at(101), false});

  EXPECT_TRUE(bench.committed(call));
  bench.answer(dial, bench.proposals[1].second.number, wire::CommittedOutcome{at(101), true});
}

TEST(Proposals, ANewLinkSendsEverythingUnansweredAgain) {
  Bench bench;
  const DialId first = bench.admit_last();
  bench.propose("one");
  bench.propose("two");
  bench.answer(first, bench.proposals[0].second.number, wire::CommittedOutcome{at(101), false});
  bench.step(Broken{first, "torn"});

  const DialId second = bench.admit_next();

  ASSERT_EQ(bench.proposals.size(), 3U);
  EXPECT_EQ(bench.proposals[2].first, second);
  EXPECT_EQ(bench.proposals[2].second.command.text(), "two");
  EXPECT_EQ(bench.proposals[2].second.request_id, RequestId(2));
}

TEST(Proposals, AnswersOfAnEarlierLinkMeanNothing) {
  Bench bench;
  const DialId first = bench.admit_last();
  const CallId call = bench.propose("x");
  const std::uint64_t old_number = bench.last_proposal().number;
  bench.step(Broken{first, "torn"});
  const DialId second = bench.admit_next();

  bench.answer(second, old_number, wire::CommittedOutcome{at(101), false});

  EXPECT_EQ(bench.verdict(call), "pending");
}

TEST(Proposals, TheWindowInBytesHoldsCallsBackAndAnswersLetThemGo) {
  ClientOptions options;
  options.window_bytes_max = 3000;
  Bench bench(options);
  const DialId dial = bench.admit_last();
  for (int i = 0; i < 4; ++i) bench.propose(std::string(1000, 'x'));
  EXPECT_EQ(bench.proposals.size(), 2U);

  bench.answer(dial, bench.proposals[0].second.number, wire::CommittedOutcome{at(101), false});

  EXPECT_EQ(bench.proposals.size(), 3U);
}

TEST(Proposals, TheServersWindowHoldsToo) {
  Bench bench;
  bench.limits.window_bytes_max = 3000;
  bench.admit_last();

  for (int i = 0; i < 4; ++i) bench.propose(std::string(1000, 'x'));

  EXPECT_EQ(bench.proposals.size(), 2U);
}

TEST(Proposals, AWindowAlwaysFitsOneLargestCommand) {
  ClientOptions options;
  options.window_bytes_max = 100;
  Bench bench(options);
  bench.admit_last();

  bench.propose(std::string(100'000, 'x'));

  EXPECT_EQ(bench.proposals.size(), 1U);
}

TEST(Proposals, IdsStayWithinTheSessionsWindow) {
  Bench bench;
  bench.limits.session_window = 3;
  const DialId dial = bench.admit_last();
  for (int i = 0; i < 5; ++i) bench.propose("x");
  EXPECT_EQ(bench.proposals.size(), 3U);

  bench.answer(dial, bench.proposals[1].second.number, wire::CommittedOutcome{at(102), false});
  EXPECT_EQ(bench.proposals.size(), 3U);  // The floor has not moved: 1 is open.
  bench.answer(dial, bench.proposals[0].second.number, wire::CommittedOutcome{at(101), false});

  EXPECT_EQ(bench.proposals.size(), 5U);
}

TEST(Proposals, MoreThanMayBePendingIsBusyAndCertainlyNotSent) {
  ClientOptions options;
  options.pending_bytes_max = 3000;
  Bench bench(options);

  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(bench.verdict(bench.propose(std::string(1000, 'x'))), "pending");

  EXPECT_EQ(bench.verdict(bench.propose(std::string(1000, 'x'))), "busy/none");
}

TEST(Proposals, ACommandOverTheLimitIsRefusedHere) {
  Bench bench;
  bench.limits.command_bytes_max = 100;
  const CallId early = bench.propose(std::string(101, 'x'));  // The limit is not known yet.
  EXPECT_EQ(bench.verdict(early), "pending");
  bench.admit_last();
  EXPECT_EQ(bench.verdict(early), "command_too_large/none");

  EXPECT_EQ(bench.verdict(bench.propose(std::string(101, 'x'))), "command_too_large/none");
  EXPECT_TRUE(bench.proposals.empty());
  EXPECT_EQ(bench.verdict(bench.propose(std::string(100, 'x'))), "pending");
  EXPECT_EQ(bench.proposals.size(), 1U);
}

TEST(Proposals, ALargeBurstIsCutIntoFrames) {
  Bench bench;
  for (int i = 0; i < 30; ++i) bench.propose(std::string(10'000, 'x'));

  const DialId dial = bench.admit_last();

  EXPECT_EQ(bench.proposals.size(), 30U);
  for (const auto& frame : bench.sent<wire::Propose>(dial)) {
    EXPECT_LE(frame.proposals.size(), 6U);
  }
}

TEST(Proposals, ADurableSessionsKeyIdAndFloorArePassedAsTheyAre) {
  Bench bench;
  bench.admit_last();

  bench.step(ProposeCall{CallId(9), "chess", Bytes(std::string("x")), bench.now + 1s,
                         SessionKey{SessionId::named("mine"), Index(5)}, RequestId(42),
                         RequestId(40)});

  EXPECT_EQ(bench.last_proposal().session, SessionId::named("mine"));
  EXPECT_EQ(bench.last_proposal().birth, Index(5));
  EXPECT_EQ(bench.last_proposal().request_id, RequestId(42));
  EXPECT_EQ(bench.last_proposal().floor, RequestId(40));
  EXPECT_EQ(bench.last_proposal().room, "chess");
}

}  // namespace
}  // namespace kuilt::client
