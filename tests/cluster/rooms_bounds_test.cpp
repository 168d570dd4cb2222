// What one member can make a server's rooms do to the others, by frames that are all legal.
#include <gmock/gmock.h>

#include "tests/cluster/rooms_fixture.hpp"

namespace kuilt::cluster {
namespace {

using testing::ElementsAre;
using testing::Lt;

constexpr LinkId ann(1);
constexpr LinkId bob(2);

RoomJoin join_of(LinkId link, const std::string& who, const RoomName& room = "chess") {
  return {link, wire::Encoding::protobuf, {PeerId::named(who), who}, {room, link.value()}};
}
RoomSay say_of(LinkId link, std::uint64_t number) {
  return {link, wire::Encoding::protobuf, {"chess", "chat", PeerId(), Bytes("hello"), number}};
}

std::size_t bytes_to(LinkId link, const RoomOutput& out) {
  std::size_t bytes = 0;
  for (const RoomFrame& frame : out.frames) {
    if (std::ranges::find(frame.to, link) != frame.to.end()) bytes += frame.frame.size();
  }
  return bytes;
}

TEST(RoomBudget, WhoStaysWithinTheRateIsNeverRefusedHoweverOftenItSends) {
  RoomBudget budget(100'000);
  Instant now{};

  // 83 bytes every 0.9 ms: 92,222 a second, for nine seconds.
  for (int i = 0; i < 10'000; ++i) {
    now += std::chrono::microseconds(900);
    ASSERT_TRUE(budget.take(now, "ann", 83)) << "message " << i;
  }
}

TEST(RoomBudget, HoldsASecondsWorthAndRegainsAsMuchInEachSecond) {
  RoomBudget budget(1000);
  const Instant begin{};
  EXPECT_TRUE(budget.take(begin, "ann", 1000));
  EXPECT_FALSE(budget.take(begin, "ann", 1));
  EXPECT_TRUE(budget.take(begin, "bob", 1000)) << "each has a bucket of its own";

  EXPECT_FALSE(budget.take(begin + 499ms, "ann", 500));
  EXPECT_TRUE(budget.take(begin + 500ms, "ann", 500));
  EXPECT_FALSE(budget.take(begin + 10s, "ann", 1001));
  EXPECT_TRUE(budget.take(begin + 10s, "ann", 1000));
}

// A frame with more than 65,536 events would be refused by every reader, which ends its link.
TEST(RoomBounds, AMemberWhoComesAndGoesAllTheTimeCostsTheOthersNothing) {
  RoomHub hub(RoomOptions{}, {}, 1, Instant{});
  std::ignore = hub.step(Instant{}, {join_of(bob, "bob")});

  std::vector<RoomInput> inputs;
  for (int i = 0; i < 40'000; ++i) {
    inputs.emplace_back(join_of(ann, "ann"));
    inputs.emplace_back(RoomLeave{ann, "chess"});
  }
  inputs.emplace_back(join_of(ann, "ann"));
  const RoomOutput out = hub.step(Instant{}, std::move(inputs));

  EXPECT_THAT(bytes_to(bob, out), Lt(200U));
  EXPECT_EQ(hub.waiting(), 0U);
}

TEST(RoomBounds, MoreNewsThanAreKeptAreToldAsAWholeRoster) {
  RoomOptions options;
  options.roster_events_max = 2;
  options.grace = 500ms;
  RoomWorld world(1, options);
  world.join("a", 1, "ann", "chess");
  for (std::uint64_t link = 2; link < 5; ++link) {
    world.join("a", link, std::string(1, static_cast<char>('a' + link)), "chess");
  }
  std::ignore = world.told(1);

  for (std::uint64_t link = 2; link < 5; ++link) world.tear("a", link);
  world.pass(1s);  // All of them leave in one step.

  EXPECT_THAT(world.told(1), ElementsAre("whole ann"));
}

// Each message of a newcomer comes behind the roster that it is told of: a large frame for a small
// one, as often as it joins anew.
TEST(RoomBounds, AStepMakesFramesUpToItsBoundAndTheRestInLaterOnes) {
  RoomOptions options;
  options.step_bytes_max = 100'000;
  RoomHub hub(options, {}, 1, Instant{});
  for (std::uint64_t link = 10; link < 210; ++link) {
    std::ignore = hub.step(Instant{}, {join_of(LinkId(link), "member " + std::to_string(link))});
  }
  std::ignore = hub.step(Instant{}, {join_of(bob, "bob")});

  constexpr std::uint64_t messages = 1000;
  std::vector<RoomInput> inputs;
  for (std::uint64_t number = 1; number <= messages; ++number) {
    inputs.emplace_back(join_of(ann, "ann"));
    inputs.emplace_back(say_of(ann, number));
  }
  RoomOutput out = hub.step(Instant{}, std::move(inputs));

  std::uint64_t last = 0;
  std::size_t steps = 0;
  while (true) {
    ++steps;
    std::size_t bytes = 0;
    for (const RoomFrame& frame : out.frames) {
      bytes += frame.frame.size() + frame.to.size() * sizeof(LinkId);
      if (frame.kind != RoomFrameKind::message) continue;
      const auto message = wire::decode_server(frame.frame, wire::Encoding::protobuf).or_throw();
      ASSERT_EQ(std::get<wire::Delivery>(message).number, ++last);
    }
    EXPECT_THAT(bytes, Lt(120'000U));
    if (hub.waiting() == 0) break;
    EXPECT_EQ(out.wake_at, Instant{}) << "it has more to do";
    out = hub.step(Instant{}, {});
  }
  EXPECT_EQ(last, messages);
  EXPECT_GT(steps, 10U);
}

TEST(RoomStream, OfAMemberWhoComesAndGoesTheLastIsToldAndMessagesGoOn) {
  RoomStreamOptions options;
  options.changes_max = 10;
  RoomOutStream out(options, 1);
  const auto nobody = [](const auto&) { return std::optional<wire::Presence>(); };
  out.begin();
  const auto statement = out.next(Instant{}, nobody).value();
  out.taken({statement.stream, statement.number});

  const RoomMember restless{PeerId::named("ann"), "ann"};
  const RoomMember calm{PeerId::named("bob"), "bob"};
  EXPECT_TRUE(out.post({{"chess", "chat", PeerId(), Bytes("hello")}, calm.id}));
  out.changed({"chess", calm, true});
  for (int i = 0; i < 101; ++i) out.changed({"chess", restless, i % 2 == 0});

  const auto frame = out.next(Instant{}, nobody).value();
  EXPECT_EQ(frame.stream, statement.stream) << "nothing had to be told anew";
  EXPECT_THAT(frame.presences, ElementsAre(wire::Presence{"chess", calm, true},
                                           wire::Presence{"chess", restless, true}));
  EXPECT_EQ(frame.posts.size(), 1U);
}

}  // namespace
}  // namespace kuilt::cluster
