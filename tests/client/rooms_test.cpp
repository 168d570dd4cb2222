// A client core's rooms: joined on every link anew, and what servers say of them.
#include "tests/client/core_bench.hpp"

namespace kuilt::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

wire::Roster whole(const RoomName& room) {
  return {room, wire::RosterReset{{{PeerId::named("ann"), "ann"}}}};
}
wire::RoomMessage hello(const RoomName& room, std::uint64_t number = 0) {
  return {room, "chat", {}, Bytes("hello"), number};
}
wire::RoomRefusal refusal(const RoomName& room, ErrorCode code, Duration retry_after,
                          std::uint64_t messages = 0) {
  return {room, code, "no", retry_after, messages, 1};
}

TEST(ClientRooms, ARoomIsJoinedOnceOnEachLinkInUse) {
  Bench bench;
  bench.step(JoinCall{"chess", 1});
  const DialId first = bench.admit_last();
  bench.hear(first, whole("chess"));
  bench.pass_alive(2s);
  EXPECT_THAT(bench.sent<wire::Join>(first), ElementsAre(wire::Join{"chess", 1}));

  bench.step(Broken{first, "torn"});
  const DialId second = bench.admit_next();

  EXPECT_THAT(bench.sent<wire::Join>(second), ElementsAre(wire::Join{"chess", 1}));
  EXPECT_EQ(bench.rosters.size(), 1U);
  EXPECT_EQ(bench.rosters.front().self, PeerId::named("ann"));
}

TEST(ClientRooms, EveryLinkShowsTheSameSecret) {
  ClientOptions options;
  options.secret = wire::ClientSecret::named("secret");
  Bench bench(options);
  const DialId first = bench.admit_last();
  bench.step(Broken{first, "torn"});
  const DialId second = bench.admit_next();

  EXPECT_EQ(bench.sent<wire::Hello>(first).front().secret, options.secret);
  EXPECT_EQ(bench.sent<wire::Hello>(second).front().secret, options.secret);
}

TEST(ClientRooms, AStandbyJoinsNothingBeforeItTakesOver) {
  Bench bench(options_for({}, 2));
  bench.step(JoinCall{"chess", 1});
  const DialId first = bench.admit(bench.dials.at(0).first);
  const DialId standby = bench.admit(bench.dials.at(1).first);
  EXPECT_THAT(bench.sent<wire::Join>(standby), IsEmpty());

  bench.step(Broken{first, "torn"});

  EXPECT_THAT(bench.sent<wire::Join>(standby), ElementsAre(wire::Join{"chess", 1}));
}

TEST(ClientRooms, WhatIsSaidWithoutALinkOrOutsideARoomIsLost) {
  Bench bench;
  bench.step(JoinCall{"chess", 1});
  bench.step(SayCall{hello("chess")});
  const DialId dial = bench.admit_last();
  bench.step(SayCall{hello("go")});
  bench.step(SayCall{hello("chess")});

  EXPECT_THAT(bench.sent<wire::RoomMessage>(dial), ElementsAre(hello("chess", 1)));
}

TEST(ClientRooms, WhatWasHeardBeforeTheFailoverIsNotHeardAgainAfterIt) {
  Bench bench;
  bench.step(JoinCall{"chess", 1});
  const DialId first = bench.admit_last();
  const auto say = [&](DialId dial, std::uint64_t number) {
    bench.hear(dial, wire::Delivery{"chess", "chat", PeerId::named("bob"), Bytes("hello"), number});
  };
  say(first, 3);
  say(first, 7);
  bench.step(Broken{first, "torn"});
  const DialId second = bench.admit_next();

  say(second, 7);
  say(second, 5);  // Late, and lost: those of one sender stay in order.
  say(second, 8);
  say(second, 0);
  say(second, 0);  // Of a sender that does not count.

  std::vector<std::uint64_t> heard;
  for (const RoomDelivered& one : bench.heard) heard.push_back(one.delivery.number);
  EXPECT_THAT(heard, ElementsAre(3, 7, 8, 0, 0));
}

// A member with a link for each room may be heard on the quicker one first.
TEST(ClientRooms, WhatWasHeardIsRememberedForEachRoomByItself) {
  Bench bench;
  bench.step(JoinCall{"chess", 1});
  bench.step(JoinCall{"go", 2});
  const DialId dial = bench.admit_last();
  const auto say = [&](const RoomName& room, std::uint64_t number) {
    bench.hear(dial, wire::Delivery{room, "chat", PeerId::named("bob"), Bytes("hello"), number});
  };

  say("go", 2);
  say("chess", 1);
  say("go", 1);

  std::vector<std::uint64_t> heard;
  for (const RoomDelivered& one : bench.heard) heard.push_back(one.delivery.number);
  EXPECT_THAT(heard, ElementsAre(2, 1));
}

TEST(ClientRooms, WhatComesForARoomThatWasLeftIsForNobody) {
  Bench bench;
  bench.step(JoinCall{"chess", 1});
  const DialId dial = bench.admit_last();
  bench.step(LeaveCall{"chess"});
  bench.hear(dial, whole("chess"));
  bench.hear(dial, wire::Delivery{"chess", "chat", PeerId::named("bob"), Bytes("hello")});

  EXPECT_THAT(bench.sent<wire::LeaveRoom>(dial), ElementsAre(wire::LeaveRoom{"chess"}));
  EXPECT_TRUE(bench.rosters.empty());
  EXPECT_TRUE(bench.heard.empty());
}

TEST(ClientRooms, AJoinThatIsRefusedForNowIsTriedAgainLater) {
  Bench bench;
  bench.step(JoinCall{"chess", 1});
  const DialId dial = bench.admit_last();

  bench.hear(dial, refusal("chess", ErrorCode::busy, 1s));
  bench.pass(900ms);
  EXPECT_EQ(bench.sent<wire::Join>(dial).size(), 1U);
  bench.pass(1200ms);

  EXPECT_EQ(bench.sent<wire::Join>(dial).size(), 2U);
  EXPECT_EQ(bench.rooms_refused.size(), 1U);
  EXPECT_TRUE(bench.rooms_ended.empty());
}

TEST(ClientRooms, AJoinThatIsRefusedForGoodEndsTheRoom) {
  Bench bench;
  bench.step(JoinCall{"chess", 1});
  const DialId dial = bench.admit_last();

  bench.hear(dial, refusal("chess", ErrorCode::invalid_argument, {}));
  bench.pass_alive(5s);

  ASSERT_EQ(bench.rooms_ended.size(), 1U);
  EXPECT_EQ(bench.rooms_ended.front().number, 1U);
  EXPECT_EQ(bench.rooms_ended.front().error.code(), ErrorCode::invalid_argument);
  EXPECT_EQ(bench.sent<wire::Join>(dial).size(), 1U);
}

TEST(ClientRooms, ARefusalOfAnEarlierJoinDoesNotEndALaterMembership) {
  Bench bench;
  bench.step(JoinCall{"chess", 1});
  const DialId dial = bench.admit_last();
  bench.step(LeaveCall{"chess"});
  bench.step(JoinCall{"chess", 2});

  bench.hear(dial, refusal("chess", ErrorCode::invalid_argument, {}));
  bench.hear(dial, whole("chess"));

  EXPECT_TRUE(bench.rooms_ended.empty());
  EXPECT_EQ(bench.rosters.size(), 1U);
}

TEST(ClientRooms, RefusedMessagesLeaveTheMembershipAsItIs) {
  Bench bench;
  bench.step(JoinCall{"chess", 1});
  const DialId dial = bench.admit_last();

  bench.hear(dial, refusal("chess", ErrorCode::busy, 1s, 3));
  bench.step(SayCall{hello("chess")});

  EXPECT_EQ(bench.rooms_refused.size(), 1U);
  EXPECT_EQ(bench.sent<wire::RoomMessage>(dial).size(), 1U);
}

TEST(ClientRooms, AServerThatKnowsNoRoomsEndsThemByName) {
  Bench bench;
  bench.features = 0;
  bench.step(JoinCall{"chess", 1});
  const DialId dial = bench.admit_last();

  ASSERT_EQ(bench.rooms_ended.size(), 1U);
  EXPECT_EQ(bench.rooms_ended.front().error.code(), ErrorCode::version_unsupported);
  EXPECT_THAT(bench.sent<wire::Join>(dial), IsEmpty());
}

TEST(ClientRooms, WhoStopsLeavesBeforeTheLinkIsClosed) {
  Bench bench;
  bench.step(JoinCall{"chess", 1});
  const DialId dial = bench.admit_last();

  bench.step(Stop{});

  EXPECT_THAT(bench.sent<wire::LeaveRoom>(dial), ElementsAre(wire::LeaveRoom{"chess"}));
  ASSERT_EQ(bench.rooms_ended.size(), 1U);
  EXPECT_EQ(bench.rooms_ended.front().error.code(), ErrorCode::stopped);
}

TEST(ClientRooms, WhatAllServersSayAgainstTheClientEndsItsRooms) {
  Bench bench(options_for({"ws://a"}));
  bench.step(JoinCall{"chess", 1});
  const DialId dial = bench.admit_last();

  bench.hear(dial, wire::Goodbye{ErrorCode::not_allowed, "not you", {}, {}});

  ASSERT_EQ(bench.rooms_ended.size(), 1U);
  EXPECT_EQ(bench.rooms_ended.front().error.code(), ErrorCode::not_allowed);
}

}  // namespace
}  // namespace kuilt::client
