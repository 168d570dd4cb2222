// node.hpp: one voter with its threads: core, log, apply, snapshots, reads, peers and shards, wired
// together.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/boot.hpp"
#include "kuilt/server.hpp"
#include "server/apply_thread.hpp"
#include "server/changes.hpp"
#include "server/committed_log.hpp"
#include "server/core_thread.hpp"
#include "server/disk_usage.hpp"
#include "server/facts.hpp"
#include "server/log_thread.hpp"
#include "server/own_reads.hpp"
#include "server/peers.hpp"
#include "server/read_thread.hpp"
#include "server/rooms_thread.hpp"
#include "server/shard.hpp"
#include "server/snapshot_thread.hpp"
#include "server/transfers.hpp"
#include "transport/seam.hpp"

namespace kuilt::server {

/// What a node is made of, once its directory is open and its place in the cluster known.
struct NodeParts {
  ServerOptions options;
  Facts facts;
  std::shared_ptr<void> directory;  ///< Holds the lock as long as the node lives.
  std::shared_ptr<storage::Disk> disk;
  std::unique_ptr<storage::Wal> wal;
  cluster::BootBuilder::Boots boots;
  StateMachine* state_machine = nullptr;  ///< Borrowed; null: the server has none.
  /// Where its snapshots are; null: it takes none.
  std::shared_ptr<storage::Disk> snapshot_disk = nullptr;
  FoundSnapshots found_snapshots = {};
  Index last_cut = {};                              ///< In the log, as it was found.
  std::function<void(const std::string&)> on_news;  ///< Lines for people; any thread.
  /// Makes the way to the other servers; events may come before the threads run.
  std::function<std::unique_ptr<PeerTransport>(ToNode)> connect_peers;
};

/// Threads: runs its own (docs/ARCHITECTURE.md). Public calls from any thread.
/// Ownership: destruction stops everything, in the order in which nobody is left without a partner:
/// clients, core, rooms, state machine and its snapshots, peers, log.
class Node {
 public:
  /// `on_failed` is told once if the disk fails (rule 12) or the state machine throws, from the log
  /// thread or the apply thread.
  Node(NodeParts parts, std::function<void(const Error&)> on_failed);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Admits clients.
  Status admit_clients();
  /// Hands over the lead, to `target` or to the voter that is best suited. `done` is called on
  /// another thread, or on this one if nothing can come of it.
  void transfer_leadership(std::optional<NodeId> target, TransferDone done);
  /// Orders a change of the members, which is judged if this server leads. How it goes on is in
  /// `members()`. `judged` hears whether it begins, on another thread.
  /// Errors: unknown_server, change_refused.
  Result<ChangeBegun> begin_change(const MembershipChange& change,
                                   std::function<void(const Status&)> judged = {});
  [[nodiscard]] MembershipStatus membership() const;
  [[nodiscard]] const Members& members() const { return *facts_.members; }
  /// Is no longer ready; if this server leads, hands over, within `patience`. Returns who leads
  /// now, unless the lead stays here, or never was.
  std::optional<std::string> hand_over(Duration patience);
  /// Takes no new clients and tells those that are there where to go; returns once they are gone,
  /// after `patience` at the latest.
  void drain(Duration patience);

  /// A read barrier of the program that runs this server: how far the log was, once this server
  /// has applied it through there.
  [[nodiscard]] OwnReads::Asked read_barrier();
  [[nodiscard]] std::shared_ptr<OwnReads> own_reads() const { return own_reads_; }

  [[nodiscard]] const Facts& facts() const { return facts_; }
  [[nodiscard]] ServerStatus status() const;
  /// "ws://host:port" of each listener, once clients are admitted; or what is advertised.
  [[nodiscard]] std::vector<std::string> client_urls() const;
  [[nodiscard]] CoreView core_view() const;
  [[nodiscard]] LogThread::Figures log_figures() const { return log_.figures(); }
  [[nodiscard]] ShardFigures shard_figures() const;  ///< Of all shards together.
  /// Nothing, if the log is in memory.
  [[nodiscard]] std::optional<DiskUsage> disk() const { return disk_usage(options_.data); }
  [[nodiscard]] RoomFigures room_figures() const { return rooms_.figures(); }
  [[nodiscard]] std::map<std::string, std::uint64_t> peer_refusals() const {
    return peers_->refusals();
  }
  /// Is a member, has a leader, is not draining, and has not stopped by itself.
  [[nodiscard]] bool is_ready() const;
  /// Nothing, if it takes none.
  [[nodiscard]] std::optional<SnapshotFigures> snapshot_figures() const;
  /// By the state machine; unset without one.
  [[nodiscard]] std::optional<Index> applied() const;
  [[nodiscard]] std::shared_ptr<CommittedLog> committed_log() const { return committed_; }

 private:
  void on_peer(PeerEvent& event);
  void on_join(const JoinAsked& asked);
  void on_members(raft::SharedConfiguration in_force, raft::SharedConfiguration committed);
  void serve_as_a_member_or_not();
  void leave();
  void on_written(Result<raft::WriteSeq> written);
  void look_at_disk();
  void tell_of_disk(bool stalled);
  void tell_of_fault(const cluster::PeerFault& fault);
  void fail(const Error& error, const std::string& what);
  void stop_by_itself(const Error& error, const wire::Goodbye& goodbye);
  void start_applying(NodeParts& parts);
  [[nodiscard]] Snapshots start_snapshots(NodeParts& parts);
  void start_shards(const cluster::FeedBoot& boot);
  void start_rooms();
  [[nodiscard]] CoreDuties core_duties();
  [[nodiscard]] ShardEvents shard_events(std::size_t number);
  void answer(std::vector<cluster::Answered> answers);
  void answer(std::vector<cluster::BarrierAnswered> barriers);
  void on_leadership(const cluster::Leadership& leadership);
  [[nodiscard]] std::string role_text(const CoreView& view) const;

  const ServerOptions options_;
  Facts facts_;
  std::shared_ptr<void> directory_;
  std::shared_ptr<storage::Disk> disk_;
  std::shared_ptr<storage::Disk> snapshot_disk_;
  std::function<void(const Error&)> on_failed_;
  std::function<void(const std::string&)> on_news_;
  std::atomic<bool> draining_ = false;
  std::atomic<bool> failed_ = false;
  mutable std::mutex failure_mutex_;
  std::string failure_;
  Transfers transfers_;
  PendingOrders<Done> changes_;
  LinkRegistry registry_;
  const std::shared_ptr<OwnReads> own_reads_ = std::make_shared<OwnReads>();
  CoreThread core_;
  cluster::Leadership leadership_;  // Of the core thread, once that runs.
  RoomsThread rooms_;
  DiskWatch disk_watch_;                             // Of the log thread.
  Instant disk_looked_at_{};                         // The same.
  std::map<raft::Refusal, Instant> faults_told_at_;  // On the core's thread.
  LogThread log_;
  ReadThread reads_;
  std::shared_ptr<CommittedLog> committed_;
  std::unique_ptr<PeerTransport> peers_;
  std::atomic<PeerTransport*> ready_peers_ = nullptr;  // The same, once any thread may use it.
  std::vector<std::unique_ptr<Shard>> shards_;
  std::unique_ptr<SnapshotThread> snapshots_;  // Null if it takes none.
  std::unique_ptr<ApplyThread> apply_;         // Null without a state machine.
  std::unique_ptr<transport::Listener> listener_;
};

}  // namespace kuilt::server
