// state_machine.hpp: an application's own state, run by every server of a cluster from the log.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "kuilt/bytes.hpp"
#include "kuilt/committed.hpp"
#include "kuilt/detail/export.hpp"
#include "kuilt/detail/function.hpp"
#include "kuilt/result.hpp"

namespace kuilt {

/// The longest result that reaches a client; what `apply` returns beyond it stays on the server.
inline constexpr std::size_t result_bytes_max = std::size_t{1} << 20;

/// Where a snapshot is written to.
class KUILT_API SnapshotSink {
 public:
  virtual ~SnapshotSink() = default;
  /// Errors: io, disk_full. After an error no more is to be written.
  virtual Status write(BytesView bytes) = 0;
};

/// Where a snapshot is read from.
class KUILT_API SnapshotSource {
 public:
  virtual ~SnapshotSource() = default;
  /// The next bytes, `bytes_max` at most. Empty: that was all.
  /// Errors: io, corrupt; stopped (the server stops, and waits for `restore` to return).
  virtual Result<Bytes> read(std::size_t bytes_max) = 0;
  /// All that is left, for a state that memory holds twice.
  /// Errors: as for `read`.
  Result<Bytes> read_all();
};

/// Writes what `StateMachine::freeze` has put aside, on a thread of the server's that does nothing
/// else. An Error of its own, or of the sink, gives this snapshot up, and so does what it throws. A
/// server that stops waits for it: the sink then answers `stopped`.
using SnapshotWriter = std::function<Status(SnapshotSink&)>;

/// The state that the log makes, on each server its own copy: every server applies the same
/// commands in the same order, so all copies are equal as long as `apply` is deterministic.
///
/// Contract: `apply` depends on its entry and on the state that earlier calls made, and on nothing
/// else: no clock (an entry has its log time), no random source, no thread, no order of a hash
/// table, no setting that may differ between servers. A server that starts begins with a fresh
/// object: it restores the newest snapshot into it, if there is one, and applies what follows in
/// the log; or else the whole log.
///
/// Threads: one, the server's *apply* thread, makes all calls; never two at once. What `freeze`
/// returned runs on another thread meanwhile. To read the state
/// from elsewhere, lock it inside your own functions. A call that takes long delays answers on this
/// server, and on a leader proposals, but neither commits nor the feed.
/// Ownership: borrowed by the server, which it must outlive. One object serves one server.
/// Failure: see each call.
class KUILT_API StateMachine {
 public:
  using Sink = SnapshotSink;
  using Source = SnapshotSource;

  virtual ~StateMachine() = default;

  /// Takes in the next command of the log. What it returns goes back to the proposer with the
  /// Receipt, unless it is longer than `result_bytes_max`; empty is a result like any other.
  /// Failure: must not throw. If it does, this server stops for good with `apply_failed`, and
  /// `ServerStatus::failure` names the index: a state of which nobody knows how much of the entry
  /// it holds must not be served. Nothing acknowledged is lost, and the other servers go on (if
  /// they do not throw as well). `apply` says no by what it returns.
  virtual Bytes apply(const LogEntry& entry) = 0;

  /// Whether a command may enter the log: asked on the leader, once for each proposal that is new,
  /// with everything applied that was acknowledged before the proposal came. What was proposed at
  /// the same time may not be applied yet, and comes before this command: so this is for what is
  /// wrong by itself, or out of proportion, and `apply` still decides what it does. A repeat of
  /// what is in the log is never asked about.
  /// Errors: the proposer gets `not_admitted`, effect none, with this Error's message. One that is
  /// thrown is no different.
  /// Success does not promise that the command will be committed, or that another leader will not
  /// be asked again.
  virtual Status admit(const std::string& author, BytesView command);

  /// Puts the state aside as it is now, cheaply (a copy, a copy-on-write handle), and returns what
  /// will write it, on another thread, while `apply` goes on. Empty: this state machine has no
  /// snapshots, and is rebuilt from the whole log.
  /// Called at a cut: a place in the log, the same on all servers (ServerOptions,
  /// `snapshot_after_entries`), unless the last snapshot is still being written.
  /// Failure: one that throws, and a writer that throws, count as an Error: no snapshot this time.
  /// The server says so in its news and its status, and goes on.
  virtual SnapshotWriter freeze();

  /// Replaces the state by one that a `freeze` of the same cluster has written, here or elsewhere.
  /// Called before the first `apply` of a server that starts with a snapshot. Its bytes were
  /// checked as a whole before. Errors: corrupt, and whatever the source says. The server stops
  /// with `restore_failed`, for nobody knows what the state holds; so it does if this throws.
  virtual Status restore(Source& source);
};

inline Result<Bytes> SnapshotSource::read_all() {
  std::string all;
  while (true) {
    const Result<Bytes> some = read(std::size_t{1} << 20);
    if (!some || some->empty()) return some ? Bytes(std::move(all)) : some;
    all.append(some->text());
  }
}

inline Status StateMachine::admit(const std::string& /*author*/, BytesView /*command*/) {
  return Done{};
}
inline SnapshotWriter StateMachine::freeze() { return {}; }
inline Status StateMachine::restore(Source& /*source*/) {
  return Error(ErrorCode::usage,
               "this state machine has no snapshots: it does not override restore");
}

}  // namespace kuilt
