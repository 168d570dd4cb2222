#include "tests/client/core_bench.hpp"

#include <algorithm>

namespace kuilt::client {
namespace {

TEST(Links, TheFirstEndpointIsDialedFirstAndGreetedWithAHello) {
  Bench bench;

  ASSERT_EQ(bench.dials.size(), 1U);
  EXPECT_EQ(bench.dials[0].second, "ws://a");
  const DialId dial = bench.dials[0].first;
  EXPECT_TRUE(bench.messages.empty());
  bench.step(Dialed{dial});

  const auto hellos = bench.sent<wire::Hello>(dial);
  ASSERT_EQ(hellos.size(), 1U);
  EXPECT_EQ(hellos[0].name, "ann");
  EXPECT_EQ(hellos[0].link, 0U);
  EXPECT_TRUE(hellos[0].cluster.is_none());
}

TEST(Links, AWelcomeMakesALinkTheOneInUse) {
  Bench bench;
  EXPECT_FALSE(bench.core.welcome());

  bench.admit_last();

  ASSERT_TRUE(bench.core.welcome());
  EXPECT_EQ(bench.core.welcome()->server_name, "a");
  EXPECT_EQ(bench.count(EventKind::connected), 1);
}

TEST(Links, EndpointsAreTriedInTurn) {
  Bench bench;

  for (int i = 0; i < 4; ++i) {
    bench.step(Broken{bench.dials.back().first, "connection refused"});
    bench.pass(1s);
  }

  std::vector<std::string> order;
  for (const auto& [dial, endpoint] : bench.dials) order.push_back(endpoint);
  EXPECT_THAT(order, testing::ElementsAre("ws://a", "ws://b", "ws://c", "ws://a", "ws://b"));
  EXPECT_EQ(bench.count(EventKind::refused), 4);
  EXPECT_EQ(bench.core.counters().dials, 5U);
}

TEST(Links, BackoffGrowsToItsLimitAndIsDrawnAnew) {
  ClientOptions options = options_for({"ws://a"});
  options.backoff_max = 2s;
  Bench bench(options);

  std::vector<Duration> waits;
  for (int i = 0; i < 60; ++i) {
    bench.step(Broken{bench.dials.back().first, "connection refused"});
    waits.push_back(bench.wake_at - bench.now);
    bench.pass(2s);
  }

  EXPECT_LT(waits[0], options.backoff_min);
  EXPECT_LT(waits[1], 2 * options.backoff_min);
  EXPECT_LT(*std::max_element(waits.begin(), waits.end()), options.backoff_max);
  EXPECT_GT(*std::max_element(waits.begin(), waits.end()), options.backoff_max / 2);
  EXPECT_LT(*std::min_element(waits.begin() + 10, waits.end()), options.backoff_max / 4);
}

TEST(Links, AServerThatAdmitsAndDropsAtOnceIsNotDialedInATightLoop) {
  Bench bench(options_for({"ws://a"}));

  const Instant begin = bench.now;
  for (int i = 0; i < 30; ++i) {
    const DialId dial = bench.admit_last();
    bench.step(Broken{dial, "dropped"});
    bench.pass(bench.wake_at - bench.now);
  }

  EXPECT_GT(bench.now - begin, 10s);
}

TEST(Links, ALinkThatLivedLongIsReplacedWithoutALongWait) {
  Bench bench;
  for (int i = 0; i < 10; ++i) {
    bench.step(Broken{bench.dials.back().first, "connection refused"});
    bench.pass(2s);
  }
  const DialId dial = bench.admit_last();
  bench.pass_alive(5s);

  bench.step(Broken{dial, "torn"});

  EXPECT_LT(bench.wake_at - bench.now, 20ms);
}

TEST(Links, ADialWithoutAWelcomeIsGivenUp) {
  Bench bench;
  const DialId dial = bench.dials.back().first;
  bench.step(Dialed{dial});

  bench.pass(3s + 20ms);

  EXPECT_FALSE(bench.open.contains(dial));
  EXPECT_EQ(bench.dials.back().second, "ws://b");
  EXPECT_THAT(bench.last_event(EventKind::refused)->text, testing::HasSubstr("no welcome"));
}

TEST(Links, ASilentLinkIsLeftForTheNextEndpoint) {
  Bench bench;
  const DialId dial = bench.admit_last();
  bench.pass_alive(10s);
  ASSERT_TRUE(bench.open.contains(dial));

  bench.pass(3s + 20ms);

  EXPECT_FALSE(bench.open.contains(dial));
  EXPECT_EQ(bench.dials.back().second, "ws://b");
  EXPECT_THAT(bench.last_event(EventKind::disconnected)->text, testing::HasSubstr("silent"));
}

TEST(Links, AFrameThatArrivesSlowlyIsNotSilence) {
  Bench bench;
  const DialId dial = bench.admit_last();

  for (int i = 0; i < 20; ++i) {
    bench.pass(2900ms);
    bench.step(Heard{dial, bench.now});
  }
  EXPECT_TRUE(bench.open.contains(dial));
  bench.pass(2900ms);
  bench.step(Heard{dial, bench.now - 500ms});  // Silence counts from the last byte on.
  EXPECT_TRUE(bench.open.contains(dial));
  bench.pass(2500ms);

  EXPECT_FALSE(bench.open.contains(dial));
}

TEST(Links, SilenceIsMeasuredAgainstTheServersOwnHeartbeat) {
  Bench bench;
  const DialId dial = bench.dials.back().first;
  bench.step(Dialed{dial});
  wire::Welcome welcome = bench.a_welcome();
  welcome.heartbeat_interval = 10s;
  bench.hear(dial, welcome);

  bench.pass(19s);
  EXPECT_TRUE(bench.open.contains(dial));
  bench.pass(2s);
  EXPECT_FALSE(bench.open.contains(dial));
}

TEST(Links, AnAbsurdHeartbeatIntervalCannotTurnTheWatchOff) {
  Bench bench;
  const DialId dial = bench.dials.back().first;
  bench.step(Dialed{dial});
  wire::Welcome welcome = bench.a_welcome();
  welcome.heartbeat_interval = Duration::max();
  bench.hear(dial, welcome);

  bench.pass(3min);

  EXPECT_FALSE(bench.open.contains(dial));
}

TEST(Links, AServerWithoutALeaderForTooLongIsLeft) {
  Bench bench;
  const DialId dial = bench.admit_last();

  bench.pass_alive(1900ms, "");
  bench.pass_alive(500ms, "b");  // Just in time.
  bench.pass_alive(1900ms, "");
  EXPECT_TRUE(bench.open.contains(dial));
  bench.pass_alive(1300ms, "");

  EXPECT_FALSE(bench.open.contains(dial));
  EXPECT_THAT(bench.last_event(EventKind::disconnected)->text, testing::HasSubstr("no leader"));
}

TEST(Links, WithoutALeaderAnywhereVisitsGrowRarer) {
  Bench bench;
  const Instant begin = bench.now;
  const auto leaderless = [&](DialId dial) {
    bench.step(Dialed{dial});
    wire::Welcome welcome = bench.a_welcome();
    welcome.leader.clear();
    bench.hear(dial, std::move(welcome));
  };

  DialId dial = bench.dials.back().first;
  leaderless(dial);
  while (bench.now < begin + 10min) {
    bench.pass(100ms);
    if (bench.open.contains(dial)) bench.hear(dial, wire::ServerHeartbeat{bench.commit, ""});
    if (bench.dials.back().first == dial) continue;
    dial = bench.dials.back().first;
    leaderless(dial);
  }

  EXPECT_LT(bench.dials.size(), 25U);
  EXPECT_GT(bench.dials.size(), 8U);
}

TEST(Links, AfterALeaderWasKnownVisitsAreShortAgain) {
  Bench bench;
  for (int i = 0; i < 6; ++i) {
    const DialId dial = bench.dials.back().first;
    bench.step(Dialed{dial});
    wire::Welcome welcome = bench.a_welcome();
    welcome.leader.clear();
    bench.hear(dial, std::move(welcome));
    for (int waits = 0; bench.dials.back().first == dial && waits < 2000; ++waits) {
      if (bench.open.contains(dial)) bench.hear(dial, wire::ServerHeartbeat{bench.commit, ""});
      bench.pass(100ms);
    }
  }
  const DialId dial = bench.admit_last();  // It knows a leader.

  bench.pass_alive(3500ms, "");

  EXPECT_FALSE(bench.open.contains(dial));
}

TEST(Links, WithNowhereElseToGoALeaderlessServerIsKept) {
  Bench bench(options_for({"ws://a"}));
  const DialId dial = bench.admit_last();

  bench.pass_alive(20s, "");

  EXPECT_TRUE(bench.open.contains(dial));
}

TEST(Links, AGoodbyesHintIsTriedFirst) {
  Bench bench;
  const DialId dial = bench.admit_last();

  bench.hear(dial, wire::Goodbye{ErrorCode::draining, "draining", {}, {"ws://a", "ws://c"}});
  bench.pass(20ms);

  EXPECT_FALSE(bench.open.contains(dial));
  EXPECT_EQ(bench.dials.back().second, "ws://c");
  bench.step(Broken{bench.dials.back().first, "refused"});
  bench.pass(100ms);
  EXPECT_EQ(bench.dials.back().second, "ws://b");  // Each hint once, then in turn.
}

TEST(Links, AServerThatAsksForPatienceGetsIt) {
  Bench bench(options_for({"ws://a"}));
  bench.step(Dialed{bench.dials.back().first});
  bench.hear(bench.dials.back().first, wire::Goodbye{ErrorCode::too_many_clients, "full", 5s, {}});

  const Instant told = bench.now;
  while (bench.dials.size() == 1 && bench.now < told + 1min) bench.pass(10ms);

  EXPECT_EQ(bench.dials.size(), 2U);
  EXPECT_GE(bench.now, told + 5s);
  EXPECT_LE(bench.now, told + 10s);  // Jitter: the others were told the same.
}

TEST(Links, AGoodbyeThatNoServerCanHealEndsTheObservesOnceAllHaveSaidSo) {
  Bench bench;
  bench.step(ObserveCall{"chess", wire::FromStart{}});
  DialId dial = bench.admit_last();
  for (const char* expected : {"ws://a", "ws://b", "ws://c"}) {
    EXPECT_EQ(bench.endpoint(dial), expected);
    EXPECT_TRUE(bench.ended.empty());
    bench.hear(dial, wire::Goodbye{ErrorCode::invalid_argument, "no such room", {}, {}});
    dial = bench.admit_next();
  }

  ASSERT_EQ(bench.ended.size(), 1U);
  EXPECT_EQ(bench.ended[0].error.code(), ErrorCode::invalid_argument);
  EXPECT_THAT(bench.ended[0].error.message(), testing::HasSubstr("no such room"));
  EXPECT_TRUE(bench.sent<wire::Observe>(dial).empty());
}

TEST(Links, AGoodbyeBeforeALongGoodLinkIsForgotten) {
  Bench bench(options_for({"ws://a", "ws://b"}));
  bench.step(ObserveCall{"chess", wire::FromStart{}});
  const wire::Goodbye refusal{ErrorCode::version_unsupported, "too old", {}, {}};
  bench.hear(bench.admit_last(), refusal);  // a
  const DialId b = bench.admit_next();
  bench.step(Broken{b, "torn"});
  const DialId upgraded = bench.admit_next();
  ASSERT_EQ(bench.endpoint(upgraded), "ws://a");
  bench.resume(upgraded, Position{}, 0, "chess");
  bench.pass_alive(10s);
  bench.step(Broken{upgraded, "torn"});

  bench.hear(bench.admit_next(), refusal);  // b

  EXPECT_TRUE(bench.ended.empty());
}

TEST(Links, AServerOfAnotherClusterIsRefused) {
  Bench bench;
  const DialId first = bench.admit_last();
  bench.step(Broken{first, "torn"});
  bench.pass(20ms);
  const DialId second = bench.dials.back().first;
  bench.step(Dialed{second});
  EXPECT_EQ(bench.sent<wire::Hello>(second)[0].cluster, ClusterId::named("cluster"));

  wire::Welcome welcome = bench.a_welcome();
  welcome.cluster = ClusterId::named("another");
  bench.hear(second, welcome);

  EXPECT_FALSE(bench.open.contains(second));
  EXPECT_FALSE(bench.core.welcome());
  EXPECT_THAT(bench.last_event(EventKind::refused)->text, testing::HasSubstr("another cluster"));
}

TEST(Links, AServerOfAnUnknownVersionIsRefused) {
  Bench bench;
  const DialId dial = bench.dials.back().first;
  bench.step(Dialed{dial});
  wire::Welcome welcome = bench.a_welcome();
  welcome.version = 9;

  bench.hear(dial, welcome);

  EXPECT_FALSE(bench.open.contains(dial));
  EXPECT_THAT(bench.last_event(EventKind::refused)->text, testing::HasSubstr("version 9"));
}

TEST(Links, AnythingButAWelcomeFirstEndsTheLink) {
  Bench bench;
  const DialId dial = bench.dials.back().first;
  bench.step(Dialed{dial});

  bench.hear(dial, wire::ServerHeartbeat{at(5), "a"});

  EXPECT_FALSE(bench.open.contains(dial));
  EXPECT_THAT(bench.last_event(EventKind::refused)->text, testing::HasSubstr("not a welcome"));
}

TEST(Links, ASecondWelcomeEndsTheLink) {
  Bench bench;
  const DialId dial = bench.admit_last();

  bench.hear(dial, bench.a_welcome());

  EXPECT_FALSE(bench.open.contains(dial));
}

TEST(Links, WhatAnEndedLinkStillSaysIsIgnored) {
  Bench bench;
  const DialId dial = bench.admit_last();
  bench.step(Broken{dial, "torn"});

  bench.hear(dial, bench.a_welcome());
  bench.step(Broken{dial, "torn again"});
  bench.step(Dialed{dial});

  EXPECT_EQ(bench.count(EventKind::disconnected), 1);
  EXPECT_FALSE(bench.core.welcome());
}

TEST(Links, StandbysAreAdmittedOnDistinctEndpointsAndCarryNothing) {
  Bench bench(options_for({"ws://a", "ws://b", "ws://c"}, 2));
  ASSERT_EQ(bench.dials.size(), 2U);
  EXPECT_NE(bench.dials[0].second, bench.dials[1].second);
  const DialId used = bench.admit(bench.dials[0].first);
  const DialId standby = bench.admit(bench.dials[1].first);
  EXPECT_EQ(bench.sent<wire::Hello>(standby)[0].link, 1U);
  EXPECT_EQ(bench.sent<wire::Hello>(standby)[0].client, bench.sent<wire::Hello>(used)[0].client);

  bench.step(ObserveCall{"", wire::FromStart{}});
  bench.propose("x");
  bench.pass_alive(8s);

  EXPECT_EQ(bench.sent<wire::Observe>(standby).size(), 0U);
  EXPECT_EQ(bench.sent<wire::Propose>(standby).size(), 0U);
  EXPECT_TRUE(bench.open.contains(standby));
}

TEST(Links, AStandbyOnTheSameServerUnderAnotherNameIsLeft) {
  Bench bench(options_for({"ws://a", "ws://alias-of-a", "ws://b"}, 2));
  const DialId used = bench.admit(bench.dials[0].first);
  const DialId alias = bench.dials[1].first;
  bench.step(Dialed{alias});

  bench.hear(alias, bench.a_welcome());

  EXPECT_TRUE(bench.open.contains(used));
  EXPECT_FALSE(bench.open.contains(alias));
  bench.pass(50ms);
  EXPECT_EQ(bench.dials.back().second, "ws://b");
  const DialId standby = bench.admit_last();
  bench.pass_alive(20s);
  EXPECT_TRUE(bench.open.contains(standby));
  EXPECT_EQ(bench.dials.size(), 3U);
}

TEST(Links, AStandbyTakesOverInTheSameStep) {
  Bench bench(options_for({"ws://a", "ws://b", "ws://c"}, 2));
  const DialId used = bench.admit(bench.dials[0].first);
  const DialId standby = bench.admit(bench.dials[1].first);
  bench.step(ObserveCall{"", wire::FromStart{}});
  const CallId call = bench.propose("x");

  bench.step(Broken{used, "torn"});

  EXPECT_EQ(bench.sent<wire::Observe>(standby).size(), 1U);
  ASSERT_EQ(bench.proposals.size(), 2U);
  EXPECT_EQ(bench.proposals[1].first, standby);
  bench.answer(standby, bench.last_proposal().number, wire::CommittedOutcome{at(101), false});
  EXPECT_TRUE(bench.committed(call));
}

TEST(Links, ALostLinkIsReplacedByANewStandbyElsewhere) {
  Bench bench(options_for({"ws://a", "ws://b", "ws://c"}, 2));
  const DialId used = bench.admit(bench.dials[0].first);
  bench.admit(bench.dials[1].first);

  bench.step(Broken{used, "torn"});
  bench.pass(20ms);

  EXPECT_EQ(bench.dials.size(), 3U);
  EXPECT_EQ(bench.dials.back().second, "ws://c");
}

TEST(Links, WithASingleEndpointThereIsNothingToStandByOn) {
  Bench bench(options_for({"ws://a"}, 2));
  bench.admit_last();

  bench.pass_alive(20s);

  EXPECT_EQ(bench.dials.size(), 1U);
}

TEST(Links, AnswersOnAStandbyAreIgnored) {
  Bench bench(options_for({"ws://a", "ws://b"}, 2));
  bench.admit(bench.dials[0].first);
  const DialId standby = bench.admit(bench.dials[1].first);
  const CallId call = bench.propose("x");

  bench.answer(standby, bench.last_proposal().number, wire::CommittedOutcome{at(101), false});

  EXPECT_EQ(bench.verdict(call), "pending");
}

TEST(Links, StopClosesEveryLinkAndDialsNoMore) {
  Bench bench(options_for({"ws://a", "ws://b"}, 2));
  const DialId used = bench.admit(bench.dials[0].first);
  const DialId dialing = bench.dials[1].first;

  bench.step(Stop{});

  EXPECT_FALSE(bench.open.contains(used));
  EXPECT_FALSE(bench.open.contains(dialing));
  EXPECT_EQ(bench.wake_at, Instant::max());
  EXPECT_EQ(bench.dials.size(), 2U);
}

}  // namespace
}  // namespace kuilt::client
