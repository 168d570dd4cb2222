// posix_disk.hpp: disk operations carried out on a directory of the real file system.
#pragma once

#include <memory>
#include <string>

#include "storage/disk.hpp"

namespace kuilt::storage {

/// Threads: any number; operations on one file must come one at a time, as everywhere.
/// Failure: after a failed write or sync of a file, each later operation on it answers io and does
/// not touch it (rule 12). Messages name the path, the offset and what the system said.
class PosixDisk final : public Disk {
 public:
  /// Makes the directory if it is not there, durably. Its parent must exist. Removes files that
  /// an unfinished CreateZeroed left.
  /// Errors: directory_unwritable, io.
  static Result<std::unique_ptr<PosixDisk>> open(const std::string& directory);
  /// For reading only: makes and removes nothing, and `perform` is refused (usage).
  /// Errors: io (it is not there, or may not be read).
  static Result<std::unique_ptr<PosixDisk>> look(const std::string& directory);
  ~PosixDisk() override;

  Status perform(const DiskOp& op) override;
  Result<std::vector<FileInfo>> list() override;
  Result<Bytes> read(const FileName& file, std::uint64_t offset, std::size_t bytes) override;

 private:
  struct Impl;
  explicit PosixDisk(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kuilt::storage
