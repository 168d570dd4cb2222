// A thousand rooms on one cluster.
#include "tests/cluster/rooms_fixture.hpp"

namespace kuilt::cluster {
namespace {

constexpr std::uint64_t rooms = 1000;
constexpr std::uint64_t members = 10;

struct Seat {
  RoomName room;
  std::string who;
  std::string server;
  std::uint64_t link = 0;
};

std::vector<Seat> seats() {
  std::vector<Seat> all;
  for (std::uint64_t room = 0; room < rooms; ++room) {
    for (std::uint64_t member = 0; member < members; ++member) {
      const std::uint64_t number = room * members + member;
      all.push_back({"room " + std::to_string(room), "member " + std::to_string(number),
                     std::string(1, "abc"[number % 3]), number + 1});
    }
  }
  return all;
}

TEST(ManyRooms, AThousandOfTenTalkAndSurviveTheLossOfAServer) {
  RoomWorld world(3);
  std::vector<Seat> all = seats();
  for (const Seat& seat : all) world.join(seat.server, seat.link, seat.who, seat.room);
  for (const std::string server : {"a", "b", "c"}) {
    ASSERT_EQ(world.hub(server).rooms(), rooms);
    for (const Seat& seat : all) ASSERT_EQ(world.hub(server).members(seat.room).size(), members);
  }

  for (const Seat& seat : all) world.say(seat.server, seat.link, seat.room, "hello");
  std::uint64_t deliveries = 0;
  for (const std::string server : {"a", "b", "c"}) {
    deliveries += world.hub(server).counters().deliveries;
    EXPECT_EQ(world.hub(server).counters().dropped_for_peers, 0U);
  }
  EXPECT_EQ(deliveries, rooms * members * (members - 1));

  world.kill("a");
  for (const Seat& seat : all) std::ignore = world.told(seat.link);
  for (Seat& seat : all) {
    if (seat.server != "a") continue;
    seat.server = "b";
    seat.link += rooms * members;
    world.join(seat.server, seat.link, seat.who, seat.room);
  }
  world.pass(5s);
  for (const Seat& seat : all) {
    for (const std::string& line : world.told(seat.link)) {
      EXPECT_TRUE(line.starts_with("whole ")) << seat.who << " was told " << line;
    }
    ASSERT_EQ(world.hub("c").members(seat.room).size(), members);
  }
}

}  // namespace
}  // namespace kuilt::cluster
