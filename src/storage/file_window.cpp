#include "storage/file_window.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "storage/format.hpp"

namespace kuilt::storage {
namespace {

constexpr std::size_t piece_bytes = std::size_t{4} << 20;

}  // namespace

Result<Bytes> FileWindow::get(std::uint64_t offset, std::size_t bytes) {
  if (offset < offset_ || offset + bytes > offset_ + piece_.size()) {
    auto piece = disk_.read(file_.name, offset, std::max(bytes, piece_bytes));
    if (!piece) return std::move(piece).error();
    piece_ = std::move(*piece);
    offset_ = offset;
  }
  if (piece_.size() - (offset - offset_) < bytes) {
    return Error(ErrorCode::corrupt,
                 file_.name + " ends before byte " + std::to_string(offset + bytes));
  }
  return piece_.slice(offset - offset_, bytes);
}

Result<bool> FileWindow::is_zero_from(std::uint64_t offset) {
  for (; offset < file_.bytes; offset += block_bytes) {
    const std::uint64_t bytes = std::min(block_bytes, file_.bytes - offset);
    const auto block = get(offset, bytes);
    if (!block) return Error(block.error());
    if (!all_zero(*block)) return false;
  }
  return true;
}

bool all_zero(BytesView bytes) {
  return bytes.empty() || (bytes[0] == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

Result<std::vector<FileInfo>> segments_in(Disk& disk) {
  auto files = disk.list();
  if (!files) return std::move(files).error();
  std::vector<FileInfo> segments;
  for (FileInfo& file : *files) {
    if (segment_number(file.name)) segments.push_back(std::move(file));
  }
  return segments;
}

}  // namespace kuilt::storage
