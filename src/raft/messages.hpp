// messages.hpp: what is in the log, and what cores say to each other. Values only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "kuilt/bytes.hpp"
#include "kuilt/types.hpp"
#include "raft/configuration.hpp"

namespace kuilt::raft {

enum class EntryKind : std::uint8_t {
  no_op = 1,          ///< The first entry of a leader's term. Has no bytes.
  configuration = 2,  ///< Members and parameters. Decoded where bytes come in: see Entry.
  command = 3,        ///< What a client proposed.
  cut = 4,            ///< Where every server takes its snapshot. Changes nothing.
};

/// One entry of the log. The core looks at index, term, kind, configuration and size, and carries
/// the rest. `stored` is the encoding that disk, appends and feed share (docs/protocol.md,
/// StoredEntry); it is never encoded twice.
struct Entry {
  Position at;
  EntryKind kind = EntryKind::no_op;
  Bytes stored;                       ///< Empty for a no-op.
  SharedConfiguration configuration;  ///< Set if and only if kind is configuration.

  /// What this entry counts for in windows and caches, in bytes.
  [[nodiscard]] std::size_t cost() const { return stored.size() + 64; }
  friend bool operator==(const Entry& a, const Entry& b) {
    return a.at == b.at && a.kind == b.kind && a.stored == b.stored;
  }
};

/// What a restarted server must still know besides its log (Raft, figure 2).
struct HardState {
  Term term;
  NodeId vote;  ///< In `term`; none if nobody.
  friend bool operator==(const HardState&, const HardState&) = default;
};

/// Pre-vote and vote (dissertation 9.6). A pre-vote asks about `term` without entering it.
struct VoteRequest {
  Term term;
  bool pre = false;
  Position last;  ///< The candidate's last entry.
  /// The leader asked for this election (TimeoutNow): that it is live is no reason to ignore it.
  bool transfer = false;
  friend bool operator==(const VoteRequest&, const VoteRequest&) = default;
};
struct VoteReply {
  Term term;  ///< Granted: the term that was asked for. Refused: the voter's own.
  bool pre = false;
  bool granted = false;
  /// Told to a candidate that is no voter as far as the sender knows: this entry is committed.
  std::optional<Position> committed{};
  friend bool operator==(const VoteReply&, const VoteReply&) = default;
};

/// Entries that follow `prev`. Never empty but for a probe.
struct AppendRequest {
  Term term;
  Position prev;
  Index commit;  ///< The leader's. The receiver bounds it by the last index this message verifies.
  std::vector<Entry> entries;
  friend bool operator==(const AppendRequest&, const AppendRequest&) = default;
};
/// Answers one append. `durable` promises that the log through there is on the sender's disk and
/// matches the leader's; the outbox holds the reply back until that is true.
struct AppendReply {
  Term term;
  bool accepted = false;
  Index durable;        ///< Accepted: prev + entries of the request answered, never more.
  Index rejected_prev;  ///< Refused: which request is meant.
  Position conflict;    ///< Refused: last index of the receiver's log that may match, and its term.
  BootId boot;
  friend bool operator==(const AppendReply&, const AppendReply&) = default;
};

/// "I lead, and everything through `commit` is decided." Outside all windows, sent at once when the
/// commit index moves and every heartbeat interval otherwise. A receiver whose log lacks
/// `commit` (index and term) keeps its own commit index (rule 4).
struct Heartbeat {
  Term term;
  Position commit;
  std::uint64_t round = 0;  ///< Of the leader's own counting, monotonic.
  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};
struct HeartbeatReply {
  Term term;
  std::uint64_t round = 0;
  Index last;  ///< The receiver's last index, durable or not: shows the leader a lost append.
  Duration disk_age;  ///< Age of the receiver's oldest unsynced write; zero if there is none.
  BootId boot;
  friend bool operator==(const HeartbeatReply&, const HeartbeatReply&) = default;
};

/// From a server that does not lead to the one that does: "how far is the log decided, for reads
/// that came to me before this?" One is out at a time.
struct ReadRequest {
  Term term;
  std::uint64_t number = 0;  ///< Of the sender's counting, from 1 in each life.
  BootId boot;               ///< Which life.
  friend bool operator==(const ReadRequest&, const ReadRequest&) = default;
};
/// Confirmed: a round that began after the request came in has found nobody in a later term.
/// Otherwise the sender does not lead, or does no longer, and there is no index.
struct ReadReply {
  Term term;
  std::uint64_t number = 0;  ///< Of the request.
  BootId boot;               ///< Of the request.
  bool confirmed = false;
  Index index;  ///< Confirmed: everything that was committed when the request came in is below.
  friend bool operator==(const ReadReply&, const ReadReply&) = default;
};

/// From a leader that hands over to a voter that has its whole log: "stand for election, now"
/// (dissertation 3.10).
struct TimeoutNow {
  Term term;
  Position last;  ///< Of the leader's log. Whoever has more or less by now does not stand.
  friend bool operator==(const TimeoutNow&, const TimeoutNow&) = default;
};

using Message = std::variant<VoteRequest, VoteReply, AppendRequest, AppendReply, Heartbeat,
                             HeartbeatReply, ReadRequest, ReadReply, TimeoutNow>;

[[nodiscard]] inline Term term_of(const Message& message) {
  return std::visit([](const auto& m) { return m.term; }, message);
}

}  // namespace kuilt::raft
