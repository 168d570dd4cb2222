// Learners whose next entry is no longer in memory: reads of old log, shared and checked.
#include <gtest/gtest.h>

#include "tests/cluster/feed_fixture.hpp"

namespace kuilt::cluster {
namespace {

using testing::all_of;
using testing::from_start;
using testing::Observer;
using testing::t0;
using testing::TestLog;
using testing::texts;
using wire::Encoding;
using wire::ObserveVerdict;

constexpr LinkId ann{1};
constexpr LinkId bob{2};
constexpr LinkId cid{3};

// A log of 100 entries in two terms, of which the feed has none in memory at first.
class FeedCatchUp : public ::testing::Test {
 protected:
  explicit FeedCatchUp(const FeedOptions& options = {.frame_bytes_max = 1000,
                                                     .load_bytes_max = 1500,
                                                     .loads_in_flight_max = 2,
                                                     .checkpoint_interval = 8}) {
    for (int i = 1; i <= 100; ++i) {
      if (i == 50) {
        log_.new_term();
      } else {
        log_.command("entry " + std::to_string(i), i % 5 == 0 ? "fifth" : "");
      }
    }
    log_.commit();
    feed_.emplace(options, log_.boot(options.checkpoint_interval));
  }

  FeedOutput observe(LinkId link, const wire::Observe& wanted = from_start()) {
    return feed_->observe(t0, link, Encoding::protobuf, wanted);
  }
  // Answers loads and drains frames until nothing moves; what `ann` was sent goes to `seen`.
  void run(FeedOutput out, Observer& seen) {
    while (true) {
      for (const FeedSend& send : out.send) deliver(send, seen);
      if (!out.loads.empty()) {
        const FeedLoad load = out.loads.front();
        std::vector<FeedLoad> rest(out.loads.begin() + 1, out.loads.end());
        out = feed_->loaded(load.number, log_.read(load));
        out.loads.insert(out.loads.end(), rest.begin(), rest.end());
        continue;
      }
      out = feed_->drained(ann);
      if (out.send.empty() && out.loads.empty()) return;
    }
  }
  static void deliver(const FeedSend& send, Observer& seen) {
    const wire::ServerMessage message = testing::decoded(send);
    if (const auto* reply = std::get_if<wire::ObserveReply>(&message)) seen.take(*reply);
    if (const auto* frame = std::get_if<wire::Feed>(&message)) seen.take(*frame);
    ASSERT_FALSE(std::holds_alternative<wire::Goodbye>(message));
  }
  // The code of the Goodbye that answers `entries` where ann's first read is.
  std::optional<wire::Goodbye> goodbye_on(const Result<std::vector<raft::Entry>>& entries,
                                          const FeedLoad& load) {
    const FeedOutput out = feed_->loaded(load.number, entries);
    EXPECT_TRUE(all_of<wire::Feed>(out).empty());
    const auto goodbyes = all_of<wire::Goodbye>(out);
    EXPECT_EQ(feed_->learners(), goodbyes.empty() ? 1U : 0U);
    return goodbyes.empty() ? std::nullopt : std::optional(goodbyes.front());
  }

  TestLog log_;
  std::optional<Feed> feed_;
};

TEST_F(FeedCatchUp, ReadsTheWholeLogInOrderAndGoesOnLive) {
  Observer seen{.room = ""};

  run(observe(ann), seen);
  log_.command("live");
  run(feed_->publish(log_.commit()), seen);

  EXPECT_EQ(seen.complaint, "");
  EXPECT_EQ(seen.at, log_.position(101));
  EXPECT_EQ(seen.seen, log_.parts("", Index(), Index(101)));
  EXPECT_EQ(seen.digest, log_.digest("", Index(101)));
}

TEST_F(FeedCatchUp, ReadNeverAsksBeyondTheCommittedEnd) {
  const FeedOutput out = observe(ann, {"", wire::FromIndex{Index(97)}, 0});

  ASSERT_EQ(out.loads.size(), 1U);
  EXPECT_GE(out.loads[0].first, Index(89));
  EXPECT_LE(out.loads[0].last, Index(100));
}

TEST_F(FeedCatchUp, SparseRoomIsSentItsRangesAndItsOwnEntries) {
  Observer seen{.room = "fifth"};

  run(observe(ann, from_start("fifth")), seen);

  EXPECT_EQ(seen.complaint, "");
  EXPECT_EQ(seen.at, log_.position(100));
  EXPECT_EQ(seen.seen, log_.parts("fifth", Index(), Index(100)));
}

TEST_F(FeedCatchUp, ResumeAtEveryPositionOfTheFileGoesOnRightAfterIt) {
  for (std::uint64_t index = 0; index <= 100; ++index) {
    Observer seen{.room = ""};
    run(observe(ann, {"", log_.point("", index), 0}), seen);

    EXPECT_EQ(seen.complaint, "");
    EXPECT_EQ(seen.placed_at, log_.position(index));
    EXPECT_EQ(seen.seen, log_.parts("", Index(index), Index(100))) << index;
    EXPECT_EQ(seen.digest, log_.digest("", Index(100)));
  }
}

TEST_F(FeedCatchUp, ResumeIntoTheFileWithAnotherDigestIsAnotherHistory) {
  wire::ResumePoint point = log_.point("", 13);
  point.digest = log_.digest("", Index(12));
  const FeedOutput asked = observe(ann, {"", point, 0});
  ASSERT_EQ(asked.loads.size(), 1U);
  EXPECT_TRUE(asked.send.empty());

  const FeedOutput out = feed_->loaded(asked.loads[0].number, log_.read(asked.loads[0]));

  EXPECT_EQ(all_of<wire::ObserveReply>(out).at(0).verdict, ObserveVerdict::history_differs);
  EXPECT_TRUE(all_of<wire::Feed>(out).empty());
}

TEST_F(FeedCatchUp, OneReadServesAllWhoStandInsideIt) {
  const FeedOutput first = observe(ann);
  EXPECT_EQ(first.loads.size(), 1U);
  EXPECT_TRUE(observe(bob).loads.empty());
  EXPECT_TRUE(observe(cid, {"fifth", wire::FromIndex{Index(3)}, 0}).loads.empty());

  const FeedOutput out = feed_->loaded(first.loads[0].number, log_.read(first.loads[0]));

  EXPECT_EQ(all_of<wire::Feed>(out).size(), 3U);
  EXPECT_EQ(feed_->counters().loads, 1U);
}

TEST_F(FeedCatchUp, ReadsInFlightAreBoundedAndTheNextStartsWhenOneIsOver) {
  feed_.emplace(
      FeedOptions{.load_entries_max = 10, .loads_in_flight_max = 2, .checkpoint_interval = 1},
      log_.boot(1));
  std::vector<FeedLoad> loads;
  for (std::uint64_t i = 0; i < 5; ++i) {
    const FeedOutput out = observe(LinkId(10 + i), {"", wire::FromIndex{Index(1 + 20 * i)}, 0});
    loads.insert(loads.end(), out.loads.begin(), out.loads.end());
  }
  ASSERT_EQ(loads.size(), 2U);

  std::size_t answered = 0;
  std::size_t frames = 0;
  while (answered < loads.size()) {
    const FeedLoad load = loads[answered++];
    const FeedOutput out = feed_->loaded(load.number, log_.read(load));
    loads.insert(loads.end(), out.loads.begin(), out.loads.end());
    frames += all_of<wire::Feed>(out).size();
    EXPECT_LE(loads.size() - answered, 2U);
  }

  EXPECT_EQ(frames, 5U);
}

TEST_F(FeedCatchUp, LearnerWithoutCreditAsksForNoRead) {
  FeedOutput out = observe(ann, from_start("", 1));
  out = feed_->loaded(out.loads.at(0).number, std::vector<raft::Entry>{log_.at(Index(1))});
  ASSERT_EQ(all_of<wire::Feed>(out).size(), 1U);

  EXPECT_TRUE(feed_->drained(ann).loads.empty());
  EXPECT_EQ(feed_->credit(ann, {"", 10'000, Index(1)}).loads.size(), 1U);
}

TEST_F(FeedCatchUp, LinkThatClosesWhileItsReadIsUnderwayIsForgotten) {
  const FeedOutput asked = observe(ann);
  feed_->closed(ann);

  const FeedOutput out = feed_->loaded(asked.loads[0].number, log_.read(asked.loads[0]));

  EXPECT_TRUE(out.send.empty());
  EXPECT_TRUE(out.loads.empty());
}

TEST_F(FeedCatchUp, FailedReadIsToldAndNothingFollowsIt) {
  const FeedOutput asked = observe(ann);

  const auto goodbye =
      goodbye_on(Error(ErrorCode::io, "read segment 3: no such file"), asked.loads.at(0));

  ASSERT_TRUE(goodbye);
  EXPECT_EQ(goodbye->code, ErrorCode::io);
  EXPECT_EQ(goodbye->message, "read old log: read segment 3: no such file");
  EXPECT_TRUE(feed_->drained(ann).send.empty());
  EXPECT_TRUE(observe(ann).send.empty());
}

TEST_F(FeedCatchUp, AReadBeyondWhatIsDurableHereIsNoFaultOfTheClient) {
  const FeedOutput asked = observe(ann);

  const auto goodbye =
      goodbye_on(Error(ErrorCode::invalid_argument, "the log ends at 4"), asked.loads.at(0));

  ASSERT_TRUE(goodbye);
  EXPECT_EQ(goodbye->code, ErrorCode::behind);
}

TEST_F(FeedCatchUp, EntriesThatWereCommittedAreDelivered) {  // The control for what follows.
  const FeedLoad load = observe(ann).loads.at(0);

  EXPECT_FALSE(all_of<wire::Feed>(feed_->loaded(load.number, log_.read(load))).empty());
}

TEST_F(FeedCatchUp, TruncatedEntryIsNeverDelivered) {
  FeedOutput out = observe(ann, {"", wire::FromIndex{Index(51)}, 0});
  out = feed_->loaded(out.loads.at(0).number, log_.read(out.loads[0]));  // Its place.
  while (out.loads.empty()) out = feed_->drained(ann);
  const FeedLoad load = out.loads.at(0);
  // What an old leader of term 1 had written there, before it lost its place to term 2.
  TestLog lost;
  while (lost.last().index < load.first) lost.command("lost");
  lost.command("lost too");
  const Index first = load.first;

  const auto goodbye =
      goodbye_on(std::vector<raft::Entry>{lost.at(first), lost.at(first.next())}, load);

  ASSERT_TRUE(goodbye);
  EXPECT_EQ(goodbye->code, ErrorCode::corrupt);
  EXPECT_NE(goodbye->message.find(", 1) was read where"), std::string::npos);
}

TEST_F(FeedCatchUp, GapInWhatWasReadIsNeverDelivered) {
  const FeedLoad load = observe(ann).loads.at(0);

  const auto goodbye =
      goodbye_on(std::vector<raft::Entry>{log_.at(Index(1)), log_.at(Index(3))}, load);

  ASSERT_TRUE(goodbye);
  EXPECT_NE(goodbye->message.find("(3, 1) was read where (2, 1)"), std::string::npos);
}

TEST_F(FeedCatchUp, ReadThatBeginsOneOffIsNeverDelivered) {
  const FeedLoad load = observe(ann).loads.at(0);

  const auto goodbye = goodbye_on(std::vector<raft::Entry>{log_.at(Index(2))}, load);

  ASSERT_TRUE(goodbye);
  EXPECT_NE(goodbye->message.find("(2, 1) was read where (1, 1)"), std::string::npos);
}

TEST_F(FeedCatchUp, MoreThanWasAskedForIsNeverDelivered) {
  feed_.emplace(FeedOptions{.load_entries_max = 2}, log_.boot(FeedOptions().checkpoint_interval));
  const FeedLoad load = observe(ann).loads.at(0);

  const auto goodbye = goodbye_on(
      std::vector<raft::Entry>{log_.at(Index(1)), log_.at(Index(2)), log_.at(Index(3))}, load);

  ASSERT_TRUE(goodbye);
  EXPECT_NE(goodbye->message.find("only 2 and before"), std::string::npos);
}

TEST_F(FeedCatchUp, BytesOfAnotherEntryAreNeverDelivered) {
  const FeedLoad load = observe(ann).loads.at(0);
  raft::Entry wrong = log_.at(Index(1));
  wrong.stored = log_.at(Index(2)).stored;

  const auto goodbye = goodbye_on(std::vector<raft::Entry>{wrong}, load);

  ASSERT_TRUE(goodbye);
  EXPECT_NE(goodbye->message.find("its bytes are those of (2, 1)"), std::string::npos);
}

TEST_F(FeedCatchUp, BytesOfNoEntryAreNeverDelivered) {
  const FeedLoad load = observe(ann).loads.at(0);
  raft::Entry wrong = log_.at(Index(1));
  wrong.stored = Bytes(std::string("garbage"));

  const auto goodbye = goodbye_on(std::vector<raft::Entry>{wrong}, load);

  ASSERT_TRUE(goodbye);
  EXPECT_EQ(goodbye->code, ErrorCode::corrupt);
}

TEST_F(FeedCatchUp, EmptyReadIsAFailure) {
  const FeedLoad load = observe(ann).loads.at(0);

  const auto goodbye = goodbye_on(std::vector<raft::Entry>{}, load);

  ASSERT_TRUE(goodbye);
  EXPECT_EQ(goodbye->code, ErrorCode::io);
  EXPECT_NE(goodbye->message.find("nothing was read at index 1"), std::string::npos);
}

TEST_F(FeedCatchUp, OldLogThatDoesNotLeadToTheCommittedDigestEndsTheFeed) {
  // The right positions, the wrong words: only the chain can tell.
  TestLog other;
  for (int i = 1; i <= 100; ++i) {
    if (i == 50) {
      other.new_term();
    } else {
      other.command("other " + std::to_string(i), i % 5 == 0 ? "fifth" : "");
    }
  }
  feed_.emplace(FeedOptions{}, log_.boot(FeedOptions().checkpoint_interval));
  const FeedLoad load = observe(ann).loads.at(0);
  feed_->loaded(load.number, other.read(load));
  feed_->drained(ann);
  log_.command("live");

  const FeedOutput out = feed_->publish(log_.commit());

  ASSERT_EQ(out.send.size(), 1U);
  EXPECT_EQ(all_of<wire::Goodbye>(out).at(0).code, ErrorCode::corrupt);
  EXPECT_EQ(feed_->learners(), 0U);
}

TEST_F(FeedCatchUp, RingKeepsItsBoundAndTheRestComesFromTheFile) {
  feed_.emplace(FeedOptions{.ring_bytes_max = 700}, log_.boot(FeedOptions().checkpoint_interval));
  Observer seen{.room = ""};
  run(observe(ann, {"", wire::FromNow{}, 0}), seen);
  for (int i = 0; i < 50; ++i) log_.command("more");

  const FeedOutput out = feed_->publish(log_.commit());
  EXPECT_EQ(out.loads.size(), 1U);  // The ring lost the first of them as soon as it had them.
  run(out, seen);

  EXPECT_EQ(seen.complaint, "");
  EXPECT_EQ(seen.seen, log_.parts("", Index(100), Index(150)));
  EXPECT_EQ(seen.at, log_.position(150));
}

}  // namespace
}  // namespace kuilt::cluster
