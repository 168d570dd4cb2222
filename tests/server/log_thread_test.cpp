// The log's own thread: what it does with segments that can't be made, and how it stops.
#include "server/log_thread.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "storage/memory_disk.hpp"
#include "tests/await.hpp"
#include "tests/storage/log_fixture.hpp"

namespace kuilt::server {
namespace {

using namespace std::chrono_literals;
using storage::write_of;
using testing::HasSubstr;

/// A disk for several threads, on which making files and syncing their names can fail or take long.
class TroubledDisk final : public storage::Disk {
 public:
  Status perform(const storage::DiskOp& op) override {
    const auto* create = std::get_if<storage::CreateZeroed>(&op);
    if (create != nullptr) std::this_thread::sleep_for(creation_takes);
    const std::lock_guard lock(mutex_);
    if (create != nullptr && creations_to_fail > 0) {
      --creations_to_fail;
      ++failed_creations_;
      return Error(ErrorCode::disk_full, "create " + create->file + ": no space left");
    }
    if (std::holds_alternative<storage::SyncDirectory>(op) && directory_syncs_fail) {
      return Error(ErrorCode::io, "sync directory: it broke");
    }
    return disk_.perform(op);
  }
  Result<std::vector<storage::FileInfo>> list() override {
    const std::lock_guard lock(mutex_);
    return disk_.list();
  }
  Result<Bytes> read(const storage::FileName& file, std::uint64_t offset,
                     std::size_t bytes) override {
    const std::lock_guard lock(mutex_);
    return disk_.read(file, offset, bytes);
  }
  [[nodiscard]] int failed_creations() {
    const std::lock_guard lock(mutex_);
    return failed_creations_;
  }

  // Set before the log runs.
  int creations_to_fail = 0;
  bool directory_syncs_fail = false;
  std::chrono::milliseconds creation_takes{};

 private:
  std::mutex mutex_;
  storage::MemoryDisk disk_;
  int failed_creations_ = 0;
};

class LogOnADisk : public testing::Test {
 protected:
  // Nine batches of one block fill the first segment to the last block.
  static constexpr std::uint64_t batches_of_a_segment = 9;

  /// Runs a log on the disk, which is sound until then.
  void start(const std::function<void(TroubledDisk&)>& trouble = [](TroubledDisk&) {}) {
    auto wal = storage::new_log(disk_, options_);
    trouble(disk_);
    log_ = std::make_unique<LogThread>(
        disk_, std::move(wal), [this](Result<raft::WriteSeq> written) { hear(std::move(written)); },
        [this](const std::string& line) {
          const std::lock_guard lock(mutex_);
          news_.push_back(line);
        });
  }
  /// Writes `count` batches of a block, each after the one before it. False: the log has ended.
  bool write(std::uint64_t count) {
    for (; count > 0; --count) {
      ++last_;
      log_->submit({write_of(last_, last_, 1, last_ - 1, 3000)});
      std::unique_lock lock(mutex_);
      EXPECT_TRUE(heard_.wait_for(lock, 20s, [&] { return error_ || written_ == last_; }));
      if (written_ != last_) return false;
    }
    return true;
  }
  void expect_everything_is_there() {
    const auto log = storage::reopen(disk_, options_);
    ASSERT_TRUE(log) << log.error().message();
    EXPECT_EQ(log->entries(), write_of(1, last_, 1, 0, 3000).entries);
  }

  storage::WalOptions options_ = storage::small_segments();
  TroubledDisk disk_;
  std::unique_ptr<LogThread> log_;
  std::uint64_t last_ = 0;
  std::mutex mutex_;  // Guards what follows.
  std::condition_variable heard_;
  std::uint64_t written_ = 0;
  std::optional<Error> error_;
  std::vector<std::string> news_;

 private:
  void hear(Result<raft::WriteSeq> written) {
    const std::lock_guard lock(mutex_);
    EXPECT_FALSE(error_) << "an error is the last word";
    if (written) {
      written_ = written->value();
    } else {
      error_ = std::move(written).error();
    }
    heard_.notify_all();
  }
};

TEST_F(LogOnADisk, AnIdleMarkThatNeedsANewSegmentWaitsForIt) {
  start([](TroubledDisk& disk) { disk.creation_takes = 600ms; });  // The log is idle before that.
  ASSERT_TRUE(write(batches_of_a_segment));

  EXPECT_TRUE(comes_true([&] { return log_->figures().batches > batches_of_a_segment; }));

  EXPECT_EQ(disk_.list()->size(), 2U);
  log_->stop();
  EXPECT_FALSE(error_);
  expect_everything_is_there();
}

TEST_F(LogOnADisk, AFullDiskStopsTheLogWithAnErrorAndNotAnAssertion) {
  start([](TroubledDisk& disk) { disk.creations_to_fail = 1000; });
  ASSERT_TRUE(write(batches_of_a_segment));

  EXPECT_FALSE(write(1));

  ASSERT_TRUE(error_);
  EXPECT_EQ(error_->code(), ErrorCode::disk_full);
  EXPECT_THAT(error_->message(), HasSubstr("write the log"));
}

TEST_F(LogOnADisk, AMarkIsLeftOutWhereAFullDiskHasNoSegmentForIt) {
  start([](TroubledDisk& disk) { disk.creations_to_fail = 1000; });
  ASSERT_TRUE(write(batches_of_a_segment));

  log_->stop();

  EXPECT_FALSE(error_) << error_->message();
  EXPECT_EQ(log_->figures().batches, batches_of_a_segment);
  disk_.creations_to_fail = 0;
  expect_everything_is_there();
}

TEST_F(LogOnADisk, ASegmentThatCouldNotBeMadeIsTriedAgain) {
  start([](TroubledDisk& disk) { disk.creations_to_fail = 1; });

  ASSERT_TRUE(write(3 * batches_of_a_segment));

  log_->stop();
  EXPECT_FALSE(error_);
  EXPECT_EQ(disk_.failed_creations(), 1);
  EXPECT_THAT(news_, testing::ElementsAre(HasSubstr("no space left")));
  expect_everything_is_there();
}

TEST_F(LogOnADisk, AFailedSyncOfTheDirectoryIsNotTriedAgain) {
  start([](TroubledDisk& disk) { disk.directory_syncs_fail = true; });

  EXPECT_FALSE(write(2 * batches_of_a_segment));

  ASSERT_TRUE(error_);
  EXPECT_EQ(error_->code(), ErrorCode::io);
  EXPECT_THAT(error_->message(), HasSubstr("make the next segment of the log: sync directory"));
  EXPECT_TRUE(news_.empty());
}

TEST_F(LogOnADisk, AStoppedLogIsMarkedAndItsNextStartNeedsNoNewSegment) {
  start();
  ASSERT_TRUE(write(2));

  log_->stop();

  EXPECT_EQ(log_->figures().batches, 3U);
  expect_everything_is_there();
  EXPECT_EQ(disk_.list()->size(), 1U);
}

}  // namespace
}  // namespace kuilt::server
