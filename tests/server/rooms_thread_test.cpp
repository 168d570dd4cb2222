// The rooms' thread: what waits for it, and what it has made for the shards, is bounded.
#include "server/rooms_thread.hpp"

#include <gtest/gtest.h>

#include <condition_variable>

namespace kuilt::server {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 20s;
constexpr cluster::LinkId ann(1);
constexpr cluster::LinkId bob(2);

/// One shard, which passes frames on at once.
struct RoomsThreads : testing::Test {
  RoomsThreads() {
    rooms.start({.deliver =
                     [this](std::size_t, const std::vector<cluster::RoomFrame>& frames) {
                       rooms.delivered(RoomsThread::bytes_of(frames));
                       const std::lock_guard lock(mutex);
                       for (const auto& frame : frames) {
                         messages += frame.kind == cluster::RoomFrameKind::message ? 1 : 0;
                       }
                       changed.notify_all();
                     },
                 .send = [](const std::vector<cluster::PeerSend>&) {}});
    for (const auto link : {ann, bob}) {
      const std::string name = link == ann ? "ann" : "bob";
      EXPECT_TRUE(rooms.put(cluster::RoomJoin{
          link, wire::Encoding::protobuf, {PeerId::named(name), name}, {"chess", link.value()}}));
    }
  }
  static cluster::RoomOptions options() {
    cluster::RoomOptions options;
    options.step_bytes_max = 100'000;
    options.message_bytes_per_second = std::uint64_t{1} << 30;
    return options;
  }
  bool say() {
    const Bytes body(std::string(std::size_t{64} << 10, 'x'));
    return rooms.put(
        cluster::RoomSay{ann, wire::Encoding::protobuf, {"chess", "chat", PeerId(), body, 0}});
  }
  bool await(std::size_t count) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, patience, [&] { return messages == count; });
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::size_t messages = 0;
  RoomsThread rooms{options(), {}, 1};  // Last: it ends before what it uses.
};

// 38 MiB in all, with a window of 32 MiB; more wait at a time than a step takes.
TEST_F(RoomsThreads, WhatWasTakenMakesRoomForMore) {
  constexpr std::size_t at_once = 60;
  for (std::size_t said = at_once; said <= 10 * at_once; said += at_once) {
    for (std::size_t i = 0; i < at_once; ++i) ASSERT_TRUE(say());
    ASSERT_TRUE(await(said));
  }
  EXPECT_EQ(rooms.figures().refused_inputs, 0U);
}

TEST_F(RoomsThreads, MoreThanMayWaitIsRefusedAndTheEndOfALinkIsNot) {
  RoomsThread stuck(options(), {}, 1);  // It is never started.

  std::size_t taken = 0;
  while (stuck.put(cluster::RoomSay{
      ann,
      wire::Encoding::protobuf,
      {"chess", "chat", PeerId(), Bytes(std::string(std::size_t{64} << 10, 'x')), 0}})) {
    ASSERT_LT(++taken, 600U);
  }

  EXPECT_GT(taken, 400U);
  EXPECT_TRUE(stuck.put(cluster::RoomLinkClosed{ann}));
}

}  // namespace
}  // namespace kuilt::server
