#include "storage/wal.hpp"

#include <gmock/gmock.h>

#include "tests/storage/log_fixture.hpp"

namespace kuilt::storage {
namespace {

using ::testing::HasSubstr;

TEST(Wal, WhatWasWrittenIsRecovered) {
  MemoryDisk disk;
  const WalOptions options = small_segments();
  const auto wal = new_log(disk, options);
  const std::vector writes{write_of(1, 3, 1, 0), write_of(4, 9, 2, 3), write_of(10, 10, 2, 9)};
  for (const raft::Write& write : writes) ASSERT_TRUE(write_all(*wal, disk, write));

  const auto log = reopen(disk, options);

  ASSERT_TRUE(log) << log.error().message();
  EXPECT_EQ(log->recovered.last, Index(10));
  EXPECT_EQ(log->recovered.commit, Index(9));
  EXPECT_EQ(log->recovered.hard, writes.back().hard);
  EXPECT_EQ(log->recovered.terms,
            (std::vector<raft::TermRange>{{Index(1), Term(1)}, {Index(4), Term(2)}}));
  EXPECT_EQ(log->recovered.dropped_bytes, 0u);
  ASSERT_EQ(log->delivered.size(), 10u);
  EXPECT_TRUE(log->delivered[8].committed);
  EXPECT_FALSE(log->delivered[9].committed);
  EXPECT_EQ(log->recovered.tail, log->entries());
  EXPECT_EQ(read_whole(disk, *log->wal, Index(1), Index(10)), log->entries());
}

TEST(Wal, ALogMayBeginOnAnyBase) {
  MemoryDisk disk;
  const WalOptions options = small_segments();
  const Position base{Index(1000), Term(7)};
  const auto wal = new_log(disk, options, base);
  ASSERT_TRUE(write_all(*wal, disk, write_of(1001, 1004, 8, 1001)));

  const auto log = reopen(disk, options);

  ASSERT_TRUE(log) << log.error().message();
  EXPECT_EQ(log->recovered.base, base);
  EXPECT_EQ(log->recovered.last, Index(1004));
  EXPECT_EQ(read_whole(disk, *log->wal, Index(1001), Index(1004)), log->entries());
  const auto before = log->wal->reader()->read(disk, Index(1000), Index(1000), 1);
  ASSERT_FALSE(before);
  EXPECT_EQ(before.error().code(), ErrorCode::compacted);
}

TEST(Wal, ALogOverManySegmentsSurvivesAnyNumberOfRestarts) {
  MemoryDisk disk;
  const WalOptions options = small_segments();
  auto wal = new_log(disk, options);
  std::uint64_t last = 0;
  for (std::uint64_t round = 0; round < 8; ++round) {
    for (int i = 0; i < 9; ++i) {
      ASSERT_TRUE(write_all(*wal, disk, write_of(last + 1, last + 2, round + 1, last, 1500)));
      last += 2;
    }
    auto log = reopen(disk, options, round + 2);
    ASSERT_TRUE(log) << log.error().message();
    ASSERT_EQ(log->recovered.last, Index(last));
    ASSERT_EQ(log->delivered.size(), last);
    ASSERT_EQ(read_whole(disk, *log->wal, Index(1), Index(last)), log->entries());
    wal = std::move(log->wal);
  }
}

TEST(Wal, ATruncatedEntryIsNeverReadOrRecovered) {
  MemoryDisk disk;
  const WalOptions options = small_segments();
  const auto wal = new_log(disk, options);
  ASSERT_TRUE(write_all(*wal, disk, write_of(1, 8, 1, 2)));
  ASSERT_TRUE(write_all(*wal, disk, truncating(5, write_of(6, 7, 2, 2))));
  // In one batch: what its first write appends, its second takes back.
  const std::vector together{write_of(8, 9, 2, 2), truncating(6, write_of(7, 8, 3, 2))};
  ASSERT_TRUE(write_all(*wal, disk, together));
  ASSERT_TRUE(write_mark(*wal, disk));
  ASSERT_TRUE(write_all(*wal, disk, write_of(9, 9, 3, 9)));
  std::vector<raft::Entry> expected = write_of(1, 5, 1).entries;
  expected.push_back(write_of(6, 6, 2).entries[0]);
  for (const raft::Entry& one : write_of(7, 9, 3).entries) expected.push_back(one);

  EXPECT_EQ(read_whole(disk, *wal, Index(1), Index(9)), expected);
  const auto log = reopen(disk, options);

  ASSERT_TRUE(log) << log.error().message();
  EXPECT_EQ(log->entries(), expected);
  EXPECT_EQ(log->recovered.tail, expected);
  EXPECT_EQ(read_whole(disk, *log->wal, Index(1), Index(9)), expected);
}

TEST(Wal, OneBatchIsOneWriteAndOneSync) {
  MemoryDisk disk;
  const auto wal = new_log(disk, small_segments());
  const std::vector writes{write_of(1, 3, 1), write_of(4, 4, 1), write_of(5, 9, 1)};

  const Wal::Planned planned = wal->plan(writes);

  EXPECT_EQ(planned.taken, 3u);
  EXPECT_EQ(planned.batch.through, raft::WriteSeq(9));
  EXPECT_EQ(planned.batch.entries, 9u);
  ASSERT_EQ(planned.batch.ops.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<WriteAt>(planned.batch.ops[0]));
  EXPECT_TRUE(std::holds_alternative<SyncData>(planned.batch.ops[1]));
}

TEST(Wal, ABatchTakesNoMoreThanItsLimitButAlwaysOneWrite) {
  MemoryDisk disk;
  WalOptions options = small_segments();
  options.batch_bytes_max = 4000;
  const auto wal = new_log(disk, options);
  const std::vector writes{write_of(1, 1, 1, 0, 9000), write_of(2, 2, 1, 0, 1500),
                           write_of(3, 3, 1, 0, 1500), write_of(4, 4, 1, 0, 1500)};

  EXPECT_EQ(wal->plan(writes).taken, 1u);
  wal->done();
  EXPECT_EQ(wal->plan(std::span(writes).subspan(1)).taken, 2u);
}

TEST(Wal, AWriteLargerThanASegmentGetsASegmentOfItsOwn) {
  MemoryDisk disk;
  const WalOptions options = small_segments();
  const auto wal = new_log(disk, options);
  ASSERT_TRUE(write_all(*wal, disk, write_of(1, 2, 1, 0, 100'000)));
  ASSERT_TRUE(write_all(*wal, disk, write_of(3, 3, 1, 2)));

  const auto log = reopen(disk, options);

  ASSERT_TRUE(log) << log.error().message();
  EXPECT_EQ(log->recovered.last, Index(3));
  EXPECT_EQ(read_whole(disk, *log->wal, Index(1), Index(3)), log->entries());
}

TEST(Wal, AnIdleLogIsMarkedOnce) {
  MemoryDisk disk;
  const auto wal = new_log(disk, small_segments());
  EXPECT_TRUE(wal->plan_idle_mark().ops.empty()) << "create has left one";
  ASSERT_TRUE(write_all(*wal, disk, write_of(1, 1, 1)));

  const Batch mark = wal->plan_idle_mark();
  wal->done();

  EXPECT_EQ(mark.bytes, 4096u);
  EXPECT_TRUE(wal->plan_idle_mark().ops.empty());
}

TEST(Wal, AVoteNeedsNoEntry) {
  MemoryDisk disk;
  const WalOptions options = small_segments();
  const auto wal = new_log(disk, options);
  raft::Write vote;
  vote.hard = {Term(5), NodeId::named("c")};
  ASSERT_TRUE(write_all(*wal, disk, vote));

  const auto log = reopen(disk, options);

  ASSERT_TRUE(log) << log.error().message();
  EXPECT_EQ(log->recovered.hard, vote.hard);
}

TEST(Wal, APreparedSegmentIsUsed) {
  MemoryDisk disk;
  const WalOptions options = small_segments();
  const auto wal = new_log(disk, options);
  EXPECT_TRUE(wal->prepare_next_segment().empty()) << "the first is not half full";
  ASSERT_TRUE(write_all(*wal, disk, write_of(1, 1, 1, 0, 20'000)));

  const auto early = wal->prepare_next_segment();
  ASSERT_FALSE(early.empty());
  EXPECT_TRUE(wal->prepare_next_segment().empty());
  ASSERT_TRUE(perform_all(disk, early));
  wal->next_segment_ready();
  const raft::Write next = write_of(2, 2, 1, 0, 20'000);
  ASSERT_TRUE(wal->would_roll(std::span(&next, 1)));
  const Wal::Planned planned = wal->plan(std::span(&next, 1));

  for (const DiskOp& op : planned.batch.ops) EXPECT_FALSE(std::holds_alternative<CreateZeroed>(op));
  ASSERT_TRUE(perform_all(disk, planned.batch.ops));
  wal->done();
  const auto log = reopen(disk, options);
  ASSERT_TRUE(log) << log.error().message();
  EXPECT_EQ(log->recovered.last, Index(2));
}

TEST(Wal, ASegmentThatCouldNotBePreparedIsAskedForAgainAndMadeWhenNeeded) {
  MemoryDisk disk;
  const WalOptions options = small_segments();
  const auto wal = new_log(disk, options);
  ASSERT_TRUE(write_all(*wal, disk, write_of(1, 1, 1, 0, 20'000)));
  const std::size_t operations = wal->prepare_next_segment().size();
  ASSERT_GT(operations, 0U);

  wal->next_segment_failed();

  EXPECT_EQ(wal->prepare_next_segment().size(), operations);
  wal->next_segment_failed();
  EXPECT_FALSE(wal->next_segment_is_ready());
  ASSERT_TRUE(write_all(*wal, disk, write_of(2, 2, 1, 0, 20'000)));
  EXPECT_TRUE(reopen(disk, options));
}

TEST(Wal, ARecoveredLogIsNotGrownByIdleRestarts) {
  MemoryDisk disk;
  const WalOptions options = small_segments();
  const auto wal = new_log(disk, options);
  ASSERT_TRUE(write_all(*wal, disk, write_of(1, 1, 1)));
  ASSERT_TRUE(reopen(disk, options));
  const std::size_t files = disk.list()->size();

  for (std::uint64_t seed = 10; seed < 20; ++seed) ASSERT_TRUE(reopen(disk, options, seed));

  EXPECT_EQ(disk.list()->size(), files);
}

TEST(Wal, TheTailKeepsNoMoreThanItsLimitOfWhatIsCommitted) {
  MemoryDisk disk;
  WalOptions options = small_segments();
  options.tail_bytes_max = 3 * (20 + 64) + 10;
  const auto wal = new_log(disk, options);
  ASSERT_TRUE(write_all(*wal, disk, write_of(1, 20, 1, 16)));

  const auto log = reopen(disk, options);

  ASSERT_TRUE(log) << log.error().message();
  ASSERT_FALSE(log->recovered.tail.empty());
  EXPECT_EQ(log->recovered.tail.front().at.index, Index(14));
  EXPECT_EQ(log->recovered.tail.back().at.index, Index(20));
  EXPECT_EQ(log->delivered.size(), 20u);
}

TEST(Wal, AnErrorOfTheSinkStopsRecovery) {
  MemoryDisk disk;
  const WalOptions options = small_segments();
  ASSERT_TRUE(write_all(*new_log(disk, options), disk, write_of(1, 2, 1)));

  const auto refused =
      Wal::open(disk, options, test_identity, Rng(3), [](const raft::Entry&, bool) -> Status {
        return Error(ErrorCode::bad_frame, "no such command");
      });

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::bad_frame);
  EXPECT_THAT(refused.error().message(), HasSubstr("no such command"));
}

TEST(Wal, CreateRefusesADirectoryThatHoldsALog) {
  MemoryDisk disk;
  const WalOptions options = small_segments();
  ASSERT_TRUE(write_all(*new_log(disk, options), disk, write_of(1, 2, 1)));

  const auto again = Wal::create(disk, options, test_identity, {}, Rng(2));

  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::invalid_argument);
  EXPECT_TRUE(reopen(disk, options));
}

}  // namespace
}  // namespace kuilt::storage
