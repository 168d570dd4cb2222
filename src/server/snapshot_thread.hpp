// snapshot_thread.hpp: the one thread that writes snapshots.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "kuilt/server.hpp"
#include "kuilt/state_machine.hpp"
#include "server/clock.hpp"
#include "server/committed_log.hpp"
#include "storage/identity.hpp"
#include "storage/snapshots.hpp"

namespace kuilt::server {

/// What a start found in the directory of snapshots.
struct FoundSnapshots {
  std::optional<storage::SnapshotFile> newest;  ///< Sound, and the log's.
  std::vector<storage::FileName> unusable;      ///< Go with the next snapshot that is written.
  /// Neither used nor removed: what can't be read now, or not by this version, may be sound.
  std::vector<storage::FileName> untouched;
};

struct SnapshotFigures {
  std::optional<SnapshotStatus> newest;
  std::string failure;        ///< Why the last one was given up; empty if it was not.
  std::uint64_t written = 0;  ///< Since the start, as the two below.
  std::uint64_t given_up = 0;
  std::uint64_t passed_over = 0;  ///< Cuts that came while one was being written.
};

/// Writes what the state machine has put aside at a cut, with what the log says of the cluster
/// through there: read from this server's disk, beginning at the snapshot before. So no snapshot is
/// ever ahead of the own disk, and neither the core nor the apply thread waits for one.
///
/// Threads: one of its own, on which writers run and `on_news` is called. Public calls from any.
/// Ownership: borrows the disk and the log, which outlive it.
/// Failure: whatever goes wrong ends this snapshot, never the server: the log holds it all.
class SnapshotThread {
 public:
  struct Parts {
    storage::Disk& disk;
    storage::Identity identity;
    CommittedLog& log;
    Position base;  ///< Of the log.
    FoundSnapshots found;
    std::function<void(const std::string&)> on_news;  ///< Lines for people.
  };
  explicit SnapshotThread(Parts parts);
  ~SnapshotThread();
  SnapshotThread(const SnapshotThread&) = delete;
  SnapshotThread& operator=(const SnapshotThread&) = delete;

  /// Whether a snapshot may begin. If so, one of the three below must follow.
  [[nodiscard]] bool claim();
  void write(Position cut, SnapshotWriter writer);
  void give_up(Position cut, const Error& error);
  void release();  ///< There is nothing to write.

  /// Gives up what is being written, and waits for the writer's call that runs.
  void stop();
  [[nodiscard]] SnapshotFigures figures() const;

 private:
  struct Job {
    Position cut;
    SnapshotWriter writer;
  };

  void run();
  [[nodiscard]] std::optional<Job> next_job();
  Result<std::uint64_t> write_file(const Job& job, storage::SnapshotHeader& header);
  Result<Bytes> state_at(Position cut, storage::SnapshotHeader& header);
  Status perform(const std::vector<storage::DiskOp>& ops);
  void clean_up();
  void end(const Job& job, const storage::SnapshotHeader& header, Result<std::uint64_t> written);
  void fail(Position cut, const Error& error);
  [[nodiscard]] bool stopped() const;
  [[nodiscard]] bool stops_within(Duration pause);

  const Parts parts_;
  std::vector<storage::FileName> unusable_;       // Of its own thread.
  std::vector<storage::FileName> untouched_;      // Of its own thread.
  std::optional<storage::FileInfo> newest_file_;  // Of its own thread.

  mutable std::mutex mutex_;  // Guards what follows.
  std::condition_variable changed_;
  bool stopped_ = false;
  bool claimed_ = false;
  std::optional<Job> job_;
  SnapshotFigures figures_;
  Instant written_at_{};
  std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace kuilt::server
