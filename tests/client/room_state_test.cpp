// A room as its application sees it: roster, events, channels, and how it ends.
#include "client/room_state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

namespace kuilt::detail {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr auto patience = 20s;

const RoomMember ann{PeerId::named("ann"), "ann"};
const RoomMember bob{PeerId::named("bob"), "bob"};
const RoomMember cat{PeerId::named("cat"), "cat"};

class ScriptedExit final : public RoomExit {
 public:
  Status say(wire::RoomMessage message) override {
    said.push_back(std::move(message));
    return Done{};
  }
  void leave() override {
    ++left;
    if (on_leave) on_leave();
  }
  Result<std::shared_ptr<ChannelState>> raft_channel() override {
    return Error(ErrorCode::invalid_argument, "not here");
  }
  std::vector<wire::RoomMessage> said;
  int left = 0;
  std::function<void()> on_leave;
};

struct RoomStates : testing::Test {
  ~RoomStates() override {
    callbacks->stop();
    callbacks->drop();
  }
  void whole(std::vector<RoomMember> members) {
    state->told(ann.id, {"chess", wire::RosterReset{std::move(members)}});
  }
  void change(bool joined, const RoomMember& member) {
    state->told(ann.id, {"chess", wire::RosterChange{{{joined, member}}}});
  }
  void hear(const std::string& body, const std::string& channel = "chat") {
    state->delivered({"chess", channel, bob.id, Bytes(body)});
  }
  /// Keeps what is told, as "+ann", "-ann" or "=2", whenever the test polls.
  void listen() {
    const auto note = [this](const RosterEvent& event) {
      if (const auto* joined = std::get_if<MemberJoined>(&event)) {
        events.push_back("+" + joined->member.name);
      } else if (const auto* gone = std::get_if<MemberLeft>(&event)) {
        events.push_back("-" + gone->member.name);
      } else {
        events.push_back("=" + std::to_string(std::get<RosterReset>(event).roster.size()));
      }
    };
    ASSERT_TRUE(state->on_roster(note));
  }
  std::vector<std::string> polled() {
    callbacks->poll(1s);
    return std::exchange(events, {});
  }

  std::shared_ptr<client::CallbackQueue> callbacks =
      std::make_shared<client::CallbackQueue>(Dispatch::poll);
  std::shared_ptr<ScriptedExit> exit = std::make_shared<ScriptedExit>();
  std::shared_ptr<RoomState> state = std::make_shared<RoomState>("chess", callbacks, exit);
  std::vector<std::string> events;
};

TEST_F(RoomStates, TheFirstNewsIsEverybodyAndThenWhatChanges) {
  listen();
  whole({ann, bob});
  EXPECT_THAT(polled(), ElementsAre("=2"));

  change(true, cat);
  change(false, bob);
  change(false, bob);  // Known already.

  EXPECT_THAT(polled(), ElementsAre("+cat", "-bob"));
  EXPECT_EQ(state->roster(), kuilt::Roster({ann, cat}));
  EXPECT_EQ(state->self_id(), ann.id);
}

TEST_F(RoomStates, AWholeRosterAfterAFailoverIsToldAsTheDifference) {
  listen();
  whole({ann, bob});
  std::ignore = polled();

  whole({ann, bob});
  EXPECT_THAT(polled(), ElementsAre());
  whole({cat, ann});
  EXPECT_THAT(polled(), ElementsAre("-bob", "+cat"));
}

// Whoever leaves and joins again on one link may still be told of the membership before.
TEST_F(RoomStates, ChangesBeforeTheFirstWholeRosterAreOfAnEarlierMembership) {
  listen();
  change(true, cat);

  whole({ann, bob});

  EXPECT_EQ(state->roster(), Roster({ann, bob}));
  EXPECT_THAT(polled(), ElementsAre("=2"));
  change(true, cat);
  EXPECT_THAT(polled(), ElementsAre("+cat"));
}

TEST_F(RoomStates, WhoListensLaterIsToldOfEverybodyFirst) {
  whole({ann, bob});
  change(true, cat);
  listen();
  change(false, cat);

  EXPECT_THAT(polled(), ElementsAre("=3", "-cat"));
  EXPECT_EQ(state->on_roster([](const RosterEvent&) {}).error().code(), ErrorCode::usage);
}

TEST_F(RoomStates, MoreEventsThanAreKeptBecomeOneRoster) {
  whole({ann});
  listen();
  for (int i = 0; i < 3000; ++i) {
    change(true, bob);
    change(false, bob);
  }
  change(true, cat);

  const auto told = polled();

  EXPECT_LT(told.size(), 4097U);
  EXPECT_EQ(told.front().front(), '=');
  EXPECT_EQ(told.back(), "+cat");
}

TEST_F(RoomStates, ARosterIsWaitedFor) {
  auto waiter = std::async(std::launch::async, [this] {
    return state->await_roster([](const kuilt::Roster& r) { return r.contains(bob.id); }, patience);
  });
  whole({ann});
  change(true, bob);

  EXPECT_EQ(waiter.get().or_throw().size(), 2U);
}

TEST_F(RoomStates, AWaitEndsByNameWhateverIsWrong) {
  const auto anybody = [](const kuilt::Roster&) { return true; };
  const auto nobody = [](const kuilt::Roster&) { return false; };
  EXPECT_EQ(state->await_roster(anybody, 1ms).error().code(), ErrorCode::timed_out);
  state->refused({"chess", ErrorCode::busy, "the room is full", 1s, 0});
  EXPECT_EQ(state->await_roster(anybody, 1ms).error().code(), ErrorCode::busy);
  EXPECT_EQ(state->refusal()->code(), ErrorCode::busy);
  whole({ann});
  EXPECT_TRUE(state->await_roster(anybody, 1ms));
  EXPECT_THAT(state->await_roster(nobody, 1ms).error().message(), HasSubstr("has 1 members"));

  std::optional<ErrorCode> inside;
  callbacks->run("test", [&] { inside = state->await_roster(anybody, 1ms).error().code(); });
  callbacks->poll(1s);
  EXPECT_EQ(inside, ErrorCode::usage);

  auto waiter =
      std::async(std::launch::async, [&] { return state->await_roster(nobody, patience); });
  state->end(Error(ErrorCode::not_allowed, Effect::none, "not you"));
  EXPECT_EQ(waiter.get().error().code(), ErrorCode::not_allowed);
}

TEST_F(RoomStates, AChannelHoldsAMebibyteAndCountsWhatIsBeyond) {
  const auto chat = state->channel("chat").or_throw();
  hear("another channel's", "other");
  for (int i = 0; i < 20; ++i) hear(std::string(std::size_t{64} << 10, static_cast<char>('a' + i)));

  EXPECT_EQ(chat->dropped(), 5U);
  for (int i = 0; i < 15; ++i) EXPECT_EQ(chat->next(std::nullopt)->body.text()[0], 'a' + i);
  EXPECT_FALSE(chat->next(std::chrono::steady_clock::now()));
  hear("again");
  EXPECT_EQ(chat->next(std::nullopt)->body.text(), "again");
}

TEST_F(RoomStates, ACallbackGetsEveryMessageInOrder) {
  const auto chat = state->channel("chat").or_throw();
  std::string heard;
  hear("a");
  ASSERT_TRUE(chat->on_message([&](const ChannelMessage& m) { heard += m.body.text(); }));
  hear("b");
  callbacks->poll(1s);
  hear("c");
  callbacks->poll(1s);

  EXPECT_EQ(heard, "abc");
  EXPECT_EQ(chat->on_message([](const ChannelMessage&) {}).error().code(), ErrorCode::usage);
}

TEST_F(RoomStates, WhoWasRefusedAsTooFastWaitsBeforeItSendsAgain) {
  const auto chat = state->channel("chat").or_throw();
  EXPECT_TRUE(chat->send({}, "one"));
  state->refused({"chess", ErrorCode::busy, "too many bytes", 1min, 3});

  EXPECT_EQ(chat->send({}, "two").error().code(), ErrorCode::busy);
  ASSERT_EQ(exit->said.size(), 1U);
  EXPECT_EQ(exit->said.front(), (wire::RoomMessage{"chess", "chat", {}, Bytes("one")}));
}

TEST_F(RoomStates, TheSameNameIsTheSameChannelAndRaftIsSomethingElse) {
  EXPECT_EQ(state->channel("chat").or_throw(), state->channel("chat").or_throw());
  EXPECT_THAT(state->channel("raft").error().message(), HasSubstr("not here"));
}

TEST_F(RoomStates, NobodyIsCalledAfterTheRoomWasLeft) {
  auto chat = state->channel("chat").or_throw();
  int calls = 0;
  ASSERT_TRUE(chat->on_message([&](const ChannelMessage&) { ++calls; }));
  listen();
  whole({ann});
  hear("one");

  state->leave();

  EXPECT_THAT(polled(), testing::IsEmpty());
  EXPECT_EQ(calls, 0);
}

TEST_F(RoomStates, WhatCameBeforeTheLinkEndedIsStillCalledWith) {
  auto chat = state->channel("chat").or_throw();
  std::vector<std::string> heard;
  ASSERT_TRUE(chat->on_message(
      [&](const ChannelMessage& message) { heard.emplace_back(message.body.text()); }));
  listen();
  whole({ann});
  hear("one");

  state->end(Error(ErrorCode::io, "torn"));

  EXPECT_THAT(polled(), ElementsAre("=1"));
  EXPECT_THAT(heard, ElementsAre("one"));
}

TEST_F(RoomStates, MayBeLeftInsideTheirCallbacks) {
  auto chat = state->channel("chat").or_throw();
  int calls = 0;
  ASSERT_TRUE(chat->on_message([&](const ChannelMessage&) {
    ++calls;
    state->leave();
  }));
  whole({ann});
  hear("one");
  hear("two");

  polled();

  EXPECT_EQ(calls, 1);
  EXPECT_EQ(exit->left, 1);
}

// Leaving is how an application makes sure that what its callbacks use may go.
TEST_F(RoomStates, LeavingWaitsForACallThatRuns) {
  auto chat = state->channel("chat").or_throw();
  std::promise<void> inside;
  std::promise<void> go_on;
  std::atomic<bool> over = false;
  ASSERT_TRUE(chat->on_message([&](const ChannelMessage&) {
    inside.set_value();
    go_on.get_future().wait();
    over = true;
  }));
  hear("one");
  std::thread polling([&] { callbacks->poll(patience); });
  inside.get_future().wait();
  exit->on_leave = [&] { go_on.set_value(); };

  state->leave();

  EXPECT_TRUE(over);
  polling.join();
}

// A callback may hold the channel that holds it.
TEST_F(RoomStates, WhatCallbacksOwnIsFreedWithTheRoomsEnd) {
  auto chat = state->channel("chat").or_throw();
  const auto owned = std::make_shared<int>();
  ASSERT_TRUE(chat->on_message([owned, chat](const ChannelMessage&) {}));
  ASSERT_TRUE(state->on_roster([owned, room = state](const RosterEvent&) {}));
  whole({ann});
  hear("one");
  EXPECT_EQ(owned.use_count(), 3);

  state->end(Error(ErrorCode::stopped, "the client was stopped"));
  polled();

  EXPECT_EQ(owned.use_count(), 1);
}

TEST_F(RoomStates, LeavingEndsItsChannelsAndTellsTheLinkOnce) {
  const auto chat = state->channel("chat").or_throw();
  hear("last words");
  auto waiter = std::async(std::launch::async, [&] {
    std::ignore = chat->next(std::nullopt);
    return chat->next(std::nullopt);
  });

  {
    const Room room(state);
  }

  EXPECT_FALSE(waiter.get());
  EXPECT_EQ(chat->error()->code(), ErrorCode::stopped);
  EXPECT_EQ(chat->send({}, "x").error().code(), ErrorCode::stopped);
  EXPECT_EQ(state->channel("later").or_throw()->error()->code(), ErrorCode::stopped);
  EXPECT_EQ(exit->left, 1);
}

}  // namespace
}  // namespace kuilt::detail
