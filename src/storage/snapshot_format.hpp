// snapshot_format.hpp: the bytes of a snapshot file. Normative description:
// docs/snapshot-format.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "kuilt/bytes.hpp"
#include "kuilt/result.hpp"
#include "kuilt/types.hpp"
#include "storage/disk.hpp"

namespace kuilt::storage {

inline constexpr std::uint32_t snapshot_format_version = 1;
inline constexpr std::size_t snapshot_header_bytes = 88;
inline constexpr std::size_t snapshot_piece_header_bytes = 24;
/// Of the data of one piece.
inline constexpr std::size_t snapshot_piece_bytes_max = std::size_t{256} << 10;

/// What a snapshot is of.
struct SnapshotHeader {
  ClusterId cluster;
  HistoryId history;
  Position at;  ///< The cut.
  LogTime log_time;
  std::uint64_t state_digest = 0;  ///< XXH3-64 of the cluster's part: equal on all servers.
  friend bool operator==(const SnapshotHeader&, const SnapshotHeader&) = default;
};

/// The parts of a file, in this order.
enum class SnapshotPart : std::uint32_t {
  cluster = 1,      ///< Sessions, rooms, configuration: bytes that mean nothing here.
  application = 2,  ///< What the state machine wrote.
  end = 3,          ///< One piece; says how long the whole is.
};

/// "snapshot-" and 16 hexadecimal digits each of index and term, so that names sort as cuts do.
[[nodiscard]] FileName snapshot_name(Position at);
[[nodiscard]] std::optional<Position> snapshot_position(const FileName& name);
/// Its name while it is being written.
[[nodiscard]] FileName unfinished_snapshot_name(Position at);
[[nodiscard]] bool is_unfinished_snapshot(const FileName& name);

[[nodiscard]] std::string encode(const SnapshotHeader& header);
/// Errors: corrupt, unsupported_format.
[[nodiscard]] Result<SnapshotHeader> decode_snapshot_header(BytesView bytes);

/// What stands before the data of a piece.
struct SnapshotPiece {
  SnapshotPart part = SnapshotPart::end;
  std::uint32_t bytes = 0;
  std::uint64_t data_hash = 0;
};
/// Bound to the snapshot and to the place in its file, as every checksum here.
[[nodiscard]] std::string encode(const SnapshotPiece& piece, const SnapshotHeader& of,
                                 std::uint64_t offset);
/// Errors: corrupt.
[[nodiscard]] Result<SnapshotPiece> decode_snapshot_piece(BytesView bytes, const SnapshotHeader& of,
                                                          std::uint64_t offset);
[[nodiscard]] std::uint64_t snapshot_hash(BytesView bytes);

}  // namespace kuilt::storage
