// apply_thread.hpp: the one thread on which the application's state machine runs.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cluster/machine.hpp"
#include "kuilt/state_machine.hpp"
#include "server/committed_log.hpp"
#include "server/snapshot_thread.hpp"

namespace kuilt::server {

/// What an apply thread has to do with snapshots.
struct Snapshots {
  SnapshotThread* thread = nullptr;  ///< Borrowed; null: none are taken.
  /// Cuts before this one are passed over: another is known to follow them.
  Index first_cut{};
  /// Set: the state machine begins with this one.
  std::optional<Position> restored{};
  std::function<Result<std::unique_ptr<SnapshotSource>>()> open{};  ///< That one's content.
};

/// Applies the committed log from its start, or from what a snapshot holds, entry by entry, and
/// answers what the core asks about new proposals. It reads the log by a cursor, so a long log or a
/// slow state machine costs no memory; and it tells the core of what it has applied in batches, one
/// on its way at a time.
///
/// Threads: one of its own. Public calls from any; none of them waits for the state machine, but
/// `stop`.
/// Ownership: borrows the state machine and the log, which outlive it.
/// Failure: a state machine that throws in `apply` or can't be restored, and a log that can't be
/// read, end it: `on_failed` is told once, and nothing is applied or told after that.
class ApplyThread {
 public:
  struct Events {
    std::function<void(cluster::Input)> to_core;
    std::function<void(const Error&)> on_failed;
    std::function<void(const std::string&)> on_news;  ///< Lines for people.
  };
  /// `base`: the entry before the first one to apply.
  ApplyThread(StateMachine& machine, CommittedLog& log, Index base, Events events,
              Snapshots snapshots = {});
  ~ApplyThread();
  ApplyThread(const ApplyThread&) = delete;
  ApplyThread& operator=(const ApplyThread&) = delete;

  /// The log has more.
  void wake();
  void ask(std::vector<cluster::AdmissionQuestion> questions);
  /// The core has taken in the last Applied: the next may follow.
  void taken();
  /// Waits for the call of the state machine that runs, if one does. One that restores is told by
  /// its source.
  void stop();
  [[nodiscard]] Index applied() const { return Index(applied_.load(std::memory_order_relaxed)); }

 private:
  void run();
  bool restore();
  [[nodiscard]] bool stopped();
  void meet_cut(Position cut);
  bool wait_for_change(std::uint64_t& seen, Instant deadline);
  bool apply_some();
  bool apply(const raft::Entry& entry);
  void keep(Index index, Bytes result);
  void answer_questions();
  [[nodiscard]] std::vector<cluster::AdmissionQuestion> questions_that_are_due();
  void tell();
  void fail(const Error& error);

  StateMachine& machine_;
  CommittedLog& log_;
  CommittedLog::Reader reader_;
  const Events events_;
  const Snapshots snapshots_;
  std::atomic<std::uint64_t> applied_;

  // Of its own thread.
  std::vector<cluster::AppliedResult> results_;  // Not told yet.
  std::size_t results_bytes_ = 0;
  Index told_;
  bool is_early_ = false;  // What comes next is not on the disk yet.
  bool failed_ = false;
  bool told_of_size_ = false;

  std::mutex mutex_;  // Guards what follows.
  std::condition_variable changed_;
  std::uint64_t changes_ = 1;
  bool stopped_ = false;
  bool tells_ = false;  // An Applied is on its way.
  std::vector<cluster::AdmissionQuestion> questions_;
  std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace kuilt::server
