#include "sim/snapshotting.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "cluster/application.hpp"
#include "storage/snapshot_streams.hpp"

namespace kuilt::sim {

Snapshotting::Snapshotting(Scene& scene, SimDisk& disk, Rng rng, SnapshottingOwner owner,
                           std::optional<storage::FileInfo> newest)
    : scene_(scene), disk_(disk), rng_(rng), owner_(std::move(owner)), newest_(std::move(newest)) {}

void Snapshotting::write(Position cut, SnapshotWriter writer) {
  job_ = Job{cut, std::move(writer), state_before(cut), {}, false, 0, false};
  gather();
}

cluster::CommittedState Snapshotting::state_before(Position cut) {
  if (!newest_) return cluster::CommittedState(owner_.base);
  const auto bytes = storage::read_snapshot_state(disk_, *newest_, owner_.identity);
  auto state = bytes ? cluster::CommittedState::decode(*bytes) : Error(bytes.error());
  if (!state) scene_.invariants.complain("the last snapshot is sound: " + state.error().message());
  const bool is_before = state && state->through().index < cut.index;
  return is_before ? *std::move(state) : cluster::CommittedState(owner_.base);
}

void Snapshotting::gather() {
  const auto complete = job_->state.advance(job_->cut, owner_.read);
  if (!complete) return scene_.invariants.complain(complete.error().message());
  if (!*complete) {
    scene_.coverage.count("cuts that are not on the own disk yet");
    return owner_.later([this] { gather(); });
  }
  if (Status status = plan(); !status) {
    given_up();
    job_.reset();
    return;
  }
  go_on();
}

Status Snapshotting::plan() {
  Job& job = *job_;
  const Bytes state = job.state.encode();
  scene_.invariants.complain(scene_.snapshots.frozen(owner_.name, job.cut, state));
  storage::SnapshotPlan plan({.cluster = owner_.identity.cluster,
                              .history = owner_.identity.history,
                              .at = job.cut,
                              .log_time = job.state.sessions().log_time(),
                              .state_digest = cluster::digest_of_state(state)});
  const auto order = [&job](std::vector<storage::DiskOp> ops) -> Status {
    std::move(ops.begin(), ops.end(), std::back_inserter(job.ops));
    return Done{};
  };
  Status status = order(plan.begin());
  if (status) status = order(plan.add(storage::SnapshotPart::cluster, state));
  storage::SnapshotFileSink sink(plan, order);
  if (status) status = cluster::write(job.writer, sink);
  if (!status) return status;
  (void)order(plan.finish());
  job.bytes = plan.bytes();
  job.is_doomed = rng_.chance(scene_.plan.snapshot_trouble_percent);
  if (!job.is_doomed) return status;
  // Full, or broken, at any of the operations before the last two.
  job.ops.resize(1 + rng_.below(job.ops.size() - 3));
  return order(plan.give_up());
}

void Snapshotting::go_on() {
  if (job_->ops.empty()) return end();
  owner_.after(job_->ops.front(), [this] {
    const Status status = disk_.perform(job_->ops.front());
    if (!status) return scene_.invariants.complain(status.error().message());
    job_->ops.pop_front();
    go_on();
  });
}

void Snapshotting::end() {
  if (job_->is_doomed) {
    given_up();
    job_.reset();
    return;
  }
  if (!std::exchange(job_->is_written, true)) {
    scene_.coverage.count("snapshots written");
    newest_ = storage::FileInfo{storage::snapshot_name(job_->cut), job_->bytes};
    const auto ops = storage::plan_cleanup(*disk_.list(), {});
    job_->ops.assign(ops.begin(), ops.end());
    if (!job_->ops.empty()) return go_on();
  }
  job_.reset();
}

void Snapshotting::interrupt() {
  if (job_ && !job_->ops.empty()) disk_.interrupt(job_->ops.front());
}

}  // namespace kuilt::sim
