// log_state.hpp: what a run of batches makes of a log, for the planner and for recovery alike.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/format.hpp"

namespace kuilt::storage {

/// Consecutive entries, one behind the other in one segment, with nothing truncated in between:
/// whoever scans from `offset` to `end` meets exactly `first` to `last`, and perhaps later ones
/// that no longer count.
struct Extent {
  Index first;
  Index last;
  std::uint32_t segment = 0;  ///< Place in LogMap::segments.
  std::uint64_t offset = 0;   ///< Of the record of `first`.
  std::uint64_t end = 0;      ///< Behind the record of `last`.
  bool closed = false;        ///< A truncation came behind it: nothing is added any more.
};

struct SegmentRef {
  FileName file;
  SegmentId id;
};

/// Extents in order of index, in full chunks that are shared between maps and one that grows: a
/// new map costs the growing chunk, however long the log is.
class ExtentList {
 public:
  void append(const Extent& extent);
  void truncate_after(Index last);
  /// The last one; null if there is none.
  [[nodiscard]] Extent* last() { return open_.empty() ? nullptr : &open_.back(); }
  /// The extent that holds `index`. Pre: there is one.
  [[nodiscard]] const Extent& find(Index index) const;

 private:
  using Chunk = std::vector<Extent>;
  using Chunks = std::vector<std::shared_ptr<const Chunk>>;
  static constexpr std::size_t chunk_extents = 256;

  std::shared_ptr<const Chunks> full_ = std::make_shared<const Chunks>();
  Chunk open_;  ///< Empty only if there are no extents at all.
};

/// Where every entry of the log lies. Readers hold copies, which never change.
struct LogMap {
  Position base;
  Index last;
  ExtentList extents;
  std::shared_ptr<const std::vector<SegmentRef>> segments;
  std::shared_ptr<const std::vector<raft::TermRange>> terms;

  /// Pre: base.index < index <= last.
  [[nodiscard]] Term term_at(Index index) const;
};

/// The log as of its last batch.
class LogState {
 public:
  explicit LogState(Position base);

  /// Why a batch with this content can't follow; nothing if it can.
  [[nodiscard]] std::optional<std::string> complaint_about(const BatchHeader& header,
                                                           std::span<const Placed> records) const;
  /// Pre: no complaint; a segment was entered.
  void apply(const BatchHeader& header, std::span<const Placed> records, std::uint64_t offset);
  /// What is applied from now on lies in this segment.
  void enter_segment(SegmentRef segment);

  [[nodiscard]] const LogMap& map() const { return map_; }
  [[nodiscard]] const EntryIdentity& last() const { return recent_.back(); }
  [[nodiscard]] const raft::HardState& hard() const { return hard_; }
  [[nodiscard]] Index commit() const { return commit_; }

 private:
  /// Pre: commit() <= index <= last().
  [[nodiscard]] Position recent_at(Index index) const {
    return recent_[index.value() - recent_.front().at.index.value()].at;
  }
  void pass_over(std::uint64_t offset);
  void truncate_after(Index last);
  void append(const Placed& placed);

  LogMap map_;
  raft::HardState hard_;
  Index commit_;
  /// From the last committed entry on: a truncation must know the entry that it uncovers.
  std::deque<EntryIdentity> recent_;
};

}  // namespace kuilt::storage
