// Which endpoint is tried next, where the application has a say.
#include <gmock/gmock.h>

#include <atomic>
#include <future>

#include "kuilt/client.hpp"
#include "tests/client/core_bench.hpp"
#include "tests/client/tiny_server.hpp"

namespace kuilt::client {
namespace {

using ::testing::ElementsAre;

ClientOptions options_with(EndpointSelector selector) {
  ClientOptions options;
  options.selector = std::move(selector);
  return options;  // The bench's own endpoints are a, b and c.
}

/// What is dialed when every dial fails.
std::vector<std::string> dialed(Bench& bench, std::size_t count) {
  while (bench.dials.size() < count) {
    bench.step(Broken{bench.dials.back().first, "connection refused"});
    bench.pass(3s);
  }
  std::vector<std::string> order;
  for (const auto& [dial, endpoint] : bench.dials) order.push_back(endpoint);
  return order;
}

TEST(Selectors, ChooseAmongTheCandidates) {
  std::vector<EndpointChoice> asked;
  Bench bench(options_with([&](const EndpointChoice& choice) {
    asked.push_back(choice);
    return choice.last == "ws://c" ? 1U : 2U;
  }));

  EXPECT_THAT(dialed(bench, 4), ElementsAre("ws://c", "ws://b", "ws://c", "ws://b"));
  EXPECT_EQ(asked[0].last, "");
  EXPECT_EQ(asked[1].last, "ws://c");
  EXPECT_THAT(asked[1].candidates, ElementsAre("ws://a", "ws://b", "ws://c"));
}

TEST(Selectors, AreNotOfferedWhatAnotherLinkUsesOrAServerHasHeldOff) {
  std::vector<EndpointChoice> asked;
  ClientOptions options = options_with([&](const EndpointChoice& choice) {
    asked.push_back(choice);
    return 0U;
  });
  options.links = 2;
  Bench bench(options);
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_THAT(asked[1].candidates, ElementsAre("ws://b", "ws://c"));

  const DialId second = bench.admit(bench.dials[1].first);
  bench.hear(second, wire::Goodbye{ErrorCode::draining, "soon", 30s, {}});
  bench.pass(3s);

  ASSERT_GE(asked.size(), 3U);
  EXPECT_THAT(asked[2].candidates, ElementsAre("ws://c"));
}

TEST(Selectors, AreNotAskedWhereAServerHasGivenAHint) {
  std::size_t asked = 0;
  Bench bench(options_with([&](const EndpointChoice&) {
    ++asked;
    return 0U;
  }));
  const DialId dial = bench.admit_last();

  bench.hear(dial, wire::Goodbye{ErrorCode::draining, "go", {}, {"ws://hinted"}});
  bench.pass(3s);

  EXPECT_EQ(bench.dials.back().second, "ws://hinted");
  EXPECT_EQ(asked, 1U);
}

TEST(Selectors, AChoiceBeyondTheCandidatesLeavesTheTurnToRoundRobinAndIsTold) {
  Bench bench(options_with([](const EndpointChoice&) { return 7U; }));

  EXPECT_THAT(dialed(bench, 4), ElementsAre("ws://a", "ws://b", "ws://c", "ws://a"));
  bool told = false;
  for (const Event& event : bench.events) {
    told = told || event.text == "the selector chose place 7 of 3; round robin stands in";
  }
  EXPECT_TRUE(told);
}

TEST(Selectors, OfTwoClientsFromTheSameOptionsShareNoState) {
  const ClientOptions options =
      options_with([next = std::size_t{0}](const EndpointChoice&) mutable { return next++ % 3; });
  Bench first(options);
  static_cast<void>(dialed(first, 2));
  Bench second(options);

  EXPECT_THAT(dialed(second, 3), ElementsAre("ws://a", "ws://b", "ws://c"));
  EXPECT_THAT(dialed(first, 3), ElementsAre("ws://a", "ws://b", "ws://c"));
}

}  // namespace
}  // namespace kuilt::client

namespace kuilt::testing {
namespace {

constexpr auto patience = 20s;

/// The server on which a client of these options commits.
std::string first_server(const ClusterEndpoints& endpoints, kuilt::ClientOptions options) {
  std::promise<std::string> connected;
  options.on_event = [&, told = false](const ClientEvent& event) mutable {
    if (event.kind != ClientEventKind::connected || std::exchange(told, true)) return;
    connected.set_value(event.endpoint);
  };
  auto client = ClusterClient::connect(endpoints, options).or_throw();
  EXPECT_TRUE(client.propose("x").get_for(patience).value());
  return connected.get_future().get();
}

TEST(ClusterEndpoints, TwoClientsMadeFromOneValueBothBeginAtTheFirst) {
  TinyLog log;
  TinyServer first(log);
  TinyServer second(log);
  const ClusterEndpoints endpoints{first.url(), second.url()};
  const kuilt::ClientOptions options;

  EXPECT_EQ(first_server(endpoints, options), first.url());
  EXPECT_EQ(first_server(endpoints, options), first.url());
}

TEST(ClusterEndpoints, TwoClientsMadeFromOneSelectorBothGetItsFirstChoice) {
  TinyLog log;
  TinyServer first(log);
  TinyServer second(log);
  const ClusterEndpoints endpoints{first.url(), second.url()};
  kuilt::ClientOptions options;
  options.selector = [place = std::size_t{1}](const EndpointChoice&) mutable { return place--; };

  EXPECT_EQ(first_server(endpoints, options), second.url());
  EXPECT_EQ(first_server(endpoints, options), second.url());
}

TEST(ClusterEndpoints, ASelectorThatWouldWaitForItsOwnThreadIsToldSo) {
  std::promise<ClusterClient*> made;
  std::promise<std::vector<ErrorCode>> told;
  kuilt::ClientOptions options;
  options.selector = [&, asked = false](const EndpointChoice&) mutable -> std::size_t {
    if (std::exchange(asked, true)) return 0;
    ClusterClient& client = *made.get_future().get();
    auto pending = client.propose("x");
    const ErrorCode of_get = pending.get().error().code();
    const auto opened = client.open_session(::testing::TempDir() + "kuilt-selector-session");
    client.stop();  // Begins it.
    told.set_value({of_get, opened.error().code()});
    return 0;
  };
  auto client = ClusterClient::connect({"ws://127.0.0.1:1"}, options).or_throw();
  auto waiting = client.propose("y");
  made.set_value(&client);

  auto answer = told.get_future();
  ASSERT_EQ(answer.wait_for(patience), std::future_status::ready);
  EXPECT_THAT(answer.get(), ::testing::ElementsAre(ErrorCode::usage, ErrorCode::usage));
  EXPECT_EQ(waiting.get().error().code(), ErrorCode::cancelled);
}

TEST(ClusterEndpoints, ASelectorThatWouldWaitForTheFeedIsToldSoAndTheFeedGoesOn) {
  TinyLog log;
  TinyServer server(log);
  std::promise<Observer*> made;
  std::promise<std::vector<std::string>> told;
  const auto says = [](const std::optional<Error>& error) {
    return std::string(error ? name_of(error->code()) : "nothing");
  };
  kuilt::ClientOptions options;
  options.selector = [&, asked = false](const EndpointChoice&) mutable -> std::size_t {
    if (std::exchange(asked, true)) return 0;
    Observer& seen = *made.get_future().get();
    EXPECT_FALSE(seen.next());
    const std::string of_next = says(seen.error());
    EXPECT_FALSE(seen.next_for(1h));
    told.set_value({of_next, says(seen.error())});
    return 0;
  };
  auto client = ClusterClient::connect({server.url()}, options).or_throw();
  auto seen = client.observe(from_start).or_throw();
  made.set_value(&seen);

  auto answer = told.get_future();
  ASSERT_EQ(answer.wait_for(patience), std::future_status::ready);
  EXPECT_THAT(answer.get(), ::testing::ElementsAre("usage", "nothing"));
  EXPECT_TRUE(client.propose("x").get_for(patience).value());
  EXPECT_TRUE(seen.next_for(patience));
  EXPECT_FALSE(seen.error());
}

TEST(ClusterEndpointsDeath, ASelectorThatThrowsEndsTheProcessWithItsName) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        kuilt::ClientOptions options;
        options.selector = [](const EndpointChoice&) -> std::size_t {
          throw std::runtime_error("oops");
        };
        auto client = ClusterClient::connect({"ws://127.0.0.1:1"}, options).or_throw();
        static_cast<void>(client.propose("x").get_for(patience));
      },
      "selector.*oops");
}

}  // namespace
}  // namespace kuilt::testing
