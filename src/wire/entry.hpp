// entry.hpp: the encoding of one log entry, shared by disk, appends and feed.
//
// StoredEntry = { Entry entry = 1; Origin origin = 2 } in proto/kuilt/v1. The public part (Entry)
// is the same bytes in all three places; the origin (session, birth, floor, digest) never leaves
// the servers.
#pragma once

#include <cstdint>
#include <string>

#include "kuilt/bytes.hpp"
#include "kuilt/result.hpp"
#include "raft/messages.hpp"

namespace kuilt::wire {

inline constexpr std::uint32_t entry_format = 1;

/// A command entry in full. Strings and bodies borrow from the buffer that was decoded.
struct Command {
  Position at;
  LogTime log_time;
  std::uint64_t log_id = 0;
  std::string_view room;
  std::string_view author;  ///< Name of the principal that proposed it.
  RequestId request_id;
  BytesView body;
  // Origin: for servers only.
  SessionId session;
  Index birth;
  RequestId floor;           ///< The client has recorded the outcome of every id up to here.
  std::uint64_t digest = 0;  ///< XXH3-64 of room and body: tells a repeat from a reuse.
};

/// Encodes once; the result is `raft::Entry::stored`.
[[nodiscard]] raft::Entry encode_command(const Command& command);
[[nodiscard]] raft::Entry encode_configuration(Position at, LogTime log_time,
                                               raft::SharedConfiguration configuration);
[[nodiscard]] raft::Entry encode_cut(Position at, LogTime log_time);
[[nodiscard]] raft::Entry no_op(Position at);
[[nodiscard]] std::uint64_t command_digest(std::string_view room, BytesView body);

/// Reads a command entry that this process encoded or has checked before.
/// Errors: bad_frame.
[[nodiscard]] Result<Command> decode_command(const raft::Entry& entry);
/// The stamp of an entry; zero for a no-op, which has none.
[[nodiscard]] LogTime log_time_of(const raft::Entry& entry);

/// Checks stored bytes from a peer or a disk against the position and kind they came with, and
/// fills in `configuration` where the kind asks for it. The only way to such an entry.
/// Errors: bad_frame, unsupported_format (a kind or format of a later version).
[[nodiscard]] Result<raft::Entry> admit_stored(Position at, raft::EntryKind kind, Bytes stored);

/// The public part of a command: what the feed carries, as a slice of `stored`.
[[nodiscard]] Bytes public_part(const raft::Entry& entry);

/// One step of a room's digest chain: H(before, public part). XXH3-64, seeded with `before`.
[[nodiscard]] std::uint64_t chain(std::uint64_t before, BytesView public_part);

}  // namespace kuilt::wire
