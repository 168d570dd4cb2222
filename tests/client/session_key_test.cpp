// A durable session that servers do not know: when its owner is asked for another, and when its
// ids turn out to have been given out before.
#include "tests/client/core_bench.hpp"

namespace kuilt::client {
namespace {

constexpr CallId the_call{9};

/// Of a session born at the commit index of the bench, whose owner can bring another.
ProposeCall renewing_call(const Bench& bench) {
  ProposeCall asked;
  asked.call = the_call;
  asked.command = Bytes(std::string("x"));
  asked.deadline = bench.now + 15s;
  asked.session = SessionKey{SessionId::named("mine"), bench.commit.index};
  asked.request_id = RequestId(42);
  asked.floor = RequestId(40);
  asked.renews = true;
  return asked;
}

/// Its call is on its way to the first server.
struct Asked {
  Asked() { bench.step(renewing_call(bench)); }
  /// The link breaks, and the cluster has come to `index` by the time of the next one.
  DialId go_on_elsewhere(std::uint64_t index) {
    bench.step(Broken{dial, "torn"});
    bench.commit = at(index);
    return bench.admit_next();
  }
  Bench bench;
  DialId dial = bench.admit_last();
};

void come_to(Bench& bench, DialId dial, std::uint64_t index) {
  bench.commit = at(index);
  bench.hear(dial, wire::ServerHeartbeat{bench.commit, "a"});
}

/// Its call was refused, its server has caught up, and its owner was asked for a key.
struct WaitingForAKey : Asked {
  WaitingForAKey() {
    bench.refuse(dial, bench.last_proposal().number, ErrorCode::session_expired);
    come_to(bench, dial, 500);
    bench.pass_alive(500ms);
    EXPECT_EQ(bench.keys_asked.size(), 1U);
  }
};

TEST(SessionKeys, ASessionBornBehindTheClusterIsReplacedOnceItsServerHasCaughtUp) {
  WaitingForAKey waiting;
  Bench& bench = waiting.bench;
  const std::size_t attempts = bench.proposals.size();
  EXPECT_EQ(bench.keys_asked.front().call, the_call);
  EXPECT_EQ(bench.keys_asked.front().birth, Index(500));

  bench.step(FreshKey{the_call, SessionKey{SessionId::named("fresh"), Index(500)}});

  ASSERT_EQ(bench.proposals.size(), attempts + 1);
  EXPECT_EQ(bench.last_proposal().session, SessionId::named("fresh"));
  EXPECT_EQ(bench.last_proposal().birth, Index(500));
  EXPECT_EQ(bench.last_proposal().request_id, RequestId(42));
  bench.answer(waiting.dial, bench.last_proposal().number, wire::CommittedOutcome{at(501), false});
  EXPECT_TRUE(bench.committed(the_call));
}

TEST(SessionKeys, WithoutANewerBirthTheSameSessionIsTriedAgainUntilTheDeadline) {
  Asked asked;
  Bench& bench = asked.bench;

  for (std::size_t answered = 0; bench.verdict(the_call) == "pending";) {
    for (; answered < bench.proposals.size(); ++answered) {
      bench.refuse(asked.dial, bench.proposals[answered].second.number, ErrorCode::session_expired);
    }
    bench.pass_alive(10ms);
  }

  EXPECT_EQ(bench.verdict(the_call), "session_expired/none");
  EXPECT_TRUE(bench.keys_asked.empty());
  EXPECT_GT(bench.proposals.size(), 2U);
  EXPECT_LT(bench.proposals.size(), 20U);
}

// What is sent while another key is on its way could be let in after all, by a leader whose table
// has forgotten less: then the command would be there twice.
TEST(SessionKeys, NothingIsSentWhileACallWaitsForItsKey) {
  WaitingForAKey waiting;
  Bench& bench = waiting.bench;
  const std::size_t attempts = bench.proposals.size();

  bench.pass_alive(5s);
  bench.step(Broken{waiting.dial, "torn"});
  bench.admit_next();
  bench.pass_alive(2s);

  EXPECT_EQ(bench.proposals.size(), attempts);
  EXPECT_EQ(bench.keys_asked.size(), 1U);
  bench.pass_alive(15s);
  EXPECT_EQ(bench.verdict(the_call), "session_expired/none");
  bench.step(FreshKey{the_call, SessionKey{SessionId::named("late"), Index(500)}});
  EXPECT_EQ(bench.proposals.size(), attempts);
}

TEST(SessionKeys, AnOwnerThatHasNoneEndsTheCallForCertain) {
  WaitingForAKey waiting;

  waiting.bench.step(FreshKey{the_call, std::nullopt});

  EXPECT_EQ(waiting.bench.verdict(the_call), "session_expired/none");
}

TEST(SessionKeys, AnOwnerThatGivesTheSameOneIsAskedAgainLater) {
  WaitingForAKey waiting;
  Bench& bench = waiting.bench;
  const std::size_t attempts = bench.proposals.size();

  bench.step(FreshKey{the_call, renewing_call(bench).session});
  EXPECT_EQ(bench.keys_asked.size(), 1U);
  bench.pass_alive(1s);

  EXPECT_EQ(bench.keys_asked.size(), 2U);
  EXPECT_EQ(bench.proposals.size(), attempts);
}

// Its owner takes it for certain that nothing of it is under way any more.
TEST(SessionKeys, WhoHasAskedSendsNothingUnderTheOldOneEvenToAServerThatLagsBehind) {
  WaitingForAKey waiting;
  Bench& bench = waiting.bench;
  const std::size_t attempts = bench.proposals.size();
  bench.step(FreshKey{the_call, renewing_call(bench).session});
  bench.step(Broken{waiting.dial, "torn"});
  bench.commit = at(100);

  bench.admit_next();
  bench.pass_alive(1s);

  EXPECT_EQ(bench.proposals.size(), attempts);
  ASSERT_EQ(bench.keys_asked.size(), 2U);
  EXPECT_EQ(bench.keys_asked.back().birth, Index(500));
}

TEST(SessionKeys, AnAttemptWithoutAnAnswerIsNotReplaced) {
  Asked asked;
  Bench& bench = asked.bench;
  const DialId second = asked.go_on_elsewhere(500);

  bench.refuse(second, bench.last_proposal().number, ErrorCode::session_expired);

  EXPECT_EQ(bench.verdict(the_call), "session_expired/unknown");
  EXPECT_TRUE(bench.keys_asked.empty());
}

// It was refused, then sent again, and that attempt was lost: as the test before.
TEST(SessionKeys, AnAttemptThatWasLostAfterARefusalIsNotReplaced) {
  Asked asked;
  Bench& bench = asked.bench;
  bench.refuse(asked.dial, bench.last_proposal().number, ErrorCode::session_expired);
  bench.pass_alive(500ms);
  ASSERT_EQ(bench.proposals.size(), 2U);
  const DialId second = asked.go_on_elsewhere(500);
  ASSERT_EQ(bench.proposals.size(), 3U);

  bench.refuse(second, bench.last_proposal().number, ErrorCode::session_expired);

  EXPECT_EQ(bench.verdict(the_call), "session_expired/unknown");
  EXPECT_TRUE(bench.keys_asked.empty());
}

TEST(SessionKeys, ABirthThatTheClusterHasNotComeToIsOfAnotherLogAndLeftToTheOwner) {
  Bench bench;
  const DialId dial = bench.admit_last();
  ProposeCall asked = renewing_call(bench);
  asked.session->birth = bench.commit.index.next();
  bench.step(std::move(asked));

  bench.refuse(dial, bench.last_proposal().number, ErrorCode::session_expired);

  EXPECT_EQ(bench.verdict(the_call), "session_expired/none");
}

TEST(OlderCopies, WhatWasCommittedBeforeTheFirstAttemptIsNotOfThisCall) {
  Asked asked;
  Bench& bench = asked.bench;

  bench.answer(asked.dial, bench.last_proposal().number, wire::CommittedOutcome{at(100), true});

  EXPECT_EQ(bench.verdict(the_call), "request_id_reused/none");
}

TEST(OlderCopies, WhatWasCommittedSinceIs) {
  Asked asked;
  Bench& bench = asked.bench;

  bench.answer(asked.dial, bench.last_proposal().number, wire::CommittedOutcome{at(101), true});

  EXPECT_TRUE(bench.committed(the_call));
}

TEST(OlderCopies, AnIdThatWasSentBeforeMayHaveBeenCommittedBefore) {
  Bench bench;
  const DialId dial = bench.admit_last();
  ProposeCall asked = renewing_call(bench);
  asked.sent_before = true;
  bench.step(std::move(asked));

  bench.answer(dial, bench.last_proposal().number, wire::CommittedOutcome{at(100), true});

  EXPECT_TRUE(bench.committed(the_call));
}

TEST(OlderCopies, ARepeatOnAnotherLinkIsMeasuredByTheFirstAttempt) {
  Asked asked;
  Bench& bench = asked.bench;
  const DialId second = asked.go_on_elsewhere(500);

  bench.answer(second, bench.last_proposal().number, wire::CommittedOutcome{at(101), true});

  EXPECT_TRUE(bench.committed(the_call));
}

}  // namespace
}  // namespace kuilt::client
