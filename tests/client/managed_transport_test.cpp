// The Seam of a running node is swapped: at any moment, and nothing is lost or repeated.
#include <gmock/gmock.h>

#include <cstdlib>
#include <map>
#include <thread>

#include "kuilt/detail/rng.hpp"
#include "tests/client/log_seam.hpp"

namespace kuilt::testing {
namespace {

using ::testing::ElementsAre;

constexpr auto patience = 20s;  // Far more than anything here takes.

const ClusterConfig cluster{.voters = {voter_a}, .learners = {NodeId::named("me")}};

/// Every command is in the log once, and the storage holds the log.
void expect_stored(RaftStorage& storage, TinyLog& log, std::size_t commands) {
  EXPECT_TRUE(comes_true([&] { return stored_in(storage).size() == commands; }));
  EXPECT_EQ(log.size(), commands);
  std::map<std::string, int> times;
  for (const std::string& text : stored_in(storage)) ++times[text];
  EXPECT_EQ(times.size(), commands) << "a command is there twice";
  const auto through = storage.load().or_throw();
  ASSERT_TRUE(through);
  EXPECT_EQ(through->position, TinyLog::position(commands));
  EXPECT_EQ(through->digest, log.digest_through(commands));
}

struct Swaps : ::testing::Test {
  std::shared_ptr<LogSeam> seam(SeamScript script = {}) {
    return std::make_shared<LogSeam>(log, std::move(script));
  }
  RaftNode start() { return RaftNode::start(cluster, transport, storage).or_throw(); }

  TinyLog log;
  InMemoryRaftStorage storage;
  ManagedRaftTransport transport;
};

TEST_F(Swaps, ANodeWithoutASeamWaitsForOne) {
  auto node = start();
  auto client = cluster_client_with_node(node);
  auto asked = client.propose("one");

  transport.swap(seam());

  ASSERT_TRUE(asked.get_for(patience).value());
  expect_stored(storage, log, 1);
}

TEST_F(Swaps, ASeamThatIsGivenBeforeTheNodeIsUsed) {
  const auto never = seam();
  transport.swap(never);
  transport.swap(seam());
  EXPECT_TRUE(never->closed());

  auto node = start();

  ASSERT_TRUE(cluster_client_with_node(node).propose("one").get_for(patience).value());
  expect_stored(storage, log, 1);
}

TEST_F(Swaps, TheOneBeforeIsClosedAndWhatItStillSaysIsNotHeard) {
  auto node = start();
  auto client = cluster_client_with_node(node);
  const auto first = seam();
  transport.swap(first);
  ASSERT_TRUE(client.propose("one").get_for(patience).value());
  const auto second = seam();

  transport.swap(second);
  ASSERT_TRUE(comes_true([&] { return !second->observes().empty(); }));
  first->feed();
  first->tear();

  EXPECT_TRUE(first->closed());
  ASSERT_TRUE(client.propose("two").get_for(patience).value());
  EXPECT_EQ(second->observes().size(), 1U);
  expect_stored(storage, log, 2);
}

TEST_F(Swaps, ASwapIsUsedAtOnceHoweverLongThereWasNoSeam) {
  auto node = start();
  auto client = cluster_client_with_node(node);
  for (int round = 0; round < 20; ++round) {
    const auto torn = seam({.frames = 0});  // Each makes the next wait longer, but for a swap.
    transport.swap(torn);
    ASSERT_TRUE(comes_true([&] { return torn->over(); }));
  }
  const auto begin = std::chrono::steady_clock::now();

  transport.swap(seam());

  ASSERT_TRUE(client.propose("one").get_for(patience).value());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
}

TEST_F(Swaps, WhatASeamsServerHadNotAnsweredIsCommittedOnce) {
  auto node = start();
  auto client = cluster_client_with_node(node);
  transport.swap(seam({.answers = false}));
  auto asked = client.propose("one");
  ASSERT_TRUE(comes_true([&] { return log.size() == 1; }));

  transport.swap(seam());

  const auto outcome = asked.get_for(patience).value();
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->duplicate);
  expect_stored(storage, log, 1);
}

TEST_F(Swaps, ASeamThatIsTakenAwayLeavesTheNodeWaiting) {
  auto node = start();
  auto client = cluster_client_with_node(node);
  const auto first = seam();
  transport.swap(first);
  ASSERT_TRUE(client.propose("one").get_for(patience).value());

  transport.swap(nullptr);

  EXPECT_TRUE(comes_true([&] { return first->closed() && node.status().server.empty(); }));
  auto asked = client.propose("two");
  transport.swap(seam());
  ASSERT_TRUE(asked.get_for(patience).value());
  expect_stored(storage, log, 2);
}

TEST_F(Swaps, MayBeMadeInsideCallbacks) {
  RaftConfig config;
  config.on_event = [this](const ClientEvent&) {
    if (transport.needs_seam()) transport.swap(seam());
  };
  auto node = RaftNode::start(cluster, transport, storage, config).or_throw();
  auto client = cluster_client_with_node(node);
  transport.swap(seam({.frames = 6}));

  for (const auto* command : {"one", "two", "three"}) {
    ASSERT_TRUE(client.propose(command).get_for(patience).value());
  }

  expect_stored(storage, log, 3);
}

/// Asks for the next one as soon as it is closed.
class RestlessSeam final : public Seam {
 public:
  explicit RestlessSeam(std::function<void()> on_close) : on_close_(std::move(on_close)) {}
  void start(SeamEvents /*events*/) override {}
  bool send(Bytes /*frame*/) override { return true; }
  void close() override {
    if (const auto tell = std::exchange(on_close_, {})) tell();
  }

 private:
  std::function<void()> on_close_;
};

TEST_F(Swaps, MayBeMadeWhileASeamIsClosed) {
  int given = 0;
  transport.use([&](const std::shared_ptr<Seam>& one) {  // As a node closes one that it never used.
    ++given;
    one->close();
  });

  transport.swap(std::make_shared<RestlessSeam>([this] { transport.swap(seam()); }));

  EXPECT_EQ(given, 2);
  transport.use({});
}

TEST_F(Swaps, AreNeededWhileThereIsNoSeamThatCanBeUsed) {
  EXPECT_TRUE(transport.await_need(0s));
  auto node = start();
  auto client = cluster_client_with_node(node);
  const auto sound = [&] {
    auto given = seam();
    transport.swap(given);
    EXPECT_TRUE(client.propose("move").get_for(patience).value());
    EXPECT_FALSE(transport.await_need(0s));
    return given;
  };

  sound()->tear();
  EXPECT_TRUE(transport.await_need(patience)) << "torn";
  sound();
  transport.swap(seam({.server = NodeId::named("stranger")}));
  EXPECT_TRUE(transport.await_need(patience)) << "given up by the node";
  sound();
  transport.swap(nullptr);
  EXPECT_TRUE(transport.needs_seam()) << "taken away";
  const auto before = sound();
  transport.swap(seam());
  before->tear();
  EXPECT_FALSE(transport.needs_seam()) << "one that was swapped out is nobody's business";
}

TEST_F(Swaps, FromManyThreadsAtOnceLoseNothing) {
  auto node = start();
  auto client = cluster_client_with_node(node);
  std::vector<Pending<Receipt>> asked;
  std::vector<std::thread> swappers;

  for (int i = 0; i < 3; ++i) {
    swappers.emplace_back([this] {
      for (int round = 0; round < 50; ++round) transport.swap(seam());
    });
  }
  for (int i = 0; i < 50; ++i) asked.push_back(client.propose("move " + std::to_string(i)));
  for (std::thread& one : swappers) one.join();
  transport.swap(seam());

  for (auto& one : asked) ASSERT_TRUE(one.get_for(patience).value());
  expect_stored(storage, log, 50);
}

TEST_F(Swaps, AfterTheNodeAreForTheNextOne) {
  {
    auto node = start();
    transport.swap(seam());
    ASSERT_TRUE(cluster_client_with_node(node).propose("one").get_for(patience).value());
    expect_stored(storage, log, 1);
  }
  transport.swap(seam());

  auto node = start();

  ASSERT_TRUE(cluster_client_with_node(node).propose("two").get_for(patience).value());
  expect_stored(storage, log, 2);
}

/// A conversation of three proposals has fewer frames than this.
constexpr std::size_t points = 14;
struct Cuts : Swaps, ::testing::WithParamInterface<std::size_t> {};

TEST_P(Cuts, AtAnyPointOfTheConversationLoseAndRepeatNothing) {
  for (std::size_t frames = 0; frames < points; ++frames) {
    TinyLog log_now;
    InMemoryRaftStorage storage_now;
    auto cut =
        std::make_shared<LogSeam>(log_now, SeamScript{.frames = frames, .last_parts = GetParam()});
    ManagedRaftTransport transport_now(cut);
    auto node = RaftNode::start(cluster, transport_now, storage_now).or_throw();
    auto client = cluster_client_with_node(node);
    std::vector<Pending<Receipt>> asked;
    for (const auto* command : {"one", "two", "three"}) asked.push_back(client.propose(command));

    ASSERT_TRUE(comes_true([&] { return cut->over() || stored_in(storage_now).size() == 3; }));
    transport_now.swap(std::make_shared<LogSeam>(log_now));

    for (auto& one : asked) EXPECT_TRUE(one.get_for(patience).value()) << "cut at " << frames;
    expect_stored(storage_now, log_now, 3);
  }
}

INSTANTIATE_TEST_SUITE_P(LosingTheFrame, Cuts, ::testing::Values(0));
INSTANTIATE_TEST_SUITE_P(AmidTheFrame, Cuts, ::testing::Values(64, 128, 250));
INSTANTIATE_TEST_SUITE_P(AfterTheFrame, Cuts, ::testing::Values(256));

/// Seams that are cut at random, one after the other, under a stream of proposals.
struct Exercised {
  std::uint64_t duplicates = 0;
  std::uint64_t resumes = 0;
};
void run_random(std::uint64_t seed, Exercised& seen) {
  SCOPED_TRACE("KUILT_TEST_SEED=" + std::to_string(seed));
  Rng rng(seed);
  TinyLog log;
  InMemoryRaftStorage storage;
  std::mutex mutex;  // Of what the events' thread and this one share.
  bool calm = false;
  ManagedRaftTransport transport;
  const auto next_seam = [&] {
    const std::lock_guard lock(mutex);
    if (calm) return std::make_shared<LogSeam>(log);
    return std::make_shared<LogSeam>(
        log, SeamScript{.answers = rng.chance(80),
                        .frames = static_cast<std::size_t>(rng.below(12)),
                        .last_parts = static_cast<std::size_t>(rng.below(257))});
  };
  RaftConfig config;
  config.attempt_timeout = 20ms;
  config.on_event = [&](const ClientEvent&) {
    if (transport.needs_seam()) transport.swap(next_seam());
  };
  constexpr std::size_t commands = 60;
  auto node = RaftNode::start(cluster, transport, storage, config).or_throw();
  auto client = cluster_client_with_node(node);
  std::vector<Pending<Receipt>> asked;
  for (std::size_t i = 0; i < commands; ++i) {
    asked.push_back(client.propose("move " + std::to_string(i)));
    if (rng.chance(50)) std::this_thread::sleep_for(rng.below(3) * 1ms);  // For variety.
    if (rng.chance(5)) transport.swap(next_seam());
  }
  {
    const std::lock_guard lock(mutex);
    calm = true;
  }
  transport.swap(std::make_shared<LogSeam>(log));
  for (auto& one : asked) {
    const auto outcome = one.get_for(patience).value();
    EXPECT_TRUE(outcome);
    if (outcome && outcome->duplicate) ++seen.duplicates;
  }
  expect_stored(storage, log, commands);
  seen.resumes += node.status().resumes;
}

TEST(RandomSeams, TheStorageIsTheLogWhateverBecomesOfItsLinks) {
  Exercised seen;
  if (const char* seed = std::getenv("KUILT_TEST_SEED")) {
    return run_random(std::stoull(seed), seen);
  }
  for (std::uint64_t seed = 1; seed <= 25; ++seed) run_random(seed, seen);
  EXPECT_GT(seen.duplicates, 20U);
  EXPECT_GT(seen.resumes, 50U);
}

}  // namespace
}  // namespace kuilt::testing
