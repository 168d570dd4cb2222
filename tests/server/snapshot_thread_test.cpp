// The snapshot thread against a log and a disk that the test holds.
#include "server/snapshot_thread.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <mutex>

#include "cluster/committed_state.hpp"
#include "storage/memory_disk.hpp"
#include "tests/await.hpp"
#include "wire/entry.hpp"

namespace kuilt::server {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const storage::Identity identity{ClusterId::named("c"), HistoryId::named("h"), NodeId::named("a")};

raft::Entry entry_at(std::uint64_t index) {
  const Position at{Index(index), Term(1)};
  if (index == 1) {
    raft::Configuration configuration;
    configuration.members = {{identity.node, "a", "", "", true}};
    return wire::encode_configuration(at, LogTime(),
                                      std::make_shared<const raft::Configuration>(configuration));
  }
  if (index % 5 == 0) return wire::encode_cut(at, LogTime(index));
  wire::Command made;
  made.at = at;
  made.log_time = LogTime(index);
  made.author = "ann";
  made.request_id = RequestId(index);
  made.session = SessionId(1, 1);
  made.digest = wire::command_digest(made.room, made.body);
  return wire::encode_command(made);
}

/// The log on this server's disk, through `durable`.
class FileOfTheTest final : public storage::RaftStorage {
 public:
  void submit(std::vector<raft::Write> /*writes*/) override {}
  Result<std::vector<raft::Entry>> read(Index first, Index last, std::size_t) override {
    ++attempts;
    if (gate.valid()) {
      gate.wait();
      last = first;
    }
    if (last.value() > durable) return Error(ErrorCode::invalid_argument, "beyond the log");
    std::vector<raft::Entry> found;
    for (Index index = first; index <= last; index = index.next()) {
      found.push_back(entry_at(index.value()));
    }
    first_read = std::min<std::uint64_t>(first_read, first.value());
    return found;
  }
  std::atomic<std::uint64_t> durable = 20;
  std::atomic<int> attempts = 0;
  std::shared_future<void> gate;  ///< If set: reads wait for it, and find one entry each.
  std::atomic<std::uint64_t> first_read = 1000;
};

/// Fails the operation after the next `left`, once.
class FailingDisk final : public storage::Disk {
 public:
  Status perform(const storage::DiskOp& op) override {
    const std::lock_guard lock(mutex_);
    if (left && (*left)-- == 0) {
      left.reset();
      return Error(ErrorCode::disk_full, "no room for it");
    }
    ++performed;
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
  std::optional<int> left;
  int performed = 0;

 private:
  std::mutex mutex_;
  storage::MemoryDisk disk_;
};

class SnapshotThreads : public ::testing::Test {
 protected:
  SnapshotThreads() : digests_(1024) {
    for (std::uint64_t i = 1; i <= 20; ++i) digests_.extend(entry_at(i));
    log_.emplace(
        file_,
        cluster::FeedBoot{identity.cluster, identity.history, {}, {{Index(1), Term(1)}}, digests_});
    start({});
  }
  ~SnapshotThreads() override {
    thread_.reset();
    log_->close();
  }
  void start(FoundSnapshots found) {
    thread_.reset();
    thread_.emplace(SnapshotThread::Parts{.disk = disk_,
                                          .identity = identity,
                                          .log = *log_,
                                          .base = {},
                                          .found = std::move(found),
                                          .on_news = [this](const std::string& line) {
                                            const std::lock_guard lock(mutex_);
                                            news_.push_back(line);
                                          }});
  }
  void take(std::uint64_t cut) {
    ASSERT_TRUE(comes_true([&] { return thread_->claim(); }));
    thread_->write({Index(cut), Term(1)}, [](SnapshotSink& sink) { return sink.write("state"); });
  }
  [[nodiscard]] Index newest() const {
    const auto figures = thread_->figures();
    return figures.newest ? figures.newest->at.index : Index();
  }
  [[nodiscard]] std::vector<std::string> news() {
    const std::lock_guard lock(mutex_);
    return news_;
  }
  [[nodiscard]] static Bytes state_at(std::uint64_t cut) {
    cluster::CommittedState state(Position{});
    for (std::uint64_t i = 1; i <= cut; ++i) EXPECT_TRUE(state.take(entry_at(i)));
    return state.encode();
  }

  FileOfTheTest file_;
  FailingDisk disk_;
  cluster::RoomDigests digests_;
  std::optional<CommittedLog> log_;
  std::mutex mutex_;
  std::vector<std::string> news_;
  std::optional<SnapshotThread> thread_;
};

TEST_F(SnapshotThreads, ASnapshotHoldsWhatTheLogComesToThroughItsCutAndNothingBehindIt) {
  take(10);
  ASSERT_TRUE(comes_true([&] { return newest() == Index(10); }));

  const auto survey = storage::survey_snapshots(disk_, identity).or_throw();

  ASSERT_EQ(survey.sound.size(), 1U);
  EXPECT_EQ(survey.sound[0].state, state_at(10));
  EXPECT_EQ(survey.sound[0].header.log_time, LogTime(9));
  EXPECT_EQ(thread_->figures().newest->digest, cluster::digest_of_state(state_at(10)));
  EXPECT_EQ(thread_->figures().written, 1U);
}

TEST_F(SnapshotThreads, TheNextOneReadsTheLogFromTheLastCutOn) {
  take(10);
  ASSERT_TRUE(comes_true([&] { return newest() == Index(10); }));
  file_.first_read = 1000;

  take(20);
  ASSERT_TRUE(comes_true([&] { return newest() == Index(20); }));

  EXPECT_EQ(file_.first_read, 11U);
  EXPECT_EQ(storage::survey_snapshots(disk_, identity)->sound[0].state, state_at(20));
}

TEST_F(SnapshotThreads, ItWaitsUntilTheCutIsOnTheOwnDisk) {
  file_.durable = 9;
  take(10);
  ASSERT_FALSE(thread_->claim()) << "it is being written";
  ASSERT_TRUE(comes_true([&] { return file_.attempts > 3; }));
  EXPECT_EQ(newest(), Index());
  EXPECT_TRUE(disk_.list()->empty());

  file_.durable = 10;

  EXPECT_TRUE(comes_true([&] { return newest() == Index(10); }));
}

TEST_F(SnapshotThreads, AFailureAtAnyOperationCostsThisSnapshotLeavesNothingAndIsNamed) {
  take(5);
  ASSERT_TRUE(comes_true([&] { return newest() == Index(5); }));
  const int operations = disk_.performed;
  for (int count = 0; count < operations; ++count) {
    disk_.left = count;
    const std::uint64_t given_up = thread_->figures().given_up;
    take(10);
    ASSERT_TRUE(comes_true([&] { return thread_->figures().given_up == given_up + 1; })) << count;
    EXPECT_THAT(thread_->figures().failure, HasSubstr("the snapshot at index 10: no room for it"));
    EXPECT_THAT(news(), Contains(HasSubstr("the snapshot at index 10 was given up: no room")));
    EXPECT_EQ(newest(), Index(5));
    ASSERT_TRUE(comes_true([&] { return thread_->claim(); }));
    thread_->release();
    const auto survey = storage::survey_snapshots(disk_, identity).or_throw();
    EXPECT_TRUE(survey.damaged.empty()) << count;
    const auto files = disk_.list().or_throw();
    for (const storage::FileInfo& file : files) {
      EXPECT_FALSE(storage::is_unfinished_snapshot(file.name)) << count;
    }
  }
  take(10);
  EXPECT_TRUE(comes_true([&] { return newest() == Index(10); }));
  EXPECT_EQ(thread_->figures().failure, "");
}

TEST_F(SnapshotThreads, AWriterThatSaysDoneAfterItsSinkSaidNoHasNotWritten) {
  ASSERT_TRUE(thread_->claim());
  thread_->write({Index(5), Term(1)}, [this](SnapshotSink& sink) -> Status {
    disk_.left = 0;
    static_cast<void>(sink.write(std::string(storage::snapshot_piece_bytes_max, 'x')));
    static_cast<void>(sink.write("the rest"));
    return Done{};
  });

  EXPECT_TRUE(comes_true([&] { return thread_->figures().given_up == 1; }));
  EXPECT_EQ(newest(), Index());
}

TEST_F(SnapshotThreads, AServerThatStopsWaitsForTheWriterWhoseSinkThenSaysSo) {
  std::atomic<bool> began = false;
  std::atomic<bool> was_told = false;
  ASSERT_TRUE(thread_->claim());
  thread_->write({Index(5), Term(1)}, [&](SnapshotSink& sink) -> Status {
    began = true;
    const std::string piece(storage::snapshot_piece_bytes_max, 'x');
    Status status = Done{};
    const auto ends = [&] { return !(status = sink.write(piece)); };
    was_told = comes_true(ends) && status.error().code() == ErrorCode::stopped;
    return status;
  });
  ASSERT_TRUE(comes_true([&] { return began.load(); }));

  thread_->stop();

  EXPECT_TRUE(was_told);
  EXPECT_THAT(news(), IsEmpty());
}

TEST_F(SnapshotThreads, AServerThatStopsDoesNotWaitForTheRestOfALongLog) {
  std::promise<void> go_on;
  file_.gate = go_on.get_future().share();
  take(20);
  ASSERT_TRUE(comes_true([&] { return file_.attempts > 0; }));

  const auto stopping = std::async(std::launch::async, [&] { thread_->stop(); });
  ASSERT_TRUE(comes_true([&] {  // One that stops lets nobody begin.
    thread_->release();
    return !thread_->claim();
  }));
  go_on.set_value();
  stopping.wait();

  EXPECT_EQ(file_.attempts, 1);
  EXPECT_EQ(newest(), Index());
  EXPECT_THAT(news(), IsEmpty());
  EXPECT_TRUE(disk_.list()->empty());
}

TEST_F(SnapshotThreads, WhatTheStartFoundUnusableGoesWithTheNextOne) {
  const storage::FileName bad = storage::snapshot_name({Index(4), Term(1)});
  ASSERT_TRUE(disk_.perform(storage::CreateZeroed{bad, 10}));
  FoundSnapshots found;
  found.unusable = {bad};
  start(found);

  take(5);

  EXPECT_TRUE(comes_true([&] {
    const auto files = disk_.list().or_throw();
    return files.size() == 1 && files[0].name == storage::snapshot_name({Index(5), Term(1)});
  }));
}

TEST_F(SnapshotThreads, WhatTheStartLeftAloneStaysAndCountsAsNone) {
  const storage::FileName old = storage::snapshot_name({Index(4), Term(1)});
  const storage::FileName ahead = storage::snapshot_name({Index(19), Term(1)});
  for (const auto& name : {old, ahead}) {
    ASSERT_TRUE(disk_.perform(storage::CreateZeroed{name, 10}));
  }
  FoundSnapshots found;
  found.untouched = {old, ahead};
  start(found);

  std::vector<storage::FileName> written;
  for (const std::uint64_t cut : {5U, 10U, 15U}) {
    take(cut);
    ASSERT_TRUE(comes_true([&] { return newest() == Index(cut); }));
    written.push_back(storage::snapshot_name({Index(cut), Term(1)}));
  }

  const auto names = [&] {
    std::vector<storage::FileName> listed;
    const auto files = disk_.list().or_throw();
    for (const storage::FileInfo& file : files) listed.push_back(file.name);
    return listed;
  };
  const std::vector<storage::FileName> left = {old, written[1], written[2], ahead};
  EXPECT_TRUE(comes_true([&] { return names() == left; }));
}

}  // namespace
}  // namespace kuilt::server
