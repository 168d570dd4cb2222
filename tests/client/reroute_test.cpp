// Links that the caller brings: one endpoint that leads elsewhere from time to time.
#include "tests/client/core_bench.hpp"

namespace kuilt::client {
namespace {

using testing::HasSubstr;

struct Rerouting : testing::Test {
  static ClientOptions options() {
    ClientOptions options = options_for({"seam"});
    options.links_are_brought = true;
    return options;
  }
  void goodbye(DialId dial, ErrorCode code, Duration patience = {}) {
    bench.hear(dial, wire::Goodbye{code, "no", patience, {"ws://elsewhere"}});
  }

  Bench bench{options()};
};

TEST_F(Rerouting, DialsAtOnceHoweverOftenTheEndpointHadFailed) {
  for (int i = 0; i < 20; ++i) {
    bench.step(Broken{bench.dials.back().first, "nothing there"});
    bench.pass(2s);
  }
  bench.step(Broken{bench.dials.back().first, "nothing there"});
  const std::size_t dials = bench.dials.size();

  bench.step(Rerouted{});

  EXPECT_EQ(bench.dials.size(), dials + 1);
}

TEST_F(Rerouting, ForgetsThePatienceThatAServerAskedFor) {
  goodbye(bench.admit_last(), ErrorCode::draining, 1min);
  const std::size_t dials = bench.dials.size();
  bench.pass(10s);
  ASSERT_EQ(bench.dials.size(), dials);

  bench.step(Rerouted{});

  EXPECT_EQ(bench.dials.size(), dials + 1);
}

TEST_F(Rerouting, LeavesALinkThatIsUpAlone) {
  const DialId dial = bench.admit_last();

  bench.step(Rerouted{});

  EXPECT_TRUE(bench.open.contains(dial));
}

TEST_F(Rerouting, ServersHintInVain) {
  goodbye(bench.admit_last(), ErrorCode::draining);

  const DialId next = bench.admit_next();

  EXPECT_EQ(bench.endpoint(next), "seam");
}

TEST_F(Rerouting, WhatOneServerSaysAgainstUsEndsNoObserve) {
  bench.step(ObserveCall{"", wire::FromStart{}});
  goodbye(bench.admit_last(), ErrorCode::not_allowed);
  EXPECT_THAT(bench.ended, testing::IsEmpty());

  const DialId next = bench.admit_next();

  EXPECT_EQ(bench.sent<wire::Observe>(next).size(), 1U);
}

TEST(Known, AServerThatIsNoneOfThoseThatWereNamedIsRefused) {
  ClientOptions options = options_for({"ws://a", "ws://b"});
  options.servers = {NodeId::named("ws://b")};
  Bench bench(options);

  const DialId first = bench.admit_last();

  EXPECT_FALSE(bench.open.contains(first));
  EXPECT_THAT(bench.last_event(EventKind::refused)->text, HasSubstr("unknown_node: server"));
  const DialId second = bench.admit_next();
  EXPECT_TRUE(bench.open.contains(second));
}

TEST(Known, TheClusterOfAnEarlierRunIsTheOnlyOneThatIsSpokenTo) {
  ClientOptions options = options_for({"ws://a"});
  options.cluster = ClusterId::named("before");
  Bench bench(options);

  const DialId dial = bench.admit_last();

  EXPECT_EQ(bench.sent<wire::Hello>(dial).at(0).cluster, ClusterId::named("before"));
  EXPECT_FALSE(bench.open.contains(dial));
  EXPECT_THAT(bench.last_event(EventKind::refused)->text, HasSubstr("another cluster"));
}

}  // namespace
}  // namespace kuilt::client
