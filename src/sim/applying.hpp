// applying.hpp: the state machine beside one simulated server: what the apply thread is to the real
// one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/committed_tail.hpp"
#include "cluster/feed.hpp"
#include "sim/scene.hpp"
#include "sim/snapshotting.hpp"

namespace kuilt::sim {

/// What it needs of the server that it stands beside.
struct ApplyingOwner {
  std::string name;
  std::function<void(cluster::Input)> submit;
  /// After a while, unless the process has died by then.
  std::function<void(std::function<void()>)> later;
  using ReadDone = std::function<void(Result<std::vector<raft::Entry>>)>;
  std::function<void(Index first, Index last, std::size_t bytes_max, ReadDone)> read;
};
/// What it has to do with snapshots.
struct ApplyingSnapshots {
  Snapshotting* writes = nullptr;  ///< Null: none are taken.
  Index first_cut{};               ///< Cuts before this one are passed over.
  std::optional<Position> restored{};
  std::function<Result<std::unique_ptr<SnapshotSource>>()> open{};
};

class Applying {
 public:
  /// Pre: the scene has state machines.
  Applying(Scene& scene, const cluster::FeedBoot& boot, ApplyingOwner owner,
           ApplyingSnapshots snapshots);

  void publish(const cluster::CommittedBatch& batch);
  void ask(const std::vector<cluster::AdmissionQuestion>& questions);
  /// Of what is read from the disk, that which is committed.
  [[nodiscard]] std::vector<raft::Entry> admit(Index first, std::vector<raft::Entry> read) const {
    return tail_.admit(first, std::move(read));
  }
  /// The machine has taken in the last Applied.
  void taken();

 private:
  void restore();
  void meet_cut(Position cut);
  void come_back();
  void go_on();
  void apply_some();
  void apply(const std::vector<raft::Entry>& entries);
  void answer_questions();
  void tell();
  void apply_command(const LogEntry& sealed);
  [[nodiscard]] std::optional<std::string> refusal_of(const cluster::AdmissionQuestion& question);

  Scene& scene_;
  const ApplyingOwner owner_;
  const ApplyingSnapshots snapshots_;
  cluster::CommittedTail tail_;
  std::unique_ptr<kuilt::StateMachine> machine_;  // Null once it threw.
  Index applied_;
  Index told_;
  std::vector<cluster::AppliedResult> results_;
  std::vector<cluster::AdmissionQuestion> questions_;
  bool is_due_ = false;
  bool reads_ = false;
  bool tells_ = false;
};

}  // namespace kuilt::sim
