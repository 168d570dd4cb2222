// snapshotting.hpp: what the snapshot thread is to the real server, beside a simulated one: the
// real fold, plan and format, on a simulated disk, operation by operation.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cluster/committed_state.hpp"
#include "sim/disk.hpp"
#include "sim/scene.hpp"
#include "storage/snapshots.hpp"

namespace kuilt::sim {

/// What it needs of the server that it stands beside.
struct SnapshottingOwner {
  std::string name;
  storage::Identity identity;
  Position base;
  /// After as long as the operation takes, unless the process has died by then.
  std::function<void(const storage::DiskOp&, std::function<void()>)> after;
  /// After a while, unless the process has died by then.
  std::function<void(std::function<void()>)> later;
  /// Committed entries, from this server's disk.
  cluster::CommittedState::Read read;
};

class Snapshotting {
 public:
  Snapshotting(Scene& scene, SimDisk& disk, Rng rng, SnapshottingOwner owner,
               std::optional<storage::FileInfo> newest);

  /// Whether a snapshot may begin.
  [[nodiscard]] bool is_free() const { return !job_; }
  void write(Position cut, SnapshotWriter writer);
  void given_up() { scene_.coverage.count("snapshots given up"); }
  /// The process dies: what the disk has in hand then.
  void interrupt();

 private:
  struct Job {
    Position cut;
    SnapshotWriter writer;
    cluster::CommittedState state;
    std::deque<storage::DiskOp> ops;
    bool is_doomed = false;  ///< The disk will refuse; what is left of it goes.
    std::uint64_t bytes = 0;
    bool is_written = false;  ///< And what is older is being removed.
  };

  [[nodiscard]] cluster::CommittedState state_before(Position cut);
  void gather();
  Status plan();
  void go_on();
  void end();

  Scene& scene_;
  SimDisk& disk_;
  Rng rng_;
  const SnapshottingOwner owner_;
  std::optional<storage::FileInfo> newest_;
  std::optional<Job> job_;
};

}  // namespace kuilt::sim
