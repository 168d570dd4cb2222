// Damage that is not a torn tail stops recovery, and the message says where and why.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/format.hpp"
#include "tests/storage/log_fixture.hpp"

namespace kuilt::storage {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// A log over three segments: a mark in block 1 of the first, entries of 3000 bytes in blocks of
/// their own from there on.
class Corruption : public ::testing::Test {
 protected:
  Corruption() {
    wal_ = new_log(disk_, options_);
    for (std::uint64_t i = 1; i <= 24; ++i) {
      EXPECT_TRUE(write_all(*wal_, disk_, write_of(i, i, 1, i - 1, 3000)));
    }
    EXPECT_NE(disk_.contents(segment_name(3)), nullptr);
  }

  std::string& segment(std::uint64_t number) { return *disk_.contents(segment_name(number)); }
  void flip(std::uint64_t number, std::size_t offset) { segment(number)[offset] ^= 0x10; }
  void expect_refused(ErrorCode code, const auto& message) {
    const auto log = reopen(disk_, options_);
    ASSERT_FALSE(log);
    EXPECT_EQ(log.error().code(), code) << log.error().message();
    EXPECT_THAT(log.error().message(), message);
  }

  WalOptions options_ = small_segments();
  MemoryDisk disk_;
  std::unique_ptr<Wal> wal_;
};

TEST_F(Corruption, AnUndamagedLogIsOpened) {
  const auto log = reopen(disk_, options_);

  ASSERT_TRUE(log) << log.error().message();
  EXPECT_EQ(log->recovered.last, Index(24));
}

TEST_F(Corruption, ADamagedEntryBeforeASoundBatchIsNamed) {
  flip(3, 2 * 4096 + 200);
  expect_refused(
      ErrorCode::corrupt,
      AllOf(HasSubstr("wal-0000000000000003, offset 8192, after index 20"),
            HasSubstr("bad checksum of entry 21"), HasSubstr("a later batch is at offset 12288")));
}

TEST_F(Corruption, ADamagedBatchHeaderBeforeASoundBatchIsNamed) {
  flip(3, 2 * 4096 + 9);
  expect_refused(ErrorCode::corrupt,
                 AllOf(HasSubstr("offset 8192"), HasSubstr("bad checksum of a batch header"),
                       HasSubstr("a later batch")));
}

TEST_F(Corruption, ADamagedRecordHeaderIsNamed) {
  flip(3, 2 * 4096 + batch_header_bytes + 9);
  expect_refused(ErrorCode::corrupt, HasSubstr("bad checksum of a record header"));
}

TEST_F(Corruption, AnEntryInASealedSegmentIsNeverTorn) {
  flip(1, 10 * 4096 + 200);
  expect_refused(ErrorCode::corrupt, AllOf(HasSubstr("wal-0000000000000001, offset 40960"),
                                           HasSubstr("bad checksum of entry 9")));
}

TEST_F(Corruption, ABatchThatAMarkVouchesForIsNeverTorn) {
  const std::size_t offset = 5 * 4096;  // Of entry 24.
  ASSERT_TRUE(write_mark(*wal_, disk_));
  flip(3, offset + 200);
  expect_refused(ErrorCode::corrupt, AllOf(HasSubstr("offset 20480"), HasSubstr("entry 24")));
}

TEST_F(Corruption, TheLastBatchThatNothingVouchesForIsTorn) {
  flip(3, 5 * 4096 + 200);

  const auto log = reopen(disk_, options_);

  ASSERT_TRUE(log) << log.error().message();
  EXPECT_EQ(log->recovered.last, Index(23));
  EXPECT_EQ(log->recovered.dropped_bytes, 4096u);
}

TEST_F(Corruption, ADamagedHeaderOfASegmentBeforeTheLastIsNamed) {
  flip(2, 100);
  expect_refused(ErrorCode::corrupt, AllOf(HasSubstr("wal-0000000000000002, offset 0"),
                                           HasSubstr("bad checksum of the segment header")));
}

TEST_F(Corruption, ADamagedHeaderOfTheLastSegmentIsNamed) {
  flip(3, 100);
  expect_refused(ErrorCode::corrupt, AllOf(HasSubstr("wal-0000000000000003, offset 0"),
                                           HasSubstr("bad checksum of the segment header")));
}

TEST_F(Corruption, ADamagedSealIsNotTakenForAnUnfinishedRoll) {
  flip(1, segment(1).size() - 4096 + 10);
  expect_refused(ErrorCode::corrupt, HasSubstr("not sealed, and more than one segment follows"));
}

TEST_F(Corruption, ADamagedLastSealIsNotTakenForAnUnfinishedRoll) {
  flip(2, segment(2).size() - 4096 + 10);
  expect_refused(ErrorCode::corrupt, HasSubstr("the seal is damaged: the next segment is in use"));
}

TEST_F(Corruption, AMissingFirstSegmentIsNamed) {
  ASSERT_TRUE(disk_.perform(RemoveFile{segment_name(1)}));
  expect_refused(ErrorCode::corrupt, HasSubstr("the segments before it are missing"));
}

TEST_F(Corruption, AMissingMiddleSegmentIsNamed) {
  ASSERT_TRUE(disk_.perform(RemoveFile{segment_name(2)}));
  expect_refused(ErrorCode::corrupt, HasSubstr("wal-0000000000000002, offset 0, after index 9: "
                                               "missing, and a later segment is there"));
}

TEST_F(Corruption, AMissingLastSegmentIsNamed) {
  ASSERT_TRUE(disk_.perform(RemoveFile{segment_name(3)}));
  expect_refused(ErrorCode::corrupt,
                 AllOf(HasSubstr("wal-0000000000000003"), HasSubstr("missing, and the segment")));
}

TEST_F(Corruption, ARenamedSegmentIsNamed) {
  ASSERT_TRUE(disk_.perform(CreateZeroed{segment_name(9), segment(3).size()}));
  segment(9) = segment(3);
  ASSERT_TRUE(disk_.perform(RemoveFile{segment_name(3)}));
  expect_refused(ErrorCode::corrupt, HasSubstr("this is segment 3 under another name"));
}

TEST_F(Corruption, SwappedSegmentsAreNamed) {
  std::swap(segment(2), segment(3));
  expect_refused(ErrorCode::corrupt, HasSubstr("this is segment 3 under another name"));
}

TEST_F(Corruption, ADuplicatedSegmentIsNamed) {
  ASSERT_TRUE(disk_.perform(CreateZeroed{segment_name(4), 0}));
  segment(4) = segment(3);
  expect_refused(ErrorCode::corrupt, HasSubstr("continues another end"));
}

TEST_F(Corruption, AnEmptySegmentIsNamed) {
  segment(3).clear();
  expect_refused(ErrorCode::corrupt,
                 AllOf(HasSubstr("wal-0000000000000003"), HasSubstr("no segment header")));
}

TEST_F(Corruption, ACutSegmentIsNamed) {
  segment(2).resize(segment(2).size() / 2);
  expect_refused(ErrorCode::corrupt, HasSubstr("bytes instead of"));
}

TEST_F(Corruption, ASegmentOfAnEarlierLifeIsNamed) {
  MemoryDisk other;
  const auto log = new_log(other, options_, {}, 50);
  for (std::uint64_t i = 1; i <= 24; ++i) {
    ASSERT_TRUE(write_all(*log, other, write_of(i, i, 1, i - 1, 3000)));
  }
  segment(2) = *other.contents(segment_name(2));
  expect_refused(ErrorCode::corrupt, HasSubstr("not the segment that the one before it names"));
}

TEST_F(Corruption, ABlockThatStrayedFromItsPlaceIsNoBatch) {
  segment(3).replace(3 * 4096, 4096, segment(3).substr(2 * 4096, 4096));
  expect_refused(ErrorCode::corrupt, HasSubstr("offset 12288"));
}

// Recovery copied entry 24 and synced it before it sealed segment 3, which ends before it.
TEST_F(Corruption, ADamagedCopyBehindASealIsNeverTorn) {
  ASSERT_TRUE(reopen(disk_, options_));
  segment(4).replace(2 * 4096, 4096, 4096, '\0');  // The mark, which would vouch for it too.
  flip(4, 4096 + 200);
  expect_refused(ErrorCode::corrupt, AllOf(HasSubstr("wal-0000000000000004, offset 4096"),
                                           HasSubstr("bad checksum of entry 24"),
                                           HasSubstr("the seal before it vouches for")));
}

TEST_F(Corruption, AMissingCopyBehindASealIsNamed) {
  ASSERT_TRUE(reopen(disk_, options_));
  segment(4).replace(4096, 2 * 4096, 2 * 4096, '\0');
  expect_refused(ErrorCode::corrupt, HasSubstr("the seal before it vouches for"));
}

TEST_F(Corruption, AnEmptyDirectoryHoldsNoLog) {
  MemoryDisk empty;
  const auto log = reopen(empty, options_);
  ASSERT_FALSE(log);
  EXPECT_THAT(log.error().message(), HasSubstr("no segment"));
}

TEST_F(Corruption, ALogOfAnotherClusterHistoryOrNodeIsRefused) {
  Identity cluster = test_identity;
  cluster.cluster = ClusterId::named("other");
  Identity history = test_identity;
  history.history = HistoryId::named("other");
  Identity node = test_identity;
  node.node = NodeId::named("other");

  for (const Identity& identity : {cluster, history, node}) {
    const auto log = reopen(disk_, options_, 7, identity);
    ASSERT_FALSE(log);
    EXPECT_EQ(log.error().code(), ErrorCode::directory_of_another);
  }
}

TEST_F(Corruption, ANewerFormatIsRefused) {
  segment(1)[8] = 2;
  expect_refused(ErrorCode::unsupported_format, HasSubstr("format version 2"));
}

TEST_F(Corruption, ANewerFormatBehindTheActiveSegmentIsNamed) {
  ASSERT_TRUE(disk_.perform(CreateZeroed{segment_name(4), 0}));
  segment(4) = segment(3);
  segment(4)[8] = 2;
  expect_refused(ErrorCode::unsupported_format,
                 AllOf(HasSubstr("format version 2"), HasSubstr("wal-0000000000000004")));
}

TEST_F(Corruption, AReaderChecksWhatItReads) {
  const auto reader = wal_->reader();
  flip(1, 3 * 4096 + 200);

  const auto sound = reader->read(disk_, Index(12), Index(12), 1);
  const auto damaged = reader->read(disk_, Index(2), Index(2), 1);

  EXPECT_TRUE(sound);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code(), ErrorCode::corrupt);
  EXPECT_THAT(damaged.error().message(), HasSubstr("bad checksum of entry 2"));
}

}  // namespace
}  // namespace kuilt::storage
