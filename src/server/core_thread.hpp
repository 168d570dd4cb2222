// core_thread.hpp: the single writer: everything that decides happens on this thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "cluster/machine.hpp"
#include "server/mailbox.hpp"

namespace kuilt::server {

/// A look at the machine, a few milliseconds old at most.
struct CoreView {
  raft::Role role = raft::Role::follower;
  Term term;
  std::optional<NodeId> leader;
  Position last;
  Index commit;
  Index durable;
  Duration disk_age{};        ///< Of the oldest write that the disk is not done with.
  bool disk_stalled = false;  ///< That is too long (rule 7).
  std::size_t waiting = 0;
  std::size_t sessions = 0;
  cluster::Counters counters;
  std::map<NodeId, Index> matches;  ///< Of a leader: how far the logs of the others are its own.
};

/// Where a turn's duties go. Called on the core thread; none of them may wait.
struct CoreDuties {
  std::function<void(std::vector<raft::Write>)> write;
  std::function<void(std::vector<cluster::PeerSend>)> send;
  std::function<void(const raft::NeedEntries&)> load;
  std::function<void(std::shared_ptr<const cluster::CommittedBatch>)> publish;
  std::function<void(std::vector<cluster::AdmissionQuestion>)> ask;
  std::function<void(std::vector<cluster::Answered>)> answer;
  std::function<void(std::vector<cluster::BarrierAnswered>)> barriers;
  std::function<void()> applied;  ///< The last Applied was taken in.
  std::function<void(const cluster::Leadership&)> lead;
  std::function<void(const cluster::TransferEnded&)> transferred;
  /// Others are in force, or committed, than before.
  std::function<void(raft::SharedConfiguration in_force, raft::SharedConfiguration committed)>
      members;
  std::function<void(const cluster::ChangeJudged&)> judged;
  std::function<void(const cluster::PeerFault&)> fault;
  std::function<void(bool stalled)> disk;  ///< It begins to hang, or is over that.
};

/// Runs one machine: drains all inputs per turn, touches no socket and no file.
///
/// Threads: one of its own. `put` and `view` from any.
class CoreThread {
 public:
  explicit CoreThread(const cluster::MachineOptions& options, cluster::MachineBoot boot,
                      std::uint64_t seed);
  ~CoreThread();
  CoreThread(const CoreThread&) = delete;
  CoreThread& operator=(const CoreThread&) = delete;

  /// Once, before the first input matters; inputs that came earlier wait.
  void start(CoreDuties duties);
  void put(cluster::Input input) { inbox_.put(std::move(input)); }
  /// Decides nothing more from the end of this turn on. Any thread.
  void halt() { inbox_.close(); }
  /// Takes no more inputs and joins. What was written stays to be synced.
  void stop();
  [[nodiscard]] CoreView view() const;

 private:
  void run();
  void carry_out(cluster::Output output);
  void tell_members();
  void publish_view();

  cluster::Machine machine_;
  CoreDuties duties_;
  raft::SharedConfiguration in_force_;   // As it was told last,
  raft::SharedConfiguration committed_;  // and this one.
  BlockingMailbox<cluster::Input> inbox_;
  mutable std::mutex view_mutex_;
  CoreView view_;
  Instant viewed_at_{};
  std::thread thread_;
};

}  // namespace kuilt::server
