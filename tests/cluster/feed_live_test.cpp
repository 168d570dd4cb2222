// What learners at the end of the log are sent.
#include <gtest/gtest.h>

#include "tests/cluster/feed_fixture.hpp"

namespace kuilt::cluster {
namespace {

using testing::all_of;
using testing::from_start;
using testing::t0;
using testing::TestLog;
using testing::texts;
using wire::Encoding;
using Texts = std::vector<std::string>;

constexpr LinkId ann{1};
constexpr LinkId bob{2};

class FeedLive : public ::testing::Test {
 protected:
  FeedOutput publish(std::initializer_list<std::string_view> commands) {
    for (const std::string_view command : commands) log_.command(command);
    return feed_.publish(log_.commit());
  }
  FeedOutput observe(LinkId link, const wire::Observe& wanted = from_start()) {
    return feed_.observe(t0, link, Encoding::protobuf, wanted);
  }

  TestLog log_;
  FeedOptions options_{.endpoints = {"ws://b:1"}};
  Feed feed_{options_, log_.boot(options_.checkpoint_interval)};
};

wire::Feed only_frame(const FeedOutput& out) {
  const auto frames = all_of<wire::Feed>(out);
  EXPECT_EQ(frames.size(), 1U);
  return frames.empty() ? wire::Feed{} : frames.front();
}

TEST_F(FeedLive, ReplyPrecedesTheFirstFrame) {
  publish({"one", "two"});

  const FeedOutput out = observe(ann);

  ASSERT_EQ(out.send.size(), 2U);
  EXPECT_EQ(out.send[0].kind, FeedSendKind::reply);
  EXPECT_EQ(out.send[1].kind, FeedSendKind::frame);
  EXPECT_EQ(all_of<wire::ObserveReply>(out)[0].verdict, wire::ObserveVerdict::resumed);
  EXPECT_EQ(texts(only_frame(out)), (Texts{"one", "two"}));
}

TEST_F(FeedLive, FrameCoversItsRangeAndCarriesTheDigestThroughItsEnd) {
  observe(ann);

  const wire::Feed frame = only_frame(publish({"one", "two"}));

  EXPECT_EQ(frame.prev, Position{});
  EXPECT_EQ(frame.through, (Position{Index(2), Term(1)}));
  EXPECT_EQ(frame.digest, log_.digest("", Index(2)));
}

TEST_F(FeedLive, WhileAFrameIsOnItsWayEverythingNewJoinsTheNextOne) {
  observe(ann);
  publish({"one"});

  EXPECT_TRUE(publish({"two"}).send.empty());
  EXPECT_TRUE(publish({"three"}).send.empty());
  const wire::Feed next = only_frame(feed_.drained(ann));

  EXPECT_EQ(texts(next), (Texts{"two", "three"}));
  EXPECT_EQ(next.prev.index, Index(1));
  EXPECT_TRUE(feed_.drained(ann).send.empty());
}

TEST_F(FeedLive, RangeIsCoveredWhereNothingInItIsVisible) {
  observe(ann);
  log_.new_term();
  log_.command("elsewhere", "other");

  const wire::Feed frame = only_frame(feed_.publish(log_.commit()));

  EXPECT_TRUE(frame.entries.empty());
  EXPECT_EQ(frame.through, (Position{Index(2), Term(2)}));
  EXPECT_EQ(frame.digest, 0U);
}

TEST_F(FeedLive, RoomShowsItsOwnEntriesOnly) {
  observe(ann, from_start("red"));
  log_.command("r1", "red");
  log_.command("b1", "blue");
  log_.command("r2", "red");

  const wire::Feed frame = only_frame(feed_.publish(log_.commit()));

  EXPECT_EQ(frame.room, "red");
  EXPECT_EQ(texts(frame), (Texts{"r1", "r2"}));
  EXPECT_EQ(frame.digest, log_.digest("red", Index(3)));
}

TEST_F(FeedLive, RoomsOfALinkTakeTurnsWithItsOneFrame) {
  observe(ann, from_start("red"));
  observe(ann, from_start("blue"));
  log_.command("r1", "red");
  log_.command("b1", "blue");

  const wire::Feed first = only_frame(feed_.publish(log_.commit()));
  log_.command("r2", "red");
  log_.command("b2", "blue");
  EXPECT_TRUE(feed_.publish(log_.commit()).send.empty());
  const wire::Feed second = only_frame(feed_.drained(ann));
  const wire::Feed third = only_frame(feed_.drained(ann));

  EXPECT_EQ(texts(first), (Texts{"r1"}));
  EXPECT_EQ(texts(second), (Texts{"b1", "b2"}));
  EXPECT_EQ(texts(third), (Texts{"r2"}));
  EXPECT_TRUE(feed_.drained(ann).send.empty());
}

TEST_F(FeedLive, LearnersAtTheSamePlaceShareOneEncodedFrame) {
  observe(ann);
  observe(bob);

  const FeedOutput out = publish({"one"});

  ASSERT_EQ(out.send.size(), 2U);
  EXPECT_EQ(out.send[0].frame.data(), out.send[1].frame.data());
  EXPECT_EQ(feed_.counters().frames_encoded, 1U);
  EXPECT_EQ(feed_.counters().frames_sent, 2U);
  EXPECT_EQ(feed_.counters().entries_sent, 2U);
}

TEST_F(FeedLive, JsonAndProtobufLearnersAreServedSideBySide) {
  observe(ann);
  feed_.observe(t0, bob, Encoding::json, from_start());

  const FeedOutput out = publish({"one"});

  ASSERT_EQ(out.send.size(), 2U);
  EXPECT_EQ(texts(std::get<wire::Feed>(testing::decoded(out.send[0], Encoding::protobuf))),
            (Texts{"one"}));
  EXPECT_EQ(texts(std::get<wire::Feed>(testing::decoded(out.send[1], Encoding::json))),
            (Texts{"one"}));
  EXPECT_EQ(feed_.counters().frames_encoded, 2U);
}

TEST_F(FeedLive, FrameIsCutWhereTheNextEntryWouldNotFit) {
  const std::string big(40'000, 'x');
  publish({big, big, big});

  const FeedOutput out = observe(ann);

  EXPECT_EQ(only_frame(out).through.index, Index(1));
  EXPECT_EQ(only_frame(feed_.drained(ann)).through.index, Index(2));
  EXPECT_EQ(only_frame(feed_.drained(ann)).through.index, Index(3));
}

TEST_F(FeedLive, OneEntryAlwaysFitsIntoAFrame) {
  const std::string huge(1'000'000, 'x');
  publish({huge, "after"});

  EXPECT_EQ(only_frame(observe(ann)).entries.size(), 1U);
  EXPECT_EQ(texts(only_frame(feed_.drained(ann))), (Texts{"after"}));
}

TEST_F(FeedLive, LearnerOutOfCreditWaitsAndLosesNothing) {
  publish({"one"});
  const std::uint64_t size = log_.parts("", Index(), Index(1))[0].size();
  observe(ann, from_start("", size));
  feed_.drained(ann);

  EXPECT_TRUE(publish({"two", "tri"}).send.empty());
  const wire::Feed second = only_frame(feed_.credit(ann, {"", size, Index(1)}));
  EXPECT_TRUE(feed_.drained(ann).send.empty());
  const wire::Feed third = only_frame(feed_.credit(ann, {"", size, Index(2)}));

  EXPECT_EQ(texts(second), (Texts{"two"}));
  EXPECT_EQ(texts(third), (Texts{"tri"}));
}

TEST_F(FeedLive, AnyCreditAtAllIsGoodForOneEntryThatIsThenOwed) {
  publish({"one", "two"});
  const std::uint64_t size = log_.parts("", Index(), Index(1))[0].size();

  EXPECT_EQ(texts(only_frame(observe(ann, from_start("", 1)))), (Texts{"one"}));
  EXPECT_TRUE(feed_.drained(ann).send.empty());
  EXPECT_TRUE(feed_.credit(ann, {"", size - 1, Index(1)}).send.empty());
  EXPECT_EQ(texts(only_frame(feed_.credit(ann, {"", 1, Index(1)}))), (Texts{"two"}));
}

TEST_F(FeedLive, WithoutCreditARangeIsStillCoveredUpToTheNextVisibleEntry) {
  publish({"one"});
  observe(ann, from_start("", 1));
  feed_.drained(ann);
  log_.no_op();
  log_.no_op();

  const wire::Feed frame = only_frame(publish({"two"}));

  EXPECT_TRUE(frame.entries.empty());
  EXPECT_EQ(frame.through.index, Index(3));
}

TEST_F(FeedLive, CreditOverflowIsHarmless) {
  observe(ann, from_start("", ~std::uint64_t{0}));
  feed_.credit(ann, {"", ~std::uint64_t{0}, Index()});
  feed_.credit(ann, {"", ~std::uint64_t{0}, Index()});

  EXPECT_EQ(texts(only_frame(publish({"one"}))), (Texts{"one"}));
}

TEST_F(FeedLive, CreditForNobodyIsIgnored) {
  observe(ann);

  EXPECT_TRUE(feed_.credit(bob, {"", 10, Index()}).send.empty());
  EXPECT_TRUE(feed_.credit(ann, {"other", 10, Index()}).send.empty());
  EXPECT_TRUE(feed_.credit(ann, {"", 10, Index()}).send.empty());
}

TEST_F(FeedLive, ObservingAgainStartsAtTheNewPlaceAfterTheOldFrameHasLeft) {
  observe(ann);
  publish({"one", "two"});  // Its frame is in flight from here on.

  const FeedOutput again = observe(ann, {"", wire::FromIndex{Index(2)}, 0});
  ASSERT_EQ(again.send.size(), 1U);
  EXPECT_EQ(all_of<wire::ObserveReply>(again)[0].at.index, Index(1));
  const wire::Feed next = only_frame(feed_.drained(ann));

  EXPECT_EQ(next.prev.index, Index(1));
  EXPECT_EQ(texts(next), (Texts{"two"}));
  EXPECT_EQ(feed_.learners(), 1U);
}

TEST_F(FeedLive, UnobserveEndsOneRoomOfALink) {
  observe(ann);
  observe(ann, from_start("red"));

  feed_.unobserve(ann, "");
  const wire::Feed frame = only_frame(publish({"one"}));

  EXPECT_EQ(frame.room, "red");
  EXPECT_EQ(feed_.learners(), 1U);
}

TEST_F(FeedLive, ClosedLinkIsSentNothingAndItsPlaceIsUsedAgain) {
  observe(ann);
  feed_.closed(ann);
  EXPECT_EQ(feed_.learners(), 0U);
  EXPECT_TRUE(feed_.drained(ann).send.empty());
  observe(bob);

  const FeedOutput out = publish({"one"});

  ASSERT_EQ(out.send.size(), 1U);
  EXPECT_EQ(out.send[0].link, bob);
}

wire::ObserveVerdict verdict_of(const FeedOutput& out) {
  const auto replies = all_of<wire::ObserveReply>(out);
  EXPECT_EQ(replies.size(), 1U);
  return replies.empty() ? wire::ObserveVerdict{} : replies.front().verdict;
}

TEST_F(FeedLive, ARoomTooManyIsRefusedAndTheOthersGoOn) {
  for (std::size_t i = 0; i < options_.rooms_per_link_max; ++i) {
    EXPECT_EQ(verdict_of(observe(ann, from_start(std::to_string(i)))),
              wire::ObserveVerdict::resumed);
  }

  const FeedOutput out = observe(ann, from_start("one too many"));

  ASSERT_EQ(out.send.size(), 1U);
  EXPECT_EQ(out.send[0].kind, FeedSendKind::reply);
  EXPECT_EQ(verdict_of(out), wire::ObserveVerdict::refused);
  EXPECT_EQ(all_of<wire::ObserveReply>(out)[0].room, "one too many");
  EXPECT_EQ(feed_.learners(), options_.rooms_per_link_max);
  EXPECT_EQ(all_of<wire::Feed>(publish({"one"})).size(), 1U);
  feed_.unobserve(ann, "0");
  EXPECT_EQ(verdict_of(observe(ann, from_start("one too many"))), wire::ObserveVerdict::resumed);
}

TEST_F(FeedLive, ARoomAskedForAgainIsNotOneMore) {
  for (std::size_t i = 0; i < options_.rooms_per_link_max; ++i) {
    observe(ann, from_start(std::to_string(i)));
  }

  EXPECT_EQ(verdict_of(observe(ann, from_start("0"))), wire::ObserveVerdict::resumed);
}

TEST_F(FeedLive, ARoomWhoseNameIsTooLongIsRefused) {
  const std::string longest(wire::room_bytes_max, 'r');

  EXPECT_EQ(verdict_of(observe(ann, from_start(longest))), wire::ObserveVerdict::resumed);
  EXPECT_EQ(verdict_of(observe(ann, from_start(longest + "r"))), wire::ObserveVerdict::refused);
}

TEST_F(FeedLive, FeedBootsOnALogBase) {
  const Position base{Index(1000), Term(7)};
  TestLog log(base);
  Feed feed(options_, log.boot(options_.checkpoint_interval));

  const FeedOutput placed = feed.observe(t0, ann, Encoding::protobuf, from_start());
  log.command("first");
  const wire::Feed frame = only_frame(feed.publish(log.commit()));

  EXPECT_EQ(all_of<wire::ObserveReply>(placed)[0].verdict, wire::ObserveVerdict::begins_at);
  EXPECT_EQ(all_of<wire::ObserveReply>(placed)[0].at, base);
  EXPECT_EQ(frame.prev, base);
  EXPECT_EQ(frame.through, (Position{Index(1001), Term(7)}));
}

TEST_F(FeedLive, CopyGoesOnByItself) {
  observe(ann);
  Feed copy = feed_;

  log_.command("one");
  const auto batch = log_.commit();
  feed_.publish(batch);

  EXPECT_EQ(copy.through(), Position{});
  EXPECT_EQ(texts(only_frame(copy.publish(batch))), (Texts{"one"}));
}

}  // namespace
}  // namespace kuilt::cluster
