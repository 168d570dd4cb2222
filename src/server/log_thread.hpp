// log_thread.hpp: the one thread that writes the log (group commit).
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "kuilt/result.hpp"
#include "raft/core.hpp"
#include "server/mailbox.hpp"
#include "storage/disk.hpp"
#include "storage/raft_storage.hpp"
#include "storage/wal.hpp"

namespace kuilt::server {

/// Writes what the core orders: all that queued during the last sync goes into the next batch, one
/// write and one sync each, never two at once. The next segment is made ready off this thread.
///
/// Threads: one of its own, on which `written` and `news` are called. `submit`, `read`, `figures`
/// from any.
/// Ownership: borrows the disk; owns the Wal.
/// Failure: the first failed operation ends it (rule 12): `written` carries the error, once, and
/// nothing that was not durable by then is ever acknowledged. Only a next segment that can't be
/// made ahead of time is no failure yet: `news` says so, and it is tried again until it is needed.
class LogThread final : public storage::RaftStorage {
 public:
  using News = std::function<void(const std::string&)>;  ///< A line for people.

  LogThread(storage::Disk& disk, std::unique_ptr<storage::Wal> wal, Written written, News news);
  ~LogThread() override;
  LogThread(const LogThread&) = delete;
  LogThread& operator=(const LogThread&) = delete;

  void submit(std::vector<raft::Write> writes) override;
  Result<std::vector<raft::Entry>> read(Index first, Index last, std::size_t bytes_max) override;
  /// Finishes what was submitted, marks the log synced, then joins.
  void stop();

  struct Figures {
    std::uint64_t batches = 0;  ///< One fdatasync each.
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    std::uint64_t sync_nanoseconds = 0;
  };
  [[nodiscard]] Figures figures() const;

 private:
  /// How making a segment ended. One that was not created is not there: it may be tried again.
  struct Prepared {
    Status status;
    bool created = false;
  };

  void run();
  Status write_all(const std::vector<raft::Write>& writes);
  Status write_mark();
  Status carry_out(const storage::Batch& batch);
  Status prepare_next_segment();
  Status await_next_segment(std::span<const raft::Write> writes);
  Status finish_preparing();
  [[nodiscard]] Prepared prepare(const std::vector<storage::DiskOp>& ops) const;

  storage::Disk& disk_;
  std::unique_ptr<storage::Wal> wal_;
  Written written_;
  News news_;
  std::future<Prepared> preparing_;  // The next segment, while it is being made.
  Instant prepare_again_{};          // Not before, after a failure.
  bool prepare_failed_ = false;      // The last time, and `news` was told.
  BlockingMailbox<std::vector<raft::Write>> inbox_;
  mutable std::mutex published_mutex_;  // Guards the two below.
  std::shared_ptr<const storage::Wal::Reader> reader_;
  Figures figures_;
  std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace kuilt::server
