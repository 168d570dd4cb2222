// reader.cpp: entries back from the disk, through a map that never changes.
#include <algorithm>

#include "storage/wal_impl.hpp"

namespace kuilt::storage {
namespace {

// Walks the records of one extent. What may stand where a record may start tells itself apart by
// its first byte: a record (1 or 2), the header of a batch ('K'), or padding up to the next block.
class ExtentScan {
 public:
  ExtentScan(Bytes bytes, const Extent& extent, const SegmentRef& segment)
      : bytes_(std::move(bytes)), extent_(extent), segment_(segment) {}

  /// The next entry of the file, whether or not it still counts.
  Result<raft::Entry> next() {
    for (;;) {
      skip_to_record();
      if (at_ >= bytes_.size()) return damaged("the entry is not where the map says");
      auto record = decode_record_header(rest(), segment_.id, extent_.offset + at_);
      if (!record) return damaged(record.error().message());
      const Placed& placed = record->placed;
      if (bytes_.size() - at_ - record_header_bytes < placed.bytes) return damaged("cut short");
      const Bytes stored = bytes_.slice(at_ + record_header_bytes, placed.bytes);
      if (placed.type == RecordType::entry && checksum_of(stored) != placed.what.checksum) {
        return damaged("bad checksum of entry " + std::to_string(placed.what.at.index.value()));
      }
      at_ += record_header_bytes + placed.bytes;
      if (placed.type == RecordType::entry) {
        return raft::Entry{placed.what.at, placed.kind, stored, nullptr};
      }
    }
  }

  [[nodiscard]] Error damaged(const std::string& why) const {
    return Error(ErrorCode::corrupt,
                 segment_.file + ", offset " + std::to_string(extent_.offset + at_) + ": " + why);
  }

 private:
  static constexpr std::byte padding{0};
  static constexpr std::byte first_of_batch{'K'};

  [[nodiscard]] BytesView rest() const { return bytes_.view().slice(at_, bytes_.size() - at_); }

  void skip_to_record() {
    while (at_ < bytes_.size()) {
      const std::uint64_t offset = extent_.offset + at_;
      if (offset % block_bytes == 0 && bytes_.view()[at_] == first_of_batch) {
        at_ += batch_header_bytes;
      } else if (bytes_.view()[at_] == padding) {
        at_ = whole_blocks(offset + 1) - extent_.offset;
      } else {
        return;
      }
    }
  }

  Bytes bytes_;
  const Extent& extent_;
  const SegmentRef& segment_;
  std::size_t at_ = 0;
};

class MapReader final : public Wal::Reader {
 public:
  explicit MapReader(LogMap map) : map_(std::move(map)) {}

  Result<std::vector<raft::Entry>> read(Disk& disk, Index first, Index last,
                                        std::size_t bytes_max) const override {
    if (first <= map_.base.index) {
      return Error(ErrorCode::compacted,
                   "the log begins after index " + std::to_string(map_.base.index.value()));
    }
    if (last > map_.last || first > last) {
      return Error(ErrorCode::invalid_argument, "entries " + std::to_string(first.value()) +
                                                    " to " + std::to_string(last.value()) +
                                                    " of a log that ends at " +
                                                    std::to_string(map_.last.value()));
    }
    std::vector<raft::Entry> out;
    std::size_t bytes = 0;
    for (Index next = first; next <= last;) {
      const Extent& extent = map_.extents.find(next);
      const Index end = std::min(last, extent.last);
      const Status status = read_extent(disk, extent, next, end, bytes_max, bytes, out);
      if (!status) return Error(status.error());
      next = out.back().at.index.next();
      if (next <= end) break;  // bytes_max stopped it.
      if (bytes >= bytes_max) break;
    }
    return out;
  }

 private:
  Status read_extent(Disk& disk, const Extent& extent, Index first, Index last,
                     std::size_t bytes_max, std::size_t& bytes,
                     std::vector<raft::Entry>& out) const {
    const SegmentRef& segment = (*map_.segments)[extent.segment];
    auto data = disk.read(segment.file, extent.offset, extent.end - extent.offset);
    if (!data) return std::move(data).error().within("read entry " + std::to_string(first.value()));
    ExtentScan scan(std::move(*data), extent, segment);
    for (Index index = extent.first; index <= last; index = index.next()) {
      auto entry = scan.next();
      if (!entry) return std::move(entry).error();
      if (entry->at != Position{index, map_.term_at(index)}) {
        return scan.damaged("an entry is not " + std::to_string(index.value()) +
                            " of the term that the log says");
      }
      if (index < first) continue;
      const std::size_t size = entry->stored.size();
      if (!out.empty() && bytes + size > bytes_max) return Done{};
      bytes += size;
      out.push_back(std::move(*entry));
    }
    return Done{};
  }

  LogMap map_;
};

}  // namespace

std::shared_ptr<const Wal::Reader> make_reader(LogMap map) {
  return std::make_shared<const MapReader>(std::move(map));
}

}  // namespace kuilt::storage
