// Where a feed begins, and each reason for which it does not.
#include <gtest/gtest.h>

#include "tests/cluster/feed_fixture.hpp"

namespace kuilt::cluster {
namespace {

using testing::all_of;
using testing::t0;
using testing::TestLog;
using testing::texts;
using wire::Encoding;
using wire::ObserveVerdict;

constexpr LinkId ann{1};

class FeedResume : public ::testing::Test {
 protected:
  FeedResume() {
    log_.command("one");
    log_.command("two");
    log_.command("three");
    feed_.publish(log_.commit());
    log_.new_term();
    log_.command("five");
    feed_.publish(log_.commit());
  }
  FeedOutput resume(const wire::ObserveFrom& from, Instant now = t0) {
    return feed_.observe(now, ann, Encoding::protobuf, {"", from, 0});
  }
  // The one reply, which must be alone unless the feed begins.
  wire::ObserveReply verdict_on(const wire::ObserveFrom& from) {
    const FeedOutput out = resume(from);
    const auto replies = all_of<wire::ObserveReply>(out);
    EXPECT_EQ(replies.size(), 1U);
    return replies.empty() ? wire::ObserveReply{} : replies.front();
  }

  TestLog log_;
  FeedOptions options_{.behind_hold_max = std::chrono::seconds(5), .endpoints = {"ws://b:1"}};
  Feed feed_{options_, TestLog().boot(options_.checkpoint_interval)};
};

TEST_F(FeedResume, GoesOnRightAfterThePositionWithoutGapOrRepeat) {
  for (std::uint64_t index = 0; index <= 5; ++index) {
    const FeedOutput out = resume(log_.point("", index));
    const auto replies = all_of<wire::ObserveReply>(out);
    const auto frames = all_of<wire::Feed>(out);

    ASSERT_EQ(replies.size(), 1U);
    EXPECT_EQ(replies[0].verdict, ObserveVerdict::resumed);
    EXPECT_EQ(replies[0].at, log_.position(index));
    EXPECT_EQ(replies[0].digest, log_.digest("", Index(index)));
    ASSERT_EQ(frames.size(), index < 5 ? 1U : 0U);
    if (!frames.empty()) {
      EXPECT_EQ(frames[0].prev, log_.position(index));
      EXPECT_EQ(frames[0].entries, log_.parts("", Index(index), Index(5)));
    }
    feed_.drained(ann);
  }
  EXPECT_EQ(feed_.counters().resumes, 6U);
}

TEST_F(FeedResume, WithinWhatWasCommittedAsOneBatchIsCounted) {
  resume(log_.point("", 0));
  resume(log_.point("", 3));
  resume(log_.point("", 5));
  EXPECT_EQ(feed_.counters().resumes_mid_batch, 0U);

  resume(log_.point("", 2));
  resume(log_.point("", 4));
  EXPECT_EQ(feed_.counters().resumes_mid_batch, 2U);
}

TEST_F(FeedResume, FromNowBeginsAfterTheLastCommittedEntry) {
  const FeedOutput out = resume(wire::FromNow{});
  log_.command("six");
  const auto frames = all_of<wire::Feed>(feed_.publish(log_.commit()));

  ASSERT_EQ(out.send.size(), 1U);
  EXPECT_EQ(all_of<wire::ObserveReply>(out)[0].at, log_.position(5));
  EXPECT_EQ(all_of<wire::ObserveReply>(out)[0].digest, log_.digest("", Index(5)));
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(texts(frames[0]), std::vector<std::string>{"six"});
}

TEST_F(FeedResume, FromIndexBeginsWithThatEntry) {
  const FeedOutput out = resume(wire::FromIndex{Index(3)});

  EXPECT_EQ(all_of<wire::ObserveReply>(out)[0].at, log_.position(2));
  EXPECT_EQ(texts(all_of<wire::Feed>(out)[0]), (std::vector<std::string>{"three", "five"}));
  EXPECT_EQ(verdict_on(wire::FromIndex{Index(0)}).at, Position{});
}

TEST_F(FeedResume, OtherClusterIsRefusedByName) {
  wire::ResumePoint point = log_.point("", 2);
  point.cluster = ClusterId::named("another");

  EXPECT_EQ(verdict_on(point).verdict, ObserveVerdict::not_this_cluster);
  EXPECT_EQ(feed_.learners(), 0U);
  EXPECT_EQ(feed_.counters().resumes, 0U);
}

TEST_F(FeedResume, OtherHistoryIsRefusedByName) {
  wire::ResumePoint point = log_.point("", 2);
  point.history = HistoryId::named("restored");

  const wire::ObserveReply reply = verdict_on(point);

  EXPECT_EQ(reply.verdict, ObserveVerdict::history_differs);
  EXPECT_NE(reply.message.find("history " + point.history.text()), std::string::npos);
  EXPECT_EQ(feed_.learners(), 0U);
}

TEST_F(FeedResume, OtherTermAtThePositionIsAnotherHistory) {
  wire::ResumePoint point = log_.point("", 4);
  point.at.term = Term(1);

  const wire::ObserveReply reply = verdict_on(point);

  EXPECT_EQ(reply.verdict, ObserveVerdict::history_differs);
  EXPECT_NE(reply.message.find("of term 2 here, not of term 1"), std::string::npos);
  EXPECT_EQ(feed_.learners(), 0U);
}

TEST_F(FeedResume, OtherDigestAtThePositionIsAnotherHistory) {
  wire::ResumePoint point = log_.point("", 2);
  point.digest ^= 1;

  const wire::ObserveReply reply = verdict_on(point);

  EXPECT_EQ(reply.verdict, ObserveVerdict::history_differs);
  EXPECT_NE(reply.message.find("digest"), std::string::npos);
  EXPECT_EQ(feed_.learners(), 0U);
}

TEST_F(FeedResume, DigestOfTheEntryBesideIsAnotherHistory) {
  wire::ResumePoint point = log_.point("", 2);
  point.digest = log_.digest("", Index(1));

  EXPECT_EQ(verdict_on(point).verdict, ObserveVerdict::history_differs);
}

TEST_F(FeedResume, PrefixThatIsNoLongerKeptIsCompacted) {
  TestLog log({Index(1000), Term(7)});
  Feed feed(options_, log.boot(options_.checkpoint_interval));
  wire::ResumePoint point = log_.point("", 2);
  point.at = {Index(999), Term(7)};

  const auto refused =
      all_of<wire::ObserveReply>(feed.observe(t0, ann, Encoding::protobuf, {"", point, 0}));
  point.at = {Index(1000), Term(7)};
  point.digest = 0;
  const auto taken =
      all_of<wire::ObserveReply>(feed.observe(t0, ann, Encoding::protobuf, {"", point, 0}));

  EXPECT_EQ(refused.at(0).verdict, ObserveVerdict::compacted);
  EXPECT_EQ(refused.at(0).at, (Position{Index(1000), Term(7)}));
  EXPECT_EQ(taken.at(0).verdict, ObserveVerdict::resumed);
}

TEST_F(FeedResume, ClientAheadOfThisServerIsHeldUntilTheServerGetsThere) {
  log_.command("six");
  log_.command("seven");
  const auto batch = log_.commit();

  const FeedOutput held = resume(log_.point("", 6));
  const FeedOutput out = feed_.publish(batch);

  EXPECT_TRUE(held.send.empty());
  EXPECT_EQ(held.wake_at, t0 + options_.behind_hold_max);
  EXPECT_EQ(feed_.counters().held_resumes, 1U);
  ASSERT_EQ(out.send.size(), 2U);
  EXPECT_EQ(all_of<wire::ObserveReply>(out)[0].verdict, ObserveVerdict::resumed);
  EXPECT_EQ(all_of<wire::Feed>(out)[0].entries, log_.parts("", Index(6), Index(7)));
  EXPECT_EQ(out.wake_at, std::nullopt);
}

TEST_F(FeedResume, HeldClientWithAnotherHistoryIsToldOnceTheServerGetsThere) {
  log_.command("six");
  const auto batch = log_.commit();
  wire::ResumePoint point = log_.point("", 6);
  point.digest ^= 1;

  EXPECT_TRUE(resume(point).send.empty());
  const auto replies = all_of<wire::ObserveReply>(feed_.publish(batch));

  EXPECT_EQ(replies.at(0).verdict, ObserveVerdict::history_differs);
}

TEST_F(FeedResume, ServerThatStaysBehindSaysWhereElseToTryAndKeepsTheLink) {
  wire::ResumePoint point = log_.point("", 5);
  point.at.index = Index(9);
  resume(point);

  EXPECT_TRUE(feed_.tick(t0 + options_.behind_hold_max - Duration(1)).send.empty());
  const FeedOutput out = feed_.tick(t0 + options_.behind_hold_max);

  ASSERT_EQ(out.send.size(), 1U);
  EXPECT_EQ(out.send[0].kind, FeedSendKind::reply);
  const wire::ObserveReply reply = all_of<wire::ObserveReply>(out)[0];
  EXPECT_EQ(reply.verdict, ObserveVerdict::behind);
  EXPECT_EQ(reply.at, log_.position(5));
  EXPECT_EQ(reply.endpoints, std::vector<std::string>{"ws://b:1"});
  EXPECT_EQ(out.wake_at, std::nullopt);
  EXPECT_EQ(verdict_on(wire::FromNow{}).verdict, ObserveVerdict::resumed);
}

TEST_F(FeedResume, IndexBeyondTheEndIsHeldForAsLongAsItTakes) {
  const FeedOutput held = resume(wire::FromIndex{Index(7)});
  EXPECT_TRUE(held.send.empty());
  EXPECT_EQ(held.wake_at, std::nullopt);
  EXPECT_TRUE(feed_.tick(t0 + std::chrono::hours(1)).send.empty());
  log_.command("six");
  log_.command("seven");

  const FeedOutput out = feed_.publish(log_.commit());

  EXPECT_EQ(all_of<wire::ObserveReply>(out)[0].at, log_.position(6));
  EXPECT_EQ(texts(all_of<wire::Feed>(out)[0]), std::vector<std::string>{"seven"});
  EXPECT_EQ(verdict_on(wire::FromIndex{Index(8)}).verdict, ObserveVerdict::resumed);
}

TEST_F(FeedResume, WhoWaitsForAnIndexDelaysNobodyWhoIsToBeSentElsewhere) {
  resume(wire::FromIndex{Index(7)});
  wire::ResumePoint point = log_.point("", 5);
  point.at.index = Index(9);

  const FeedOutput held = feed_.observe(t0, LinkId(2), wire::Encoding::protobuf, {"", point, 0});

  EXPECT_EQ(held.wake_at, t0 + options_.behind_hold_max);
  const auto replies = all_of<wire::ObserveReply>(feed_.tick(t0 + options_.behind_hold_max));
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].verdict, ObserveVerdict::behind);
}

TEST_F(FeedResume, HeldClientMayLeaveOrAskAnew) {
  wire::ResumePoint point = log_.point("", 5);
  point.at.index = Index(9);
  resume(point);
  EXPECT_EQ(resume(wire::FromNow{}).wake_at, std::nullopt);
  resume(point);
  feed_.closed(ann);

  EXPECT_TRUE(feed_.tick(t0 + std::chrono::hours(1)).send.empty());
  EXPECT_EQ(feed_.learners(), 0U);
}

TEST_F(FeedResume, WhoLeavesBeforeTheReplyIsAnsweredAllTheSame) {
  resume(wire::FromIndex{Index(7)});

  const FeedOutput left = feed_.unobserve(ann, "");

  const auto replies = all_of<wire::ObserveReply>(left);
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].verdict, ObserveVerdict::refused);
  EXPECT_EQ(feed_.learners(), 0U);
  EXPECT_TRUE(feed_.unobserve(ann, "").send.empty());
  resume(wire::FromNow{});
  EXPECT_TRUE(feed_.unobserve(ann, "").send.empty());  // It had its reply.
}

TEST_F(FeedResume, RefusedResumeEndsTheFeedThatTheRoomHadOnTheLink) {
  resume(wire::FromNow{});
  wire::ResumePoint point = log_.point("", 2);
  point.digest ^= 1;
  resume(point);
  log_.command("six");

  EXPECT_TRUE(feed_.publish(log_.commit()).send.empty());
}

}  // namespace
}  // namespace kuilt::cluster
