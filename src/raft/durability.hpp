// durability.hpp: how far this server's own disk vouches for the log while writes are under way.
#pragma once

#include <cstddef>
#include <deque>

#include "kuilt/types.hpp"

namespace kuilt::raft {

/// Counts the writes that one core has ordered since it booted. The disk finishes them in order.
using WriteSeq = Number<struct WriteSeqTag>;

/// Remembers what each unfinished write will make durable. A truncation takes that back: when an
/// old write finishes after its entries were replaced, it vouches only for what is still there.
class Durability {
 public:
  /// Everything through `durable` was recovered from disk.
  explicit Durability(Index durable) : index_(durable) {}

  /// Orders a write after which the log ends at `last`.
  WriteSeq order(Index last, Instant now);
  /// The newest write carries entries through `last` now, of so many bytes more.
  void extend_newest(Index last, std::size_t bytes = 0);
  void truncate_after(Index last);
  /// The disk is done through `seq`. Pre: `seq` was ordered.
  void finish(WriteSeq seq);

  [[nodiscard]] Index index() const { return index_; }
  [[nodiscard]] bool done(WriteSeq seq) const { return seq <= finished_; }
  /// The write that makes the entry at `index` durable; zero, if it already is.
  [[nodiscard]] WriteSeq write_of(Index index) const;
  /// Age of the oldest unfinished write; zero, if there is none.
  [[nodiscard]] Duration age(Instant now) const;
  /// Of the unfinished writes: what waits for the disk in memory, though it was truncated since.
  [[nodiscard]] std::size_t unfinished_bytes() const { return unfinished_bytes_; }

  struct Unfinished {
    WriteSeq seq;
    Index last;
    Instant since;
    std::size_t bytes = 0;
  };
  [[nodiscard]] const std::deque<Unfinished>& unfinished() const { return unfinished_; }

 private:
  Index index_;
  WriteSeq ordered_;
  WriteSeq finished_;
  std::size_t unfinished_bytes_ = 0;
  std::deque<Unfinished> unfinished_;  // Sorted by seq, and by last.
};

}  // namespace kuilt::raft
