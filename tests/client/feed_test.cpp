#include "tests/client/core_bench.hpp"

namespace kuilt::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A client that observes the default room from the start, on its first link.
struct Observing : testing::Test {
  Observing() : Observing(ClientOptions{}) {}
  explicit Observing(ClientOptions options) : bench(std::move(options)) {
    dial = bench.admit_last();
    bench.step(ObserveCall{"", wire::FromStart{}});
    bench.resume(dial, Position{});
  }
  /// Sends a frame that must be refused, and says under which name it was.
  std::string broken_by(const wire::Feed& frame) {
    const std::size_t before = bench.delivered.size();
    bench.hear(dial, frame);
    EXPECT_EQ(bench.delivered.size(), before) << "something of a bad frame was delivered";
    EXPECT_FALSE(bench.open.contains(dial));
    EXPECT_EQ(bench.core.counters().feed_violations, 1U);
    const Event* event = bench.last_event(EventKind::feed_broken);
    if (event == nullptr || !event->rule) return "no event";
    EXPECT_THAT(event->text, testing::StartsWith(std::string(name_of(*event->rule)) + ": "));
    return event->text;
  }

  Bench bench;
  DialId dial;
  FakeHistory history;
};

using Feeds = Observing;

TEST_F(Feeds, AnObserveAsksWithTheWholeCredit) {
  const auto observes = bench.sent<wire::Observe>(dial);

  ASSERT_EQ(observes.size(), 1U);
  EXPECT_EQ(observes[0].from, wire::ObserveFrom(wire::FromStart{}));
  EXPECT_EQ(observes[0].credit_bytes, std::uint64_t{1} << 20);
}

TEST_F(Feeds, EntriesAreDeliveredInOrderAndEachFrameAdvances) {
  bench.hear(dial, history.frame(3));
  bench.hear(dial, history.empty_frame(5, 2));
  bench.hear(dial, history.frame(6, 2));

  EXPECT_THAT(bench.delivered_indexes(), ElementsAre(1, 2, 3, 6));
  EXPECT_EQ(bench.delivered[0].entry.command.text(), "move 1");
  EXPECT_EQ(bench.delivered[0].entry.author, "ann");
  ASSERT_EQ(bench.advanced.size(), 3U);
  EXPECT_EQ(bench.advanced[1].through, at(5, 2));
  EXPECT_EQ(bench.advanced[2].digest, history.digest());
}

TEST_F(Feeds, AGapIsNamedAndEndsTheLink) {
  bench.hear(dial, history.frame(3));
  history.frame(4);

  EXPECT_THAT(broken_by(history.frame(5)), HasSubstr("gap"));
}

TEST_F(Feeds, ARepeatIsNamedAndEndsTheLink) {
  const wire::Feed first = history.frame(3);
  bench.hear(dial, first);

  EXPECT_THAT(broken_by(first), HasSubstr("repeat"));
}

TEST_F(Feeds, ThePreviousTermMustBeOursToo) {
  bench.hear(dial, history.frame(3));
  wire::Feed frame = history.frame(4, 2);
  frame.prev.term = Term(2);

  EXPECT_THAT(broken_by(frame), HasSubstr("repeat: a frame after (3, term 2)"));
}

TEST_F(Feeds, AFrameThatEndsInAnOlderTermIsBroken) {
  bench.hear(dial, history.frame(3, 5));

  EXPECT_THAT(broken_by(history.frame(4, 4)), HasSubstr("older_term"));
}

TEST_F(Feeds, AFrameThatLeadsNowhereIsBroken) {
  bench.hear(dial, history.frame(3));

  EXPECT_THAT(broken_by(history.empty_frame(3)), HasSubstr("ends at"));
}

TEST_F(Feeds, AnEntryTwiceInAFrameIsBroken) {
  wire::Feed frame = history.frame(2);
  frame.entries.insert(frame.entries.begin(), frame.entries.front());

  EXPECT_THAT(broken_by(frame), HasSubstr("repeat: entry"));
}

TEST_F(Feeds, AnEntryOfAnOlderTermThanTheOneBeforeIsBroken) {
  wire::Feed frame = history.frame(2, 3);
  frame.entries[1] = history.entry(at(2, 2));
  frame.through.term = Term(3);

  EXPECT_THAT(broken_by(frame), HasSubstr("older_term: entry"));
}

TEST_F(Feeds, AnEntryBeyondTheFramesEndIsBroken) {
  wire::Feed frame = history.frame(3);
  frame.through = at(2);

  EXPECT_THAT(broken_by(frame), HasSubstr("beyond the end"));
}

TEST_F(Feeds, AnEntryOfALaterTermThanTheFramesEndIsBroken) {
  wire::Feed frame = history.frame(3, 1);
  frame.entries[0] = history.entry(at(1, 2));

  EXPECT_THAT(broken_by(frame), HasSubstr("contradicts the end"));
}

TEST_F(Feeds, AnEntryOfAnotherRoomIsBroken) {
  wire::Feed frame = history.frame(1);
  frame.entries[0] = FakeHistory("chess").entry(at(1));

  EXPECT_THAT(broken_by(frame), HasSubstr("of the room \"chess\""));
}

TEST_F(Feeds, AnEntryThatCannotBeReadIsBroken) {
  wire::Feed frame = history.frame(1);
  frame.entries[0] = Bytes(std::string("\xff\xff\xff"));

  EXPECT_THAT(broken_by(frame), HasSubstr("unreadable: "));
}

TEST_F(Feeds, AWrongDigestIsBroken) {
  bench.hear(dial, history.frame(2));
  wire::Feed frame = history.frame(3);
  ++frame.digest;

  EXPECT_THAT(broken_by(frame), HasSubstr("wrong_digest"));
}

TEST_F(Feeds, AMissingEntryShowsInTheDigest) {
  wire::Feed frame = history.frame(3);
  frame.entries.erase(frame.entries.begin() + 1);

  EXPECT_THAT(broken_by(frame), HasSubstr("wrong_digest"));
}

TEST_F(Feeds, AfterAViolationTheLastSoundPositionIsResumedElsewhere) {
  const wire::Feed sound = history.frame(2);
  bench.hear(dial, sound);
  broken_by(wire::Feed{"", at(4), at(5), 0, {}});

  const DialId next = bench.admit_next();

  EXPECT_EQ(bench.endpoint(next), "ws://b");
  const auto observes = bench.sent<wire::Observe>(next);
  ASSERT_EQ(observes.size(), 1U);
  const wire::ResumePoint point{ClusterId::named("cluster"), HistoryId::named("history"), at(2),
                                sound.digest};
  EXPECT_EQ(observes[0].from, wire::ObserveFrom(point));
}

TEST_F(Feeds, AnotherLinkGoesOnWhereTheLastOneEnded) {
  bench.hear(dial, history.frame(2));
  bench.step(Broken{dial, "torn"});
  const DialId next = bench.admit_next();
  bench.hear(next, history.frame(3));  // Not yet: the server has not said where it resumes.
  EXPECT_EQ(bench.delivered.size(), 2U);
  FakeHistory same;
  same.frame(2);

  bench.resume(next, at(2), same.digest());
  bench.hear(next, same.frame(4));

  EXPECT_THAT(bench.delivered_indexes(), ElementsAre(1, 2, 3, 4));
  const Event* event = bench.last_event(EventKind::resumed);
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(event->endpoint, "ws://b");
  EXPECT_EQ(event->at, at(2));
  EXPECT_GT(event->after, Duration::zero());
  EXPECT_LT(event->after, 1s);
}

TEST_F(Feeds, AServerThatResumesElsewhereThanAskedIsLeft) {
  bench.hear(dial, history.frame(2));
  bench.step(Broken{dial, "torn"});
  const DialId next = bench.admit_next();

  bench.resume(next, at(3), history.digest());

  EXPECT_FALSE(bench.open.contains(next));
  EXPECT_THAT(bench.last_event(EventKind::feed_broken)->text, HasSubstr("resumed at (3"));
}

TEST_F(Feeds, AServerThatResumesWithAnotherDigestIsLeft) {
  bench.hear(dial, history.frame(2));
  bench.step(Broken{dial, "torn"});
  const DialId next = bench.admit_next();

  bench.resume(next, at(2), history.digest() + 1);

  EXPECT_FALSE(bench.open.contains(next));
  EXPECT_THAT(bench.last_event(EventKind::feed_broken)->text, HasSubstr("wrong_digest: on resum"));
}

struct Ending : Observing,
                testing::WithParamInterface<std::pair<wire::ObserveVerdict, ErrorCode>> {};

TEST_P(Ending, IsTheApplicationsToDecide) {
  bench.hear(dial, history.frame(2));
  bench.step(Broken{dial, "torn"});
  const DialId next = bench.admit_next();

  bench.hear(next, wire::ObserveReply{"", GetParam().first, at(9), 0, "because", {}});

  ASSERT_EQ(bench.ended.size(), 1U);
  EXPECT_EQ(bench.ended[0].error.code(), GetParam().second);
  EXPECT_EQ(bench.ended[0].error.message(), "because");
  EXPECT_TRUE(bench.open.contains(next));  // Proposals go on.
  bench.step(Broken{next, "torn"});
  EXPECT_TRUE(bench.sent<wire::Observe>(bench.admit_next()).empty());
}

INSTANTIATE_TEST_SUITE_P(
    Feeds, Ending,
    testing::Values(std::pair(wire::ObserveVerdict::history_differs, ErrorCode::history_differs),
                    std::pair(wire::ObserveVerdict::not_this_cluster, ErrorCode::wrong_cluster),
                    std::pair(wire::ObserveVerdict::compacted, ErrorCode::compacted),
                    std::pair(wire::ObserveVerdict::refused, ErrorCode::invalid_argument)),
    [](const auto& tested) { return std::string(name_of(tested.param.second)); });

TEST_F(Feeds, AServerThatIsBehindIsLeftForTheOnesItNames) {
  bench.hear(dial, history.frame(2));
  bench.step(Broken{dial, "torn"});
  const DialId next = bench.admit_next();

  bench.hear(next, wire::ObserveReply{
                       "", wire::ObserveVerdict::behind, at(1), 0, "at 1", {"ws://hinted"}});
  bench.pass(50ms);

  EXPECT_FALSE(bench.open.contains(next));
  EXPECT_EQ(bench.dials.back().second, "ws://hinted");
  EXPECT_TRUE(bench.ended.empty());
  EXPECT_EQ(bench.core.counters().feed_violations, 0U);
}

TEST_F(Feeds, ASnapshotIsNothingThatThisVersionCanTake) {
  bench.step(Broken{dial, "torn"});
  const DialId next = bench.admit_next();

  bench.hear(next,
             wire::ObserveReply{"", wire::ObserveVerdict::snapshot_follows, at(1), 0, "", {}});

  EXPECT_FALSE(bench.open.contains(next));
  EXPECT_EQ(bench.core.counters().feed_violations, 1U);
}

TEST_F(Feeds, AnObserveWithoutAReplyIsAskedElsewhere) {
  bench.step(Broken{dial, "torn"});
  const DialId next = bench.admit_next();

  bench.pass_alive(9900ms);
  EXPECT_TRUE(bench.open.contains(next));
  bench.pass_alive(200ms);

  EXPECT_FALSE(bench.open.contains(next));
  EXPECT_THAT(bench.last_event(EventKind::disconnected)->text, HasSubstr("no reply to an observe"));
}

TEST_F(Feeds, AReplyBehindAFrameThatArrivesSlowlyIsWaitedFor) {
  bench.step(ObserveCall{"chess", wire::FromStart{}});

  for (int i = 0; i < 20; ++i) {
    bench.pass(2s);
    bench.step(Heard{dial, bench.now});
  }
  EXPECT_TRUE(bench.open.contains(dial));
  bench.pass_alive(10s);

  EXPECT_FALSE(bench.open.contains(dial));
}

TEST(FeedBegin, AFeedThatBeginsLaterSaysSoAndGoesOn) {
  Bench bench;
  const DialId dial = bench.admit_last();
  bench.step(ObserveCall{"", wire::FromStart{}});
  FakeHistory history;
  history.frame(1000, 7);

  bench.hear(dial, wire::ObserveReply{
                       "", wire::ObserveVerdict::begins_at, at(1000, 7), history.digest(), "", {}});
  bench.hear(dial, history.frame(1001, 7));

  ASSERT_EQ(bench.advanced.size(), 2U);
  EXPECT_EQ(bench.advanced[0].through, at(1000, 7));
  EXPECT_THAT(bench.delivered_indexes(), ElementsAre(1001));
}

TEST(FeedBegin, AServerMayNotSkipWhatWasAskedFor) {
  for (const wire::ObserveFrom& from :
       {wire::ObserveFrom(wire::FromStart{}), wire::ObserveFrom(wire::FromIndex{Index(5)})}) {
    Bench bench;
    const DialId dial = bench.admit_last();
    bench.step(ObserveCall{"", from});

    bench.resume(dial, at(5));

    EXPECT_FALSE(bench.open.contains(dial));
    EXPECT_THAT(bench.last_event(EventKind::feed_broken)->text, HasSubstr("gap"));
  }
}

TEST(FeedBegin, AnIndexIsReachedFromTheOneBeforeIt) {
  Bench bench;
  const DialId dial = bench.admit_last();
  bench.step(ObserveCall{"", wire::FromIndex{Index(5)}});
  FakeHistory history;
  history.frame(4);

  bench.resume(dial, at(4), history.digest());
  bench.hear(dial, history.frame(5));

  EXPECT_THAT(bench.delivered_indexes(), ElementsAre(5));
  EXPECT_EQ(bench.advanced[0].through, at(4));
}

TEST(FeedBegin, ATokenOfTheApplicationIsWhereTheFeedBegins) {
  Bench bench;
  const DialId dial = bench.admit_last();
  FakeHistory history;
  history.frame(4);
  const wire::ResumePoint token{ClusterId::named("cluster"), HistoryId::named("history"), at(4),
                                history.digest()};
  bench.step(ObserveCall{"", token});
  EXPECT_EQ(bench.sent<wire::Observe>(dial)[0].from, wire::ObserveFrom(token));

  bench.resume(dial, at(4), history.digest());
  bench.hear(dial, history.frame(6));

  EXPECT_THAT(bench.delivered_indexes(), ElementsAre(5, 6));
  EXPECT_EQ(bench.count(EventKind::resumed), 0);  // The first link of this client.
}

TEST(FeedBegin, FromNowKeepsItsPlaceWhenTheLinkIsLostBeforeTheReply) {
  Bench bench;
  const DialId dial = bench.admit_last();
  bench.step(ObserveCall{"", wire::FromNow{}});
  EXPECT_EQ(bench.sent<wire::Observe>(dial)[0].from, wire::ObserveFrom(wire::FromNow{}));

  bench.step(Broken{dial, "torn"});
  bench.commit = at(105);
  const DialId next = bench.admit_next();

  ASSERT_EQ(bench.sent<wire::Observe>(next).size(), 1U);
  EXPECT_EQ(bench.sent<wire::Observe>(next)[0].from,
            wire::ObserveFrom(wire::FromIndex{Index(101)}));
}

TEST(FeedBegin, AnIndexStillToComeIsWaitedForOnOneLink) {
  Bench bench;
  const DialId dial = bench.admit_last();
  bench.step(ObserveCall{"", wire::FromIndex{Index(1000)}});

  bench.pass_alive(5min);

  EXPECT_TRUE(bench.open.contains(dial));
  EXPECT_EQ(bench.sent<wire::Observe>(dial).size(), 1U);
}

TEST(FeedBegin, BeginningBeforeTheTokenIsBroken) {
  Bench bench;
  const DialId dial = bench.admit_last();
  bench.step(ObserveCall{"", wire::ResumePoint{ClusterId::named("cluster"), {}, at(4), 1}});

  bench.hear(dial, wire::ObserveReply{"", wire::ObserveVerdict::begins_at, at(3), 0, "", {}});

  EXPECT_FALSE(bench.open.contains(dial));
  EXPECT_THAT(bench.last_event(EventKind::feed_broken)->text, HasSubstr("begins at (3"));
}

TEST(Rooms, EachHasAPositionOfItsOwn) {
  Bench bench;
  const DialId dial = bench.admit_last();
  bench.step(ObserveCall{"", wire::FromStart{}});
  bench.step(ObserveCall{"chess", wire::FromStart{}});
  FakeHistory all;
  FakeHistory chess("chess");
  bench.resume(dial, Position{});
  bench.resume(dial, Position{}, 0, "chess");

  bench.hear(dial, all.frame(2));
  bench.hear(dial, chess.empty_frame(2));
  bench.hear(dial, chess.frame(3));
  bench.step(Broken{dial, "torn"});
  const DialId next = bench.admit_next();

  EXPECT_EQ(bench.delivered.back().room, "chess");
  const auto observes = bench.sent<wire::Observe>(next);
  ASSERT_EQ(observes.size(), 2U);
  EXPECT_EQ(std::get<wire::ResumePoint>(observes[0].from).at, at(2));
  EXPECT_EQ(observes[1].room, "chess");
  EXPECT_EQ(std::get<wire::ResumePoint>(observes[1].from).at, at(3));
}

TEST(Rooms, ARoomThatWasLeftIsHeardNoMore) {
  Bench bench;
  const DialId dial = bench.admit_last();
  bench.step(ObserveCall{"", wire::FromStart{}});
  bench.resume(dial, Position{});
  FakeHistory history;

  bench.step(UnobserveCall{""});
  bench.hear(dial, history.frame(2));

  EXPECT_EQ(bench.sent<wire::Unobserve>(dial).size(), 1U);
  EXPECT_TRUE(bench.delivered.empty());
  EXPECT_TRUE(bench.open.contains(dial));
}

TEST(Rooms, ObservedAnewARoomIgnoresTheFeedBefore) {
  Bench bench;
  const DialId dial = bench.admit_last();
  bench.step(ObserveCall{"", wire::FromStart{}});
  bench.resume(dial, Position{});
  FakeHistory before;
  bench.hear(dial, before.frame(2));
  bench.step(UnobserveCall{""});

  bench.step(ObserveCall{"", wire::FromStart{}});
  bench.hear(dial, before.frame(3));
  bench.resume(dial, Position{});
  FakeHistory anew;
  bench.hear(dial, anew.frame(1));

  EXPECT_THAT(bench.delivered_indexes(), ElementsAre(1, 2, 1));
  EXPECT_EQ(bench.core.counters().feed_violations, 0U);
}

TEST(Rooms, ObservedAnewBeforeTheReplyTakesAnotherLink) {
  Bench bench;
  const DialId dial = bench.admit_last();
  bench.step(ObserveCall{"", wire::FromStart{}});
  bench.step(UnobserveCall{""});

  bench.step(ObserveCall{"", wire::FromNow{}});
  EXPECT_FALSE(bench.open.contains(dial));

  EXPECT_EQ(bench.sent<wire::Observe>(bench.admit_next()).size(), 1U);
}

TEST(Rooms, TheReplyToARoomThatWasLeftIsIgnored) {
  Bench bench;
  const DialId dial = bench.admit_last();
  bench.step(ObserveCall{"", wire::FromStart{}});
  bench.step(UnobserveCall{""});
  bench.resume(dial, Position{});

  bench.step(ObserveCall{"", wire::FromStart{}});

  EXPECT_TRUE(bench.open.contains(dial));
  EXPECT_EQ(bench.sent<wire::Observe>(dial).size(), 2U);
}

TEST(Rooms, StopEndsEveryObserve) {
  Bench bench;
  bench.step(ObserveCall{"", wire::FromStart{}});
  bench.step(ObserveCall{"chess", wire::FromNow{}});

  bench.step(Stop{});

  ASSERT_EQ(bench.ended.size(), 2U);
  EXPECT_EQ(bench.ended[0].error.code(), ErrorCode::stopped);
}

/// With a credit of 300 bytes, and entries of equal size.
struct Credits : Observing {
  static ClientOptions small() {
    ClientOptions options;
    options.credit_bytes = 300;
    return options;
  }
  Credits() : Observing(small()), size(history.entry(at(1)).size()) {}
  void take(std::size_t entries) {
    for (std::size_t i = 0; i < entries; ++i) bench.step(Taken{"", size});
  }
  std::uint64_t size;
};

TEST_F(Credits, IsWidenedOnceHalfOfItWasTaken) {
  bench.hear(dial, history.frame(9));
  ASSERT_EQ(bench.delivered[0].bytes, size);
  const std::uint64_t half = (150 + size - 1) / size;
  ASSERT_LE(half, 9U);
  take(half - 1);
  EXPECT_TRUE(bench.sent<wire::Credit>(dial).empty());

  take(1);

  const auto credits = bench.sent<wire::Credit>(dial);
  ASSERT_EQ(credits.size(), 1U);
  EXPECT_EQ(credits[0].bytes, half * size);
}

TEST_F(Credits, AfterAFailoverOnlyWhatTheApplicationCanTakeIsAskedFor) {
  bench.hear(dial, history.frame(3));
  take(1);
  bench.step(Broken{dial, "torn"});

  const DialId next = bench.admit_next();

  EXPECT_EQ(bench.sent<wire::Observe>(next)[0].credit_bytes, 300 - 2 * size);
}

TEST_F(Credits, AFullApplicationIsNotFedByTheNextServerUntilItTakes) {
  bench.hear(dial, history.frame(20));
  ASSERT_GT(20 * size, 300U);
  bench.step(Broken{dial, "torn"});
  const DialId next = bench.admit_next();
  EXPECT_TRUE(bench.sent<wire::Observe>(next).empty());

  take(20);

  EXPECT_EQ(bench.sent<wire::Observe>(next).size(), 1U);
}

TEST_F(Credits, WhatIsTakenTwiceCountsOnce) {
  bench.hear(dial, history.frame(1));

  for (int i = 0; i < 100; ++i) bench.step(Taken{"", size});

  EXPECT_TRUE(bench.sent<wire::Credit>(dial).empty());
}

}  // namespace
}  // namespace kuilt::client
