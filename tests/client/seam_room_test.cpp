// A room over a link that the application made, and the feed that the same link carries.
#include <gmock/gmock.h>

#include "tests/client/log_seam.hpp"

namespace kuilt::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto patience = 20s;  // Far more than anything here takes.

/// Gives out what it was given.
class OneSeamLoom final : public Loom {
 public:
  explicit OneSeamLoom(std::shared_ptr<Seam> seam) : seam_(std::move(seam)) {}
  Result<std::shared_ptr<Seam>> weave(const WebSocketAdvertisement& /*to*/,
                                      std::chrono::nanoseconds /*timeout*/) override {
    return seam_;
  }
  void give(std::shared_ptr<Seam> seam) { seam_ = std::move(seam); }

 private:
  std::shared_ptr<Seam> seam_;
};

struct SeamRooms : ::testing::Test {
  Result<Room> join(SeamScript script = {}, WebSocketAdvertisement to = {.url = "ws://a"}) {
    seam = std::make_shared<LogSeam>(log, std::move(script));
    OneSeamLoom loom(seam);
    return SeamRoomFactory(loom).join(to, {.timeout = 200ms});
  }
  RaftNode follow(RaftTransport& transport) {
    return RaftNode::start({{voter_a}, {NodeId::named("me")}}, transport, storage).or_throw();
  }
  static bool anybody(const Roster& roster) { return !roster.empty(); }

  TinyLog log;
  InMemoryRaftStorage storage;
  std::shared_ptr<LogSeam> seam;
};

TEST_F(SeamRooms, KnowThemselvesAndWhoIsThere) {
  auto room = join().or_throw();

  const Roster roster = room.await_roster(anybody, patience).or_throw();

  EXPECT_EQ(room.self_id(), PeerId::named("me"));
  EXPECT_TRUE(roster.contains(room.self_id()));
  EXPECT_EQ(room.channel("raft").or_throw().self_id(), room.self_id());
}

TEST_F(SeamRooms, CarryTheFeedToANodeThatComesLater) {
  auto room = join().or_throw();
  seam->say(wire::ServerHeartbeat{TinyLog::position(0), "a"});

  SeamRaftTransport transport(room.channel("raft").or_throw());
  auto node = follow(transport);

  ASSERT_TRUE(cluster_client_with_node(node).propose("one").get_for(patience).value());
  EXPECT_TRUE(comes_true([&] { return stored_in(storage).size() == 1; }));
}

// A client gives up a link whose first message is anything else, and this link is the only one.
TEST_F(SeamRooms, TellWhoFollowsNothingBeforeTheWelcome) {
  auto room = join().or_throw();
  const auto raft = seam_of(room.channel("raft").or_throw());
  std::vector<wire::ServerMessage> heard;
  raft->start({.on_frame =
                   [&](const Bytes& frame) {
                     heard.push_back(
                         wire::decode_server(frame, wire::Encoding::protobuf).or_throw());
                   },
               .on_torn = [](const Error&) {}});

  seam->say(wire::ServerHeartbeat{TinyLog::position(7), "b"});
  ASSERT_TRUE(heard.empty());
  ASSERT_TRUE(raft->send(wire::encode(wire::Hello{}, wire::Encoding::protobuf)));
  seam->say(wire::ServerHeartbeat{TinyLog::position(8), "b"});

  ASSERT_EQ(heard.size(), 2U);
  const auto& welcome = std::get<wire::Welcome>(heard[0]);
  EXPECT_EQ(welcome.commit, TinyLog::position(7)) << "what was said meanwhile is in it";
  EXPECT_EQ(welcome.leader, "b");
  EXPECT_EQ(std::get<wire::ServerHeartbeat>(heard[1]).commit, TinyLog::position(8));
}

// Readers tell by its number a message that they have heard on another server.
TEST_F(SeamRooms, CountTheirMessagesAsOneMember) {
  const auto first = std::make_shared<LogSeam>(log);
  const auto second = std::make_shared<LogSeam>(log);
  OneSeamLoom loom(first);
  SeamRoomFactory factory(loom);
  auto chess = factory.join({.url = "ws://a"}, {.room = "chess"}).or_throw();
  loom.give(second);
  auto go = factory.join({.url = "ws://a"}, {.room = "go"}).or_throw();

  ASSERT_TRUE(chess.channel("chat").or_throw().broadcast("1"));
  ASSERT_TRUE(go.channel("chat").or_throw().broadcast("2"));
  ASSERT_TRUE(chess.channel("chat").or_throw().broadcast("3"));

  EXPECT_THAT(first->said(), ElementsAre(1, 3));
  EXPECT_THAT(second->said(), ElementsAre(2));
}

TEST_F(SeamRooms, TakeNothingOfAnotherRoom) {
  auto room = join().or_throw();
  room.await_roster(anybody, patience).or_throw();
  auto chat = room.channel("chat").or_throw();

  seam->say(wire::Roster{"other", wire::RosterReset{}});
  seam->say(wire::Delivery{"other", "chat", PeerId::named("bob"), Bytes("not here"), 1});
  seam->say(wire::Delivery{"", "chat", PeerId::named("bob"), Bytes("here"), 1});

  EXPECT_EQ(chat.next_for(patience).value().body.text(), "here");
  EXPECT_EQ(room.roster().size(), 1U);
}

TEST_F(SeamRooms, MayBeDroppedWhileANodeFollowsTheirFeed) {
  auto room = std::make_optional(join().or_throw());
  SeamRaftTransport transport(room->channel("raft").or_throw());
  auto node = follow(transport);
  auto client = cluster_client_with_node(node);
  ASSERT_TRUE(client.propose("one").get_for(patience).value());

  room.reset();

  EXPECT_FALSE(seam->closed());
  ASSERT_TRUE(client.propose("two").get_for(patience).value());
  node.stop();
  EXPECT_TRUE(seam->closed());
}

TEST_F(SeamRooms, EndWithTheNodeThatUsedTheirLink) {
  auto room = join().or_throw();
  {
    SeamRaftTransport transport(room.channel("raft").or_throw());
    auto node = follow(transport);
    ASSERT_TRUE(cluster_client_with_node(node).propose("one").get_for(patience).value());
  }

  ASSERT_TRUE(room.error());
  EXPECT_THAT(room.error()->message(), HasSubstr("the raft channel was closed"));
}

TEST_F(SeamRooms, LetNothingThroughThatAFeedDoesNotNeed) {
  auto room = join().or_throw();
  const auto raft = seam_of(room.channel("raft").or_throw());
  raft->start({.on_frame = [](const Bytes&) {}, .on_torn = [](const Error&) {}});
  const auto passes = [&](const wire::ClientMessage& message) {
    return raft->send(wire::encode(message, wire::Encoding::protobuf));
  };

  EXPECT_TRUE(passes(wire::Hello{}));
  EXPECT_TRUE(passes(wire::Observe{"", wire::FromStart{}, 0}));
  EXPECT_TRUE(passes(wire::Credit{"", 1, Index(1)}));
  EXPECT_TRUE(passes(wire::Propose{}));
  EXPECT_FALSE(passes(wire::Join{"chess"}));
  EXPECT_FALSE(passes(wire::LeaveRoom{""}));
  EXPECT_FALSE(passes(wire::RoomMessage{"", "chat", PeerId(), Bytes("hello")}));
  EXPECT_FALSE(raft->send(Bytes("neither a frame of a client")));
}

TEST_F(SeamRooms, TornAtAnyPointAreRefusedOrEnded) {
  for (std::size_t frames = 0; frames < 4; ++frames) {
    for (const std::size_t parts : {0U, 128U, 256U}) {
      auto room = join({.frames = frames, .last_parts = parts});
      if (!room) continue;  // Its error is of the link, or of the wait.
      seam->tear();
      EXPECT_FALSE(room->await_roster([](const Roster&) { return false; }, patience));
      EXPECT_TRUE(room->error()) << "torn after " << frames;
    }
  }
}

TEST_F(SeamRooms, OfAServerThatMisbehavesAreEndedAndSayWhy) {
  const auto end_of = [&](const auto& misbehave) {
    auto room = join().or_throw();
    misbehave();
    EXPECT_TRUE(seam->closed());
    return room.error().value_or(Error(ErrorCode::usage, "goes on")).message();
  };

  EXPECT_THAT(end_of([&] { seam->say(Bytes("\xff\xff")); }), HasSubstr("byte"));
  EXPECT_THAT(end_of([&] { seam->say(wire::Welcome{}); }), HasSubstr("a second welcome"));
  EXPECT_EQ(end_of([&] { seam->say(wire::Goodbye{ErrorCode::draining, "going down", {}, {}}); }),
            "going down");
}

TEST_F(SeamRooms, AreEndedByARefusedJoinAndTheirLinkGoesOn) {
  auto room = join().or_throw();
  const auto raft = room.channel("raft").or_throw();

  seam->say(wire::RoomRefusal{"", ErrorCode::busy, "too fast", 1s, 3, 0});
  EXPECT_FALSE(room.error()) << "messages were refused, and no join";
  seam->say(wire::RoomRefusal{"", ErrorCode::busy, "the room is full", 1s, 0, 0});

  const auto never = room.await_roster([](const Roster&) { return false; }, patience);
  EXPECT_EQ(never.error().code(), ErrorCode::busy);
  EXPECT_EQ(room.error().value().message(), "the room is full");
  EXPECT_FALSE(seam->closed());
  SeamRaftTransport transport(raft);
  auto node = follow(transport);
  EXPECT_TRUE(cluster_client_with_node(node).propose("one").get_for(patience).value());
}

TEST_F(SeamRooms, ThatCannotBeJoinedAreRefusedByName) {
  const auto refusal = [&](SeamScript script,
                           const WebSocketAdvertisement& to = {.url = "ws://a"}) {
    const auto room = join(std::move(script), to);
    EXPECT_TRUE(seam->closed());
    return room ? ErrorCode::busy : room.error().code();
  };

  EXPECT_EQ(refusal({.welcomes = false}), ErrorCode::timed_out);
  EXPECT_EQ(refusal({.features = 0}), ErrorCode::version_unsupported);
  EXPECT_EQ(refusal({}, {"ws://a", PeerId::named("b"), ""}), ErrorCode::unknown_node);
}

}  // namespace
}  // namespace kuilt::testing
