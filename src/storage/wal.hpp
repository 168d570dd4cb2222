// wal.hpp: the log on disk. Format and recovery rules: docs/wal-format.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kuilt/detail/rng.hpp"
#include "raft/core.hpp"
#include "storage/disk.hpp"
#include "storage/identity.hpp"

namespace kuilt::storage {

struct WalOptions {
  std::uint64_t segment_bytes = std::uint64_t{64} << 20;  ///< A batch never spans two segments.
  std::size_t batch_bytes_max = std::size_t{1} << 20;     ///< Unless one write alone is larger.
  std::size_t tail_bytes_max = std::size_t{64} << 20;  ///< Entries that recovery keeps in memory.
};

/// What recovery found, all of it durable again (rule 10: the tail was copied and synced).
struct Recovered {
  raft::HardState hard;
  Position base;
  std::vector<raft::TermRange> terms;
  Index last;
  std::vector<raft::Entry> tail;    ///< Every entry above `commit`, and more up to tail_bytes_max.
  Index commit;                     ///< The highest commit index any sound batch vouched for.
  std::uint64_t dropped_bytes = 0;  ///< Of a torn last batch; zero if the log ended cleanly.
  std::size_t batches = 0;
};

/// One batch: operations in order, and what is durable once all of them are done.
struct Batch {
  std::vector<DiskOp> ops;
  raft::WriteSeq through;
  std::size_t entries = 0;
  std::size_t bytes = 0;
};

/// Plans an append-only, crash-safe record of one Raft log as disk operations. It calls no disk but
/// in `create`, `open` and `read`: the owner carries batches out and says when one is done.
///
/// Threads: none of its own, and no locks. One caller at a time, but for `read`, which any thread
/// may call on a `Reader`.
/// Failure: when a disk operation fails, the owner stops using the Wal and the process recovers.
class Wal {
 public:
  /// Called once for every entry in the log at recovery, in order of index, never for a truncated
  /// one: an entry is handed over when a batch vouched that it is committed, or else at the end
  /// (`committed` tells which), so that nobody has to undo more than the uncommitted end of the
  /// log. `Entry::configuration` is left empty, here and in `tail`: the codec for it is in wire. An
  /// error stops recovery and is returned.
  using EntrySink = std::function<Status(const raft::Entry&, bool committed)>;

  /// Starts a log in an empty directory, on any base (a restored snapshot's, or (0, 0)). What an
  /// earlier `create` left that did not finish is replaced. `rng` draws segment ids: seed it from a
  /// random device, for they must be secret and differ from start to start.
  /// Errors: invalid_argument (the directory holds a log), disk_full, io.
  static Result<std::unique_ptr<Wal>> create(Disk& disk, const WalOptions& options,
                                             const Identity& identity, Position base, Rng rng);
  struct Opened;
  /// Recovers the log: reads every segment once, drops a torn last batch, refuses any other damage,
  /// writes the recovered tail again and syncs it.
  /// Errors: corrupt (message names file, offset, index and reason), directory_of_another,
  /// unsupported_format, io.
  static Result<Opened> open(Disk& disk, const WalOptions& options, const Identity& identity,
                             Rng rng, const EntrySink& sink);

  /// Whose log the directory holds, by its first segment. None: no log, or none whose header is
  /// sound. Writes nothing.
  /// Errors: unsupported_format, io.
  static Result<std::optional<Identity>> owner(Disk& disk);
  /// Removes the log of `owner`. Only for one that nothing was promised of.
  static Status remove(Disk& disk);

  /// Takes writes from the front, at most `batch_bytes_max` of them, and at least one; returns how
  /// many it took. One batch is one WriteAt and one SyncData, but for a new segment before it.
  /// Pre: the previous batch is done. Writes continue the log: no gap, terms never go down.
  struct Planned {
    Batch batch;
    std::size_t taken = 0;
  };
  Planned plan(std::span<const raft::Write> writes);

  /// When the log falls idle: a synced-through mark in a block of its own, with nobody waiting. No
  /// operations (and no `done()`) if a mark is already the last batch.
  /// Pre: the previous batch is done.
  Batch plan_idle_mark();

  /// Operations that make the next segment's file ahead of time, so that no write waits for its
  /// zeros; empty if that is done or under way, or the active segment is not yet half full. The
  /// owner may run them on any thread, and says `next_segment_ready()` when they have succeeded, or
  /// `next_segment_failed()` when the file could not be created: then a later call asks for it
  /// again, and a batch that needs it creates it. While they run, neither `plan` with writes that
  /// `would_roll` may be called, nor `plan_idle_mark` if no writes at all would.
  std::vector<DiskOp> prepare_next_segment();
  void next_segment_ready();
  void next_segment_failed();
  [[nodiscard]] bool next_segment_is_ready() const;
  /// Whether a batch of these begins a segment; without any, whether a mark does.
  [[nodiscard]] bool would_roll(std::span<const raft::Write> writes) const;

  /// The batch that was planned last is durable: its entries may be read.
  void done();

  /// Reads entries back. Shares an immutable map with the Wal as of its last `done()`.
  class Reader;
  [[nodiscard]] std::shared_ptr<const Reader> reader() const;

  ~Wal();

  struct Impl;  ///< Known to planner and recovery only.

 private:
  explicit Wal(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct Wal::Opened {
  std::unique_ptr<Wal> wal;
  Recovered recovered;
};

class Wal::Reader {
 public:
  virtual ~Reader() = default;
  /// Entries from `first` to `last` inclusive, in order, up to `bytes_max` of stored bytes but at
  /// least one. Checks each record's checksum, index and term against the map.
  /// Errors: compacted (before the log), invalid_argument (beyond the durable log), corrupt, io.
  virtual Result<std::vector<raft::Entry>> read(Disk& disk, Index first, Index last,
                                                std::size_t bytes_max) const = 0;
};

}  // namespace kuilt::storage
