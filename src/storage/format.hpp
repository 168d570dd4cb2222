// format.hpp: the bytes of a segment. Normative description: docs/wal-format.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "raft/core.hpp"
#include "storage/disk.hpp"
#include "storage/identity.hpp"

namespace kuilt::storage {

inline constexpr std::uint64_t block_bytes = 4096;
inline constexpr std::uint32_t format_version = 1;
inline constexpr std::size_t batch_header_bytes = 104;
inline constexpr std::size_t record_header_bytes = 40;

/// Drawn anew for each segment file. It is mixed into every checksum and never leaves the server,
/// so no client can make a command whose bytes pass for a batch.
using SegmentId = Id<struct SegmentIdTag>;

[[nodiscard]] constexpr std::uint64_t whole_blocks(std::uint64_t bytes) {
  return (bytes + block_bytes - 1) / block_bytes * block_bytes;
}

/// "wal-" and 16 hexadecimal digits, so that names sort as numbers do.
[[nodiscard]] FileName segment_name(std::uint64_t number);
[[nodiscard]] std::optional<std::uint64_t> segment_number(const FileName& name);

/// What one entry is, on every server alike: `checksum` covers the stored bytes only.
struct EntryIdentity {
  Position at;
  std::uint64_t checksum = 0;
  friend bool operator==(const EntryIdentity&, const EntryIdentity&) = default;
};
[[nodiscard]] std::uint64_t checksum_of(BytesView stored);

/// Where a chain of batches stands between two of them.
struct ChainPoint {
  std::uint64_t sequence = 1;  ///< Of the next batch.
  std::uint64_t checksum = 0;  ///< Of the batch before it; zero before the first.
  friend bool operator==(const ChainPoint&, const ChainPoint&) = default;
};

/// The first block of a segment. Synced before any other byte of it is written.
struct SegmentHeader {
  SegmentId id;
  Identity identity;
  std::uint64_t number = 0;
  std::uint64_t bytes = 0;  ///< Size of the file.
  Position base;            ///< Of the whole log.
  SegmentId previous;       ///< None in the first segment.
  std::uint64_t previous_end = 0;
  ChainPoint start;
  /// Batches that recovery wrote here before it sealed the previous segment: 0 or 1.
  std::uint32_t copies = 0;
  friend bool operator==(const SegmentHeader&, const SegmentHeader&) = default;
};

/// The last block of a segment that another one continues. The commit point of a roll.
struct Seal {
  std::uint64_t end = 0;  ///< What lies between here and the seal is not part of the log.
  ChainPoint chain;
  SegmentId next;
  friend bool operator==(const Seal&, const Seal&) = default;
};

enum class BatchKind : std::uint16_t { data = 1, mark = 2 };

struct BatchHeader {
  BatchKind kind = BatchKind::data;
  std::uint32_t records = 0;
  std::uint32_t body_bytes = 0;
  raft::HardState hard;      ///< As of this batch.
  Index commit;              ///< Known committed as of this batch.
  EntryIdentity before;      ///< The last entry of the log before this batch.
  ChainPoint chain;          ///< Own sequence number, checksum of the batch before.
  std::uint64_t digest = 0;  ///< Of the checksums of all records.
  friend bool operator==(const BatchHeader&, const BatchHeader&) = default;
};

enum class RecordType : std::uint8_t { entry = 1, truncation = 2 };

/// One record and where it lies; for a truncation, `at.index` is the last index that stays.
struct Placed {
  RecordType type = RecordType::entry;
  raft::EntryKind kind = raft::EntryKind::no_op;
  EntryIdentity what;
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;  ///< Of the data behind the header.

  [[nodiscard]] std::uint64_t end() const { return offset + record_header_bytes + bytes; }
};

[[nodiscard]] std::string encode(const SegmentHeader& header);
/// Errors: corrupt, unsupported_format.
[[nodiscard]] Result<SegmentHeader> decode_segment_header(BytesView block);

[[nodiscard]] std::string encode(const Seal& seal, SegmentId segment, std::uint64_t offset);
[[nodiscard]] std::optional<Seal> decode_seal(BytesView block, SegmentId segment,
                                              std::uint64_t offset);

struct CheckedBatchHeader {
  BatchHeader header;
  std::uint64_t checksum = 0;
};
/// The header alone, if its checksum says that it was written for this very place.
[[nodiscard]] std::optional<CheckedBatchHeader> decode_batch_header(BytesView bytes,
                                                                    SegmentId segment,
                                                                    std::uint64_t offset);

/// The record header at the front of `bytes`, if it was written for this very place. It says what
/// the entry is even where the data behind it is damaged (rule 11).
/// Errors: corrupt, unsupported_format (an unknown kind).
struct CheckedRecord {
  Placed placed;
  std::uint64_t checksum = 0;
};
[[nodiscard]] Result<CheckedRecord> decode_record_header(BytesView bytes, SegmentId segment,
                                                         std::uint64_t offset);

/// A batch as it goes to the disk: whole blocks.
struct EncodedBatch {
  std::vector<Bytes> data;
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;
  std::vector<Placed> records;
};
/// Fills in records, body_bytes and digest of `header`. Large entries are shared, not copied.
[[nodiscard]] EncodedBatch encode_batch(BatchHeader header, std::span<const raft::Write> writes,
                                        SegmentId segment, std::uint64_t offset);

/// Bytes that `write` takes up in the body of a batch.
[[nodiscard]] std::uint64_t body_bytes_of(const raft::Write& write);

/// A sound batch. `entries` are those of `records`, in order, without the truncations.
struct DecodedBatch {
  BatchHeader header;
  std::uint64_t checksum = 0;
  std::vector<Placed> records;
  std::vector<raft::Entry> entries;
};
/// Checks a whole batch. `bytes` are the header and the body, no more.
/// Errors: corrupt, unsupported_format.
[[nodiscard]] Result<DecodedBatch> decode_batch(const Bytes& bytes, SegmentId segment,
                                                std::uint64_t offset);

}  // namespace kuilt::storage
