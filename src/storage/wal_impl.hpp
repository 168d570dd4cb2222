// wal_impl.hpp: the state of a Wal, shared by planning (wal.cpp) and recovery (recovery.cpp).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "storage/format.hpp"
#include "storage/log_state.hpp"
#include "storage/wal.hpp"

namespace kuilt::storage {

struct ActiveSegment {
  std::uint64_t number = 0;
  SegmentId id;
  std::uint64_t bytes = 0;
  std::uint64_t end = block_bytes;  ///< Where the next batch goes.

  [[nodiscard]] FileName file() const { return segment_name(number); }
  [[nodiscard]] std::uint64_t seal_offset() const { return bytes - block_bytes; }
  [[nodiscard]] bool has_room(std::uint64_t batch_bytes) const {
    return end + batch_bytes <= seal_offset();
  }
};

struct Wal::Impl {
  Impl(const WalOptions& wal_options, const Identity& wal_identity, Position base, Rng ids)
      : options(wal_options), identity(wal_identity), rng(ids), log(base) {}

  /// A segment for a batch of that size, chained to the active one. It becomes the active one.
  /// The operations end with its header durable; the previous segment is not sealed yet.
  std::vector<DiskOp> begin_segment(std::uint64_t batch_bytes, std::uint32_t copies);
  /// Seals `before`, which ends at `before.end`, in favour of the active segment.
  [[nodiscard]] std::vector<DiskOp> seal(const ActiveSegment& before, ChainPoint at) const;
  /// One batch at the end of the active segment.
  Batch append_batch(BatchKind kind, raft::HardState hard, Index commit,
                     std::span<const raft::Write> writes);
  /// As append_batch, but begins a segment when the active one is full.
  Batch plan_batch(BatchKind kind, raft::HardState hard, Index commit,
                   std::span<const raft::Write> writes);
  void done();

  SegmentId draw_id();

  struct Planned {
    BatchHeader header;
    std::uint64_t offset = 0;
    std::vector<Placed> records;
    std::optional<SegmentRef> entered;
  };
  struct NextFile {
    std::uint64_t bytes = 0;
    bool ready = false;
  };

  WalOptions options;
  Identity identity;
  Rng rng;
  LogState log;
  ActiveSegment active;
  ChainPoint chain;
  bool marked = false;  ///< The last batch is a mark.
  std::optional<NextFile> next_file;
  std::optional<SegmentRef> entered;  ///< Begun, and its first batch is not done.
  std::optional<Planned> planned;
  mutable std::shared_ptr<const Reader> reader;  ///< Of `log` as it is; null if not asked for.
};

/// Reads entries through `map`.
[[nodiscard]] std::shared_ptr<const Wal::Reader> make_reader(LogMap map);

}  // namespace kuilt::storage
