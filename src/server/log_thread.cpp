#include "server/log_thread.hpp"

#include <iterator>
#include <utility>

namespace kuilt::server {
namespace {

// Long enough that no mark is written between two batches of a busy log.
constexpr Duration idle_after = std::chrono::milliseconds(200);

Status perform_all(storage::Disk& disk, const std::vector<storage::DiskOp>& ops) {
  for (const storage::DiskOp& op : ops) {
    if (Status status = disk.perform(op); !status) return status;
  }
  return Done{};
}

}  // namespace

LogThread::LogThread(storage::Disk& disk, std::unique_ptr<storage::Wal> wal, Written written)
    : disk_(disk),
      wal_(std::move(wal)),
      written_(std::move(written)),
      reader_(wal_->reader()),
      thread_([this] { run(); }) {}

LogThread::~LogThread() { stop(); }

void LogThread::stop() {
  inbox_.close();
  if (thread_.joinable()) thread_.join();
}

void LogThread::submit(std::vector<raft::Write> writes) { inbox_.put(std::move(writes)); }

Result<std::vector<raft::Entry>> LogThread::read(Index first, Index last, std::size_t bytes_max) {
  std::shared_ptr<const storage::Wal::Reader> reader;
  {
    const std::lock_guard lock(published_mutex_);
    reader = reader_;
  }
  return reader->read(disk_, first, last, bytes_max);
}

LogThread::Figures LogThread::figures() const {
  const std::lock_guard lock(published_mutex_);
  return figures_;
}

void LogThread::run() {
  bool marked = true;  // Recovery left the log vouched for.
  while (true) {
    const bool closing = inbox_.closed();
    auto orders = inbox_.wait(marked ? Instant::max() : now() + idle_after);
    Status status = Done{};
    if (!orders.empty()) {
      std::vector<raft::Write> writes;
      for (auto& order : orders) std::move(order.begin(), order.end(), std::back_inserter(writes));
      status = write_all(writes);
      marked = false;
    } else if (closing) {
      return;
    } else if (!marked) {
      status = carry_out(wal_->plan_idle_mark());
      marked = true;
    }
    if (!status) return written_(std::move(status).error().within("write the log"));
  }
}

Status LogThread::write_all(const std::vector<raft::Write>& writes) {
  std::span<const raft::Write> left(writes);
  while (!left.empty()) {
    if (Status status = await_next_segment(left); !status) return status;
    const storage::Wal::Planned planned = wal_->plan(left);
    if (Status status = carry_out(planned.batch); !status) return status;
    left = left.subspan(planned.taken);
    written_(planned.batch.through);
    prepare_next_segment();
  }
  return Done{};
}

Status LogThread::carry_out(const storage::Batch& batch) {
  if (batch.ops.empty()) return Done{};
  Duration syncing{};
  for (const storage::DiskOp& op : batch.ops) {
    const Instant before = now();
    if (Status status = disk_.perform(op); !status) return status;
    if (std::holds_alternative<storage::SyncData>(op)) syncing += now() - before;
  }
  wal_->done();
  const std::lock_guard lock(published_mutex_);
  reader_ = wal_->reader();
  figures_.batches += 1;
  figures_.entries += batch.entries;
  figures_.bytes += batch.bytes;
  figures_.sync_nanoseconds += static_cast<std::uint64_t>(syncing.count());
  return Done{};
}

void LogThread::prepare_next_segment() {
  if (preparing_.valid()) {
    if (preparing_.wait_for(Duration{}) == std::future_status::ready) finish_preparing();
    return;
  }
  if (prepare_failed_) return;
  std::vector<storage::DiskOp> ops = wal_->prepare_next_segment();
  if (ops.empty()) return;
  preparing_ = std::async(std::launch::async,
                          [this, ops = std::move(ops)] { return perform_all(disk_, ops); });
}

// A failure is not yet one of the log: it is told when the segment is needed.
void LogThread::finish_preparing() {
  Status status = preparing_.get();
  if (status) return wal_->next_segment_ready();
  prepare_failed_ = std::move(status).error().within("make the next segment");
}

Status LogThread::await_next_segment(std::span<const raft::Write> writes) {
  if (!wal_->would_roll(writes)) return Done{};
  if (preparing_.valid()) finish_preparing();
  if (prepare_failed_) return *prepare_failed_;
  return Done{};
}

}  // namespace kuilt::server
