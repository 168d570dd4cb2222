// Rooms over real servers: three in one process, clients on each. Every wait has a bound.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kuilt/client.hpp"
#include "kuilt/detail/overloaded.hpp"
#include "kuilt/server.hpp"
#include "tests/await.hpp"

namespace kuilt::server {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto patience = 20s;  // Far more than anything here takes.

std::vector<std::string> names_in(const Roster& roster) {
  std::vector<std::string> names;
  for (const RoomMember& one : roster) names.push_back(one.name);
  std::ranges::sort(names);
  return names;
}
auto has(std::size_t size) {
  return [size](const Roster& roster) { return roster.size() == size; };
}

/// Changes of a roster as they are told: "+ann", "-ann", "=2" for a whole one.
class Events {
 public:
  explicit Events(Room& room) {
    const Status status = room.on_roster([this](const RosterEvent& event) {
      const auto line = Overloaded{
          [](const MemberJoined& joined) { return "+" + joined.member.name; },
          [](const MemberLeft& left) { return "-" + left.member.name; },
          [](const RosterReset& reset) { return "=" + std::to_string(reset.roster.size()); },
      };
      const std::lock_guard lock(mutex_);
      lines_.push_back(std::visit(line, event));
    });
    EXPECT_TRUE(status);
  }
  /// Waits for so many: callbacks run on a thread of their own.
  [[nodiscard]] std::vector<std::string> first(std::size_t count) const {
    EXPECT_TRUE(comes_true([&] { return lines().size() >= count; }));
    return lines();
  }
  [[nodiscard]] std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

class Rooms : public testing::Test {
 protected:
  /// A client of these servers, in this order; of all, if none is named.
  ClusterClient client(const std::string& name, std::vector<std::size_t> servers = {}) {
    ClientOptions options;
    options.name = name;
    if (servers.empty()) return ClusterClient::connect(cluster_.endpoints(), options).or_throw();
    std::vector<std::string> urls;
    for (const std::size_t server : servers) urls.push_back(urls_.at(server));
    return ClusterClient::connect(ClusterEndpoints(std::move(urls)), options).or_throw();
  }

  struct Two {
    ClusterClient ann;
    ClusterClient bob;
    Room room_of_ann;
    Room room_of_bob;
  };
  /// Clients of these servers that are in the room "chess", and know of each other.
  Two let_ann_and_bob_meet(std::vector<std::size_t> hers, std::vector<std::size_t> his) {
    auto ann = client("ann", std::move(hers));
    auto bob = client("bob", std::move(his));
    Room room_of_ann = ann.join("chess").or_throw();
    Room room_of_bob = bob.join("chess").or_throw();
    room_of_ann.await_roster(has(2), patience).or_throw();
    room_of_bob.await_roster(has(2), patience).or_throw();
    return {std::move(ann), std::move(bob), std::move(room_of_ann), std::move(room_of_bob)};
  }

  ServerCluster cluster_ = ServerCluster::in_process({.voters = 3, .directory = ""}).or_throw();
  std::vector<std::string> urls_ = [this] {
    cluster_.start().or_throw();
    return cluster_.endpoints().urls();
  }();
};

TEST_F(Rooms, EverybodySeesEverybodyWhicheverServerTheyAreOn) {
  auto ann = client("ann", {0});
  auto bob = client("bob", {1});
  auto cat = client("cat", {2});
  Room room_of_ann = ann.join("chess").or_throw();
  Room room_of_bob = bob.join("chess").or_throw();
  Room room_of_cat = cat.join("chess").or_throw();

  for (Room* room : {&room_of_ann, &room_of_bob, &room_of_cat}) {
    const Roster roster = room->await_roster(has(3), patience).or_throw();
    EXPECT_THAT(names_in(roster), ElementsAre("ann", "bob", "cat"));
    EXPECT_TRUE(roster.contains(room->self_id()));
  }
  EXPECT_NE(room_of_ann.self_id(), room_of_bob.self_id());
}

TEST_F(Rooms, MessagesGoToOneMemberOrToAllOthers) {
  auto [ann, bob, room_of_ann, room_of_bob] = let_ann_and_bob_meet({0}, {1});
  auto chat_of_ann = room_of_ann.channel("chat").or_throw();
  auto chat_of_bob = room_of_bob.channel("chat").or_throw();

  chat_of_ann.broadcast("hello").or_throw();
  const auto hello = chat_of_bob.next_for(patience);
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->body.text(), "hello");
  EXPECT_EQ(hello->from, room_of_ann.self_id());

  chat_of_bob.send(hello->from, "yes?").or_throw();
  const auto yes = chat_of_ann.next_for(patience);
  ASSERT_TRUE(yes);
  EXPECT_EQ(yes->body.text(), "yes?");
}

TEST_F(Rooms, WhoDropsTheRoomHasLeftAndMayJoinAgain) {
  auto ann = client("ann", {0});
  auto bob = client("bob", {1});
  Room room_of_bob = bob.join("chess").or_throw();
  std::optional<Room> room_of_ann = ann.join("chess").or_throw();
  EXPECT_EQ(ann.join("chess").error().code(), ErrorCode::invalid_argument);
  room_of_bob.await_roster(has(2), patience).or_throw();

  room_of_ann.reset();
  room_of_bob.await_roster(has(1), patience).or_throw();

  room_of_ann = ann.join("chess").or_throw();
  room_of_bob.await_roster(has(2), patience).or_throw();
}

TEST_F(Rooms, ALostServerTakesItsMembersWithItAfterTheGrace) {
  auto [ann, bob, room_of_ann, room_of_bob] = let_ann_and_bob_meet({0}, {1});
  Events events(room_of_bob);

  cluster_.stop("a").or_throw();
  const auto begin = std::chrono::steady_clock::now();
  room_of_bob.await_roster(has(1), patience).or_throw();

  EXPECT_GE(std::chrono::steady_clock::now() - begin, 1900ms);
  EXPECT_EQ(events.first(2).back(), "-ann");
}

TEST_F(Rooms, AFailoverIsSeenByNobody) {
  auto [ann, bob, room_of_ann, room_of_bob] = let_ann_and_bob_meet({0, 2}, {1});
  auto chat_of_bob = room_of_bob.channel("chat").or_throw();
  auto chat_of_ann = room_of_ann.channel("chat").or_throw();
  const PeerId before = room_of_ann.self_id();
  Events of_ann(room_of_ann);
  Events of_bob(room_of_bob);

  cluster_.stop("a").or_throw();
  // The word of a member on the new server is the proof of the failover; until it has joined there
  // its words are lost.
  std::optional<ChannelMessage> heard;
  for (const auto end = std::chrono::steady_clock::now() + patience;
       !heard && std::chrono::steady_clock::now() < end;) {
    chat_of_ann.broadcast("still here").or_throw();
    heard = chat_of_bob.next_for(20ms);
  }
  ASSERT_TRUE(heard);
  // Longer than the grace: it is the lost server's word that ends, not the member.
  EXPECT_FALSE(room_of_bob.await_roster(has(1), 3s));

  EXPECT_EQ(heard->from, before);
  EXPECT_EQ(room_of_ann.self_id(), before);
  EXPECT_THAT(of_ann.lines(), ElementsAre("=2"));
  EXPECT_THAT(of_bob.lines(), ElementsAre("=2"));
}

TEST_F(Rooms, TheRaftChannelIsRefusedWithTheWayOut) {
  auto ann = client("ann");
  Room room = ann.join("chess").or_throw();

  const auto raft = room.channel("raft");

  ASSERT_FALSE(raft);
  EXPECT_EQ(raft.error().code(), ErrorCode::invalid_argument);
  EXPECT_THAT(raft.error().message(), HasSubstr("ClusterClient::observe"));
}

TEST_F(Rooms, WhatNoServerWouldTakeIsRefusedBeforeItIsSent) {
  auto ann = client("ann");
  EXPECT_THAT(ann.join(std::string(129, 'x')).error().message(), HasSubstr("limit is 128"));
  EXPECT_THAT(ann.join("\xff").error().message(), HasSubstr("not UTF-8"));
  Room room = ann.join("chess").or_throw();
  EXPECT_THAT(room.channel(std::string(129, 'x')).error().message(), HasSubstr("limit is 128"));
  EXPECT_THAT(room.channel("\xff").error().message(), HasSubstr("not UTF-8"));
  auto chat = room.channel("chat").or_throw();
  const std::string large(std::size_t{64} << 10, 'x');
  EXPECT_TRUE(chat.broadcast(large));
  EXPECT_THAT(chat.broadcast(large + "x").error().message(), HasSubstr("the limit is 65536"));
  EXPECT_EQ(chat.send(PeerId(), "x").error().code(), ErrorCode::invalid_argument);
}

TEST_F(Rooms, ARoomTooManyEndsThatRoomAlone) {
  auto ann = client("ann");
  std::vector<Room> rooms;
  for (int i = 0; i < 64; ++i) rooms.push_back(ann.join("room " + std::to_string(i)).or_throw());
  for (Room& room : rooms) room.await_roster(has(1), patience).or_throw();

  Room one_more = ann.join("one more").or_throw();
  const auto refused = one_more.await_roster(has(1), patience);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
  EXPECT_THAT(refused.error().message(), HasSubstr("the limit is 64"));
  EXPECT_EQ(one_more.error()->code(), ErrorCode::invalid_argument);
  EXPECT_FALSE(rooms.front().error());
}

TEST_F(Rooms, WhoStopsLeavesAndWhoOutlivesTheClientIsTold) {
  auto bob = client("bob");
  Room room_of_bob = bob.join("chess").or_throw();
  std::optional<ClusterClient> ann = client("ann");
  Room room = ann->join("chess").or_throw();
  auto chat = room.channel("chat").or_throw();
  room_of_bob.await_roster(has(2), patience).or_throw();

  ann.reset();
  room_of_bob.await_roster(has(1), 1900ms).or_throw();  // A goodbye: no grace.

  EXPECT_EQ(room.error()->code(), ErrorCode::stopped);
  EXPECT_EQ(room.await_roster(has(1), patience).error().code(), ErrorCode::stopped);
  EXPECT_EQ(chat.broadcast("x").error().code(), ErrorCode::stopped);
  EXPECT_FALSE(chat.next());
  EXPECT_EQ(chat.error()->code(), ErrorCode::stopped);
}

}  // namespace
}  // namespace kuilt::server
