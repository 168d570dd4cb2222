// file_window.hpp: the files of a log, read front to back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "storage/disk.hpp"

namespace kuilt::storage {

/// One file, read in large pieces.
class FileWindow {
 public:
  FileWindow(Disk& disk, FileInfo file) : disk_(disk), file_(std::move(file)) {}

  /// Exactly `bytes` from `offset`.
  /// Errors: corrupt (the file ends before), io.
  Result<Bytes> get(std::uint64_t offset, std::size_t bytes);
  /// Whether the rest of the file is zeros.
  Result<bool> is_zero_from(std::uint64_t offset);
  [[nodiscard]] const FileInfo& file() const { return file_; }

 private:
  Disk& disk_;
  FileInfo file_;
  std::uint64_t offset_ = 0;
  Bytes piece_;
};

[[nodiscard]] bool all_zero(BytesView bytes);

/// The segments of the directory, by number.
Result<std::vector<FileInfo>> segments_in(Disk& disk);

}  // namespace kuilt::storage
