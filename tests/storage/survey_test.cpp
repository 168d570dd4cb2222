// What a log directory holds, for people.
#include "storage/survey.hpp"

#include <gmock/gmock.h>

#include "tests/storage/log_fixture.hpp"

namespace kuilt::storage {
namespace {

using ::testing::HasSubstr;

/// Finds fault with one entry, as a decoder of what is in it may.
Wal::EntrySink complaining_of(Index index) {
  return [index](const raft::Entry& entry, bool /*committed*/) -> Status {
    if (entry.at.index != index) return Done{};
    return Error(ErrorCode::corrupt, "no command");
  };
}

struct Surveys : testing::Test {
  Surveys() {
    const auto wal = new_log(disk, small_segments());
    EXPECT_TRUE(write_all(*wal, disk, write_of(1, 3, 1, 0)));
    EXPECT_TRUE(write_all(*wal, disk, write_of(4, 6, 1, 3)));
  }
  MemoryDisk disk;
};

TEST_F(Surveys, SayHowFarTheLogGoesAndIsCommitted) {
  const auto found = survey(disk, complaining_of(Index(7)));

  ASSERT_TRUE(found) << found.error().message();
  EXPECT_FALSE(found->damage);
  EXPECT_EQ(found->last, Index(6));
  EXPECT_EQ(found->commit, Index(3));
}

TEST_F(Surveys, WhatTheSinkFindsDamagedIsDamageCommittedOrNot) {
  for (const Index index : {Index(2), Index(5)}) {
    const auto found = survey(disk, complaining_of(index));

    ASSERT_TRUE(found) << found.error().message();
    ASSERT_TRUE(found->damage) << index.value();
    EXPECT_THAT(found->damage->message(), HasSubstr("no command"));
  }
}

}  // namespace
}  // namespace kuilt::storage
