// Rule 14: refused is said only if every attempt was refused for certain; else unknown.
#include "tests/client/core_bench.hpp"

namespace kuilt::client {
namespace {

TEST(Outcomes, AFinalRefusalOfTheOnlyAttemptIsARefusal) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.propose("x");

  bench.refuse(dial, bench.last_proposal().number, ErrorCode::not_allowed);

  EXPECT_EQ(bench.verdict(call), "not_allowed/none");
}

TEST(Outcomes, ARefusalThatIsNotCertainIsUnknown) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.propose("x");

  bench.refuse(dial, bench.last_proposal().number, ErrorCode::not_allowed, false);

  EXPECT_EQ(bench.verdict(call), "unknown_outcome/unknown");
}

TEST(Outcomes, ARefusalAfterAnUnansweredAttemptIsUnknown) {
  Bench bench;
  const DialId first = bench.admit_last();
  const CallId call = bench.propose("x");
  bench.step(Broken{first, "torn"});
  const DialId second = bench.admit_next();

  bench.refuse(second, bench.last_proposal().number, ErrorCode::not_allowed);

  EXPECT_EQ(bench.verdict(call), "unknown_outcome/unknown");
}

TEST(Outcomes, ARefusalWaitsForAnEarlierAttemptOnTheSameLink) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.propose("x");
  bench.pass_alive(3100ms);
  ASSERT_EQ(bench.proposals.size(), 2U);

  bench.refuse(dial, bench.proposals[1].second.number, ErrorCode::not_allowed);
  EXPECT_EQ(bench.verdict(call), "pending");
  bench.refuse(dial, bench.proposals[0].second.number, ErrorCode::busy, true, 100ms);

  EXPECT_EQ(bench.verdict(call), "not_allowed/none");
}

TEST(Outcomes, AfterAFinalRefusalNothingIsSentAgain) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.propose("x");
  bench.pass_alive(3100ms);
  bench.refuse(dial, bench.proposals[1].second.number, ErrorCode::not_allowed);

  bench.pass_alive(8s);
  EXPECT_EQ(bench.proposals.size(), 2U);
  bench.step(Broken{dial, "torn"});

  EXPECT_EQ(bench.verdict(call), "unknown_outcome/unknown");
}

TEST(Outcomes, AnEarlierAttemptMayStillTurnOutCommitted) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.propose("x");
  bench.pass_alive(3100ms);

  bench.refuse(dial, bench.proposals[1].second.number, ErrorCode::not_allowed);
  bench.answer(dial, bench.proposals[0].second.number, wire::CommittedOutcome{at(101), false});

  EXPECT_TRUE(bench.committed(call));
}

TEST(Outcomes, BelowTheFloorNothingIsKnown) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.propose("x");

  bench.refuse(dial, bench.last_proposal().number, ErrorCode::below_floor);

  EXPECT_EQ(bench.verdict(call), "below_floor/unknown");
}

struct Healing : testing::TestWithParam<ErrorCode> {};

TEST_P(Healing, IsWaitedForUnderTheSameIdForAsLongAsTheServerAsks) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.propose("x");

  bench.refuse(dial, bench.last_proposal().number, GetParam(), true, 400ms);
  bench.pass_alive(390ms);
  EXPECT_EQ(bench.proposals.size(), 1U);
  bench.pass_alive(500ms);
  ASSERT_EQ(bench.proposals.size(), 2U);
  EXPECT_EQ(bench.last_proposal().request_id, RequestId(1));

  bench.answer(dial, bench.last_proposal().number, wire::CommittedOutcome{at(101), false});
  EXPECT_TRUE(bench.committed(call));
}

TEST_P(Healing, UntilTheDeadlineEndsInThatRefusalIfAllWereCertain) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.propose("x", 1s);
  for (std::size_t answered = 0; bench.verdict(call) == "pending";) {
    for (; answered < bench.proposals.size(); ++answered) {
      bench.refuse(dial, bench.proposals[answered].second.number, GetParam(), true, 200ms);
    }
    bench.pass_alive(10ms);
  }

  EXPECT_EQ(bench.verdict(call), std::string(name_of(GetParam())) + "/none");
}

INSTANTIATE_TEST_SUITE_P(Outcomes, Healing,
                         testing::Values(ErrorCode::busy, ErrorCode::no_leader,
                                         ErrorCode::window_full, ErrorCode::draining),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

TEST(Outcomes, AnAbsurdRetryAfterIsCapped) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.propose("x", 10min);

  bench.refuse(dial, bench.last_proposal().number, ErrorCode::busy, true, Duration::max());
  bench.pass_alive(59s);
  EXPECT_EQ(bench.proposals.size(), 1U);
  bench.pass_alive(62s);  // A minute, and its jitter.

  EXPECT_GE(bench.proposals.size(), 2U);
  EXPECT_EQ(bench.verdict(call), "pending");
}

TEST(Outcomes, OneUncertainAttemptAmongRefusalsIsUnknownAtTheDeadline) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.propose("x", 1s);
  bench.refuse(dial, bench.last_proposal().number, ErrorCode::no_leader, false, 100ms);
  bench.pass_alive(300ms);
  ASSERT_EQ(bench.proposals.size(), 2U);
  bench.refuse(dial, bench.last_proposal().number, ErrorCode::no_leader, true, 10s);

  bench.pass_alive(1s);

  EXPECT_EQ(bench.verdict(call), "unknown_outcome/unknown");
}

TEST(Outcomes, ADeadlineAfterAnAttemptIsUnknown) {
  Bench bench;
  bench.admit_last();
  const CallId call = bench.propose("x", 1s);

  bench.pass_alive(999ms);
  EXPECT_EQ(bench.verdict(call), "pending");
  bench.pass_alive(1ms);

  EXPECT_EQ(bench.verdict(call), "unknown_outcome/unknown");
}

TEST(Outcomes, ADeadlineWithoutALinkNamesTheServerAndItsTrouble) {
  Bench bench;
  bench.step(Broken{bench.dials.back().first, "connection refused"});

  const CallId call = bench.propose("x", 10ms);
  bench.pass(10ms);

  EXPECT_EQ(bench.verdict(call), "no_server/none");
  EXPECT_THAT(bench.outcome(call)->result.error().message(),
              testing::HasSubstr("ws://a: connection refused"));
}

TEST(Outcomes, ADeadlineBehindAFullWindowSaysSo) {
  Bench bench;
  bench.limits.session_window = 1;
  bench.admit_last();
  bench.propose("x", 10s);

  const CallId call = bench.propose("y", 1s);
  bench.pass_alive(1s);
  EXPECT_EQ(bench.verdict(call), "timed_out/none");
}

TEST(Outcomes, ADeadlineBehindAFullWindowWithoutALeaderSaysThat) {
  Bench bench(options_for({"ws://a"}));
  bench.limits.session_window = 1;
  bench.admit_last();
  bench.propose("x", 10s);

  const CallId call = bench.propose("y", 1s);
  bench.pass_alive(1s, "");
  EXPECT_EQ(bench.verdict(call), "no_leader/none");
}

TEST(Outcomes, WithoutALeaderNothingIsSentSoThatTheRefusalIsCertain) {
  Bench bench(options_for({"ws://a"}));
  const DialId dial = bench.admit_last();
  bench.hear(dial, wire::ServerHeartbeat{bench.commit, ""});

  const CallId call = bench.propose("x", 5s);
  bench.pass_alive(4900ms, "");
  EXPECT_EQ(bench.verdict(call), "pending");
  bench.pass_alive(100ms, "");

  EXPECT_EQ(bench.verdict(call), "no_leader/none");
  EXPECT_TRUE(bench.proposals.empty());
}

TEST(Outcomes, ALeaderThatComesInTimeGetsWhatWasHeldBack) {
  Bench bench(options_for({"ws://a"}));
  const DialId dial = bench.admit_last();
  bench.hear(dial, wire::ServerHeartbeat{bench.commit, ""});
  const CallId call = bench.propose("x", 5s);
  ASSERT_TRUE(bench.proposals.empty());

  bench.hear(dial, wire::ServerHeartbeat{bench.commit, "b"});

  ASSERT_EQ(bench.proposals.size(), 1U);
  bench.answer(dial, bench.last_proposal().number, wire::CommittedOutcome{at(101), false});
  EXPECT_TRUE(bench.committed(call));
}

TEST(Outcomes, ADeadlineInThePastIsRefusedAtOnce) {
  Bench bench;
  bench.admit_last();

  EXPECT_EQ(bench.verdict(bench.propose("x", 0s)), "timed_out/none");
  EXPECT_TRUE(bench.proposals.empty());
}

TEST(Outcomes, CancelledBeforeItWasSentIsCertain) {
  Bench bench;
  const CallId call = bench.propose("x");

  bench.step(CancelCall{call});
  bench.admit_last();

  EXPECT_EQ(bench.verdict(call), "cancelled/none");
  EXPECT_TRUE(bench.proposals.empty());
}

TEST(Outcomes, CancelledAfterItWasSentIsUnknown) {
  Bench bench;
  bench.admit_last();
  const CallId call = bench.propose("x");

  bench.step(CancelCall{call});

  EXPECT_EQ(bench.verdict(call), "unknown_outcome/unknown");
}

TEST(Outcomes, StopEndsWhatWasSentAsUnknownAndTheRestAsCancelled) {
  Bench bench;
  bench.limits.session_window = 1;
  bench.admit_last();
  const CallId sent = bench.propose("x");
  const CallId waiting = bench.propose("y");

  bench.step(Stop{});

  EXPECT_EQ(bench.verdict(sent), "stopped/unknown");
  EXPECT_EQ(bench.verdict(waiting), "cancelled/none");
  EXPECT_EQ(bench.verdict(bench.propose("z")), "stopped/none");
}

TEST(Sessions, AnExpiryOnTheFirstAttemptsIsHealedByAFreshSession) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId one = bench.propose("one");
  const CallId two = bench.propose("two");
  bench.commit = at(500);
  bench.hear(dial, wire::ServerHeartbeat{bench.commit, "a"});

  const wire::Outcome expired = wire::RefusedOutcome{ErrorCode::session_expired, "gone", true, {}};
  bench.hear(dial, wire::Answers{{{bench.proposals[0].second.number, expired},
                                  {bench.proposals[1].second.number, expired}}});
  bench.pass_alive(500ms);

  EXPECT_EQ(bench.core.counters().sessions_reopened, 1U);
  ASSERT_EQ(bench.proposals.size(), 4U);
  const wire::Proposal& again = bench.proposals[2].second;
  EXPECT_NE(again.session, SessionId::named("own"));
  EXPECT_EQ(again.birth, Index(500));  // As of now: the old birth would expire again.
  EXPECT_EQ(bench.proposals[3].second.session, again.session);
  EXPECT_EQ(again.request_id.value() + bench.proposals[3].second.request_id.value(), 3U);
  bench.answer(dial, bench.proposals[2].second.number, wire::CommittedOutcome{at(501), false});
  bench.answer(dial, bench.proposals[3].second.number, wire::CommittedOutcome{at(502), false});
  EXPECT_TRUE(bench.committed(one));
  EXPECT_TRUE(bench.committed(two));
}

TEST(Sessions, AFreshSessionIsDrawnByTheShellAndCallsWaitForIt) {
  Bench bench;
  bench.gives_sessions = false;
  const DialId dial = bench.admit_last();
  bench.propose("one");
  bench.refuse(dial, bench.last_proposal().number, ErrorCode::session_expired);
  bench.pass_alive(500ms);
  EXPECT_EQ(bench.sessions_asked, 1);
  EXPECT_EQ(bench.proposals.size(), 1U);

  bench.step(FreshSession{SessionId::named("drawn")});

  ASSERT_EQ(bench.proposals.size(), 2U);
  EXPECT_EQ(bench.last_proposal().session, SessionId::named("drawn"));
  bench.step(FreshSession{SessionId::named("another")});  // Nobody asked.
  bench.propose("two");
  EXPECT_EQ(bench.last_proposal().session, SessionId::named("drawn"));
}

TEST(Sessions, AnExpiryAfterAnUnansweredAttemptIsUnknownAndNewCallsUseAFreshSession) {
  Bench bench;
  const DialId first = bench.admit_last();
  const CallId call = bench.propose("x");
  bench.step(Broken{first, "torn"});
  const DialId second = bench.admit_next();

  bench.refuse(second, bench.last_proposal().number, ErrorCode::session_expired);
  EXPECT_EQ(bench.verdict(call), "session_expired/unknown");
  bench.propose("next");

  EXPECT_NE(bench.last_proposal().session, SessionId::named("own"));
  EXPECT_EQ(bench.last_proposal().request_id, RequestId(1));
}

TEST(Sessions, AnExpiryThatIsNotCertainIsUnknown) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.propose("x");

  bench.refuse(dial, bench.last_proposal().number, ErrorCode::session_expired, false);

  EXPECT_EQ(bench.verdict(call), "session_expired/unknown");
}

TEST(Sessions, AnOldSessionsLateExpiryDoesNotOpenAThirdOne) {
  Bench bench;
  const DialId dial = bench.admit_last();
  bench.propose("one");
  bench.propose("two");

  bench.refuse(dial, bench.proposals[0].second.number, ErrorCode::session_expired);
  bench.pass_alive(500ms);
  bench.refuse(dial, bench.proposals[1].second.number, ErrorCode::session_expired);

  EXPECT_EQ(bench.core.counters().sessions_reopened, 1U);
}

TEST(Sessions, AServerThatSaysExpiredForEverIsNotAskedInATightLoop) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.propose("x", 15s);

  for (std::size_t answered = 0; bench.verdict(call) == "pending";) {
    for (; answered < bench.proposals.size(); ++answered) {
      bench.refuse(dial, bench.proposals[answered].second.number, ErrorCode::session_expired);
    }
    bench.pass_alive(10ms);
  }

  EXPECT_EQ(bench.verdict(call), "session_expired/none");
  EXPECT_LT(bench.proposals.size(), 20U);
}

// A call of a durable session: ids, floor and session are its owner's.
ProposeCall durable_call(const Bench& bench, bool sent_before) {
  ProposeCall asked;
  asked.call = CallId(9);
  asked.command = Bytes(std::string("x"));
  asked.deadline = bench.now + 1s;
  asked.session = SessionKey{SessionId::named("mine"), Index(5)};
  asked.request_id = RequestId(42);
  asked.floor = RequestId(40);
  asked.sent_before = sent_before;
  return asked;
}

TEST(DurableCalls, AnExpiryOnTheFirstAttemptEverIsCertainAndLeftToItsOwner) {
  Bench bench;
  const DialId dial = bench.admit_last();
  bench.step(durable_call(bench, false));

  bench.refuse(dial, bench.last_proposal().number, ErrorCode::session_expired);

  EXPECT_EQ(bench.verdict(CallId(9)), "session_expired/none");
  EXPECT_EQ(bench.core.counters().sessions_reopened, 0U);
}

TEST(DurableCalls, AnExpiryAfterAnEarlierAttemptIsUnknown) {
  Bench bench;
  const DialId dial = bench.admit_last();
  bench.step(durable_call(bench, true));

  bench.refuse(dial, bench.last_proposal().number, ErrorCode::session_expired);

  EXPECT_EQ(bench.verdict(CallId(9)), "session_expired/unknown");
}

TEST(DurableCalls, NoRefusalIsCertainAfterAnEarlierAttempt) {
  for (const bool sent_before : {false, true}) {
    const std::string effect = sent_before ? "unknown_outcome/unknown" : "";
    const auto expected = [&](const char* fresh) { return sent_before ? effect : fresh; };
    {
      Bench bench;
      const DialId dial = bench.admit_last();
      bench.step(durable_call(bench, sent_before));
      bench.refuse(dial, bench.last_proposal().number, ErrorCode::not_allowed);
      EXPECT_EQ(bench.verdict(CallId(9)), expected("not_allowed/none"));
    }
    {
      Bench bench;  // Never linked.
      bench.step(durable_call(bench, sent_before));
      bench.pass(2s);
      EXPECT_EQ(bench.verdict(CallId(9)), expected("no_server/none"));
    }
    {
      Bench bench;
      bench.step(durable_call(bench, sent_before));
      bench.step(CancelCall{CallId(9)});
      EXPECT_EQ(bench.verdict(CallId(9)), expected("cancelled/none"));
    }
    {
      Bench bench;
      bench.limits.command_bytes_max = 10;
      bench.admit_last();
      ProposeCall large = durable_call(bench, sent_before);
      large.command = Bytes(std::string(11, 'x'));
      bench.step(std::move(large));
      EXPECT_EQ(bench.verdict(CallId(9)), expected("command_too_large/none"));
    }
    {
      Bench bench;
      bench.step(Stop{});
      bench.step(durable_call(bench, sent_before));
      EXPECT_EQ(bench.verdict(CallId(9)), expected("stopped/none"));
    }
  }
}

TEST(DurableCalls, AClusterOfAnotherHistoryIsNotAsked) {
  for (const bool sent_before : {false, true}) {
    Bench bench;
    bench.admit_last();
    ProposeCall asked = durable_call(bench, sent_before);
    asked.history = HistoryId::named("another");

    bench.step(std::move(asked));

    EXPECT_EQ(bench.verdict(CallId(9)),
              sent_before ? "history_differs/unknown" : "history_differs/none");
    EXPECT_TRUE(bench.proposals.empty());
  }
}

TEST(DurableCalls, TheClustersOwnHistoryIsAsked) {
  Bench bench;
  bench.admit_last();
  ProposeCall asked = durable_call(bench, false);
  asked.history = HistoryId::named("history");

  bench.step(std::move(asked));

  EXPECT_EQ(bench.proposals.size(), 1U);
}

}  // namespace
}  // namespace kuilt::client
