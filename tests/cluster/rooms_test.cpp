// Who is in a room, on one server and on several, and messages between members.
#include <gmock/gmock.h>

#include "cluster/room_outlet.hpp"
#include "tests/cluster/rooms_fixture.hpp"

namespace kuilt::cluster {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

constexpr std::uint64_t ann = 1;
constexpr std::uint64_t bob = 2;
constexpr std::uint64_t cat = 3;

/// Both are in the room "chess", on these servers, and have been told so.
void let_ann_and_bob_meet(RoomWorld& world, const std::string& hers, const std::string& his) {
  world.join(hers, ann, "ann", "chess");
  world.join(his, bob, "bob", "chess");
  for (const std::uint64_t link : {ann, bob}) std::ignore = world.told(link);
}

TEST(Rooms, ANewcomerIsToldOfEverybodyAndTheOthersOfTheNewcomer) {
  RoomWorld world(1);
  world.join("a", ann, "ann", "chess");

  world.join("a", bob, "bob", "chess");

  EXPECT_THAT(world.told(ann), ElementsAre("whole ann", "+bob"));
  EXPECT_THAT(world.told(bob), ElementsAre("whole ann bob"));
}

TEST(Rooms, RoomsKnowNothingOfEachOther) {
  RoomWorld world(1);
  world.join("a", ann, "ann", "chess");
  world.join("a", bob, "bob", "go");

  world.say("a", ann, "chess", "check");

  EXPECT_THAT(world.told(ann), ElementsAre("whole ann"));
  EXPECT_THAT(world.told(bob), ElementsAre("whole bob"));
}

TEST(Rooms, TheRosterIsThatOfAllServers) {
  RoomWorld world(3);
  world.join("a", ann, "ann", "chess");
  world.join("b", bob, "bob", "chess");

  world.join("c", cat, "cat", "chess");

  EXPECT_THAT(world.told(ann), ElementsAre("whole ann", "+bob", "+cat"));
  EXPECT_THAT(world.told(cat), ElementsAre("whole ann bob cat"));
  for (const std::string server : {"a", "b", "c"}) {
    EXPECT_THAT(world.present(server, "chess"), ElementsAre("ann", "bob", "cat"));
  }
}

TEST(Rooms, WhoLeavesIsGoneAtOnceOnAllServers) {
  RoomWorld world(2);
  let_ann_and_bob_meet(world, "a", "b");

  world.leave("a", ann, "chess");

  EXPECT_THAT(world.told(bob), ElementsAre("-ann"));
  EXPECT_THAT(world.present("a", "chess"), ElementsAre("bob"));
}

TEST(Rooms, ARoomWithoutMembersIsNoMore) {
  RoomWorld world(2);
  world.join("a", ann, "ann", "chess");
  ASSERT_EQ(world.hub("b").rooms(), 1U);

  world.leave("a", ann, "chess");

  EXPECT_EQ(world.hub("a").rooms(), 0U);
  EXPECT_EQ(world.hub("b").rooms(), 0U);
}

TEST(Rooms, WhoLosesTheLinkStaysForTheGraceAndNoLonger) {
  RoomWorld world(2);
  let_ann_and_bob_meet(world, "a", "b");

  world.tear("a", ann);
  world.pass(1900ms);
  EXPECT_THAT(world.told(bob), IsEmpty());

  world.pass(200ms);
  EXPECT_THAT(world.told(bob), ElementsAre("-ann"));
  EXPECT_EQ(world.hub("a").counters().expired_members, 1U);
}

TEST(Rooms, AFailoverIsNoLeavingAndNoJoining) {
  RoomWorld world(3);
  let_ann_and_bob_meet(world, "a", "c");

  world.kill("a");
  world.pass(500ms);
  world.join("b", cat, "ann", "chess");  // The same member by another link.
  world.pass(10s);

  EXPECT_THAT(world.told(bob), IsEmpty());
  EXPECT_THAT(world.told(cat), ElementsAre("whole ann bob"));
  EXPECT_THAT(world.present("c", "chess"), ElementsAre("ann", "bob"));
}

TEST(Rooms, AServerThatRestartsAtOnceTakesNobodyWithItWhoIsBackWithinTheGrace) {
  RoomWorld world(3);
  world.join("a", ann, "ann", "chess");
  world.join("c", bob, "bob", "chess");
  std::ignore = world.told(bob);

  world.kill("a");
  world.pass(100ms);
  world.start("a");
  world.pass(1s);
  world.join("b", cat, "ann", "chess");
  world.pass(10s);

  EXPECT_THAT(world.told(bob), IsEmpty());
}

TEST(Rooms, WhoDoesNotComeBackToAServerThatRestartsHasLeftAfterTheGrace) {
  RoomWorld world(2);
  world.join("a", ann, "ann", "chess");
  world.join("b", bob, "bob", "chess");
  std::ignore = world.told(bob);

  world.kill("a");
  world.start("a");
  world.pass(1900ms);
  EXPECT_THAT(world.told(bob), IsEmpty());
  world.pass(200ms);

  EXPECT_THAT(world.told(bob), ElementsAre("-ann"));
}

TEST(Rooms, AReturnToTheSameServerWithinTheGraceIsNotSeen) {
  RoomWorld world(1);
  let_ann_and_bob_meet(world, "a", "a");

  world.tear("a", ann);
  world.pass(1s);
  world.join("a", cat, "ann", "chess");
  world.pass(10s);

  EXPECT_THAT(world.told(bob), IsEmpty());
  EXPECT_EQ(world.hub("a").counters().kept_members, 1U);
}

TEST(Rooms, ALostServerTakesItsMembersWithItAfterTheGrace) {
  RoomWorld world(3);
  let_ann_and_bob_meet(world, "a", "b");

  world.kill("a");
  world.pass(1900ms);
  EXPECT_THAT(world.told(bob), IsEmpty());
  world.pass(200ms);

  EXPECT_THAT(world.told(bob), ElementsAre("-ann"));
  EXPECT_THAT(world.present("c", "chess"), ElementsAre("bob"));
}

TEST(Rooms, AServerThatComesBackIsToldOfAllAndTellsOfItsOwn) {
  RoomWorld world(2);
  world.join("b", bob, "bob", "chess");
  world.kill("a");
  world.pass(5s);

  world.start("a");
  world.join("a", ann, "ann", "chess");
  world.pass(1s);

  EXPECT_THAT(world.told(ann), ElementsAre("whole ann bob"));
  EXPECT_THAT(world.present("b", "chess"), ElementsAre("ann", "bob"));
}

// Else a client that moved to it would see all others leave and come.
TEST(Rooms, AServerThatHasJustStartedSaysWhoIsThereOnlyWhenTheOthersHaveToldIt) {
  RoomWorld world(2);
  world.join("b", bob, "bob", "chess");
  world.kill("a");
  world.cut("a", "b");
  world.start("a");

  world.join("a", ann, "ann", "chess");
  world.pass(1s);
  EXPECT_THAT(world.told(ann), IsEmpty());

  world.mend("a", "b");
  world.pass(1s);
  EXPECT_THAT(world.told(ann), ElementsAre("whole ann bob"));
}

TEST(Rooms, AServerWhosePeerIsLostForGoodSaysWhoIsThereAfterTheGrace) {
  RoomWorld world(2);
  world.kill("a");
  world.cut("a", "b");
  world.start("a");

  world.join("a", ann, "ann", "chess");
  world.pass(2100ms);

  EXPECT_THAT(world.told(ann), ElementsAre("whole ann"));
}

TEST(Rooms, WhatChangedWhileALinkBetweenServersWasCutIsToldWhenItIsBack) {
  RoomWorld world(2);
  world.join("a", ann, "ann", "chess");
  world.join("a", cat, "cat", "chess");
  world.cut("a", "b");
  world.leave("a", ann, "chess");
  world.join("b", bob, "bob", "chess");
  std::ignore = world.told(bob);

  world.pass(1s);
  world.mend("a", "b");
  world.pass(10s);

  EXPECT_THAT(world.told(bob), ElementsAre("-ann"));
  EXPECT_THAT(world.present("a", "chess"), ElementsAre("bob", "cat"));
}

TEST(Rooms, AMessageGoesToOneMemberOrToAllOthersOnAnyServer) {
  RoomWorld world(2);
  world.join("a", ann, "ann", "chess");
  world.join("a", bob, "bob", "chess");
  world.join("b", cat, "cat", "chess");
  for (const std::uint64_t link : {ann, bob, cat}) std::ignore = world.told(link);

  world.say("a", ann, "chess", "hello");
  world.say("a", ann, "chess", "psst", "cat");
  world.say("b", cat, "chess", "yes?", "ann");

  EXPECT_THAT(world.told(ann), ElementsAre("cat: yes?"));
  EXPECT_THAT(world.told(bob), ElementsAre("ann: hello"));
  EXPECT_THAT(world.told(cat), ElementsAre("ann: hello", "ann: psst"));
}

TEST(Rooms, OneFrameServesAllWhoReadTheSameEncoding) {
  RoomWorld world(1);
  for (std::uint64_t link = 1; link <= 20; ++link) {
    world.join("a", link, "member " + std::to_string(link), "chess",
               link % 2 == 0 ? wire::Encoding::protobuf : wire::Encoding::json);
  }
  const std::size_t before = world.encodings();

  world.say("a", 1, "chess", "hello");

  EXPECT_EQ(world.encodings() - before, 2U);
  EXPECT_EQ(world.hub("a").counters().deliveries, 19U);
}

TEST(Rooms, AMessageForSomebodyWhoIsNotThereIsCountedAndGoesNowhere) {
  RoomWorld world(2);
  world.join("a", ann, "ann", "chess");
  world.join("a", bob, "bob", "go");
  std::ignore = world.told(bob);

  world.say("a", ann, "chess", "psst", "bob");

  EXPECT_THAT(world.told(bob), IsEmpty());
  EXPECT_EQ(world.hub("a").counters().unreachable_messages, 1U);
}

TEST(Rooms, EachBoundRefusesByItsNameAndLimit) {
  RoomOptions options;
  options.rooms_per_link_max = 2;
  options.members_per_room_max = 2;
  options.rooms_max = 3;
  options.message_bytes_max = 10;
  RoomWorld world(1, options);
  world.join("a", ann, "ann", "1");
  world.join("a", ann, "ann", "2");
  world.join("a", bob, "bob", "1");
  world.join("a", cat, "cat", "3");
  for (const std::uint64_t link : {ann, bob, cat}) std::ignore = world.told(link);

  world.join("a", ann, "ann", "3");
  EXPECT_THAT(world.told(ann),
              ElementsAre(StartsWith(
                  "refused invalid_argument 0: this link is in 2 rooms, the limit is 2")));
  world.join("a", cat, "cat", "1");
  EXPECT_THAT(
      world.told(cat),
      ElementsAre(StartsWith("refused busy 0: the room \"1\" has 2 members, the limit is 2")));
  world.join("a", cat, "cat", "4");
  EXPECT_THAT(world.told(cat),
              ElementsAre(StartsWith(
                  "refused busy 0: the cluster has 3 rooms with members, the limit is 3")));
  world.join("a", bob, "bob", std::string(129, 'x'));
  EXPECT_THAT(world.told(bob),
              ElementsAre(StartsWith(
                  "refused invalid_argument 0: the room's name has 129 bytes, the limit is 128")));
  world.say("a", bob, "1", "eleven bytes");
  EXPECT_THAT(world.told(bob),
              ElementsAre(StartsWith(
                  "refused invalid_argument 1: the message has 12 bytes, the limit is 10")));
  world.say("a", cat, "1", "hello");
  EXPECT_THAT(
      world.told(cat),
      ElementsAre(StartsWith("refused invalid_argument 1: this link is not in the room \"1\"")));
  EXPECT_THAT(world.present("a", "1"), ElementsAre("ann", "bob"));
}

TEST(Rooms, WhoIsInAFullRoomMayComeBack) {
  RoomOptions options;
  options.members_per_room_max = 1;
  RoomWorld world(1, options);
  world.join("a", ann, "ann", "chess");
  world.tear("a", ann);

  world.join("a", bob, "ann", "chess");

  EXPECT_THAT(world.told(bob), ElementsAre("whole ann"));
}

TEST(Rooms, WhoSendsTooManyBytesIsToldNowAndThenAndTheOthersGoOn) {
  RoomOptions options;
  options.message_bytes_per_second = 1000;
  RoomWorld world(1, options);
  let_ann_and_bob_meet(world, "a", "a");

  for (int i = 0; i < 100; ++i) world.say("a", ann, "chess", std::string(36, 'x'));
  EXPECT_EQ(world.hub("a").counters().messages, 10U);
  EXPECT_THAT(world.told(ann), ElementsAre(StartsWith("refused busy 1: \"ann\" has sent more")));
  world.say("a", bob, "chess", "hello");
  EXPECT_THAT(world.told(ann), ElementsAre("bob: hello"));

  world.pass(1s);
  for (int i = 0; i < 11; ++i) world.say("a", ann, "chess", std::string(36, 'x'));
  EXPECT_THAT(world.told(ann), ElementsAre(StartsWith("refused busy 90: \"ann\" has sent more")));
}

// What a peer can't take in is bounded, and presence is told anew instead of being lost.
TEST(Rooms, ASlowPeerCostsABoundedQueueAndLosesMessagesButNoPresence) {
  RoomOptions options;
  options.stream.posts_bytes_max = 10'000;
  options.stream.changes_max = 10;
  RoomWorld world(2, options);
  let_ann_and_bob_meet(world, "a", "b");
  world.cut("a", "b");

  for (int i = 0; i < 200; ++i) world.say("a", ann, "chess", std::string(936, 'x'));
  for (std::uint64_t link = 100; link < 150; ++link) {
    world.join("a", link, "member " + std::to_string(link), "chess");
  }
  EXPECT_GE(world.hub("a").counters().dropped_for_peers, 180U);
  world.mend("a", "b");
  world.pass(5s);

  EXPECT_EQ(world.present("b", "chess"), world.present("a", "chess"));
  EXPECT_EQ(world.present("b", "chess").size(), 52U);
}

TEST(Rooms, AServerThatIsAddedIsToldOfAllAndOneThatIsRemovedTakesItsMembersWithIt) {
  RoomWorld world(3);
  const auto servers = [](const std::vector<std::string>& names) {
    RoomPeers peers;
    for (const std::string& name : names) peers.peers.push_back(NodeId::named(name));
    return peers;
  };
  world.join("a", 1, "ada", "chess");
  world.join("c", 2, "cyd", "chess");

  world.give("a", servers({"b"}));
  world.run();
  EXPECT_EQ(world.present("a", "chess"), (std::vector<std::string>{"ada", "cyd"}))
      << "who moves to another server has not been away";
  world.pass(RoomOptions{}.grace);
  EXPECT_EQ(world.present("a", "chess"), (std::vector<std::string>{"ada"}));
  EXPECT_EQ(world.present("b", "chess"), (std::vector<std::string>{"ada", "cyd"}));

  world.give("a", servers({"b", "c"}));
  world.kill("c");
  world.start("c");
  world.run();
  EXPECT_EQ(world.present("c", "chess"), (std::vector<std::string>{"ada"}));
}

TEST(RoomStream, EachFrameIsTakenOnceAndInOrder) {
  RoomInStream in;
  const auto frame = [](std::uint64_t stream, std::uint64_t number) {
    return wire::PeerRooms{stream, number, false, {}, {}};
  };
  EXPECT_FALSE(in.offer(frame(7, 2)).reply) << "its beginning is missing";
  EXPECT_TRUE(in.offer(frame(7, 1)).begins);
  EXPECT_TRUE(in.offer(frame(7, 2)).take);
  const auto repeated = in.offer(frame(7, 2));
  EXPECT_FALSE(repeated.take);
  EXPECT_TRUE(repeated.reply) << "the first acknowledgement may be lost";
  EXPECT_FALSE(in.offer(frame(7, 4)).reply);
  EXPECT_TRUE(in.offer(frame(8, 1)).begins);
  EXPECT_FALSE(in.offer(frame(7, 1)).begins) << "late, and of a stream that is over";
  EXPECT_TRUE(in.offer(frame(8, 2)).take);
}

// What a replaced link still had to deliver may come after what the new one brought.
TEST(Rooms, ALateFrameOfAnotherStreamIsCorrectedWithinSeconds) {
  RoomWorld world(2);
  world.join("a", ann, "ann", "chess");
  const wire::Presence phantom{"chess", {PeerId::named("bob"), "bob"}, true};
  world.give("b", RoomsFromPeer{RoomWorld::id("a"), {7, 1, false, {phantom}, {}}});
  ASSERT_THAT(world.present("b", "chess"), ElementsAre("ann", "bob"));

  world.pass(6s);

  EXPECT_THAT(world.present("b", "chess"), ElementsAre("ann"));
}

RoomFrame frame_of(RoomFrameKind kind, const RoomName& room) { return {kind, room, {}, {}}; }

TEST(RoomOutlet, NothingOfRoomsGoesToACrowdedLinkBeforeItHasDrained) {
  RoomOutlet outlet(1000);
  const LinkId link(ann);
  const RoomFrame message = frame_of(RoomFrameKind::message, "chess");

  EXPECT_TRUE(outlet.admits(link, 1000, message));
  EXPECT_FALSE(outlet.admits(link, 1001, message));
  EXPECT_FALSE(outlet.admits(link, 10, message)) << "the feed has its turn first";
  EXPECT_TRUE(outlet.admits(link, 10, frame_of(RoomFrameKind::refusal, "chess")));
  EXPECT_FALSE(outlet.drained(link)) << "no roster is out of date";
  EXPECT_TRUE(outlet.admits(link, 10, message));
  EXPECT_EQ(outlet.dropped(), 2U);
}

TEST(RoomOutlet, ARosterThatWasLeftOutIsAskedForAnew) {
  RoomOutlet outlet(1000);
  const LinkId link(ann);
  EXPECT_FALSE(outlet.admits(link, 5000, frame_of(RoomFrameKind::roster, "chess")));
  EXPECT_FALSE(outlet.admits(link, 5000, frame_of(RoomFrameKind::roster, "go")));

  EXPECT_EQ(outlet.drained(link)->room, "chess");
  EXPECT_TRUE(outlet.admits(link, 10, frame_of(RoomFrameKind::roster, "chess")));
  EXPECT_FALSE(outlet.admits(link, 10, frame_of(RoomFrameKind::roster, "go")));
  EXPECT_EQ(outlet.drained(link)->room, "go");
  EXPECT_TRUE(outlet.admits(link, 10, frame_of(RoomFrameKind::roster, "go")));
  EXPECT_FALSE(outlet.drained(link));
}

TEST(Rooms, ALinkThatMissedChangesIsToldOfEverybodyAnew) {
  RoomWorld world(1);
  let_ann_and_bob_meet(world, "a", "a");

  world.give("a", RoomRefresh{LinkId(ann), "chess"});
  world.give("a", RoomRefresh{LinkId(ann), "go"});

  EXPECT_THAT(world.told(ann), ElementsAre("whole ann bob"));
}

}  // namespace
}  // namespace kuilt::cluster
