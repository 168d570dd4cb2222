// What a client may say of rooms and what it hears, over both subprotocols and real sockets.
#include <gmock/gmock.h>

#include "server/open.hpp"
#include "tests/server/talker.hpp"

namespace kuilt::server {
namespace {

using testing::HasSubstr;

class RoomConversation : public testing::TestWithParam<Encoding> {
 protected:
  void SetUp() override {
    ServerOptions options;
    options.name = "a";
    options.data = "";
    options.listen = with_real_port("127.0.0.1:0").or_throw();
    options.segment_bytes = std::uint64_t{4} << 20;
    node_ =
        open_mesh_node(options, plan_mesh({options}).or_throw(), std::make_shared<InProcessMesh>(),
                       nullptr, {.on_failed = [](const Error&) {}, .on_news = [](const auto&) {}})
            .or_throw();
    node_->admit_clients().or_throw();
  }
  /// A client that the server has welcomed; `id` is who it is in rooms.
  std::unique_ptr<Talker> welcomed(const std::string& name, PeerId* id = nullptr,
                                   const std::string& secret = "") {
    auto talker = std::make_unique<Talker>(GetParam());
    EXPECT_TRUE(talker->connect(node_->client_urls().front()));
    wire::Hello hello;
    hello.name = name;
    if (!secret.empty()) hello.secret = wire::ClientSecret::named(secret);
    talker->say(hello);
    const auto welcome = talker->hear<wire::Welcome>();
    EXPECT_TRUE(welcome.has_value());
    EXPECT_EQ(welcome->features, wire::feature_rooms | wire::feature_reads);
    if (id != nullptr) *id = welcome->member;
    return talker;
  }
  /// The whole roster that answers a join.
  static std::vector<RoomMember> join(Talker& talker, const RoomName& room) {
    talker.say(wire::Join{room, 1});
    const auto roster = talker.hear<wire::Roster>();
    EXPECT_TRUE(roster.has_value());
    return std::get<wire::RosterReset>(roster->change).members;
  }
  static wire::RoomMessage message(const RoomName& room, std::string body, PeerId to = {}) {
    return {room, "chat", to, Bytes(std::move(body))};
  }
  static void expect_refused(Talker& talker, ErrorCode code, const std::string& reason) {
    const auto refusal = talker.hear<wire::RoomRefusal>();
    ASSERT_TRUE(refusal.has_value());
    EXPECT_EQ(refusal->code, code);
    EXPECT_THAT(refusal->message, HasSubstr(reason));
  }

  std::unique_ptr<Node> node_;
};

TEST_P(RoomConversation, MembersHearOfEachOtherAndFromEachOther) {
  PeerId ann_id;
  PeerId bob_id;
  const auto ann = welcomed("ann", &ann_id);
  const auto bob = welcomed("bob", &bob_id);
  EXPECT_EQ(join(*ann, "chess"), (std::vector<RoomMember>{{ann_id, "ann"}}));
  EXPECT_EQ(join(*bob, "chess").size(), 2U);
  const auto change = ann->hear<wire::Roster>();
  EXPECT_EQ(std::get<wire::RosterChange>(change->change),
            (wire::RosterChange{{{true, {bob_id, "bob"}}}}));

  ann->say(message("chess", "hello"));
  EXPECT_EQ(*bob->hear<wire::Delivery>(),
            (wire::Delivery{"chess", "chat", ann_id, Bytes("hello")}));
  bob->say(message("chess", "\x01\xff", ann_id));
  EXPECT_EQ(ann->hear<wire::Delivery>()->body, Bytes("\x01\xff"));
  bob->say(wire::LeaveRoom{"chess"});

  const auto gone = ann->hear<wire::Roster>();
  EXPECT_EQ(std::get<wire::RosterChange>(gone->change),
            (wire::RosterChange{{{false, {bob_id, "bob"}}}}));
}

TEST_P(RoomConversation, ASecretMakesALaterLinkTheSameMember) {
  PeerId first;
  PeerId second;
  PeerId other;
  auto link = welcomed("ann", &first, "secret");
  link = welcomed("ann", &second, "secret");
  link = welcomed("bob", &other, "secret");

  EXPECT_EQ(first, second);
  EXPECT_NE(first, other);
}

TEST_P(RoomConversation, WhatABoundForbidsIsRefusedByNameAndTheLinkGoesOn) {
  const auto ann = welcomed("ann");
  ann->say(message("chess", "hello"));
  expect_refused(*ann, ErrorCode::invalid_argument, "not in the room \"chess\"");
  ann->say(wire::Join{std::string(129, 'r'), 1});
  expect_refused(*ann, ErrorCode::invalid_argument, "has 129 bytes, the limit is 128");
  for (int i = 0; i < 64; ++i) join(*ann, "room " + std::to_string(i));
  ann->say(wire::Join{"one more", 1});
  expect_refused(*ann, ErrorCode::invalid_argument, "in 64 rooms, the limit is 64");
  ann->say(message("room 0", std::string((std::size_t{64} << 10) + 1, 'x')));
  expect_refused(*ann, ErrorCode::invalid_argument, "65537 bytes, the limit is 65536");
  // More than a second's worth at a time; there is at most one notice a second.
  std::optional<wire::RoomRefusal> refusal;
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!refusal && std::chrono::steady_clock::now() < deadline) {
    for (int i = 0; i < 200; ++i) ann->say(message("room 0", std::string(64000, 'x')));
    refusal = ann->heard<wire::RoomRefusal>();
  }
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->code, ErrorCode::busy);
  EXPECT_GT(refusal->messages, 0U);
  EXPECT_THAT(refusal->message, HasSubstr("8388608 bytes"));
}

TEST_P(RoomConversation, GarbageEndsTheLinkAndTheMemberLeavesAfterTheGrace) {
  const auto ann = welcomed("ann");
  const auto bob = welcomed("bob");
  join(*ann, "chess");
  join(*bob, "chess");
  ASSERT_TRUE(ann->hear<wire::Roster>());

  bob->say_bytes(
      Bytes(GetParam() == Encoding::json ? R"({"join":{"room":7}})" : "\x32\x02\x0a\xff"));
  const auto goodbye = bob->hear<wire::Goodbye>();
  ASSERT_TRUE(goodbye.has_value());
  EXPECT_EQ(goodbye->code, ErrorCode::bad_frame);
  const auto gone = ann->hear<wire::Roster>();

  EXPECT_FALSE(std::get<wire::RosterChange>(gone->change).events.front().joined);
}

// Otherwise a chatty room would be a way to keep others from the log.
TEST_P(RoomConversation, ASlowReaderLosesMessagesAndNothingOfItsFeed) {
  const auto ann = welcomed("ann");
  const auto bob = welcomed("bob");
  join(*ann, "chess");
  join(*bob, "chess");
  bob->say(wire::Observe{"", wire::FromStart{}, 0});
  ASSERT_TRUE(bob->hear<wire::ObserveReply>());

  constexpr std::uint64_t commands = 200;
  bob->read_nothing_until([&, proposed = std::uint64_t{0}]() mutable {
    for (int i = 0; i < 20; ++i) {
      ann->say(message("chess", std::string(20000, 'x')));
      if (proposed == commands) continue;
      wire::Proposal one;
      one.number = ++proposed;
      one.command = Bytes("move " + std::to_string(proposed));
      ann->say(wire::Propose{{std::move(one)}});
    }
    ann->read_for(1ms);
    return node_->shard_figures().room_frames_dropped > 0 &&
           node_->status().commit > Index(commands);
  });

  std::size_t seen = 0;
  while (seen < commands) {
    const auto feed = bob->hear<wire::Feed>();
    ASSERT_TRUE(feed.has_value()) << seen;
    seen += feed->entries.size();
  }
  // And it is a member as before. What is said may still be too much, or meet a crowded link: then
  // it is lost, and said again.
  const auto hears = [&](const std::string& body) {
    ann->say(message("chess", body));
    ann->read_for(20ms);
    while (const auto heard = bob->heard<wire::Delivery>()) {
      if (heard->body == Bytes(body)) return true;
    }
    return false;
  };
  bool is_heard = false;
  for (int i = 0; i < 500 && !is_heard; ++i) is_heard = hears("still there?");
  EXPECT_TRUE(is_heard);
}

INSTANTIATE_TEST_SUITE_P(Server, RoomConversation,
                         testing::Values(Encoding::protobuf, Encoding::json),
                         [](const auto& tested) {
                           return tested.param == Encoding::json ? "json" : "protobuf";
                         });

}  // namespace
}  // namespace kuilt::server
