// snapshots.hpp: snapshots as files of one directory: planned as disk operations, looked through at
// a start, read back.
//
// A file has its name once all of it is durable; before that it has another. The newest two are
// kept. What is damaged is never used: the log, or the snapshot before, says the same.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/identity.hpp"
#include "storage/snapshot_format.hpp"

namespace kuilt::storage {

/// How many files of sound snapshots stay.
inline constexpr std::size_t snapshots_kept = 2;

/// Plans one snapshot, piece by piece. The owner carries the operations out, in order; when one
/// fails, those of `give_up` are the last.
///
/// Threads: none of its own; one caller at a time.
class SnapshotPlan {
 public:
  explicit SnapshotPlan(const SnapshotHeader& header) : header_(header) {}

  [[nodiscard]] std::vector<DiskOp> begin();
  /// More of a part; parts in their order. Gathers: often there is nothing to be done yet.
  [[nodiscard]] std::vector<DiskOp> add(SnapshotPart part, BytesView bytes);
  /// When all of these are done, the snapshot is durable, under its name.
  [[nodiscard]] std::vector<DiskOp> finish();
  [[nodiscard]] std::vector<DiskOp> give_up() const;
  /// Of the whole file, once `finish` was called.
  [[nodiscard]] std::uint64_t bytes() const { return offset_; }

 private:
  void put_piece(SnapshotPart part, Bytes data, std::vector<DiskOp>& ops);
  void put_gathered(std::vector<DiskOp>& ops);

  SnapshotHeader header_;
  SnapshotPart part_ = SnapshotPart::cluster;
  std::string gathered_;  ///< Of `part_`, less than a piece.
  std::uint64_t offset_ = 0;
  std::uint64_t synced_ = 0;
  std::uint64_t pieces_ = 0;
};

/// Removes what is no longer needed once a new snapshot has its name: all but the newest ones, what
/// is known to be damaged, and what was never finished.
[[nodiscard]] std::vector<DiskOp> plan_cleanup(const std::vector<FileInfo>& files,
                                               const std::vector<FileName>& damaged);

/// Reads one file from its beginning, and checks every byte of it.
///
/// Ownership: borrows the disk. Threads: one caller at a time.
class SnapshotReader {
 public:
  /// Errors: corrupt, unsupported_format, directory_of_another (of another cluster or history), io.
  static Result<SnapshotReader> open(Disk& disk, const FileInfo& file, const Identity& identity);
  struct Piece {
    SnapshotPart part = SnapshotPart::cluster;
    Bytes data;
  };
  /// The next piece. Nothing: that was the whole file.
  /// Errors: corrupt, io.
  Result<std::optional<Piece>> next();
  [[nodiscard]] const SnapshotHeader& header() const { return header_; }

 private:
  SnapshotReader(Disk& disk, FileInfo file) : disk_(&disk), file_(std::move(file)) {}
  Result<Bytes> read(std::size_t bytes);
  Status check_end(const Piece& piece) const;
  [[nodiscard]] Error damaged(const Error& why) const;

  Disk* disk_;
  FileInfo file_;
  SnapshotHeader header_;
  std::uint64_t offset_ = 0;
  std::uint64_t pieces_ = 0;
  SnapshotPart part_ = SnapshotPart::cluster;
};

/// The cluster's part of a file alone, checked.
/// Errors: those of SnapshotReader.
[[nodiscard]] Result<Bytes> read_snapshot_state(Disk& disk, const FileInfo& file,
                                                const Identity& identity);

/// A snapshot, every byte of which was found sound.
struct SnapshotFile {
  FileInfo file;
  SnapshotHeader header;
  Bytes state;  ///< The cluster's part.
};
/// One that can't be used: damaged (`corrupt`), not of this cluster or format, or not readable now.
struct DamagedSnapshot {
  FileName name;
  Error why;
};
/// What a directory of snapshots holds.
struct SnapshotSurvey {
  std::vector<SnapshotFile> sound;  ///< The newest first.
  std::vector<DamagedSnapshot> damaged;
};
/// Reads all of it. Writes nothing.
/// Errors: io (the directory can't be listed).
[[nodiscard]] Result<SnapshotSurvey> survey_snapshots(Disk& disk, const Identity& identity);

}  // namespace kuilt::storage
