// log_view.hpp: what a core knows of its log: the term of every entry, and the last entries whole.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "raft/messages.hpp"

namespace kuilt::raft {

/// A run of entries of one term.
struct TermRange {
  Index first;
  Term term;
  friend bool operator==(const TermRange&, const TermRange&) = default;
};

/// Term ranges cover the whole log and grow with elections, not with entries; the entries
/// themselves are kept as a tail that the owner bounds in bytes. The log follows a base, the entry
/// before the first one kept, which may be any position.
class LogView {
 public:
  /// Pre: `terms` cover base.index + 1 … last; `tail` has no gap and ends at `last`.
  LogView(Position base, std::vector<TermRange> terms, Index last, std::vector<Entry> tail);

  [[nodiscard]] Position base() const { return base_; }
  [[nodiscard]] Position last() const;
  [[nodiscard]] const std::vector<TermRange>& terms() const { return terms_; }
  /// Of an entry or of the base; nothing outside.
  [[nodiscard]] std::optional<Term> term_at(Index index) const;
  /// Whether `position` is the base or an entry, with that very term.
  [[nodiscard]] bool contains(Position position) const;
  /// The last position not after `limit` whose term is at most `term`; the base, if there is none.
  /// Where two logs may still agree, given that terms never go down (Raft 5.3).
  [[nodiscard]] Position last_not_above(Term term, Index limit) const;

  [[nodiscard]] Index first_in_memory() const;
  [[nodiscard]] const Entry& entry_at(Index index) const;
  /// Entries from `first` on, up to `bytes_max` of them by cost. Pre: `first` is in memory, or
  /// follows the last entry.
  [[nodiscard]] std::vector<Entry> slice(Index first, std::size_t bytes_max,
                                         bool one_at_least) const;
  /// Cost of the entries after `from` up to `to`, which must be in memory.
  [[nodiscard]] std::size_t cost_between(Index from, Index to) const;

  /// Pre: continues the log without a gap, and with a term not below the last one.
  void append(Entry entry);
  /// Drops every entry after `index`. Pre: those entries are in memory; `index` is not below base.
  void truncate_after(Index index);
  /// Forgets the oldest entries, but none after `through`, while memory holds over `bytes_max`.
  void evict(Index through, std::size_t bytes_max);

 private:
  Position base_;
  std::vector<TermRange> terms_;
  Index last_;
  std::deque<Entry> tail_;
  std::size_t tail_bytes_ = 0;
};

}  // namespace kuilt::raft
