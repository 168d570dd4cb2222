// Clients over a RaftNode observe what it has stored, and then what comes.
#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <optional>
#include <thread>

#include "tests/client/log_seam.hpp"

namespace kuilt::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto patience = 20s;  // Far more than anything here takes.

const ClusterConfig cluster{.voters = {voter_a}, .learners = {NodeId::named("me")}};

/// A node that has stored "one" and "two".
struct Readers : ::testing::Test {
  explicit Readers(Dispatch dispatch = Dispatch::thread)
      : transport(std::make_shared<LogSeam>(log)),
        node(RaftNode::start(cluster, transport, storage, {.dispatch = dispatch}).or_throw()),
        client(cluster_client_with_node(node)) {
    propose("one");
    propose("two");
    EXPECT_TRUE(comes_true([&] { return node.status().stored == TinyLog::position(2); }));
  }
  void propose(std::string_view command) {
    EXPECT_TRUE(client.propose(command).get_for(patience).value());
  }
  static std::vector<std::string> next_texts(Observer& seen, std::size_t count) {
    std::vector<std::string> texts;
    while (texts.size() < count) {
      const auto piece = seen.next_for(patience);
      if (!piece) break;
      if (const auto* entry = std::get_if<Committed::Entry>(&*piece)) {
        texts.emplace_back(entry->entry.command.text());
      }
    }
    return texts;
  }
  /// Takes what is there, up to an Advance through `index`.
  static void advance(Observer& seen, std::uint64_t index) {
    while (const auto piece = seen.next_for(patience)) {
      const auto* through = std::get_if<Committed::Advance>(&*piece);
      if (through != nullptr && through->through.index == Index(index)) return;
    }
    ADD_FAILURE() << "no advance through " << index;
  }

  TinyLog log;
  InMemoryRaftStorage storage;
  SeamRaftTransport transport;
  RaftNode node;
  ClusterClient client;
};

TEST_F(Readers, SeeThePastAndThenWhatComes) {
  auto seen = client.observe(from_start).or_throw();
  EXPECT_THAT(next_texts(seen, 2), ElementsAre("one", "two"));

  propose("three");

  EXPECT_THAT(next_texts(seen, 1), ElementsAre("three"));
  advance(seen, 3);
  EXPECT_EQ(seen.token(), storage.load().or_throw());
  EXPECT_FALSE(seen.next_for(1ms));
  EXPECT_FALSE(seen.error());
}

TEST_F(Readers, MayBeMany) {
  auto first = client.observe(from_start).or_throw();
  auto second = client.observe(from_start).or_throw();
  auto another_client = cluster_client_with_node(node);
  auto third = another_client.observe(from_index(2)).or_throw();

  EXPECT_THAT(next_texts(first, 2), ElementsAre("one", "two"));
  EXPECT_THAT(next_texts(second, 2), ElementsAre("one", "two"));
  EXPECT_THAT(next_texts(third, 1), ElementsAre("two"));
}

TEST_F(Readers, FromNowSeeWhatIsProposedAfterwardsAndNoMore) {
  auto seen = client.observe(from_now).or_throw();

  propose("three");

  EXPECT_THAT(next_texts(seen, 1), ElementsAre("three"));
}

TEST_F(Readers, GoOnAfterATokenThatIsOfThisHistory) {
  ResumeToken token;
  {
    auto seen = client.observe(from_start).or_throw();
    advance(seen, 2);
    token = seen.token().value();
  }
  propose("three");

  auto seen = client.observe(token).or_throw();

  EXPECT_THAT(next_texts(seen, 1), ElementsAre("three"));
  const auto refusal = [&](const auto& change) {
    ResumeToken wrong = token;
    change(wrong);
    return client.observe(wrong).error().code();
  };
  EXPECT_EQ(refusal([](ResumeToken& t) { ++t.digest; }), ErrorCode::history_differs);
  EXPECT_EQ(refusal([](ResumeToken& t) { t.history = HistoryId(); }), ErrorCode::history_differs);
  EXPECT_EQ(refusal([](ResumeToken& t) { t.cluster = ClusterId(); }), ErrorCode::wrong_cluster);
  EXPECT_EQ(refusal([](ResumeToken& t) { t.position.index = Index(9); }), ErrorCode::behind);
}

TEST_F(Readers, OfARoomThatTheNodeDoesNotFollowAreRefused) {
  const auto refused = client.observe(from_start, {.room = "chess"});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
  EXPECT_THAT(refused.error().message(),
              HasSubstr("the node follows the room \"\", not \"chess\""));
}

TEST_F(Readers, ByCallbackSeeEachEntryOnceAndThenTheEnd) {
  std::mutex mutex;
  std::vector<std::string> texts;
  std::optional<ErrorCode> end;
  client
      .on_committed(
          from_start,
          [&](const Committed& piece) {
            const std::lock_guard lock(mutex);
            const auto* entry = std::get_if<Committed::Entry>(&piece);
            if (entry != nullptr) texts.emplace_back(entry->entry.command.text());
          },
          {}, [&](const Error& error) { end = error.code(); })
      .or_throw();
  for (int i = 0; i < 100; ++i) propose("move " + std::to_string(i));
  ASSERT_TRUE(comes_true([&] {
    const std::lock_guard lock(mutex);
    return texts.size() == 102;
  }));

  client.stop();

  EXPECT_EQ(end, ErrorCode::stopped);
  EXPECT_EQ(texts[0], "one");
  EXPECT_EQ(texts[101], "move 99");
}

TEST_F(Readers, ByCallbackHearThatTheNodeHasStopped) {
  std::optional<ErrorCode> end;
  client
      .on_committed(
          from_start, [](const Committed&) {}, {}, [&](const Error& error) { end = error.code(); })
      .or_throw();

  node.stop();

  EXPECT_EQ(end, ErrorCode::stopped);
}

TEST_F(Readers, OfAClientThatStopsEndAndTheNodeGoesOn) {
  auto other = cluster_client_with_node(node);
  auto seen = other.observe(from_start).or_throw();
  auto mine = client.observe(from_start).or_throw();

  other.stop();

  while (seen.next()) {
  }
  EXPECT_EQ(seen.error()->code(), ErrorCode::stopped);
  EXPECT_EQ(other.observe(from_start).error().code(), ErrorCode::stopped);
  EXPECT_EQ(other.propose("never").get().error().code(), ErrorCode::stopped);
  propose("three");
  EXPECT_THAT(next_texts(mine, 3), ElementsAre("one", "two", "three"));
}

TEST_F(Readers, MayDestroyTheirClientInsideACallback) {
  auto other = std::make_optional(cluster_client_with_node(node));
  std::atomic<int> calls = 0;
  std::promise<void> gone;
  const auto destroy = [&](const Committed&) {
    ++calls;
    other.reset();
    gone.set_value();
  };
  other->on_committed(from_start, destroy, {}, [&](const Error&) { ++calls; }).or_throw();

  ASSERT_EQ(gone.get_future().wait_for(patience), std::future_status::ready);
  propose("three");

  auto seen = client.observe(from_start).or_throw();
  EXPECT_THAT(next_texts(seen, 3), ElementsAre("one", "two", "three"));
  EXPECT_EQ(calls, 1) << "what is due behind that call is freed uncalled";
}

// It waits for the callbacks before it; those are freed uncalled, and so is what would end the
// wait.
TEST_F(Readers, DoNotWaitForANodeThatIsDestroyedInACallback) {
  std::promise<void> inside;
  std::promise<void> stops;
  std::promise<void> gone;
  auto mortal = std::make_optional(std::move(node));
  std::atomic<bool> first = true;
  const auto destroy = [&](const Committed&) {
    if (!first.exchange(false)) return;
    inside.set_value();
    stops.get_future().wait();
    mortal.reset();
    gone.set_value();
  };
  client.on_committed(from_start, destroy).or_throw();
  inside.get_future().wait();
  auto other = std::make_optional(cluster_client_with_node(*mortal));
  std::thread stopping([&] { other->stop(); });
  // The wait has begun once nothing can be observed by that client any more.
  EXPECT_TRUE(comes_true([&] { return !other->observe(from_start); }));

  stops.set_value();

  stopping.join();
  gone.get_future().wait();
}

TEST_F(Readers, JoinNoRooms) {
  const auto room = client.join("chess");

  ASSERT_FALSE(room);
  EXPECT_EQ(room.error().code(), ErrorCode::usage);
  EXPECT_THAT(room.error().message(), HasSubstr("use SeamRoomFactory"));
}

struct Polling : Readers {
  Polling() : Readers(Dispatch::poll) {}
};

TEST_F(Polling, CallsBackInsideAPollAndNowhereElse) {
  std::vector<std::string> texts;
  client
      .on_committed(from_start,
                    [&](const Committed& piece) {
                      const auto* entry = std::get_if<Committed::Entry>(&piece);
                      if (entry != nullptr) texts.emplace_back(entry->entry.command.text());
                    })
      .or_throw();
  propose("three");
  EXPECT_THAT(texts, ::testing::IsEmpty());

  EXPECT_TRUE(comes_true([&] {
    client.poll(10ms);
    return texts.size() == 3;
  }));
  EXPECT_THAT(texts, ElementsAre("one", "two", "three"));
}

TEST_F(Polling, StopWaitsForACallInsideAPollOfAnotherThread) {
  std::promise<void> inside;
  std::promise<void> go_on;
  std::atomic<int> calls = 0;
  std::atomic<bool> over = false;
  const auto block = [&](const Committed&) {
    if (++calls > 1) return;
    inside.set_value();
    go_on.get_future().wait();
    over = true;
  };
  auto other = cluster_client_with_node(node);
  other.on_committed(from_start, block).or_throw();
  std::thread polling([&] { EXPECT_TRUE(comes_true([&] { return client.poll() > 0 && over; })); });
  inside.get_future().wait();

  std::thread stopping([&] {
    other.stop();
    EXPECT_TRUE(over);
  });
  EXPECT_TRUE(comes_true([&] { return !other.observe(from_start); }));
  go_on.set_value();

  stopping.join();
  polling.join();
}

TEST_F(Polling, CallsNothingOfAClientThatIsGone) {
  int calls = 0;
  {
    auto other = cluster_client_with_node(node);
    other.on_committed(from_start, [&](const Committed&) { ++calls; }).or_throw();
  }

  while (client.poll(10ms) > 0) {
  }

  EXPECT_EQ(calls, 0);
}

}  // namespace
}  // namespace kuilt::testing
