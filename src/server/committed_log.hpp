// committed_log.hpp: this server's own committed log, for its readers: the state machine, and the
// streams of the program that it runs in.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <vector>

#include "cluster/committed_tail.hpp"
#include "cluster/feed.hpp"
#include "kuilt/result.hpp"
#include "server/clock.hpp"
#include "storage/raft_storage.hpp"

namespace kuilt::server {

/// Each reader keeps an index of its own and asks for what follows it: the last entries come from
/// memory, which is bounded, the others from the file. While nobody reads, nothing is kept.
///
/// Threads: any. `publish` never waits for a reader, nor for the disk.
/// Ownership: borrows the log until `close()`. Shared with the streams, which may outlive the
/// server and then end.
class CommittedLog {
 public:
  CommittedLog(storage::RaftStorage& log, const cluster::FeedBoot& boot);

  /// The next committed run. The core thread calls it.
  void publish(const cluster::CommittedBatch& batch);
  /// The server stops: readers wake, and hear of nothing more.
  void close();

  /// Says that somebody reads, as long as it lives.
  class Reader {
   public:
    explicit Reader(CommittedLog& log) : log_(log) { log_.count_reader(1); }
    ~Reader() { log_.count_reader(-1); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

   private:
    CommittedLog& log_;
  };

  /// What follows `after`: `bytes_max` of it at most, but one entry at least. None: there is
  /// nothing yet, or it is not on this server's disk yet (`through()` tells the two apart).
  /// Errors: compacted, corrupt, io, stopped (after `close`), invalid_argument (`after` is not
  /// committed yet).
  Result<std::vector<raft::Entry>> next(Index after, std::size_t bytes_max);
  /// What follows `after`, up to `last`, from this server's disk and not from memory: what it
  /// returns is durable here. None: that is not on the disk yet.
  /// Errors: as for `next`.
  Result<std::vector<raft::Entry>> next_durable(Index after, Index last, std::size_t bytes_max);
  /// As `next`, but waits for it. None: not by then.
  Result<std::vector<raft::Entry>> await(Index after, std::size_t bytes_max, Instant deadline);
  [[nodiscard]] Position through() const;
  /// Done, if a reader may begin after this index. Errors: compacted, invalid_argument, stopped.
  [[nodiscard]] Status complaint_about(Index after) const;

 private:
  void count_reader(int by);
  [[nodiscard]] Status check(Index after) const;  // `mutex_` is held.
  Result<std::vector<raft::Entry>> read(Index first, Index last, std::size_t bytes_max);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  cluster::CommittedTail tail_;
  int readers_ = 0;
  bool closed_ = false;
  std::shared_mutex log_mutex_;  // Held while reading, so that `close` waits for the last read.
  storage::RaftStorage* log_;
};

}  // namespace kuilt::server
