// cut_tally.hpp: how much of the log there is since its last cut.
#pragma once

#include <cstdint>
#include <deque>

#include "raft/messages.hpp"

namespace kuilt::cluster {

/// When a leader appends a cut: as soon as one of the two is reached. 0: never for that.
struct CutPolicy {
  std::uint64_t bytes = 0;  ///< Of entries since the last cut.
  std::uint64_t entries = 0;
};

/// A function of the log, so that a new leader goes on where the last one was.
///
/// Threads: none; one caller at a time. Copyable.
class CutTally {
 public:
  explicit CutTally(Index base) : last_(base), cuts_{{base, 0}} {}

  /// The next entry of the log.
  void append(const raft::Entry& entry);
  /// Entries after this one are no longer in the log. Their bytes still count: a cut that comes a
  /// little early does no harm.
  void truncate_after(Index last);
  /// No cut before this one will be asked for any more. Pre: none of those is truncated.
  void release(Index commit);
  [[nodiscard]] bool is_due(const CutPolicy& policy) const;
  /// The last cut of the log; its base, if it has none.
  [[nodiscard]] Index last_cut() const { return cuts_.back().index; }

 private:
  struct Cut {
    Index index;
    std::uint64_t bytes_before = 0;
  };
  Index last_;
  std::uint64_t bytes_ = 0;
  std::deque<Cut> cuts_;  // The last committed one, or the base, and those after it.
};

}  // namespace kuilt::cluster
