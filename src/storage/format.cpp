#include "storage/format.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <limits>

#include "storage/fields.hpp"

namespace kuilt::storage {
namespace {

constexpr std::uint64_t segment_magic = 0x6c6177746c69756bU;  // "kuiltwal"
constexpr std::uint32_t batch_magic = 0x5441424bU;            // "KBAT"
constexpr std::uint32_t seal_magic = 0x4c41534bU;             // "KSAL"
constexpr std::size_t segment_header_bytes = 160;
constexpr std::size_t seal_bytes = 56;
constexpr std::size_t bound_bytes_max = segment_header_bytes;

std::uint64_t hash(BytesView bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

// A checksum that holds for one place of one segment only: a block that strayed, stayed from an
// earlier life of the disk, or came in as a command fails it.
std::uint64_t bound_checksum(BytesView bytes, SegmentId segment, std::uint64_t offset) {
  KUILT_CHECK(bytes.size() <= bound_bytes_max);
  std::string bound;
  bound.reserve(bytes.size() + 24);
  put(bound, segment);
  put(bound, offset);
  bound.append(bytes.text());
  return hash(bound);
}

void put_checksum(std::string& out, std::size_t from, SegmentId segment, std::uint64_t offset) {
  put(out, bound_checksum(BytesView(out).slice(from, out.size() - from), segment, offset));
}

bool checksum_holds(BytesView bytes, SegmentId segment, std::uint64_t offset) {
  const std::size_t covered = bytes.size() - 8;
  Fields checksum(bytes.slice(covered, 8));
  return checksum.u64() == bound_checksum(bytes.slice(0, covered), segment, offset);
}

void pad_to_block(std::string& out) { out.resize(whole_blocks(out.size()), '\0'); }

}  // namespace

FileName segment_name(std::uint64_t number) {
  return "wal-" + Id<struct NameTag>(number, 0).text().substr(0, 16);
}

std::optional<std::uint64_t> segment_number(const FileName& name) {
  if (name.size() != 20 || !name.starts_with("wal-")) return std::nullopt;
  const auto parsed = Id<struct NameTag>::parse(name.substr(4) + std::string(16, '0'));
  if (!parsed) return std::nullopt;
  return parsed->high();
}

std::uint64_t checksum_of(BytesView stored) { return hash(stored); }

std::string encode(const SegmentHeader& header) {
  std::string out;
  put(out, segment_magic);
  put(out, format_version);
  put(out, header.copies);
  put(out, header.id);
  put(out, header.identity.cluster);
  put(out, header.identity.history);
  put(out, header.identity.node);
  put(out, header.number);
  put(out, header.bytes);
  put(out, header.base);
  put(out, header.previous);
  put(out, header.previous_end);
  put(out, header.start.sequence);
  put(out, header.start.checksum);
  put_checksum(out, 0, header.id, 0);
  KUILT_CHECK(out.size() == segment_header_bytes);
  pad_to_block(out);
  return out;
}

Result<SegmentHeader> decode_segment_header(BytesView block) {
  if (block.size() < segment_header_bytes) return Error(ErrorCode::corrupt, "no segment header");
  Fields in(block);
  if (in.u64() != segment_magic) return Error(ErrorCode::corrupt, "no segment header");
  const std::uint32_t version = in.u32();
  if (version > format_version) {
    return Error(ErrorCode::unsupported_format, "format version " + std::to_string(version) +
                                                    ", and this program reads up to " +
                                                    std::to_string(format_version));
  }
  SegmentHeader header;
  header.copies = in.u32();
  header.id = in.id<SegmentId>();
  header.identity.cluster = in.id<ClusterId>();
  header.identity.history = in.id<HistoryId>();
  header.identity.node = in.id<NodeId>();
  header.number = in.u64();
  header.bytes = in.u64();
  header.base = in.position();
  header.previous = in.id<SegmentId>();
  header.previous_end = in.u64();
  header.start.sequence = in.u64();
  header.start.checksum = in.u64();
  if (!checksum_holds(block.slice(0, segment_header_bytes), header.id, 0)) {
    return Error(ErrorCode::corrupt, "bad checksum of the segment header");
  }
  return header;
}

std::string encode(const Seal& seal, SegmentId segment, std::uint64_t offset) {
  std::string out;
  put(out, seal_magic);
  put(out, std::uint32_t{0});
  put(out, seal.end);
  put(out, seal.chain.sequence);
  put(out, seal.chain.checksum);
  put(out, seal.next);
  put_checksum(out, 0, segment, offset);
  KUILT_CHECK(out.size() == seal_bytes);
  pad_to_block(out);
  return out;
}

std::optional<Seal> decode_seal(BytesView block, SegmentId segment, std::uint64_t offset) {
  if (block.size() < seal_bytes) return std::nullopt;
  if (!checksum_holds(block.slice(0, seal_bytes), segment, offset)) return std::nullopt;
  Fields in(block);
  if (in.u32() != seal_magic) return std::nullopt;
  (void)in.u32();
  Seal seal;
  seal.end = in.u64();
  seal.chain.sequence = in.u64();
  seal.chain.checksum = in.u64();
  seal.next = in.id<SegmentId>();
  return seal;
}

void append_batch_header(std::string& out, const BatchHeader& header, SegmentId segment,
                         std::uint64_t offset) {
  put(out, batch_magic);
  put(out, static_cast<std::uint16_t>(header.kind));
  put(out, std::uint16_t{0});
  put(out, header.chain.sequence);
  put(out, header.records);
  put(out, header.body_bytes);
  put(out, header.hard.term.value());
  put(out, header.hard.vote);
  put(out, header.commit.value());
  put(out, header.before.at);
  put(out, header.before.checksum);
  put(out, header.chain.checksum);
  put(out, header.digest);
  put_checksum(out, 0, segment, offset);
  KUILT_CHECK(out.size() == batch_header_bytes);
}

std::optional<CheckedBatchHeader> decode_batch_header(BytesView bytes, SegmentId segment,
                                                      std::uint64_t offset) {
  if (bytes.size() < batch_header_bytes) return std::nullopt;
  Fields in(bytes);
  if (in.u32() != batch_magic) return std::nullopt;  // Saves a checksum per block of a scan.
  if (!checksum_holds(bytes.slice(0, batch_header_bytes), segment, offset)) return std::nullopt;
  CheckedBatchHeader found;
  BatchHeader& header = found.header;
  header.kind = static_cast<BatchKind>(in.u16());
  (void)in.u16();
  header.chain.sequence = in.u64();
  header.records = in.u32();
  header.body_bytes = in.u32();
  header.hard.term = Term(in.u64());
  header.hard.vote = in.id<NodeId>();
  header.commit = Index(in.u64());
  header.before.at = in.position();
  header.before.checksum = in.u64();
  header.chain.checksum = in.u64();
  header.digest = in.u64();
  found.checksum = in.u64();
  return found;
}

Result<CheckedRecord> decode_record_header(BytesView bytes, SegmentId segment,
                                           std::uint64_t offset) {
  if (bytes.size() < record_header_bytes) return Error(ErrorCode::corrupt, "a record is cut short");
  if (!checksum_holds(bytes.slice(0, record_header_bytes), segment, offset)) {
    return Error(ErrorCode::corrupt, "bad checksum of a record header");
  }
  Fields in(bytes);
  CheckedRecord found;
  Placed& placed = found.placed;
  const std::uint8_t type = in.u8();
  const std::uint8_t kind = in.u8();
  (void)in.u16();
  placed.type = static_cast<RecordType>(type);
  placed.kind = static_cast<raft::EntryKind>(kind);
  placed.offset = offset;
  placed.bytes = in.u32();
  placed.what.at = in.position();
  placed.what.checksum = in.u64();
  found.checksum = in.u64();
  const bool known_entry = placed.type == RecordType::entry && kind >= 1 && kind <= 4;
  const bool known_truncation = placed.type == RecordType::truncation && placed.bytes == 0;
  if (!known_entry && !known_truncation) {
    return Error(ErrorCode::unsupported_format,
                 "a record of type " + std::to_string(type) + " and kind " + std::to_string(kind));
  }
  return found;
}

namespace {

// Writes the records of one batch. Headers and small data go into one buffer, for a slice costs
// more than copying a kilobyte; larger data is shared with the entry.
class BatchBody {
 public:
  BatchBody(SegmentId segment, std::uint64_t offset, std::size_t records)
      : segment_(segment), offset_(offset) {
    text_.reserve(batch_header_bytes + records * 2 * record_header_bytes);
    text_.resize(batch_header_bytes);
    placed_.reserve(records);
  }

  void truncate(Index last) {
    put_header({RecordType::truncation, raft::EntryKind{}, {{last, Term(0)}, 0}, end_of_last(), 0});
  }
  void append(const raft::Entry& entry) {
    put_header({RecordType::entry,
                entry.kind,
                {entry.at, checksum_of(entry.stored)},
                end_of_last(),
                static_cast<std::uint32_t>(entry.stored.size())});
    if (entry.stored.size() <= copied_bytes_max) {
      text_.append(entry.stored.text());
    } else {
      shared_.push_back({text_.size(), entry.stored});
    }
    bytes_ += entry.stored.size();
  }

  EncodedBatch finish(BatchHeader header) && {
    KUILT_CHECK(bytes_ <= std::numeric_limits<std::uint32_t>::max());
    header.records = static_cast<std::uint32_t>(placed_.size());
    header.body_bytes = static_cast<std::uint32_t>(bytes_ - batch_header_bytes);
    header.digest = hash(BytesView(checksums_));
    std::string front;
    append_batch_header(front, header, segment_, offset_);
    text_.replace(0, batch_header_bytes, front);
    EncodedBatch out;
    out.checksum = Fields(BytesView(front).slice(batch_header_bytes - 8, 8)).u64();
    out.bytes = whole_blocks(bytes_);
    text_.append(out.bytes - bytes_, '\0');
    out.data = slices();
    out.records = std::move(placed_);
    return out;
  }

 private:
  static constexpr std::size_t copied_bytes_max = 1024;
  struct Shared {
    std::size_t before;  ///< Bytes of `text_` in front of it.
    Bytes data;
  };

  [[nodiscard]] std::uint64_t end_of_last() const { return offset_ + bytes_; }

  void put_header(const Placed& placed) {
    const std::size_t from = text_.size();
    put(text_, static_cast<std::uint8_t>(placed.type));
    put(text_, static_cast<std::uint8_t>(placed.kind));
    put(text_, std::uint16_t{0});
    put(text_, placed.bytes);
    put(text_, placed.what.at);
    put(text_, placed.what.checksum);
    put_checksum(text_, from, segment_, placed.offset);
    checksums_.append(text_, text_.size() - 8, 8);
    bytes_ += record_header_bytes;
    placed_.push_back(placed);
  }

  std::vector<Bytes> slices() {
    const Bytes text(std::move(text_));
    std::vector<Bytes> out;
    std::size_t from = 0;
    for (const Shared& shared : shared_) {
      out.push_back(text.slice(from, shared.before - from));
      out.push_back(shared.data);
      from = shared.before;
    }
    if (from < text.size()) out.push_back(text.slice(from, text.size() - from));
    return out;
  }

  SegmentId segment_;
  std::uint64_t offset_;
  std::uint64_t bytes_ = batch_header_bytes;
  std::string text_;
  std::string checksums_;
  std::vector<Shared> shared_;
  std::vector<Placed> placed_;
};

}  // namespace

EncodedBatch encode_batch(BatchHeader header, std::span<const raft::Write> writes,
                          SegmentId segment, std::uint64_t offset) {
  std::size_t records = 0;
  for (const raft::Write& write : writes) {
    records += write.entries.size() + (write.truncate_after ? 1 : 0);
  }
  BatchBody body(segment, offset, records);
  for (const raft::Write& write : writes) {
    if (write.truncate_after) body.truncate(*write.truncate_after);
    for (const raft::Entry& entry : write.entries) body.append(entry);
  }
  return std::move(body).finish(std::move(header));
}

std::uint64_t body_bytes_of(const raft::Write& write) {
  std::uint64_t bytes = write.truncate_after ? record_header_bytes : 0;
  for (const raft::Entry& entry : write.entries) bytes += record_header_bytes + entry.stored.size();
  return bytes;
}

Result<DecodedBatch> decode_batch(const Bytes& bytes, SegmentId segment, std::uint64_t offset) {
  const auto front = decode_batch_header(bytes, segment, offset);
  if (!front) return Error(ErrorCode::corrupt, "bad checksum of a batch header");
  DecodedBatch out{front->header, front->checksum, {}, {}};
  if (bytes.size() != batch_header_bytes + front->header.body_bytes) {
    return Error(ErrorCode::corrupt, "a batch is cut short");
  }
  std::string checksums;
  for (std::size_t at = batch_header_bytes; at < bytes.size();) {
    auto record =
        decode_record_header(bytes.view().slice(at, bytes.size() - at), segment, offset + at);
    if (!record) return std::move(record).error();
    const Placed& placed = record->placed;
    at += record_header_bytes;
    if (placed.bytes > bytes.size() - at) return Error(ErrorCode::corrupt, "a record is cut short");
    if (placed.type == RecordType::entry) {
      const Bytes stored = bytes.slice(at, placed.bytes);
      if (checksum_of(stored) != placed.what.checksum) {
        return Error(ErrorCode::corrupt,
                     "bad checksum of entry " + std::to_string(placed.what.at.index.value()));
      }
      out.entries.push_back({placed.what.at, placed.kind, stored, nullptr});
    }
    at += placed.bytes;
    put(checksums, record->checksum);
    out.records.push_back(placed);
  }
  if (out.records.size() != front->header.records || hash(checksums) != front->header.digest) {
    return Error(ErrorCode::corrupt, "a batch does not hold the records that its header names");
  }
  return out;
}

}  // namespace kuilt::storage
