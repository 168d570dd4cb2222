// A result that is not there yet: awaited by coroutines, by Asio programs, dropped, given up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <coroutine>
#include <future>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include "kuilt/asio.hpp"
#include "kuilt/client.hpp"
#include "tests/await.hpp"
#include "tests/client/tiny_server.hpp"

namespace kuilt::testing {
namespace {

namespace net = boost::asio;

constexpr auto patience = 20s;  // Far more than anything here takes.

/// The least that is a coroutine. Whoever holds it destroys it, wherever it stands.
class Coroutine {
 public:
  struct promise_type {
    Coroutine get_return_object() {
      return Coroutine(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_never initial_suspend() { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { throw; }
  };
  explicit Coroutine(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  Coroutine(Coroutine&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Coroutine& operator=(Coroutine&&) = delete;
  ~Coroutine() {
    if (handle_) handle_.destroy();
  }

 private:
  std::coroutine_handle<promise_type> handle_;
};

struct Heard {
  std::promise<Result<Receipt>> result;
  std::thread::id thread;
};
Coroutine propose(ClusterClient& client, Heard& heard) {
  auto result = co_await client.propose("move");
  heard.thread = std::this_thread::get_id();
  heard.result.set_value(std::move(result));
}
Coroutine await(Pending<Receipt>& pending, Heard& heard) {
  auto result = co_await pending;
  heard.thread = std::this_thread::get_id();
  heard.result.set_value(std::move(result));
}
bool is_ready(const std::future<Result<Receipt>>& future) {
  return future.wait_for(0ms) == std::future_status::ready;
}
std::string verdict(const Result<Receipt>& outcome) {
  if (outcome) return outcome->duplicate ? "duplicate" : "committed";
  return std::string(name_of(outcome.error().code())) +
         (outcome.error().effect() == Effect::none ? "/none" : "/unknown");
}

class Pendings : public ::testing::Test {
 protected:
  ClusterClient connect(ClientOptions options = {}) {
    return ClusterClient::connect({server_.url()}, std::move(options)).or_throw();
  }
  static ClusterClient connect_to(const TinyServer& server, ClientOptions options = {}) {
    return ClusterClient::connect({server.url()}, std::move(options)).or_throw();
  }

  TinyLog log_;
  TinyServer server_{log_};
  TinyServer silent_{log_, Manners{.answers = false}};
};

// co_await.

TEST_F(Pendings, ACoroutineGoesOnWhereTheCallbacksRun) {
  auto client = connect();
  std::promise<std::thread::id> callbacks;
  client.propose("x").then(
      [&](const Result<Receipt>&) { callbacks.set_value(std::this_thread::get_id()); });
  Heard heard;
  auto result = heard.result.get_future();

  const Coroutine coroutine = propose(client, heard);

  ASSERT_EQ(result.wait_for(patience), std::future_status::ready);
  EXPECT_TRUE(result.get());
  EXPECT_EQ(heard.thread, callbacks.get_future().get());
  client.stop();  // The callback that resumed it has returned: it may be destroyed.
}

TEST_F(Pendings, ACoroutineGoesOnInsidePollAndNowhereElse) {
  auto client = connect({.dispatch = Dispatch::poll});
  auto pending = client.propose("move");
  Heard heard;
  auto result = heard.result.get_future();
  const Coroutine coroutine = await(pending, heard);
  ASSERT_TRUE(pending.get_for(patience).value());
  ASSERT_FALSE(is_ready(result));

  ASSERT_TRUE(comes_true([&] {
    client.poll();
    return is_ready(result);
  }));

  EXPECT_EQ(heard.thread, std::this_thread::get_id());
}

TEST_F(Pendings, ACoroutineDoesNotWaitForWhatIsThereAlready) {
  auto client = connect();
  auto pending = client.propose("move");
  ASSERT_TRUE(pending.get_for(patience).value());
  client.stop();
  Heard heard;
  auto result = heard.result.get_future();

  const Coroutine coroutine = await(pending, heard);

  ASSERT_TRUE(is_ready(result));
  EXPECT_EQ(heard.thread, std::this_thread::get_id());
}

TEST_F(Pendings, StoppingTheClientResumesWhatWaits) {
  auto client = connect_to(silent_);
  Heard heard;
  auto result = heard.result.get_future();
  const Coroutine coroutine = propose(client, heard);

  client.stop();

  ASSERT_TRUE(is_ready(result));
  EXPECT_FALSE(result.get());
}

TEST_F(Pendings, ACoroutineDestroyedWhileItWaitsGivesTheCallUpAndIsNotResumed) {
  auto client = connect({.dispatch = Dispatch::poll});
  Heard heard;
  auto result = heard.result.get_future();
  auto resolved = client.propose("first");
  {
    const Coroutine coroutine = await(resolved, heard);
    ASSERT_TRUE(resolved.get_for(patience).value());  // To be resumed by the next poll.
  }
  auto waiting = connect_to(silent_, {.dispatch = Dispatch::poll});
  {
    const Coroutine coroutine = propose(waiting, heard);
  }

  client.poll(1h);
  waiting.stop();
  waiting.poll(1h);

  EXPECT_FALSE(is_ready(result));
}

TEST_F(Pendings, ManyCoroutinesFromManyThreadsEachGetTheirOwnResult) {
  auto client = connect();
  std::vector<Heard> heard(400);
  std::vector<std::optional<Coroutine>> coroutines(heard.size());
  std::vector<std::thread> threads;
  for (std::size_t first = 0; first < 4; ++first) {
    threads.emplace_back([&, first] {
      for (std::size_t i = first; i < heard.size(); i += 4) {
        coroutines[i].emplace(propose(client, heard[i]));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  std::set<Index> indexes;
  for (Heard& one : heard) {
    auto result = one.result.get_future();
    ASSERT_EQ(result.wait_for(patience), std::future_status::ready);
    indexes.insert(result.get().or_throw().index);
  }
  EXPECT_EQ(indexes.size(), heard.size());
  client.stop();
}

// Asio.

net::awaitable<void> propose_in(ClusterClient& client, int count, std::atomic<int>& committed) {
  for (int i = 0; i < count; ++i) {
    auto pending = client.propose("move");
    const auto result = co_await async_wait(std::move(pending), net::use_awaitable);
    if (result) ++committed;
  }
}

TEST_F(Pendings, AsioCoroutinesOnSeveralThreadsAwaitTheirResults) {
  auto client = connect();
  net::io_context context;
  std::atomic<int> committed = 0;
  for (int i = 0; i < 20; ++i) {
    net::co_spawn(context, propose_in(client, 20, committed), net::detached);
  }

  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { context.run(); });
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(committed, 400);
  EXPECT_EQ(log_.size(), 400U);
}

TEST_F(Pendings, AnAsioHandlerRunsOnItsExecutorAndKeepsItAtWork) {
  auto client = connect();
  net::io_context context;
  std::thread::id thread;
  async_wait(client.propose("move"),
             net::bind_executor(context, [&](const Result<Receipt>& result) {
               EXPECT_TRUE(result);
               thread = std::this_thread::get_id();
             }));

  context.run();

  EXPECT_EQ(thread, std::this_thread::get_id());
}

TEST_F(Pendings, AnAsioFutureGetsTheResult) {
  auto client = connect();
  auto future = async_wait(client.propose("move"), net::use_future);
  ASSERT_EQ(future.wait_for(patience), std::future_status::ready);
  EXPECT_TRUE(future.get());
}

net::awaitable<void> propose_within(ClusterClient& client, std::chrono::nanoseconds time,
                                    std::string& end) {
  using net::experimental::awaitable_operators::operator||;
  net::steady_timer timer(co_await net::this_coro::executor, time);
  auto pending = client.propose("move");
  const auto first = co_await (async_wait(std::move(pending), net::use_awaitable) ||
                               timer.async_wait(net::use_awaitable));
  end = first.index() == 0 ? "answered" : "timed out";
}

TEST_F(Pendings, AnAsioCancellationGivesTheCallUpAtOnce) {
  auto silent = connect_to(silent_);
  auto answering = connect();
  net::io_context context;
  std::string without_answer;
  std::string with_answer;
  const auto begin = std::chrono::steady_clock::now();
  net::co_spawn(context, propose_within(silent, 20ms, without_answer), net::detached);
  net::co_spawn(context, propose_within(answering, patience, with_answer), net::detached);

  context.run();

  EXPECT_EQ(without_answer, "timed out");
  EXPECT_EQ(with_answer, "answered");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);  // Well before the call's deadline.
}

TEST_F(Pendings, AnAsioWaitOnAStoppedClientCompletes) {
  auto client = connect();
  auto pending = client.propose("move");
  ASSERT_TRUE(pending.get_for(patience).value());
  client.stop();
  net::io_context context;
  bool completed = false;

  async_wait(std::move(pending), net::bind_executor(context, [&](const Result<Receipt>& result) {
               completed = result.has_value();
             }));
  EXPECT_FALSE(completed);  // Never inside the call.
  context.run();

  EXPECT_TRUE(completed);
}

TEST_F(Pendings, AnAsioContextMayBeDestroyedBeforeTheClient) {
  auto client = connect_to(silent_);
  auto held = std::make_shared<int>(7);
  const std::weak_ptr<int> watched = held;
  std::atomic<int> committed = 0;
  {
    net::io_context context;
    async_wait(client.propose("waited for"),
               net::bind_executor(context, [held = std::move(held)](const Result<Receipt>&) {}));
    net::co_spawn(context, propose_in(client, 1, committed), net::detached);
    context.poll();
    EXPECT_FALSE(watched.expired());
  }

  EXPECT_TRUE(watched.expired());
  client.stop();
  EXPECT_EQ(committed, 0);
}

// Dropped, given up, moved.

TEST_F(Pendings, WhatIsDroppedBeforeItIsSentIsNotSent) {
  std::atomic<bool> may_connect = false;
  ClientOptions options;
  options.selector = [&](const EndpointChoice&) { return may_connect ? 1U : 0U; };
  auto client = ClusterClient::connect({"ws://127.0.0.1:1", server_.url()}, options).or_throw();
  static_cast<void>(client.propose("dropped"));
  auto kept = client.propose("kept");

  may_connect = true;

  ASSERT_TRUE(kept.get_for(patience).value());
  EXPECT_EQ(log_.size(), 1U);
}

TEST_F(Pendings, GivingUpIsARefusalBeforeItIsSentAndUnknownAfterwards) {
  auto unlinked = ClusterClient::connect({"ws://127.0.0.1:1"}).or_throw();
  auto unsent = unlinked.propose("unsent");
  auto client = connect_to(silent_);
  auto sent = client.propose("sent");
  ASSERT_TRUE(comes_true([&] { return log_.size() == 1; }));

  unsent.give_up();
  sent.give_up();

  EXPECT_EQ(verdict(unsent.get_for(patience).value()), "cancelled/none");
  EXPECT_EQ(verdict(sent.get_for(patience).value()), "unknown_outcome/unknown");
}

TEST_F(Pendings, EveryCallbackThatWasSetIsCalledInItsOrder) {
  auto unlinked = ClusterClient::connect({"ws://127.0.0.1:1"}, {.dispatch = Dispatch::poll});
  auto pending = unlinked->propose("x");
  std::string called;
  EXPECT_TRUE(pending.then([&](const Result<Receipt>&) { called += "a"; }));
  EXPECT_TRUE(pending.then([&](const Result<Receipt>&) { called += "b"; }));
  pending.give_up();

  EXPECT_TRUE(comes_true([&] {
    unlinked->poll();
    return called.size() == 2;
  }));

  EXPECT_EQ(called, "ab");
}

TEST_F(Pendings, WhatIsDroppedAfterItsCallbackWasSetIsNotGivenUp) {
  auto client = connect();
  std::promise<std::string> told;
  {
    client.propose("x").then([&](const Result<Receipt>& end) { told.set_value(verdict(end)); });
  }
  auto answer = told.get_future();
  ASSERT_EQ(answer.wait_for(patience), std::future_status::ready);
  EXPECT_EQ(answer.get(), "committed");
}

TEST_F(Pendings, AssigningOverOneGivesItUpAndKeepsTheOther) {
  auto unlinked = ClusterClient::connect({"ws://127.0.0.1:1"}).or_throw();
  auto client = connect();
  auto pending = unlinked.propose("unsent");

  pending = client.propose("sent");

  EXPECT_EQ(verdict(pending.get_for(patience).value()), "committed");
}

TEST_F(Pendings, AResultThatComesAfterTheClientIsStoppedIsSaidNotToBeCalled) {
  auto client = connect();
  auto pending = client.propose("x");
  ASSERT_TRUE(pending.get_for(patience).value());
  client.stop();

  EXPECT_FALSE(pending.then([](const Result<Receipt>&) { FAIL(); }));
  EXPECT_TRUE(pending.get());
}

// Lives of clients.

TEST_F(Pendings, OutliveTheirClient) {
  std::optional<Pending<Receipt>> left;
  std::optional<Observer> seen;
  {
    auto client = connect_to(silent_);
    seen = client.observe(from_start).or_throw();
    left = client.propose("sent");
    ASSERT_TRUE(comes_true([&] { return log_.size() == 1; }));
  }
  EXPECT_EQ(verdict(left->get()), "stopped/unknown");
  while (seen->next()) {
  }
  EXPECT_EQ(seen->error()->code(), ErrorCode::stopped);
}

TEST_F(Pendings, DestroyingAClientEndsWhatManyThreadsWaitFor) {
  for (int round = 0; round < 10; ++round) {
    auto client = std::make_optional(connect_to(silent_));
    std::vector<Pending<Receipt>> pending;
    std::atomic<std::size_t> called = 0;
    for (int i = 0; i < 40; ++i) {
      pending.push_back(client->propose("waited for"));
      client->propose("called").then([&](const Result<Receipt>&) { ++called; });
    }
    std::atomic<int> ended = 0;
    std::vector<std::thread> threads;
    for (std::size_t first = 0; first < 4; ++first) {
      threads.emplace_back([&, first] {
        for (std::size_t i = first; i < pending.size(); i += 4) {
          EXPECT_FALSE(pending[i].get());
          ++ended;
        }
      });
    }

    client.reset();

    EXPECT_EQ(called, 40U);  // All before the destructor returned.
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(ended, 40);
  }
}

TEST_F(Pendings, StopFromManyThreadsWhileOthersProposeLeavesNothingPending) {
  auto client = connect();
  std::atomic<bool> go = false;
  std::atomic<int> ended = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, stops = i % 2 == 0] {
      while (!go) std::this_thread::yield();
      for (int n = 0; n < 100; ++n) {
        if (stops && n == 50) client.stop();
        static_cast<void>(client.propose("x").get());
        ++ended;
      }
    });
  }

  go = true;

  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ended, 400);
}

TEST_F(Pendings, AClientDestroyedInsideItsCallbackCallsNothingMore) {
  auto client = std::make_unique<ClusterClient>(connect());
  auto first = client->propose("first");
  auto second = client->propose("second");
  ASSERT_TRUE(first.get_for(patience).value());
  ASSERT_TRUE(second.get_for(patience).value());
  std::promise<void> both_set;
  std::promise<void> destroyed;
  auto held = std::make_shared<int>(7);
  const std::weak_ptr<int> watched = held;
  std::atomic<bool> called = false;
  first.then([&](const Result<Receipt>&) {
    both_set.get_future().wait();
    client.reset();
    destroyed.set_value();
  });
  second.then([&called, held = std::move(held)](const Result<Receipt>&) { called = true; });
  both_set.set_value();

  ASSERT_EQ(destroyed.get_future().wait_for(patience), std::future_status::ready);

  EXPECT_TRUE(comes_true([&] { return watched.expired(); }));
  EXPECT_FALSE(called);
}

TEST_F(Pendings, WhatIsDueWhenAClientStopsInACallbackRunsBehindThatOne) {
  auto client = connect_to(silent_);
  std::promise<void> may_stop;
  std::promise<std::string> told;
  bool stopped = false;
  auto refused = client.propose("", {.deadline = 0ms});
  auto sent = client.propose("sent");
  sent.then([&](const Result<Receipt>& end) {
    told.set_value(verdict(end) + (stopped ? ", when it was stopped" : ""));
  });
  refused.then([&](const Result<Receipt>&) {
    may_stop.get_future().wait();
    client.stop();
    stopped = true;
  });
  EXPECT_TRUE(comes_true([&] { return log_.size() == 1; }));

  may_stop.set_value();

  auto answer = told.get_future();
  ASSERT_EQ(answer.wait_for(patience), std::future_status::ready);
  EXPECT_EQ(answer.get(), "stopped/unknown, when it was stopped");
}

TEST_F(Pendings, AMovedClientGoesOnAndTheOneAssignedToStops) {
  auto first = connect();
  auto second = connect_to(silent_);
  auto of_second = second.propose("x");

  ClusterClient moved(std::move(first));
  second = std::move(moved);

  EXPECT_FALSE(of_second.get());
  EXPECT_TRUE(second.propose("y").get_for(patience).value());
}

}  // namespace
}  // namespace kuilt::testing
