// invariants.hpp: what must hold among servers after every step, whatever the network and disks do.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cluster/machine.hpp"
#include "sim/log_mirror.hpp"
#include "sim/network.hpp"
#include "sim/oracle.hpp"

namespace kuilt::sim {

/// Watches all servers from outside: what they wrote, what is really on their disks, what they
/// told each other. The first violation is kept.
class Invariants {
 public:
  Invariants(std::vector<NodeId> servers, Position base, Oracle& oracle);

  /// Found at boot: the log through `entries`, in order, after the base.
  void booted(ServerNumber server, const raft::HardState& hard,
              const std::vector<raft::Entry>& entries, Index commit);
  /// The machine ordered this write: it is in the log in memory.
  void ordered(ServerNumber server, const raft::Write& write);
  /// The disk has done everything through `seq`.
  void synced(ServerNumber server, raft::WriteSeq seq);
  /// A frame is about to leave.
  void sends(ServerNumber server, ServerNumber to, const wire::PeerMessage& message);
  /// `leading`: the term that the server leads now, if it does.
  void committed(ServerNumber server, const cluster::CommittedBatch& batch,
                 std::optional<Term> leading);
  /// One step is done, and all of the above was told.
  void stepped(ServerNumber server, const cluster::Machine& machine);
  /// For the end: all logs are one log, all tables one table.
  void compare_all(const std::map<ServerNumber, const cluster::Machine*>& machines);

  /// The founding record is committed by agreement.
  void founded(raft::SharedConfiguration founders) { members_ = std::move(founders); }
  /// As of the last configuration that anybody has committed.
  [[nodiscard]] const raft::Configuration& members() const { return *members_; }
  struct Changes {
    std::uint64_t joint = 0;
    std::uint64_t several = 0;
    std::uint64_t voters_added = 0;
    std::uint64_t voters_removed = 0;
    std::uint64_t waited = 0;
    std::uint64_t given_up = 0;
    std::uint64_t rolled_back = 0;
    std::uint64_t decided_from_outside = 0;
  };
  [[nodiscard]] const Changes& changes() const { return changes_; }

  [[nodiscard]] const LogMirror& log_of(ServerNumber server) const;
  [[nodiscard]] const LogMirror& durable_of(ServerNumber server) const;
  [[nodiscard]] const raft::HardState& durable_hard_of(ServerNumber server) const;

  /// No command may be in any log for which this says no.
  void admit_only(std::function<bool(BytesView)> may_be_in_a_log) {
    may_be_in_a_log_ = std::move(may_be_in_a_log);
  }
  [[nodiscard]] Term newest_term_led() const {
    return leaders_.empty() ? Term() : leaders_.rbegin()->first;
  }

  void complain(const Violation& violation);
  [[nodiscard]] const Violation& violation() const { return violation_; }

 private:
  using RequestKey = std::pair<SessionId, RequestId>;
  struct ServerView {
    LogMirror log;
    raft::HardState hard;
    std::map<RequestKey, Index> requests;
    LogMirror durable;
    raft::HardState durable_hard;
    std::deque<raft::Write> unsynced;
    Index committed;
    Term term;
    bool leads = false;
    std::vector<raft::ConfigurationAt> configurations;  ///< All in the log.
    Index last_before;                                  ///< Of the log, before this step.
    bool stands = false;
    bool disk_stalled = false;
  };
  struct Known {
    std::uint64_t chain = 0;
    std::optional<RequestKey> request;
  };

  void append(ServerNumber server, const raft::Entry& entry);
  void truncate(ServerView& view, Index last);
  const Known* learn(const LogMirror& log, const raft::Entry& entry);
  void check_hard(const raft::HardState& before, const raft::HardState& after);
  void check_recovered(const ServerView& before, const LogMirror& found,
                       const raft::HardState& hard);
  void check_leader(ServerNumber server, Term term);
  void check_durable_majority(ServerNumber server, Index index);
  [[nodiscard]] bool is_durable_on_a_majority(const std::vector<raft::Member>& members, Index index,
                                              std::uint64_t chain) const;
  void commit_configuration(const raft::SharedConfiguration& next);
  void sends_raft(ServerNumber server, ServerNumber to, const raft::Message& message);

  std::vector<NodeId> ids_;
  Oracle& oracle_;
  std::vector<ServerView> servers_;
  std::map<Position, Known> known_;  ///< Every entry that was ever in any log.
  std::function<bool(BytesView)> may_be_in_a_log_ = [](BytesView) { return true; };
  std::map<Term, ServerNumber> leaders_;
  std::map<std::pair<Term, ServerNumber>, ServerNumber> promised_votes_;
  std::set<std::pair<Term, ServerNumber>> told_to_stand_;  ///< By the leader of that term.
  raft::SharedConfiguration members_;
  std::set<Term> committed_in_;  ///< Terms of committed entries.
  Changes changes_;
  Violation violation_;
};

}  // namespace kuilt::sim
