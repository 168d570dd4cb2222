// log_thread.hpp: the one thread that writes the log (group commit).
#pragma once

#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
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
/// Threads: one of its own, on which `written` is called. `submit`, `read`, `figures` from any.
/// Ownership: borrows the disk; owns the Wal.
/// Failure: the first failed operation ends it (rule 12): `written` carries the error, once, and
/// nothing that was not durable by then is ever acknowledged.
class LogThread final : public storage::RaftStorage {
 public:
  LogThread(storage::Disk& disk, std::unique_ptr<storage::Wal> wal, Written written);
  ~LogThread() override;
  LogThread(const LogThread&) = delete;
  LogThread& operator=(const LogThread&) = delete;

  void submit(std::vector<raft::Write> writes) override;
  Result<std::vector<raft::Entry>> read(Index first, Index last, std::size_t bytes_max) override;
  /// Finishes what was submitted, then joins.
  void stop();

  struct Figures {
    std::uint64_t batches = 0;  ///< One fdatasync each.
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    std::uint64_t sync_nanoseconds = 0;
  };
  [[nodiscard]] Figures figures() const;

 private:
  void run();
  Status write_all(const std::vector<raft::Write>& writes);
  Status carry_out(const storage::Batch& batch);
  void prepare_next_segment();
  void finish_preparing();
  Status await_next_segment(std::span<const raft::Write> writes);

  storage::Disk& disk_;
  std::unique_ptr<storage::Wal> wal_;
  Written written_;
  std::future<Status> preparing_;  // The next segment, while it is being made.
  std::optional<Error> prepare_failed_;
  BlockingMailbox<std::vector<raft::Write>> inbox_;
  mutable std::mutex published_mutex_;  // Guards the two below.
  std::shared_ptr<const storage::Wal::Reader> reader_;
  Figures figures_;
  std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace kuilt::server
