// log_scan.hpp: from the bytes of a directory to a log, without a write (docs/wal-format.md,
// "Recovery"): what is sound, what was torn by a crash, and what is damaged.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/file_window.hpp"
#include "storage/wal_impl.hpp"

namespace kuilt::storage {

/// Hands entries to the sink once nobody can take them back, and keeps the end of the log.
class Delivery {
 public:
  Delivery(const Wal::EntrySink& sink, std::size_t tail_bytes_max, Index base)
      : sink_(sink), tail_bytes_max_(tail_bytes_max), last_(base), commit_(base) {}

  Status take(const DecodedBatch& batch);
  /// The uncommitted end of the log goes to the sink too. Returns the tail.
  Result<std::vector<raft::Entry>> finish();

 private:
  Status release();

  const Wal::EntrySink& sink_;
  std::size_t tail_bytes_max_;
  Index last_;
  Index commit_;
  std::deque<raft::Entry> waiting_;  ///< Above `commit_`: a later batch may truncate them.
  std::deque<raft::Entry> kept_;
  std::size_t kept_bytes_ = 0;
};

/// One segment as it was read.
struct ScannedSegment {
  FileInfo file;
  std::uint64_t end = block_bytes;  ///< Of its sound batches.
  std::size_t batches = 0;
  Index last{};  ///< That its batches left the log at; 0, if they hold no entry.
  bool sealed = false;
};

/// Reads every segment once, in order, up to the end of the log.
///
/// Threads: one caller. Ownership: borrows disk, options, identity and sink.
class LogScan {
 public:
  /// A batch, and where it lies.
  struct Candidate {
    DecodedBatch batch;
    std::uint64_t offset = 0;
    Bytes first_block;
  };

  LogScan(Disk& disk, const WalOptions& options, const Identity& identity, Rng rng,
          const Wal::EntrySink& sink)
      : disk_(disk), options_(options), identity_(identity), rng_(rng), sink_(sink) {}

  /// Errors: corrupt (file, offset, last sound index, reason), directory_of_another,
  /// unsupported_format, io, and what the sink answers. What was found before is there.
  Status run();

  // What was found.
  std::unique_ptr<Wal::Impl> impl;  ///< Its log holds every batch but the candidate.
  std::optional<Delivery> delivery;
  SegmentHeader header;                                    ///< Of the active segment.
  std::optional<std::pair<ActiveSegment, Seal>> previous;  ///< The sealed one before it.
  std::optional<Candidate> candidate;  ///< The last sound batch: nothing behind it vouches for it.
  std::optional<FileInfo> leftover;    ///< Begun in favour of the active one, and never sealed to.
  std::uint64_t dropped_bytes = 0;     ///< Of a torn batch at the end.
  std::size_t batches = 0;
  std::size_t batches_here = 0;  ///< In the active segment.
  std::vector<ScannedSegment> segments;

  /// The candidate becomes part of the log.
  void apply_candidate();

 private:
  Status enter(const FileInfo& file);
  Status check_header(const SegmentHeader& found, const FileInfo& file) const;
  Result<std::optional<Seal>> read_seal(FileWindow& window) const;
  Status read_batches(FileWindow& window, std::uint64_t limit);
  Result<DecodedBatch> read_batch(FileWindow& window, std::uint64_t limit) const;
  Status accept(DecodedBatch batch, Bytes first_block);
  Status classify_end(FileWindow& window);
  Status check_leftover(const FileInfo& file);
  [[nodiscard]] Error damaged(const FileName& file, std::uint64_t offset,
                              const std::string& reason) const;

  Disk& disk_;
  const WalOptions& options_;
  const Identity& identity_;
  Rng rng_;
  const Wal::EntrySink& sink_;
  std::string broken_;  ///< Why the batch behind the candidate is not sound.
};

}  // namespace kuilt::storage
