#include "storage/raft_storage.hpp"

#include <gtest/gtest.h>

#include "tests/storage/log_fixture.hpp"

namespace kuilt::storage {
namespace {

TEST(InMemoryRaftStorage, WhatWasSubmittedIsCompletedAndRead) {
  std::vector<raft::WriteSeq> completed;
  InMemoryRaftStorage storage({Index(1000), Term(7)}, [&](Result<raft::WriteSeq> through) {
    ASSERT_TRUE(through);
    completed.push_back(*through);
  });

  storage.submit({write_of(1001, 1004, 8), truncating(1002, write_of(1003, 1003, 9))});

  EXPECT_EQ(completed, std::vector{raft::WriteSeq(1003)});
  const auto read = storage.read(Index(1002), Index(1003), 1000);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ(read->back().at, (Position{Index(1003), Term(9)}));
  EXPECT_EQ(storage.read(Index(1001), Index(1003), 1)->size(), 1u);
  EXPECT_EQ(storage.read(Index(1000), Index(1001), 1).error().code(), ErrorCode::compacted);
  EXPECT_EQ(storage.read(Index(1003), Index(1004), 1).error().code(), ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace kuilt::storage
