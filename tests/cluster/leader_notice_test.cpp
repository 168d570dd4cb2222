#include "cluster/leader_notice.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace kuilt::cluster {
namespace {

using namespace std::chrono_literals;

constexpr Instant t0{100s};

TEST(LeaderNotices, NobodyIsToldUntilALeaderIsKnown) {
  LeaderNotice notice(t0, 1s);
  EXPECT_EQ(notice.told(t0), LeaderView());

  notice.led_by(t0, {"a", "ws://a"});

  EXPECT_EQ(notice.told(t0 + 1h).name, "a");
}

TEST(LeaderNotices, TheLastOneIsToldUntilThereHasBeenNoneForAWhile) {
  LeaderNotice notice(t0, 1s);
  notice.led_by(t0, {"a", "ws://a"});

  notice.led_by(t0 + 1s, {});
  notice.led_by(t0 + 1500ms, {});  // Still none.

  EXPECT_EQ(notice.told(t0 + 2s).name, "a");
  EXPECT_EQ(notice.told(t0 + 2s + 1ms), LeaderView());
}

TEST(LeaderNotices, AnElectionThatGoesWellIsNotTold) {
  LeaderNotice notice(t0, 1s);
  notice.led_by(t0, {"a", "ws://a"});
  notice.led_by(t0 + 1s, {});

  notice.led_by(t0 + 1800ms, {"b", "ws://b"});

  EXPECT_EQ(notice.told(t0 + 1h).name, "b");
}

}  // namespace
}  // namespace kuilt::cluster
