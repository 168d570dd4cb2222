// A learner that its application manages, with rooms, against real servers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "kuilt/raft.hpp"
#include "kuilt/server.hpp"
#include "tests/await.hpp"

namespace kuilt {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr auto patience = 20s;  // Far more than anything here takes.

PeerId peer(NodeId node) { return {node.high(), node.low()}; }

bool anybody(const Roster& roster) { return !roster.empty(); }

/// A cluster, and where each of its servers is.
struct Learners : testing::Test {
  void SetUp() override {
    cluster.start().or_throw();
    const auto urls = cluster.endpoints().urls();
    const auto voters = cluster.mesh().voters;
    ASSERT_EQ(urls.size(), voters.size());
    for (std::size_t i = 0; i < urls.size(); ++i) {
      servers.push_back({urls[i], peer(voters[i].id), "cluster-client"});
    }
  }
  ClusterConfig config(Room& room) const {
    room.await_roster(anybody, patience).or_throw();  // From then on it knows who it is.
    return {.voters = cluster.mesh().ids(), .learners = {room.self_id()}};
  }
  /// What the cluster has committed, as a client of its own sees it, through `count` entries.
  std::vector<std::string> committed(std::size_t count) const {
    auto client = ClusterClient::connect(cluster.endpoints()).or_throw();
    auto seen = client.observe(from_start).or_throw();
    std::vector<std::string> texts;
    while (texts.size() < count) {
      const auto piece = seen.next_for(patience);
      if (!piece) break;
      const auto* entry = std::get_if<Committed::Entry>(&*piece);
      if (entry != nullptr) texts.emplace_back(entry->entry.command.text());
    }
    return texts;
  }

  ServerCluster cluster = ServerCluster::in_process({.voters = 3, .directory = ""}).or_throw();
  std::vector<WebSocketAdvertisement> servers;
  WebSocketLoom loom;
  SeamRoomFactory rooms{loom};
  InMemoryRaftStorage storage;
};

std::vector<std::string> stored_in(RaftStorage& storage) {
  std::vector<std::string> texts;
  for (const LogEntry& entry : storage.read(Index(), 1 << 30).or_throw()) {
    texts.emplace_back(entry.command.text());
  }
  return texts;
}

TEST_F(Learners, AreMembersOfTheirRoomAndFollowTheLogOverItsLink) {
  auto room = rooms.join(servers[0]).or_throw();
  const auto roster = room.await_roster(anybody, patience).or_throw();
  const auto raft = room.channel("raft").or_throw();
  EXPECT_TRUE(roster.contains(raft.self_id()));
  EXPECT_EQ(roster.find(raft.self_id())->name, "cluster-client");
  SeamRaftTransport transport(raft);
  auto node = RaftNode::start(config(room), transport, storage).or_throw();
  auto client = cluster_client_with_node(node);

  const auto done = client.propose("action:move=1").get().or_throw();

  EXPECT_TRUE(comes_true([&] { return node.status().stored.index >= done.index; }));
  EXPECT_EQ(stored_in(storage), std::vector<std::string>{"action:move=1"});
  EXPECT_EQ(storage.read(Index(), 1)->front().author, "cluster-client");
}

TEST_F(Learners, ReadLinearizablyOverTheLinkOfTheirRoom) {
  auto room = rooms.join(servers[0]).or_throw();
  const auto raft = room.channel("raft").or_throw();
  SeamRaftTransport transport(raft);
  auto node = RaftNode::start(config(room), transport, storage).or_throw();
  auto client = cluster_client_with_node(node);
  const auto done = client.propose("action:move=1").get().or_throw();

  const Index index = client.read_barrier(patience).get().or_throw();

  EXPECT_GE(index, done.index);
  EXPECT_TRUE(comes_true([&] { return node.status().stored.index >= index; }));
}

TEST_F(Learners, AreTheSameMemberOnEveryServer) {
  auto first = rooms.join(servers[0]).or_throw();
  auto second = rooms.join(servers[1]).or_throw();
  first.await_roster(anybody, patience).or_throw();
  second.await_roster(anybody, patience).or_throw();

  EXPECT_FALSE(first.self_id().is_none());
  EXPECT_EQ(first.self_id(), second.self_id());
}

TEST_F(Learners, LiveThroughTheKillOfTheirServerAndLoseNothing) {
  std::mutex mutex;
  std::vector<Room> joined;
  std::size_t next = 0;
  ManagedRaftTransport transport;
  const auto another = [&] {
    if (!transport.needs_seam()) return;
    const std::lock_guard lock(mutex);
    auto room = rooms.join(servers[next++ % servers.size()]);
    if (!room) return;  // Told of it again soon.
    transport.swap(room->channel("raft").or_throw());
    joined.push_back(*std::move(room));
  };
  RaftConfig options;
  options.on_event = [&](const ClientEvent&) { another(); };
  const ClusterConfig config{.voters = cluster.mesh().ids(), .learners = {NodeId::named("me")}};
  auto node = RaftNode::start(config, transport, storage, options).or_throw();
  auto client = cluster_client_with_node(node);
  ASSERT_TRUE(client.propose("first").get());
  const std::string server = node.status().server;

  std::vector<Pending<Receipt>> in_flight;
  for (int i = 0; i < 50; ++i) in_flight.push_back(client.propose("move " + std::to_string(i)));
  cluster.stop(server).or_throw();
  for (int i = 50; i < 100; ++i) in_flight.push_back(client.propose("move " + std::to_string(i)));
  Index last;
  for (auto& one : in_flight) last = std::max(last, one.get().or_throw().index);

  ASSERT_TRUE(comes_true([&] { return node.status().stored.index >= last; }));
  EXPECT_NE(node.status().server, server);
  const auto stored = stored_in(storage);
  EXPECT_EQ(stored.size(), 101U);
  EXPECT_EQ(stored, committed(101));
  std::map<std::string, int> times;
  for (const std::string& text : stored) ++times[text];
  EXPECT_EQ(times.size(), 101U) << "a proposal in flight was committed twice";
  EXPECT_EQ(node.status().violations, 0U);
}

TEST_F(Learners, ARoomIsToldThatItsLinkIsTorn) {
  auto room = rooms.join(servers[2]).or_throw();
  room.await_roster(anybody, patience).or_throw();

  cluster.stop("c").or_throw();

  EXPECT_TRUE(comes_true([&] { return room.error().has_value(); }));
  const auto waited = room.await_roster([](const Roster&) { return false; }, patience);
  EXPECT_EQ(waited.error().message(), room.error()->message());
}

TEST_F(Learners, AnotherServerThanAdvertisedIsRefusedByName) {
  WebSocketAdvertisement wrong = servers[0];
  wrong.server_peer_id = servers[1].server_peer_id;

  const auto room = rooms.join(wrong);

  ASSERT_FALSE(room);
  EXPECT_EQ(room.error().code(), ErrorCode::unknown_node);
  EXPECT_THAT(room.error().message(), HasSubstr(servers[1].server_peer_id.text()));
}

TEST_F(Learners, WhatIsWrongWithAnAdvertisementIsNamed) {
  const auto refusal = [&](const WebSocketAdvertisement& to, const SeamRoomOptions& options = {}) {
    return rooms.join(to, options).error().code();
  };

  EXPECT_EQ(refusal({"ws://127.0.0.1:1"}), ErrorCode::no_server);
  EXPECT_EQ(refusal({"127.0.0.1"}), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal({servers[0].url, {}, std::string(200, 'x')}), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal(servers[0], {.room = std::string(200, 'x')}), ErrorCode::invalid_argument);
}

/// Fails, or brings what it was given.
class ScriptedLoom final : public Loom {
 public:
  Result<std::shared_ptr<Seam>> weave(const WebSocketAdvertisement&,
                                      std::chrono::nanoseconds) override {
    if (seam) return seam;
    return Error(ErrorCode::no_server, "the loom is broken");
  }
  std::shared_ptr<Seam> seam;
};
/// Takes everything, and says nothing.
class SilentSeam final : public Seam {
 public:
  void start(SeamEvents) override {}
  bool send(Bytes) override { return true; }
  void close() override { closed = true; }
  bool closed = false;
};

TEST(RoomsOverALoom, ThatFailsAreRefusedWithItsReason) {
  ScriptedLoom loom;

  const auto room = SeamRoomFactory(loom).join({"ws://a"});

  ASSERT_FALSE(room);
  EXPECT_EQ(room.error().code(), ErrorCode::no_server);
  EXPECT_EQ(room.error().message(), "join ws://a: the loom is broken");
}

TEST(RoomsOverALoom, WhoseServerWelcomesNobodyAreRefusedInTime) {
  ScriptedLoom loom;
  const auto silent = std::make_shared<SilentSeam>();
  loom.seam = silent;

  const auto room = SeamRoomFactory(loom).join({"ws://a"}, {.timeout = 10ms});

  ASSERT_FALSE(room);
  EXPECT_EQ(room.error().code(), ErrorCode::timed_out);
  EXPECT_TRUE(silent->closed);
}

TEST_F(Learners, TheRaftChannelIsForTheFeedAndOthersAreNot) {
  auto room = rooms.join(servers[0]).or_throw();
  auto raft = room.channel("raft").or_throw();
  EXPECT_EQ(raft.broadcast("hello").error().code(), ErrorCode::usage);
  EXPECT_FALSE(raft.next());
  EXPECT_EQ(raft.error()->code(), ErrorCode::usage);

  std::mutex mutex;
  std::string refusal;
  RaftConfig options;
  options.on_event = [&](const ClientEvent& event) {
    const std::lock_guard lock(mutex);
    if (refusal.empty()) refusal = event.text;
  };
  SeamRaftTransport transport(room.channel("chat").or_throw());
  auto node = RaftNode::start(config(room), transport, storage, options).or_throw();

  EXPECT_TRUE(comes_true([&] {
    const std::lock_guard lock(mutex);
    return !refusal.empty();
  }));
  const std::lock_guard lock(mutex);
  EXPECT_THAT(refusal, HasSubstr("not the channel \"raft\""));
}

TEST_F(Learners, ARoomsFeedIsForOneNode) {
  auto room = rooms.join(servers[0]).or_throw();
  SeamRaftTransport first(room.channel("raft").or_throw());
  SeamRaftTransport second(room.channel("raft").or_throw());
  auto node = RaftNode::start(config(room), first, storage).or_throw();
  ASSERT_TRUE(cluster_client_with_node(node).propose("one").get());
  std::promise<std::string> refusal;
  std::once_flag once;
  RaftConfig options;
  options.on_event = [&](const ClientEvent& event) {
    std::call_once(once, [&] { refusal.set_value(event.text); });
  };
  InMemoryRaftStorage other;

  auto late = RaftNode::start(config(room), second, other, options).or_throw();

  EXPECT_THAT(refusal.get_future().get(), HasSubstr("in use already"));
  EXPECT_TRUE(cluster_client_with_node(node).propose("two").get());
}

TEST_F(Learners, ALoomThatIsDestroyedTearsItsLinks) {
  std::optional<WebSocketLoom> short_lived(std::in_place);
  auto room = SeamRoomFactory(*short_lived).join(servers[0]).or_throw();
  room.await_roster(anybody, patience).or_throw();

  short_lived.reset();

  ASSERT_TRUE(room.error());
  EXPECT_EQ(room.error()->code(), ErrorCode::stopped);
  EXPECT_THAT(room.error()->message(), HasSubstr("the loom was destroyed"));
}

}  // namespace
}  // namespace kuilt
