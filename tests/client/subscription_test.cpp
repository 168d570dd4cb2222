#include "client/subscription.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace kuilt::detail {
namespace {

/// A queue, filled and emptied by the test.
struct Subscriptions : testing::Test {
  void advance_to(std::uint64_t index) {
    queue.advance({ClusterId::named("c"), HistoryId::named("h"), at(index), index});
  }
  void deliver(std::uint64_t index) {
    LogEntry entry;
    entry.index = Index(index);
    queue.deliver(std::move(entry), 10);
  }
  std::optional<Committed> next() { return queue.next(std::chrono::steady_clock::now()); }
  static Position at(std::uint64_t index) { return {Index(index), Term(1)}; }

  Subscription queue{[](std::uint64_t) {}, [] {}, [] { return false; }};
};

TEST_F(Subscriptions, AdvancesThatNobodyTakesAreOneAdvance) {
  advance_to(1);
  deliver(2);
  for (std::uint64_t index = 2; index < 1000; ++index) advance_to(index);

  EXPECT_EQ(std::get<Committed::Advance>(next().value()).through, at(1));
  EXPECT_EQ(std::get<Committed::Entry>(next().value()).entry.index, Index(2));
  EXPECT_EQ(queue.token()->position, at(1));
  EXPECT_EQ(std::get<Committed::Advance>(next().value()).through, at(999));
  EXPECT_EQ(queue.token()->position, at(999));
  EXPECT_FALSE(next());
}

TEST_F(Subscriptions, ATakerIsSentOnceUntilNothingIsLeft) {
  EXPECT_FALSE(queue.wants_taker());
  deliver(1);
  EXPECT_TRUE(queue.wants_taker());
  deliver(2);
  EXPECT_FALSE(queue.wants_taker());

  while (next()) {
  }
  EXPECT_FALSE(queue.wants_taker());
  deliver(3);

  EXPECT_TRUE(queue.wants_taker());
}

// Whoever has found nothing and asks why must find the reason, whatever the links bring meanwhile.
TEST_F(Subscriptions, AfterTheEndNothingComesAndTheReasonStays) {
  deliver(1);
  queue.end(Error(ErrorCode::stopped, "the node was stopped"));
  EXPECT_FALSE(queue.error()) << "an entry is left";
  EXPECT_TRUE(next());
  EXPECT_FALSE(next());

  deliver(2);
  advance_to(2);

  ASSERT_TRUE(queue.error());
  EXPECT_EQ(queue.error()->message(), "the node was stopped");
  EXPECT_FALSE(next());
}

TEST_F(Subscriptions, ADroppedObserverHoldsNothingAndTakesNothingMore) {
  deliver(1);
  advance_to(1);

  queue.leave();
  deliver(2);
  advance_to(2);

  EXPECT_FALSE(next());
  EXPECT_EQ(queue.error()->code(), ErrorCode::stopped);
}

}  // namespace
}  // namespace kuilt::detail
