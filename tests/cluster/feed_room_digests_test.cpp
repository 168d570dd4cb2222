#include "cluster/room_digests.hpp"

#include <gtest/gtest.h>

#include "kuilt/detail/rng.hpp"
#include "tests/cluster/feed_fixture.hpp"

namespace kuilt::cluster {
namespace {

using testing::TestLog;

// Every way to the digest of every place must give what a walk over the whole log gives.
void expect_checkpoints_hold(const TestLog& log, const RoomDigests& digests, Index base,
                             std::uint64_t interval) {
  for (const std::string room : {"", "a", "b", "never used"}) {
    EXPECT_EQ(digests.digest(room), log.digest(room, log.last().index));
    for (Index i = base; i <= log.last().index; i = i.next()) {
      const RoomDigests::Checkpoint found = digests.before(room, i);
      EXPECT_LE(found.index, i);
      EXPECT_GE(found.index, base);
      EXPECT_LT(i.value() - found.index.value(), interval);
      EXPECT_EQ(found.digest, log.digest(room, found.index)) << room << " at " << i.value();
    }
  }
}

TEST(RoomDigests, CheckpointIsTrueAndLessThanAnIntervalAwayEverywhere) {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U}) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    const std::uint64_t interval = 1 + rng.below(9);
    const Position base{Index(rng.below(30)), Term(3)};
    TestLog log(base);
    RoomDigests digests(interval);
    digests.begin(base, {});

    for (int i = 0; i < 120; ++i) {
      const std::uint64_t what = rng.below(20);
      if (what == 0) {
        log.command("x", "a");
      } else if (what < 4) {
        log.command("y", "b");
      } else if (what < 12) {
        log.command("z");
      } else {
        log.no_op();
      }
      digests.extend(log.at(log.last().index));
    }

    expect_checkpoints_hold(log, digests, base.index, interval);
  }
}

TEST(RoomDigests, ChainsOfASnapshotAreContinued) {
  TestLog log({Index(1000), Term(7)});
  RoomDigests digests(10);

  digests.begin({Index(1000), Term(7)}, {{"", 42}});
  log.command("x");
  digests.extend(log.at(Index(1001)));

  EXPECT_EQ(digests.digest(""), wire::chain(42, wire::public_part(log.at(Index(1001)))));
  EXPECT_EQ(digests.before("", Index(1000)).digest, 42U);
  EXPECT_EQ(digests.through(), (Position{Index(1001), Term(7)}));
}

TEST(RoomDigestsDeath, GapInTheLogIsABug) {
  TestLog log;
  log.command("one");
  log.command("two");
  RoomDigests digests(10);

  EXPECT_DEATH(digests.extend(log.at(Index(2))), "check failed");
}

}  // namespace
}  // namespace kuilt::cluster
