// server.hpp: one server of a small group: a core, its outbox, and a disk that is done when told.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "explore/words.hpp"
#include "raft/core.hpp"
#include "raft/outbox.hpp"
#include "raft/trace.hpp"

namespace kuilt::explore {

/// What all servers of a group share.
struct Setting {
  raft::Options options;
  raft::SharedConfiguration configuration;
  /// Every heartbeat is lost: then appends alone tell who leads and what is committed.
  bool heartbeats_lost = false;
  /// The disk says that a write is done, and keeps nothing. For tests of the checkers only.
  bool disks_lie = false;
  raft::TraceLines* raft_trace = nullptr;  ///< Null if nobody reads it.

  [[nodiscard]] std::size_t voters() const { return configuration->members.size(); }
};
/// A group of `voters`, whose timers are so far apart in length that none is ever due because
/// another one was let pass: heartbeats ≪ retransmission ≪ elections (see Server).
[[nodiscard]] Setting setting_of(std::size_t voters);

/// What a disk holds, and what it was told to write and has not.
struct Disk {
  raft::HardState hard;
  std::vector<raft::Entry> entries;  ///< From index 1 on.
  Index commit;
  std::vector<raft::Write> queue;
};

/// What one event did to a server and let out of it.
struct Effects {
  std::vector<raft::Outgoing> sent;
  raft::Refusal refused = raft::Refusal::none;
};

/// A core with the code that ships around it, driven one event at a time. Copyable.
///
/// Time is an input here: each server has a clock of its own, which stands still but in the events
/// that say that a timer fired. A core compares instants of its own clock only, so no instant of
/// another server is ever needed. The clock then moves to where that timer is due, and nothing else
/// is, for the timers of `setting_of` differ by factors that no slice can add up to.
class Server {
 public:
  /// Boots from what the disk holds.
  Server(std::shared_ptr<const Setting> setting, Slot slot, Disk disk);

  /// The election timeout; for a leader, that long without an answer from anybody.
  Effects time_out();
  /// A leader's heartbeat is due.
  Effects beat();
  /// A leader has had no answer for so long that what is under way is sent again.
  Effects send_again();
  /// Pre: it leads.
  Effects propose(const std::string& command);
  /// The disk is done with the first write that waits. Pre: one does.
  Effects finish_write();
  /// Power fails; the first `survivors` of the waiting writes had reached the disk, and nobody was
  /// told. The server starts again at once: being down is but time and lost messages.
  Effects crash(std::size_t survivors);
  Effects receive(Slot from, const raft::Message& message);
  /// The same, after so long a silence that the message is the first for an election timeout; the
  /// own timer has not fired yet.
  Effects receive_after_silence(Slot from, const raft::Message& message);
  /// The link to a peer broke, and the server was told so.
  Effects lose_link(Slot to);
  /// The disk is not done with what it has for so long that it hangs.
  Effects stall();

  [[nodiscard]] Slot slot() const { return slot_; }
  [[nodiscard]] const raft::Core& core() const { return core_; }
  [[nodiscard]] const Disk& disk() const { return disk_; }
  [[nodiscard]] const raft::Outbox& outbox() const { return outbox_; }
  [[nodiscard]] std::vector<raft::Entry> log() const;
  [[nodiscard]] bool leads() const { return core_.role() == raft::Role::leader; }

  /// Everything that decides its future, with members written by their place in `order`.
  [[nodiscard]] std::string fingerprint(std::span<const NodeId> order) const;
  /// For people: "follower in term 2, vote b; log 1/t1 -, 2/t2 x; durable 1, commit 1".
  [[nodiscard]] std::string text() const;

 private:
  Effects step(const raft::Input& input);
  [[nodiscard]] raft::Loaded load(const raft::NeedEntries& need) const;
  void apply_first_write();

  std::shared_ptr<const Setting> setting_;
  Slot slot_;
  Disk disk_;
  std::uint64_t starts_ = 1;
  Instant now_{Duration(std::chrono::hours(1))};
  raft::Core core_;
  raft::Outbox outbox_;
  Instant wake_at_{};
};

}  // namespace kuilt::explore
