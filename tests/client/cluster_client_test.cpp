// The public client against servers on real sockets. Every wait has a bound.
#include "kuilt/client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "tests/client/slow_wire.hpp"
#include "tests/client/tiny_server.hpp"

namespace kuilt::testing {
namespace {

constexpr auto patience = 20s;  // Far more than anything here takes.

/// The texts of the next `count` entries.
std::vector<std::string> next_texts(Observer& seen, std::size_t count) {
  std::vector<std::string> texts;
  const auto end = std::chrono::steady_clock::now() + patience;
  while (texts.size() < count && std::chrono::steady_clock::now() < end) {
    const auto piece = seen.next_for(patience);
    if (!piece) break;
    if (const auto* entry = std::get_if<Committed::Entry>(&*piece)) {
      texts.emplace_back(entry->entry.command.text());
    }
  }
  return texts;
}

struct Encodings : ::testing::TestWithParam<bool> {
  ClientOptions options() const {
    ClientOptions options;
    options.name = "ann";
    options.json = GetParam();
    return options;
  }
  TinyLog log;
};

TEST_P(Encodings, AProposalIsAcknowledgedAndObserved) {
  TinyServer server(log);
  auto client = ClusterClient::connect({server.url()}, options()).or_throw();
  auto seen = client.observe(from_start).or_throw();

  const auto receipt = client.propose("move 1").get_for(patience);

  ASSERT_TRUE(receipt);
  ASSERT_TRUE(*receipt) << receipt->error().message();
  EXPECT_EQ((*receipt)->index, Index(1));
  EXPECT_FALSE((*receipt)->duplicate);
  EXPECT_THAT(next_texts(seen, 1), ::testing::ElementsAre("move 1"));
}

TEST_P(Encodings, AReadBarrierGivesTheIndex) {
  TinyServer server(log);
  auto client = ClusterClient::connect({server.url()}, options()).or_throw();
  ASSERT_TRUE(client.propose("move 1").get());

  const auto index = client.read_barrier().get_for(patience);

  ASSERT_TRUE(index);
  ASSERT_TRUE(*index) << index->error().message();
  EXPECT_EQ(**index, Index(1));
}

TEST_P(Encodings, AReadBarrierThatFailsSaysWhyAndHasNoEffect) {
  TinyServer mute(log, Manners{.answers = false});
  TinyServer old(log, Manners{.reads = false});
  const auto error_of = [this](const std::string& url) {
    auto client = ClusterClient::connect({url}, options()).or_throw();
    const auto index = client.read_barrier(200ms).get();
    EXPECT_FALSE(index);
    return index ? Error(ErrorCode::usage, "an index") : index.error();
  };

  EXPECT_EQ(error_of("ws://127.0.0.1:1").code(), ErrorCode::no_server);
  EXPECT_EQ(error_of(mute.url()).code(), ErrorCode::timed_out);
  EXPECT_EQ(error_of(old.url()).code(), ErrorCode::version_unsupported);
  EXPECT_EQ(error_of(mute.url()).effect(), Effect::none);
}

TEST_P(Encodings, AReadBarrierEndsWithItsClient) {
  TinyServer mute(log, Manners{.answers = false});
  auto client = ClusterClient::connect({mute.url()}, options()).or_throw();
  auto pending = client.read_barrier(patience);
  auto given_up = client.read_barrier(patience);

  given_up.give_up();
  EXPECT_EQ(given_up.get().error().code(), ErrorCode::cancelled);
  client.stop();

  EXPECT_EQ(pending.get().error().code(), ErrorCode::stopped);
  EXPECT_EQ(pending.get().error().effect(), Effect::none);
  EXPECT_EQ(client.read_barrier().get().error().code(), ErrorCode::stopped);
}

TEST_P(Encodings, AReceiptHoldsTheResultThatCameWithTheAnswer) {
  TinyServer plain(log);
  TinyServer empty(log, Manners{.result = Bytes()});
  TinyServer scores(log, Manners{.result = Bytes("score 7")});
  const auto result_of = [this](const TinyServer& server) {
    auto client = ClusterClient::connect({server.url()}, options()).or_throw();
    return client.propose("move").get_for(patience).value().or_throw().result;
  };

  EXPECT_EQ(result_of(plain), std::nullopt);
  EXPECT_EQ(result_of(empty), Bytes());
  EXPECT_EQ(result_of(scores), Bytes("score 7"));
}

TEST_P(Encodings, AKilledServerCostsNeitherAGapNorARepeat) {
  auto first = std::make_unique<TinyServer>(log);
  TinyServer second(log);
  auto client = ClusterClient::connect({first->url(), second.url()}, options()).or_throw();
  auto seen = client.observe(from_start).or_throw();
  ASSERT_TRUE(client.propose("one").get_for(patience).value());
  ASSERT_THAT(next_texts(seen, 1), ::testing::ElementsAre("one"));

  first->kill();
  ASSERT_TRUE(client.propose("two").get_for(patience).value());

  EXPECT_THAT(next_texts(seen, 1), ::testing::ElementsAre("two"));
  EXPECT_EQ(log.size(), 2U);
}

INSTANTIATE_TEST_SUITE_P(ClusterClient, Encodings, ::testing::Bool(),
                         [](const auto& tested) { return tested.param ? "json" : "protobuf"; });

TEST(ClusterClient, AnAttemptThatWasCommittedAndNeverAnsweredIsNotCommittedTwice) {
  TinyLog log;
  auto silent = std::make_unique<TinyServer>(log, Manners{.answers = false});
  TinyServer second(log);
  auto client = ClusterClient::connect({silent->url(), second.url()}).or_throw();
  auto pending = client.propose("once");
  for (const auto end = std::chrono::steady_clock::now() + patience;
       log.size() == 0 && std::chrono::steady_clock::now() < end;) {
    EXPECT_FALSE(pending.get_for(1ms));
  }

  silent->kill();
  const auto receipt = pending.get_for(patience);

  ASSERT_TRUE(receipt);
  ASSERT_TRUE(*receipt) << receipt->error().message();
  EXPECT_TRUE((*receipt)->duplicate);
  EXPECT_EQ(log.size(), 1U);
}

TEST(ClusterClient, GarbageFromAServerEndsItsLinkAndTheNextOneServes) {
  TinyLog log;
  TinyServer mad(log, Manners{.garbage = true});
  TinyServer sound(log);
  std::promise<std::string> why;
  ClientOptions options;
  options.on_event = [&, told = false](const ClientEvent& event) mutable {
    if (event.kind != ClientEventKind::disconnected || std::exchange(told, true)) return;
    why.set_value(event.text);
  };
  auto client = ClusterClient::connect({mad.url(), sound.url()}, options).or_throw();
  auto seen = client.observe(from_start).or_throw();

  ASSERT_TRUE(client.propose("move").get_for(patience).value());

  EXPECT_THAT(next_texts(seen, 1), ::testing::ElementsAre("move"));
  auto reason = why.get_future();
  ASSERT_EQ(reason.wait_for(patience), std::future_status::ready);
  EXPECT_THAT(reason.get(), ::testing::HasSubstr("bad_frame"));
}

TEST(ClusterClient, AFrameThatArrivesSlowlyIsNotSilence) {
  TinyLog log;
  TinyServer server(log, Manners{.heartbeat_interval = 50ms});
  {
    auto client = ClusterClient::connect({server.url()}).or_throw();
    ASSERT_TRUE(client.propose(std::string(50'000, 'x')).get_for(patience).value());
  }
  const std::string port = server.url().substr(server.url().rfind(':') + 1);
  SlowWire wire(port, 500, 10ms);  // A second for that entry.
  ClientOptions options;
  options.silence_max = 200ms;
  auto client = ClusterClient::connect({wire.url()}, options).or_throw();

  auto seen = client.observe(from_start).or_throw();

  EXPECT_EQ(next_texts(seen, 1).size(), 1U);
}

TEST(ClusterClient, StopEndsWhatIsPending) {
  TinyLog log;
  TinyServer silent(log, Manners{.answers = false});
  auto client = ClusterClient::connect({silent.url()}).or_throw();
  auto seen = client.observe(from_start).or_throw();
  auto sent = client.propose("sent");
  ASSERT_THAT(next_texts(seen, 1), ::testing::ElementsAre("sent"));

  client.stop();

  const auto outcome = sent.get();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), ErrorCode::stopped);
  EXPECT_EQ(outcome.error().effect(), Effect::unknown);
  while (seen.next()) {
  }
  EXPECT_EQ(seen.error()->code(), ErrorCode::stopped);
  EXPECT_EQ(client.propose("late").get().error().effect(), Effect::none);
  EXPECT_FALSE(client.observe(from_now));
}

TEST(ClusterClient, WithoutAServerADeadlineSaysWhatWasTried) {
  auto client = ClusterClient::connect({"ws://127.0.0.1:1"}).or_throw();

  const auto outcome = client.propose("x", {.deadline = 200ms, .room = ""}).get_for(patience);

  ASSERT_TRUE(outcome);
  ASSERT_FALSE(*outcome);
  EXPECT_EQ(outcome->error().code(), ErrorCode::no_server);
  EXPECT_EQ(outcome->error().effect(), Effect::none);
  EXPECT_THAT(outcome->error().message(), ::testing::HasSubstr("127.0.0.1:1"));
}

TEST(ClusterClient, ARoomHasOneObserverAtATime) {
  auto client = ClusterClient::connect({"ws://127.0.0.1:1"}).or_throw();
  {
    auto first = client.observe(from_start).or_throw();
    const auto second = client.observe(from_start);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), ErrorCode::invalid_argument);
  }
  EXPECT_TRUE(client.observe(from_start));
}

TEST(ClusterClient, ASecondObserverSeesEverythingFromTheStartAgain) {
  TinyLog log;
  TinyServer server(log);
  auto client = ClusterClient::connect({server.url()}).or_throw();
  for (int round = 0; round < 20; ++round) {
    const std::string text = "move " + std::to_string(round);
    ASSERT_TRUE(client.propose(text).get_for(patience).value());
    auto seen = client.observe(from_start).or_throw();
    const auto texts = next_texts(seen, static_cast<std::size_t>(round) + 1);
    ASSERT_EQ(texts.size(), static_cast<std::size_t>(round) + 1);
    EXPECT_EQ(texts.front(), "move 0");
    EXPECT_EQ(texts.back(), text);
  }
}

TEST(ClusterClient, ATokenResumesInAnotherClient) {
  TinyLog log;
  TinyServer server(log);
  std::string kept;
  {
    auto client = ClusterClient::connect({server.url()}).or_throw();
    auto seen = client.observe(from_start).or_throw();
    ASSERT_TRUE(client.propose("one").get_for(patience).value());
    ASSERT_THAT(next_texts(seen, 1), ::testing::ElementsAre("one"));
    const auto advance = seen.next_for(patience);
    ASSERT_TRUE(advance && std::holds_alternative<Committed::Advance>(*advance));
    kept = seen.token().value().text();
    ASSERT_TRUE(client.propose("two").get_for(patience).value());
  }

  auto client = ClusterClient::connect({server.url()}).or_throw();
  auto seen = client.observe(ResumeToken::parse(kept).value()).or_throw();

  EXPECT_THAT(next_texts(seen, 1), ::testing::ElementsAre("two"));
}

TEST(ClusterClient, CallbacksComeOnOneThreadAndMayCallBackIn) {
  TinyLog log;
  TinyServer server(log);
  auto client = ClusterClient::connect({server.url()}).or_throw();
  std::promise<std::string> seen;
  std::promise<ErrorCode> inside;
  const auto on_piece = [&](const Committed& piece) {
    const auto* entry = std::get_if<Committed::Entry>(&piece);
    if (entry == nullptr || entry->entry.index != Index(1)) return;
    seen.set_value(std::string(entry->entry.command.text()));
  };
  ASSERT_TRUE(client.on_committed(from_start, on_piece));

  auto first = client.propose("move");
  ASSERT_TRUE(first.get_for(patience).value());
  first.then([&](const Result<Receipt>&) {
    auto other = client.propose("from inside");
    inside.set_value(other.get().error().code());
  });

  auto text = seen.get_future();
  ASSERT_EQ(text.wait_for(patience), std::future_status::ready);
  EXPECT_EQ(text.get(), "move");
  auto code = inside.get_future();
  ASSERT_EQ(code.wait_for(patience), std::future_status::ready);
  EXPECT_EQ(code.get(), ErrorCode::usage);
  client.stop();
}

/// Notes on which threads the copies of it end.
class Witness {
 public:
  struct Ends {
    void note() {
      const std::lock_guard lock(mutex);
      threads.push_back(std::this_thread::get_id());
    }
    std::mutex mutex;
    std::vector<std::thread::id> threads;
  };
  explicit Witness(std::shared_ptr<Ends> ends) : ends_(std::move(ends)) {}
  Witness(const Witness&) = default;
  Witness(Witness&&) noexcept = default;  // What is left behind is no copy.
  Witness& operator=(const Witness&) = delete;
  ~Witness() {
    if (ends_) ends_->note();
  }

 private:
  std::shared_ptr<Ends> ends_;
};

TEST(ClusterClient, WhatACallbackHoldsIsFreedOnTheCallbackThread) {
  TinyLog log;
  TinyServer server(log);
  auto client = ClusterClient::connect({server.url()}).or_throw();
  const auto ends = std::make_shared<Witness::Ends>();
  std::promise<std::thread::id> ran;

  ASSERT_TRUE(client.on_committed(from_start, [held = Witness(ends)](const Committed&) {}));
  client.propose("move").then([&, held = Witness(ends)](const Result<Receipt>&) {
    ran.set_value(std::this_thread::get_id());
  });
  auto thread = ran.get_future();
  ASSERT_EQ(thread.wait_for(patience), std::future_status::ready);
  client.stop();

  EXPECT_THAT(ends->threads, ::testing::SizeIs(2));
  EXPECT_THAT(ends->threads, ::testing::Each(thread.get()));
}

TEST(ClusterClient, StopInsideACallbackReturns) {
  TinyLog log;
  TinyServer server(log);
  auto client = ClusterClient::connect({server.url()}).or_throw();
  std::promise<void> stopped;

  client.propose("move").then([&](const Result<Receipt>&) {
    client.stop();
    stopped.set_value();
  });

  EXPECT_EQ(stopped.get_future().wait_for(patience), std::future_status::ready);
}

TEST(ClusterClientDeath, ACallbackThatThrowsEndsTheProcessWithItsName) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        ClientOptions options;
        options.on_event = [](const ClientEvent&) { throw std::runtime_error("oops"); };
        auto client = ClusterClient::connect({"ws://127.0.0.1:1"}, options).or_throw();
        static_cast<void>(client.propose("x", {.deadline = patience, .room = ""}).get());
      },
      "on_event.*oops");
}

TEST(ClusterClient, WhatCannotConnectIsRefusedByName) {
  const auto complaint = [](const ClientOptions& options, const std::string& url = "ws://a:1") {
    const auto client = ClusterClient::connect({url}, options);
    if (client) return std::string("none");
    EXPECT_EQ(client.error().code(), ErrorCode::invalid_argument);
    return client.error().message();
  };
  EXPECT_EQ(ClusterClient::connect(ClusterEndpoints{}).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(complaint({}), "none");
  EXPECT_THAT(complaint({}, "ws://a:1/path"), ::testing::HasSubstr("ws://a:1/path"));
  EXPECT_THAT(complaint({}, "ws://a"), ::testing::HasSubstr("host:port"));
  ClientOptions options;
  options.links = 0;
  EXPECT_THAT(complaint(options), ::testing::HasSubstr("links is 0"));
  options = {};
  options.name = std::string(129, 'x');
  EXPECT_THAT(complaint(options), ::testing::HasSubstr("name has 129 bytes, the limit is 128"));
  options.name = "\xff";
  EXPECT_THAT(complaint(options), ::testing::HasSubstr("name is not UTF-8"));
  options = {};
  options.token = std::string(1025, 'x');
  EXPECT_THAT(complaint(options), ::testing::HasSubstr("token has 1025 bytes"));
}

TEST(ClusterClient, ATimeoutOfZeroIsRefusedByName) {
  using Timeout = std::chrono::nanoseconds ClientOptions::*;
  for (const auto& [name, timeout] :
       {std::pair("attempt_timeout", Timeout(&ClientOptions::attempt_timeout)),
        std::pair("silence_max", Timeout(&ClientOptions::silence_max)),
        std::pair("dial_timeout", Timeout(&ClientOptions::dial_timeout))}) {
    ClientOptions options;
    options.*timeout = 0ns;
    const auto client = ClusterClient::connect({"ws://a:1"}, options);
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code(), ErrorCode::invalid_argument);
    EXPECT_THAT(client.error().message(), ::testing::HasSubstr(std::string(name) + " is 0 ns"));
  }
}

TEST(ClusterClient, ATimeoutOfForeverIsForever) {
  constexpr auto forever = std::chrono::nanoseconds::max();
  TinyLog log;
  TinyServer server(log);
  ClientOptions options;
  options.attempt_timeout = options.silence_max = options.dial_timeout = forever;
  auto client = ClusterClient::connect({server.url()}, options).or_throw();
  auto seen = client.observe(from_start).or_throw();

  auto pending = client.propose("move", {.deadline = forever, .room = ""});
  const auto receipt = pending.get_for(forever);

  ASSERT_TRUE(receipt);
  EXPECT_TRUE(*receipt) << receipt->error().message();
  EXPECT_TRUE(seen.next_for(forever));
}

TEST(ClusterClient, ARoomNameThatIsNotUtf8IsRefusedWithoutATear) {
  TinyLog log;
  TinyServer server(log);
  std::atomic<int> tears = 0;
  ClientOptions options;
  options.on_event = [&](const ClientEvent& event) {
    tears += event.kind == ClientEventKind::disconnected ? 1 : 0;
  };
  auto client = ClusterClient::connect({server.url()}, options).or_throw();
  ASSERT_TRUE(client.propose("one").get_for(patience).value());
  for (const RoomName& room : {RoomName("\xff"), RoomName(129, 'r')}) {
    const auto receipt = client.propose("x", {.deadline = patience, .room = room}).get();
    ASSERT_FALSE(receipt);
    EXPECT_EQ(receipt.error().code(), ErrorCode::invalid_argument);
    EXPECT_EQ(receipt.error().effect(), Effect::none);
    const auto seen = client.observe(from_start, {.room = room});
    ASSERT_FALSE(seen);
    EXPECT_EQ(seen.error().code(), ErrorCode::invalid_argument);
  }
  EXPECT_TRUE(client.observe(from_start, {.room = RoomName(128, 'r')}));

  ASSERT_TRUE(client.propose("two").get_for(patience).value());

  client.stop();  // All events have been told.
  EXPECT_EQ(tears, 0);
  EXPECT_EQ(log.size(), 2U);
}

TEST(ResumeTokens, HaveATextThatReadsBack) {
  const ResumeToken token{ClusterId::named("c"), HistoryId::named("h"),
                          Position{Index(1000), Term(7)}, 0xffff'ffff'ffff'ffffU};

  EXPECT_EQ(ResumeToken::parse(token.text()), token);
  for (const char* bad : {"", ".", "a.b.c.d.e", "....", "1.2.3"}) {
    EXPECT_FALSE(ResumeToken::parse(bad)) << bad;
  }
  EXPECT_FALSE(ResumeToken::parse(token.text() + "."));
  EXPECT_FALSE(ResumeToken::parse(token.text() + "0"));  // Over 64 bits.
}

}  // namespace
}  // namespace kuilt::testing
