// progress.hpp: what a leader knows about the log of one follower, and what is on its way there.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "kuilt/types.hpp"

namespace kuilt::raft {

/// Two modes. Probing: the follower's log is not known to match before `next`; one append at a time
/// asks. Replicating: `next` runs ahead optimistically, within a window in bytes.
///
/// `match` only falls when the follower comes back under a new boot id; until then rejections of
/// anything up to `match` are late, and change nothing.
class Progress {
 public:
  struct InFlight {
    Index last;
    std::size_t bytes = 0;
    std::uint64_t round = 0;  ///< The last heartbeat round sent before it.
  };

  Progress() = default;
  /// A new leader supposes that the follower's log equals its own before `next`.
  Progress(Index next, Instant now) : next_(next), heard_(now) {}

  [[nodiscard]] Index match() const { return match_; }
  [[nodiscard]] Index next() const { return next_; }
  [[nodiscard]] bool probing() const { return probing_; }
  [[nodiscard]] const std::deque<InFlight>& in_flight() const { return in_flight_; }
  [[nodiscard]] Instant heard() const { return heard_; }
  [[nodiscard]] Instant waiting_since() const { return waiting_since_; }
  [[nodiscard]] Instant paused_until() const { return paused_until_; }
  [[nodiscard]] BootId boot() const { return boot_; }
  [[nodiscard]] std::uint64_t answered() const { return answered_; }
  [[nodiscard]] std::optional<Index> loading() const { return loading_; }
  /// As it said last.
  [[nodiscard]] bool disk_stalled() const { return disk_stalled_; }

  /// Bytes that the window still has room for.
  [[nodiscard]] std::size_t room(std::size_t window_bytes_max) const;
  /// Nothing goes out: a probe is under way, or a pause has not passed.
  [[nodiscard]] bool blocked(Instant now) const;
  /// When `blocked` may end, or an answer is overdue; nothing, if neither is awaited.
  [[nodiscard]] std::optional<Instant> due(Instant now, Duration retransmit_after) const;
  [[nodiscard]] bool overdue(Instant now, Duration retransmit_after) const;
  /// Whether a rejection of the append after `prev` can be news.
  [[nodiscard]] bool expects_rejection_of(Index prev) const;
  /// Whether a follower that answered heartbeat `round` with `last` never got what is in flight.
  [[nodiscard]] bool lost_in_flight(std::uint64_t round, Index last) const;

  /// An answer of the current term came, from a process with this boot id.
  void hear(BootId boot, Instant now);
  /// It answered heartbeat `round`. An answer says that its sender was in our term after the round
  /// began. A term is durable before it is told, so that stays true of a process that starts anew,
  /// and answers of an earlier life count like any other: a new boot id takes nothing back.
  void answer(std::uint64_t round) { answered_ = std::max(answered_, round); }
  void hear_disk(bool stalled) { disk_stalled_ = stalled; }
  void send(InFlight append, Instant now);
  void acknowledge(Index durable, Instant now);
  void reject(Index next);
  /// Whatever was in flight may be lost: start again after what is known to match.
  void probe();
  void pause(Instant until) { paused_until_ = until; }
  void resume() { paused_until_ = Instant{}; }
  void load(Index first) { loading_ = first; }
  void loaded() { loading_.reset(); }

 private:
  void clear_in_flight();

  Index match_;
  Index next_{1};
  bool probing_ = true;
  std::deque<InFlight> in_flight_;  // While probing: at most the one probe.
  std::size_t in_flight_bytes_ = 0;
  Instant waiting_since_{};  // Since when the oldest in flight goes without progress.
  Instant paused_until_{};
  Instant heard_{};
  BootId boot_;
  std::uint64_t answered_ = 0;  // The highest heartbeat round, in this term.
  bool disk_stalled_ = false;
  std::optional<Index> loading_;  // First index of the one NeedEntries that is unanswered.
};

}  // namespace kuilt::raft
