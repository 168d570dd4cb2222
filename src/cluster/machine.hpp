// machine.hpp: one server as a machine: Raft, sessions, and the routing of proposals.
//
// A proposal's way: Submit -> (leader: judge, append | follower: Forward) -> log -> commit -> the
// entry server finds its waiter in its own committed log -> Answered. See docs/ARCHITECTURE.md.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cluster/sessions.hpp"
#include "raft/core.hpp"
#include "raft/outbox.hpp"
#include "wire/outcome.hpp"
#include "wire/peer_messages.hpp"

namespace kuilt::cluster {

/// One client link of this server, for as long as it lives. Never reused within one process.
using LinkId = Number<struct LinkIdTag>;

struct MachineOptions {
  raft::Options raft;
  /// Forwarded proposals without an outcome, in bytes; more is refused as busy (rule 13).
  std::size_t forward_window_bytes_max = std::size_t{16} << 20;
  /// All waiting proposals of this server's clients, in bytes; more is refused as busy.
  std::size_t waiting_bytes_max = std::size_t{64} << 20;
  /// A forward without an outcome for this long is sent again, under a new number.
  Duration forward_timeout = std::chrono::seconds(1);
  /// A proposal waits this long for a leader before it is refused as no_leader.
  Duration leader_wait_max = std::chrono::seconds(10);
  /// What `busy` tells the client to wait.
  Duration busy_retry_after = std::chrono::milliseconds(100);
};

// What may happen to a machine.
struct Tick {};
/// Proposals of one client link; `author` is set.
struct Submit {
  LinkId link;
  std::vector<wire::Proposal> proposals;
};
/// The link is gone: nobody waits for its answers any more.
struct LinkClosed {
  LinkId link;
};
/// From a peer that has proven that it belongs to the cluster.
struct FromPeer {
  NodeId from;
  std::variant<raft::Message, wire::Forward, wire::ForwardReply> message;
};
struct PeerUp {
  NodeId peer;
};
struct PeerDown {
  NodeId peer;
};
using Input =
    std::variant<Tick, Submit, LinkClosed, FromPeer, PeerUp, PeerDown, raft::Written, raft::Loaded>;

struct Answered {
  LinkId link;
  wire::Answer answer;
};
struct PeerSend {
  NodeId to;
  wire::PeerMessage message;
};
/// A run of committed entries, in order and without a gap: what the feed is made of.
struct CommittedBatch {
  Position prev;     ///< The entry before the first.
  Position through;  ///< The last.
  std::vector<raft::Entry> entries;
};
struct Leadership {
  raft::Role role = raft::Role::follower;
  Term term;
  std::optional<NodeId> leader;
  friend bool operator==(const Leadership&, const Leadership&) = default;
};

/// What the driver owes the machine after a step. The field order is the order of the work.
struct Output {
  std::vector<raft::Write> writes;  ///< To the log, in order; answer each `seq` with raft::Written.
  std::vector<PeerSend> send;       ///< Each may leave at once: the outbox is inside the machine.
  std::vector<raft::NeedEntries> loads;
  std::shared_ptr<const CommittedBatch> committed;  ///< To every feed; null if commit did not move.
  std::vector<Answered> answers;
  std::optional<Leadership> leadership;  ///< Set when it changed.
  Instant wake_at{};                     ///< Step with Tick no later than this.
};

/// Counted since boot. The names are those of /metrics and of the simulator's coverage.
struct Counters {
  std::uint64_t proposals = 0;
  std::uint64_t appended = 0;
  std::uint64_t suppressed_repeats = 0;  ///< Repeats that dedup kept out of the log.
  std::uint64_t joined_repeats = 0;      ///< Of these, of an entry not yet committed.
  std::uint64_t committed_repeats = 0;   ///< Of these, of an entry already committed.
  std::uint64_t forwards = 0;
  std::uint64_t reforwards = 0;
  std::uint64_t lost_forwards = 0;  ///< Forwards whose timeout passed.
  std::uint64_t stale_answers = 0;  ///< ForwardReplies of an earlier number or term, ignored.
  std::uint64_t truncations = 0;    ///< Of the own log, by a new leader.
  std::uint64_t truncated_entries = 0;
  std::uint64_t elections_won = 0;
  std::uint64_t refused_busy = 0;
  std::map<std::string, std::uint64_t> refused_peer_messages;  ///< By name of the raft::Refusal.
};

/// What a machine boots from.
struct MachineBoot {
  raft::Boot raft;              ///< Tail entries have their configuration filled in.
  ClientSessionTable sessions;  ///< As of `raft.last`; released through `raft.commit`.
};

/// Threads: none; one caller at a time. Deterministic and copyable, as the core is.
class Machine {
 public:
  Machine(const MachineOptions& options, MachineBoot boot, std::uint64_t seed, Instant now);

  /// One turn: takes in all facts that have gathered, in order, and returns every duty that
  /// follows. Proposals of one turn become one append; commit notices are coalesced per turn.
  Output step(Instant now, std::vector<Input> inputs);

  [[nodiscard]] const raft::Core& raft() const;
  [[nodiscard]] const ClientSessionTable& sessions() const;
  [[nodiscard]] const Counters& counters() const;
  [[nodiscard]] std::size_t waiting() const;  ///< Proposals without an outcome yet.

 private:
  // (filled in by the implementation)
};

}  // namespace kuilt::cluster
