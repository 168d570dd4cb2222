// committed_tail.hpp: the committed log, for those that read its entries one after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <variant>
#include <vector>

#include "cluster/feed_ring.hpp"
#include "raft/core.hpp"

namespace kuilt::cluster {

/// Where a reader of the committed log finds what follows: the last entries are in memory, within
/// a bound, and the others in the file. A reader is an index, not a queue: a slow one, or one that
/// begins at the start of a long log, costs no memory.
///
/// Threads: none; one caller at a time. Copyable.
class CommittedTail {
 public:
  CommittedTail(Position base, std::vector<raft::TermRange> terms, Position through)
      : terms_(base, std::move(terms), through), ring_base_(through.index) {}

  /// Keeps what follows in memory, up to so many bytes. 0, as in the beginning: nothing.
  void keep(std::size_t bytes_max);
  void append(const CommittedBatch& batch);

  [[nodiscard]] Position through() const { return terms_.through(); }
  /// Nothing at or before this is kept anywhere.
  [[nodiscard]] Position base() const { return terms_.base(); }

  struct Nothing {};  ///< More has not been committed yet.
  struct InFile {
    Index first;
    Index last;
  };
  using Next = std::variant<Nothing, std::vector<raft::Entry>, InFile>;
  /// What follows `after`: no more than `bytes_max` of it, but one entry at least.
  /// Pre: base <= after <= through.
  [[nodiscard]] Next next(Index after, std::size_t bytes_max) const;

  /// Of entries that were read from the file, those that are the committed ones: the first few, or
  /// all, or none. What a server knows to be committed may not be in its own file yet, and what an
  /// earlier leader put there instead may not yet be gone.
  [[nodiscard]] std::vector<raft::Entry> admit(Index first, std::vector<raft::Entry> read) const;

 private:
  // Of one read: it must not ask for the end of a file that grows while it is asked for.
  static constexpr std::uint64_t file_entries_max = 4096;

  void shrink();

  CommittedTerms terms_;
  std::size_t bytes_max_ = 0;
  std::size_t bytes_ = 0;
  Index ring_base_;  // The last entry that is not in the ring.
  std::deque<raft::Entry> ring_;
};

}  // namespace kuilt::cluster
