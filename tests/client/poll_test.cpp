// Dispatch::poll: callbacks run where the application polls, and nowhere else. Every wait has a
// bound.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <set>
#include <thread>

#include "kuilt/client.hpp"
#include "tests/client/tiny_server.hpp"

namespace kuilt::testing {
namespace {

constexpr auto patience = 20s;  // Far more than anything here takes.

template <class Condition>
void poll_until(ClusterClient& client, Condition condition) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition() && std::chrono::steady_clock::now() < end) {
    if (client.poll(1ms) == 0) std::this_thread::yield();
  }
  EXPECT_TRUE(condition());
}

class Polls : public ::testing::Test {
 protected:
  static ClientOptions options() { return {.dispatch = Dispatch::poll}; }
  /// A proposal that has its outcome.
  Pending<Receipt> done(ClusterClient& client) {
    auto pending = client.propose("move");
    EXPECT_TRUE(pending.get_for(patience).value());
    return pending;
  }

  TinyLog log_;
  TinyServer server_{log_};
};

TEST_F(Polls, CallbacksRunInPollAndNowhereElse) {
  auto client = ClusterClient::connect({server_.url()}, options()).or_throw();
  int committed = 0;
  int answered = 0;
  std::set<std::thread::id> threads;
  ASSERT_TRUE(client.on_committed(from_start, [&](const Committed&) {
    threads.insert(std::this_thread::get_id());
    ++committed;
  }));
  auto pending = done(client);
  pending.then([&](const Result<Receipt>&) {
    threads.insert(std::this_thread::get_id());
    ++answered;
  });
  EXPECT_EQ(committed + answered, 0);

  poll_until(client, [&] { return committed > 0 && answered > 0; });

  EXPECT_EQ(answered, 1);
  EXPECT_THAT(threads, ::testing::ElementsAre(std::this_thread::get_id()));
}

TEST_F(Polls, OnePollRunsAtLeastOneCallbackAndEndsWithItsBudget) {
  auto client = ClusterClient::connect({server_.url()}, options()).or_throw();
  EXPECT_EQ(client.poll(), 0U);
  int ran = 0;
  for (int i = 0; i < 5; ++i) done(client).then([&](const Result<Receipt>&) { ++ran; });

  EXPECT_EQ(client.poll(), 1U);
  EXPECT_EQ(client.poll(-1s), 1U);
  EXPECT_EQ(ran, 2);
  EXPECT_EQ(client.poll(1h), 3U);
  EXPECT_EQ(ran, 5);
}

TEST_F(Polls, AFloodOfEntriesEndsWithTheBudgetAndComesAgain) {
  auto client = ClusterClient::connect({server_.url()}, options()).or_throw();
  for (int i = 0; i < 50; ++i) static_cast<void>(done(client));
  std::size_t entries = 0;
  std::size_t most_at_once = 0;
  std::size_t at_once = 0;
  ASSERT_TRUE(client.on_committed(from_start, [&](const Committed& piece) {
    most_at_once = std::max(most_at_once, ++at_once);
    entries += std::holds_alternative<Committed::Entry>(piece) ? 1 : 0;
  }));

  const auto end = std::chrono::steady_clock::now() + patience;
  while (entries < 50 && std::chrono::steady_clock::now() < end) {
    at_once = 0;
    client.poll();
  }

  EXPECT_EQ(entries, 50U);
  EXPECT_EQ(most_at_once, 1U);
}

TEST_F(Polls, InsideACallbackPollRunsNothingAndGetIsANamedError) {
  auto client = ClusterClient::connect({server_.url()}, options()).or_throw();
  std::size_t nested = 1;
  std::optional<ErrorCode> code;
  bool later = false;
  done(client).then([&](const Result<Receipt>&) {
    nested = client.poll(1h);
    auto other = client.propose("inside");
    code = other.get().error().code();
  });
  done(client).then([&](const Result<Receipt>&) { later = true; });

  EXPECT_EQ(client.poll(1h), 2U);

  EXPECT_EQ(nested, 0U);
  EXPECT_TRUE(later);
  EXPECT_EQ(code, ErrorCode::usage);
}

TEST_F(Polls, InsideACallbackGetHasAResultThatIsThere) {
  auto client = ClusterClient::connect({server_.url()}, options()).or_throw();
  auto there = done(client);
  bool committed = false;
  done(client).then([&](const Result<Receipt>&) { committed = there.get().has_value(); });

  EXPECT_EQ(client.poll(1h), 1U);

  EXPECT_TRUE(committed);
}

TEST_F(Polls, AClientMayBeDestroyedInsideItsOwnPoll) {
  auto client = std::make_unique<ClusterClient>(
      ClusterClient::connect({server_.url()}, options()).or_throw());
  bool later = false;
  done(*client).then([&](const Result<Receipt>&) { client.reset(); });
  done(*client).then([&](const Result<Receipt>&) { later = true; });

  EXPECT_EQ(client->poll(1h), 1U);

  EXPECT_FALSE(client);
  EXPECT_FALSE(later);
}

TEST_F(Polls, AClientDestroyedByOnePieceIsHandedNoOther) {
  auto client = std::make_unique<ClusterClient>(
      ClusterClient::connect({server_.url()}, options()).or_throw());
  for (int i = 0; i < 5; ++i) static_cast<void>(done(*client));
  int pieces = 0;
  ASSERT_TRUE(client->on_committed(from_start, [&](const Committed&) {
    ++pieces;
    client.reset();
  }));

  const auto end = std::chrono::steady_clock::now() + patience;
  while (client && std::chrono::steady_clock::now() < end) client->poll(1h);

  EXPECT_EQ(pieces, 1);
}

TEST_F(Polls, OutsideACallbackGetWaitsWithoutAPoll) {
  auto client = ClusterClient::connect({server_.url()}, options()).or_throw();
  EXPECT_TRUE(client.propose("move").get());
}

TEST_F(Polls, TwoThreadsThatPollNeverRunTwoCallbacksAtOnce) {
  auto client = ClusterClient::connect({server_.url()}, options()).or_throw();
  std::atomic<int> inside = 0;
  std::atomic<int> ran = 0;
  std::atomic<bool> overlapped = false;
  for (int i = 0; i < 200; ++i) {
    client.propose("move").then([&](const Result<Receipt>&) {
      if (++inside > 1) overlapped = true;
      std::this_thread::yield();
      --inside;
      ++ran;
    });
  }

  const auto poll_all = [&] { poll_until(client, [&] { return ran == 200; }); };
  std::thread other(poll_all);
  poll_all();
  other.join();

  EXPECT_FALSE(overlapped);
}

TEST_F(Polls, WhatIsDueWhenAClientStopsIsRunByLaterPolls) {
  auto client = ClusterClient::connect({"ws://127.0.0.1:1"}, options()).or_throw();
  std::optional<ErrorCode> code;
  client.propose("move").then([&](const Result<Receipt>& end) { code = end.error().code(); });

  client.stop();

  EXPECT_FALSE(code);
  EXPECT_EQ(client.poll(1h), 1U);
  EXPECT_EQ(code, ErrorCode::cancelled);
}

TEST_F(Polls, WhatIsNotPolledIsFreedWithTheClientAndNotCalled) {
  bool called = false;
  auto held = std::make_shared<int>(7);
  const std::weak_ptr<int> watched = held;
  {
    auto client = ClusterClient::connect({server_.url()}, options()).or_throw();
    done(client).then([&called, held = std::move(held)](const Result<Receipt>&) { called = true; });
    EXPECT_FALSE(watched.expired());
  }
  EXPECT_TRUE(watched.expired());
  EXPECT_FALSE(called);
}

TEST_F(Polls, ACallerWhoNeverPollsIsRefusedInTheEnd) {
  auto client = ClusterClient::connect({"ws://127.0.0.1:1"}, options()).or_throw();
  std::optional<Error> refusal;
  for (int i = 0; i < 200'000 && !refusal; ++i) {
    auto pending = client.propose("x", {.deadline = 0ms});
    if (i % 1000 == 0) static_cast<void>(pending.get());
    const auto end = pending.get_for(0ms);
    if (end && !*end && end->error().code() == ErrorCode::busy) refusal = end->error();
    pending.then([](const Result<Receipt>&) {});
  }

  ASSERT_TRUE(refusal);
  EXPECT_THAT(refusal->message(), ::testing::HasSubstr("65536 callbacks wait"));
  client.poll(1h);
  EXPECT_EQ(client.propose("x", {.deadline = 0ms}).get().error().code(), ErrorCode::timed_out);
}

TEST_F(Polls, WithAThreadOfItsOwnAClientHasNothingToPoll) {
  auto client = ClusterClient::connect({server_.url()}).or_throw();
  std::promise<void> ran;
  done(client).then([&](const Result<Receipt>&) { ran.set_value(); });
  EXPECT_EQ(client.poll(1h), 0U);
  EXPECT_EQ(ran.get_future().wait_for(patience), std::future_status::ready);
}

TEST(PollsDeath, ACallbackThatThrowsInPollEndsTheProcessWithItsName) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        auto client =
            ClusterClient::connect({"ws://127.0.0.1:1"}, {.dispatch = Dispatch::poll}).or_throw();
        client.propose("x", {.deadline = 0ms}).then([](const Result<Receipt>&) {
          throw std::runtime_error("oops");
        });
        poll_until(client, [] { return false; });
      },
      "\"then\" threw: oops");
}

}  // namespace
}  // namespace kuilt::testing
