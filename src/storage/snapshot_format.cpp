#include "storage/snapshot_format.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "storage/fields.hpp"

namespace kuilt::storage {
namespace {

constexpr std::uint64_t snapshot_magic = 0x706e73746c69756bU;  // "kuiltsnp"
constexpr std::string_view name_prefix = "snapshot-";
constexpr std::string_view unfinished_prefix = "unfinished-";

Error corrupt(const std::string& what) { return Error(ErrorCode::corrupt, what); }

std::uint64_t header_checksum(const SnapshotHeader& header) {
  const std::string bytes = encode(header);
  Fields checksum(BytesView(bytes).slice(snapshot_header_bytes - 8, 8));
  return checksum.u64();
}

std::uint64_t piece_checksum(BytesView fields, const SnapshotHeader& of, std::uint64_t offset) {
  std::string bound;
  put(bound, header_checksum(of));
  put(bound, offset);
  bound.append(fields.text());
  return snapshot_hash(bound);
}

}  // namespace

std::uint64_t snapshot_hash(BytesView bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

FileName snapshot_name(Position at) {
  const Id<struct NameTag> digits(at.index.value(), at.term.value());
  return std::string(name_prefix) + digits.text();
}

std::optional<Position> snapshot_position(const FileName& name) {
  if (!name.starts_with(name_prefix)) return std::nullopt;
  const auto digits = Id<struct NameTag>::parse(name.substr(name_prefix.size()));
  if (!digits) return std::nullopt;
  return Position{Index(digits->high()), Term(digits->low())};
}

FileName unfinished_snapshot_name(Position at) {
  return std::string(unfinished_prefix) + snapshot_name(at);
}

bool is_unfinished_snapshot(const FileName& name) { return name.starts_with(unfinished_prefix); }

std::string encode(const SnapshotHeader& header) {
  std::string out;
  out.reserve(snapshot_header_bytes);
  put(out, snapshot_magic);
  put(out, snapshot_format_version);
  put(out, std::uint32_t{0});
  put(out, header.cluster);
  put(out, header.history);
  put(out, header.at);
  put(out, header.log_time.value());
  put(out, header.state_digest);
  put(out, snapshot_hash(out));
  KUILT_CHECK(out.size() == snapshot_header_bytes);
  return out;
}

Result<SnapshotHeader> decode_snapshot_header(BytesView bytes) {
  if (bytes.size() < snapshot_header_bytes) return corrupt("a snapshot's header is cut short");
  Fields in(bytes);
  if (in.u64() != snapshot_magic) return corrupt("no header of a snapshot");
  const std::uint32_t version = in.u32();
  if (version != snapshot_format_version) {
    return Error(ErrorCode::unsupported_format, "a snapshot of format " + std::to_string(version) +
                                                    "; this program reads " +
                                                    std::to_string(snapshot_format_version));
  }
  (void)in.u32();
  SnapshotHeader header;
  header.cluster = in.id<ClusterId>();
  header.history = in.id<HistoryId>();
  header.at = in.position();
  header.log_time = LogTime(in.u64());
  header.state_digest = in.u64();
  if (in.u64() != snapshot_hash(bytes.slice(0, snapshot_header_bytes - 8))) {
    return corrupt("bad checksum of a snapshot's header");
  }
  return header;
}

std::string encode(const SnapshotPiece& piece, const SnapshotHeader& of, std::uint64_t offset) {
  std::string out;
  put(out, static_cast<std::uint32_t>(piece.part));
  put(out, piece.bytes);
  put(out, piece.data_hash);
  put(out, piece_checksum(out, of, offset));
  KUILT_CHECK(out.size() == snapshot_piece_header_bytes);
  return out;
}

Result<SnapshotPiece> decode_snapshot_piece(BytesView bytes, const SnapshotHeader& of,
                                            std::uint64_t offset) {
  if (bytes.size() < snapshot_piece_header_bytes) return corrupt("a piece is cut short");
  Fields in(bytes);
  SnapshotPiece piece;
  piece.part = static_cast<SnapshotPart>(in.u32());
  piece.bytes = in.u32();
  piece.data_hash = in.u64();
  if (in.u64() != piece_checksum(bytes.slice(0, snapshot_piece_header_bytes - 8), of, offset)) {
    return corrupt("bad checksum of a piece's header");
  }
  const bool is_known = piece.part >= SnapshotPart::cluster && piece.part <= SnapshotPart::end;
  if (!is_known || piece.bytes > snapshot_piece_bytes_max) {
    return corrupt("a piece that no snapshot has");
  }
  return piece;
}

}  // namespace kuilt::storage
