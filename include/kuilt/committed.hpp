// committed.hpp: what an observer of a cluster's log sees, and where it stands.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "kuilt/bytes.hpp"
#include "kuilt/detail/export.hpp"
#include "kuilt/types.hpp"

namespace kuilt {

/// One command in the log, as every observer sees it.
struct LogEntry {
  Index index;
  Term term;
  Bytes command;         ///< Shared with the frame it came in; copying it copies no bytes.
  std::string author;    ///< Who proposed it, as the server that took it had them proven.
  RequestId request_id;  ///< In the author's session.
  LogTime log_time;
  RoomName room;
};

/// The next command.
struct CommittedEntry {
  LogEntry entry;
};
/// Nothing more is visible up to here: what was seen is the whole of the room through this index.
struct CommittedAdvance {
  Position through;
};
/// The committed stream of a room, piece by piece. Handle all alternatives: a third, `Install` (a
/// snapshot: reset to it), joins them as soon as servers can send snapshots, and not before.
struct Committed : std::variant<CommittedEntry, CommittedAdvance> {
  using Entry = CommittedEntry;
  using Advance = CommittedAdvance;
  using variant::variant;
};

/// A place in one room's history, cluster-wide: any server resumes there, and refuses if its
/// history is another one.
struct KUILT_API ResumeToken {
  ClusterId cluster;
  HistoryId history;
  Position position;
  std::uint64_t digest = 0;  ///< Of everything visible in the room through `position`.
  friend bool operator==(const ResumeToken&, const ResumeToken&) = default;

  /// "CLUSTER.HISTORY.INDEX.TERM.DIGEST", to be kept in a file.
  [[nodiscard]] std::string text() const;
  /// Reads what `text()` wrote. Nothing, if it is anything else.
  [[nodiscard]] static std::optional<ResumeToken> parse(std::string_view text);
};
/// See `from_start`.
struct FromStart {};
/// See `from_now`.
struct FromNow {};
/// See `from_index`.
struct FromIndex {
  Index index;
};
/// Where to begin to observe.
using From = std::variant<FromStart, FromNow, FromIndex, ResumeToken>;

inline constexpr FromStart from_start{};  ///< Everything that the cluster still keeps.
inline constexpr FromNow from_now{};      ///< What is committed from now on.
/// From an index on, for people: nothing is checked against a history seen before. One that is
/// still to come is waited for.
[[nodiscard]] constexpr FromIndex from_index(std::uint64_t index) { return {Index(index)}; }

}  // namespace kuilt
