// server.hpp: run a server of a kuilt cluster, or a whole small cluster, inside your own program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kuilt/committed.hpp"
#include "kuilt/detail/chrono.hpp"
#include "kuilt/detail/export.hpp"
#include "kuilt/detail/function.hpp"
#include "kuilt/endpoints.hpp"
#include "kuilt/result.hpp"
#include "kuilt/state_machine.hpp"
#include "kuilt/types.hpp"
#include "kuilt/voter_mesh.hpp"

namespace kuilt {

/// One founding member: its name, and where the other servers reach it ("host:port").
struct FoundingMember {
  std::string name = {};          ///< Unique in its cluster.
  std::string peer_address = {};  ///< "host:port", as the others reach it.
};

/// Everything about one server that is its own affair. What decides about proposals is not here:
/// it is replicated (docs/ARCHITECTURE.md, "Founding").
struct ServerOptions {
  std::string name = "a";                       ///< What people call it; unique.
  std::string data = "./kuilt-data";            ///< Directory; made if it is missing.
  std::string listen = "127.0.0.1:7400";        ///< For clients. Port 0 picks a free one.
  std::vector<std::string> listen_also = {};    ///< More for clients; the limits hold for all.
  std::string peer_listen = "127.0.0.1:7401";   ///< For the other servers.
  std::string admin_listen = "127.0.0.1:7402";  ///< Health and metrics. Empty: none.
  /// What clients are told instead of `listen`, "ws://host:port". One for all listeners.
  std::string advertise = {};
  /// What the other servers are told instead of `peer_listen`, "host:port": by a server that joins,
  /// or that founds a cluster of one.
  std::string peer_advertise = {};
  std::vector<FoundingMember> found = {};  ///< Empty: a new directory founds a cluster of one.
  /// A new directory joins the cluster of these servers, "host:port" each, as their peers reach
  /// them: one that answers is enough. Not with `found`.
  std::vector<std::string> join = {};
  std::string secret_file = {};                 ///< Needed as soon as there is another server.
  std::vector<std::string> allow_origins = {};  ///< Besides the same origin.
  std::vector<std::string> allow_hosts = {};    ///< Besides loopback names and the own address.
  bool insecure_clients = false;     ///< Serve unproven clients on a listener that is not loopback.
  std::size_t clients_max = 10'000;  ///< Links; more are told too_many_clients.
  std::size_t shards = 0;            ///< Threads for clients; 0: max(1, cores − 2).
  Duration heartbeat_interval = std::chrono::milliseconds(50);     ///< Of a leader, to servers.
  Duration election_timeout_min = std::chrono::milliseconds(300);  ///< Of silence, then it stands.
  Duration election_timeout_max = std::chrono::milliseconds(600);  ///< Drawn in between.
  /// A disk that is not done with a write after so long hangs: a leader gives way to a server whose
  /// disk works, and nobody stands or votes, until it is done.
  Duration disk_stall_max = std::chrono::seconds(2);
  Duration client_heartbeat_interval = std::chrono::seconds(1);  ///< To each client.
  /// Of founding and joining; 0: waits for the others for ever.
  Duration founding_timeout = std::chrono::seconds(0);
  std::uint64_t segment_bytes = std::uint64_t{64} << 20;  ///< Of one file of the log.
  /// With a state machine: a leader has all servers take a snapshot after so many bytes of log
  /// since the last one, or so many entries, whichever comes first. 0: never for that.
  std::uint64_t snapshot_after_bytes = std::uint64_t{64} << 20;
  std::uint64_t snapshot_after_entries = 100'000;  ///< As above, by entries.
  /// Told of what an operator wants to know, a line each: whom founding waits for, peers that were
  /// refused, a disk that has less than 1 GiB left or hangs, who leads. Called on library threads,
  /// one at a time; must not call back.
  std::function<void(const std::string&)> on_news = {};
};

/// Done, or an error that names the option, its value and its limit. `open` asks it first.
/// Errors: invalid_argument.
[[nodiscard]] KUILT_API Status complaint_about(const ServerOptions& options);

/// How `ServerCluster::in_process` is made.
struct InProcessOptions {
  std::size_t voters = 3;  ///< Named "a", "b", ...
  /// Each voter's data in a folder below it; made if need be, its parent must exist. What an
  /// earlier cluster left there goes on. Empty: in memory only.
  std::string directory = {};
  /// As in ServerOptions. In memory only, nobody takes snapshots.
  std::uint64_t snapshot_after_bytes = std::uint64_t{64} << 20;
  std::uint64_t snapshot_after_entries = 100'000;  ///< As above, by entries.
};

/// A snapshot on a server's disk, from which it starts again.
struct SnapshotStatus {
  Position at;              ///< The cut: the last entry that it holds.
  std::uint64_t bytes = 0;  ///< Of its file.
  /// Of its sessions, rooms and configuration: the same on all servers that have a snapshot `at`.
  std::uint64_t digest = 0;
  Duration age{};  ///< Since it was written, or since the server found it at its start.
};

/// What one server knows of itself and of the cluster, a few milliseconds old at most.
struct ServerStatus {
  std::string name;
  NodeId id;
  ClusterId cluster;
  HistoryId history;
  /// "leader", "follower", "candidate", "pre_candidate"; "learner": does not vote; "joining": is no
  /// member yet; "stopped".
  std::string role;
  Term term;
  std::string leader;  ///< Name; empty if none is known.
  Index commit;
  Index last;
  Index durable;
  Duration disk_age = {};     ///< Of the oldest write that the disk is not done with; zero: none.
  bool disk_stalled = false;  ///< It is as old as ServerOptions::disk_stall_max.
  std::optional<Index> applied;  ///< By the state machine; unset where there is none.
  std::optional<SnapshotStatus> snapshot = {};  ///< The newest; unset: none yet.
  /// Why the last snapshot was given up; empty once one was written again. The server goes on.
  std::string snapshot_failure = {};
  std::size_t clients = 0;
  std::size_t voters = 0;
  std::size_t members = 0;  ///< Voters and learners.
  std::size_t peers_linked = 0;
  std::string failure;  ///< Why the server stopped by itself; empty while it is sound.
};

/// One server of the cluster, as its configuration has it.
struct MemberStatus {
  std::string name;
  NodeId id;  ///< Of its data directory; never used again by another.
  /// "voter"; "learner": has the log, and does not vote; "catching up": a learner that will vote as
  /// soon as it lacks little; "leaving": votes until the change is through.
  std::string standing;
  std::string peer_address;  ///< Where the other servers reach it.
  std::string client_url;
  std::optional<std::uint64_t> behind;  ///< Entries that it lacks; known to the leader alone.
};

/// The members of a cluster, and where a change of them stands.
struct MembershipStatus {
  /// "settled"; "catching up": new voters get the log first; "joint": both sets of voters decide;
  /// "committing": the last step is on its way.
  std::string stage;
  std::vector<MemberStatus> members;  ///< By their names.
};

/// Who is to be what, by names, all at once. A new server joins by itself (ServerOptions::join).
struct MembershipChange {
  std::vector<std::string> promote = {};  ///< Learners that are to vote.
  std::vector<std::string> demote = {};   ///< Voters that are to be learners.
  std::vector<std::string> remove = {};   ///< Of any standing; for good.
};

/// Finds the state machine of a voter by its name ("a", "b", ...). Borrowed: it outlives the
/// cluster. No two voters share one.
using StateMachineOf = std::function<StateMachine&(const std::string& voter)>;

/// One server's own committed stream: the whole log, all rooms, in order, without a gap or a
/// repeat, from this server's memory and disk; no link is between. Its reader is a cursor: it holds
/// no more than 256 KiB ahead, and however slow it is, the server waits for nothing.
///
/// Threads: one at a time. Ownership: move-only. May outlive the server, and then ends.
class KUILT_API CommittedStream {
 public:
  CommittedStream(CommittedStream&&) noexcept;
  CommittedStream& operator=(CommittedStream&&) noexcept;
  ~CommittedStream();

  /// Waits for the next piece. Nothing, once the stream has ended: `error()` says why.
  [[nodiscard]] std::optional<Committed> next();
  /// As `next`, but nothing after `timeout` as well.
  [[nodiscard]] std::optional<Committed> next_for(std::chrono::nanoseconds timeout);
  /// Why there will be no more: stopped, corrupt, io. Nothing, while the stream goes on.
  [[nodiscard]] std::optional<Error> error() const;

 private:
  friend class ServerCluster;
  struct KUILT_LOCAL Impl;
  explicit CommittedStream(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// One server of a cluster in this process, or m of them (`in_process`).
///
/// Two phases: once constructed, its voters run and elect; `start()` admits clients. Neither
/// blocks.
///
/// Threads: any; calls are serialized. It runs its own threads (docs/ARCHITECTURE.md, "Threads").
/// Ownership: move-only; destruction stops and joins everything, without draining. It waits for the
/// call of a state machine that runs.
/// Failure: a server whose disk fails, whose state machine throws in `apply`, or that is removed
/// from its cluster, stops by itself; `status().failure` says why.
class KUILT_API ServerCluster {
 public:
  /// Opens one server on a data directory, recovering what is there. With a founding list it
  /// returns once the founding record is agreed and durable; that waits for the other servers. One
  /// that joins returns once it is a member, and its directory bound to the cluster; the log comes
  /// later.
  /// Errors: directory_locked, directory_of_another, directory_unwritable, directory_lost, corrupt,
  /// unsupported_format, address_in_use, founding_differs, wrong_secret, invalid_argument, io,
  /// name_taken and change_refused (it can't join), timed_out, removed (the directory is that of a
  /// server that was a member, and is none any more).
  static Result<ServerCluster> open(ServerOptions options);
  /// The same, with a state machine, to which the server applies the log from its start. It returns
  /// before that is done: a proposal is answered once this server has applied it.
  static Result<ServerCluster> open(ServerOptions options, StateMachine& state_machine);

  /// m voters in this process, over the same codecs and the same log, on free loopback ports.
  /// An even number, or more than 7, works, and warns why not. On the directory of an earlier
  /// cluster it is that cluster, on other ports.
  /// Errors: invalid_argument (no voter; another number than the directory holds), directory_lost
  /// (one of the voters' folders is gone or new), and those of `open`.
  static Result<ServerCluster> in_process(InProcessOptions options);
  static Result<ServerCluster> in_process(InProcessOptions options,
                                          const StateMachineOf& state_machine_of);

  /// Admits clients from now on.
  /// Errors: address_in_use, invalid_argument (a listener that is not loopback without
  /// `insecure_clients`).
  Status start();

  /// Where clients reach it, each listener; known once `start()` has returned.
  [[nodiscard]] ClusterEndpoints endpoints() const;
  /// The name of the server that leads, as far as any server here knows; empty if none is known.
  [[nodiscard]] std::string leader() const;
  /// The voters, as the configuration of the servers in this process has them, and who leads as far
  /// as any of them knows. Empty once all of them are stopped.
  [[nodiscard]] VoterMesh mesh() const;
  /// One row per server in this process.
  [[nodiscard]] std::vector<ServerStatus> status() const;

  /// What follows `after` in the committed log of one server in this process: the one of that name,
  /// or the first that runs. With a state machine or without. To begin with what comes from now on,
  /// give the `commit` of `status()`.
  /// Errors: invalid_argument (no such server runs; `after` is not committed there), compacted.
  Result<CommittedStream> committed(Index after = {}, const std::string& server = {}) const;

  /// A linearizable read of this program's own state, without an entry in the log. Success: the
  /// server of that name here, or the first that runs, has applied the log through the index (its
  /// state machine, if it has one; else `committed` goes through it), and everything that was
  /// acknowledged to anybody before the call is at or below. So what its state machine says from
  /// now on is that new. A majority of the servers confirms it.
  /// Waits, `timeout` at most. Never inside a call of the state machine: it would wait for itself.
  /// Errors, all with effect none: invalid_argument (no such server runs), no_leader, not_leader,
  /// busy, timed_out, stopped.
  Result<Index> read_barrier(std::chrono::nanoseconds timeout = std::chrono::seconds(5),
                             const std::string& server = {}) const;

  /// Stops one server of `in_process` at once, as a crash would, its directory excepted.
  /// Errors: invalid_argument (no such server, or stopped already).
  Status stop(const std::string& name);

  /// Hands over the lead from the server that leads, which must run in this process, to the one of
  /// that name, or to the voter that is best suited. Blocks until it is decided: some milliseconds,
  /// the election timeout at most. Meanwhile proposals wait; none of them fails for that. Returns
  /// the name of the server that leads now; at once, if that is the one asked for. Success does not
  /// promise that it still leads when the call returns.
  /// Errors: no_leader, not_leader (the leader runs elsewhere), unknown_server, not_a_voter, busy
  /// (another hand-over is under way), target_behind, transfer_failed (its effect says whether it
  /// may happen yet), stopped. After each of them but an effect `unknown`, the old leader leads on.
  Result<std::string> transfer_leadership(const std::string& name = {});
  /// The same, by the id of the server.
  Result<std::string> transfer_leadership(NodeId target);

  /// The members, as the server here knows them that leads, or else the first that runs. Empty once
  /// all of them are stopped.
  [[nodiscard]] MembershipStatus membership() const;

  /// Changes the members, as the server that leads, which must run in this process. By joint
  /// consensus: at every moment two majorities agree, or one in which both overlap, so clients go
  /// on meanwhile. New voters first catch up; the change waits for them, and is given up if one of
  /// them is silent for 10 s or does not come nearer. Blocks until the change is through, and tells
  /// `on_progress` of each step, on this thread. A leader that is removed leaves at the end; then
  /// the others elect.
  /// Errors, all with effect none unless they say otherwise: no_leader, not_leader (the leader runs
  /// elsewhere), unknown_server, change_refused (it would leave no voter, or change nothing), busy
  /// (another change, or a hand-over, is under way), change_given_up (the members are as before,
  /// new ones learners), timed_out and stopped (effect unknown: the change goes on as long as there
  /// is a leader).
  Result<MembershipStatus> change_membership(
      const MembershipChange& change,
      const std::function<void(const MembershipStatus&)>& on_progress = {},
      std::chrono::nanoseconds timeout = std::chrono::minutes(1));

  /// Hands over the lead, if a server that runs alone in this process has it; takes no new clients,
  /// tells those it has where to go, and stops: success means that every acknowledged entry is
  /// durable here. Success does not promise that no client saw a torn link.
  Status drain();

  /// Waits for SIGTERM or SIGINT, drains, and returns the exit status for `main`: 0 after a clean
  /// drain, 7 if the disk or the state machine failed, 2 if it was removed from its cluster. Where
  /// NOTIFY_SOCKET is set (systemd's Type=notify), the service manager hears that it is ready, who
  /// leads, and that it stops.
  int run_until_signal();

  ServerCluster(ServerCluster&&) noexcept;
  ServerCluster& operator=(ServerCluster&&) noexcept;
  ~ServerCluster();

 private:
  struct KUILT_LOCAL Impl;
  explicit ServerCluster(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kuilt
