// survey.hpp: what a log directory holds, for people and tools. Writes nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "raft/log_view.hpp"
#include "storage/log_scan.hpp"

namespace kuilt::storage {

/// With damage: what was read before it.
struct Survey {
  std::optional<Identity> identity;  ///< None, if not even the first header is sound.
  Position base;
  Index last;
  Index commit;  ///< The highest that a sound batch vouches for.
  raft::HardState hard;
  std::vector<raft::TermRange> terms;
  std::vector<ScannedSegment> segments;
  std::size_t batches = 0;
  std::uint64_t torn_bytes = 0;      ///< Of a batch that a crash cut off: the next start drops it.
  std::optional<FileInfo> leftover;  ///< Of a roll that was cut short: the next start removes it.
  std::optional<Error> damage;       ///< corrupt or unsupported_format.
};

/// Reads all of it, as a start would, and hands every entry over as `Wal::open` does.
/// A server that writes to the directory meanwhile may be caught between two steps: its end can
/// look torn, and a segment that it begins can look damaged.
/// Errors: io, and what the sink answers.
[[nodiscard]] Result<Survey> survey(Disk& disk, const Wal::EntrySink& sink);

}  // namespace kuilt::storage
