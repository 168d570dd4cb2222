#include "server/log_thread.hpp"

#include <iterator>
#include <utility>

namespace kuilt::server {
namespace {

// Long enough that no mark is written between two batches of a busy log.
constexpr Duration idle_after = std::chrono::milliseconds(200);
// A full disk is not asked for a segment with every batch.
constexpr Duration prepare_pause = std::chrono::seconds(1);

}  // namespace

LogThread::LogThread(storage::Disk& disk, std::unique_ptr<storage::Wal> wal, Written written,
                     News news)
    : disk_(disk),
      wal_(std::move(wal)),
      written_(std::move(written)),
      news_(std::move(news)),
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
    } else if (!marked) {
      status = write_mark();
      marked = true;
    } else if (closing) {
      return;
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
    if (Status status = prepare_next_segment(); !status) return status;
  }
  return Done{};
}

// A mark spares the next start a segment, and promises nothing: where it would itself begin one,
// it takes what was made ahead or is left out, for its sake no disk may run full.
Status LogThread::write_mark() {
  if (Status status = await_next_segment({}); !status) return status;
  if (wal_->would_roll({}) && !wal_->next_segment_is_ready()) return Done{};
  return carry_out(wal_->plan_idle_mark());
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

Status LogThread::prepare_next_segment() {
  if (preparing_.valid()) {
    const bool ready = preparing_.wait_for(Duration{}) == std::future_status::ready;
    return ready ? finish_preparing() : Status(Done{});
  }
  if (now() < prepare_again_) return Done{};
  std::vector<storage::DiskOp> ops = wal_->prepare_next_segment();
  if (ops.empty()) return Done{};
  preparing_ =
      std::async(std::launch::async, [this, ops = std::move(ops)] { return prepare(ops); });
  return Done{};
}

Status LogThread::await_next_segment(std::span<const raft::Write> writes) {
  const bool needed = preparing_.valid() && wal_->would_roll(writes);
  return needed ? finish_preparing() : Status(Done{});
}

LogThread::Prepared LogThread::prepare(const std::vector<storage::DiskOp>& ops) const {
  Prepared prepared{Done{}};
  for (const storage::DiskOp& op : ops) {
    prepared.status = disk_.perform(op);
    if (!prepared.status) return prepared;
    prepared.created = prepared.created || std::holds_alternative<storage::CreateZeroed>(op);
  }
  return prepared;
}

// A file that can't be made is not yet a failure of the log: the batch that needs it makes it, or
// fails. A directory whose sync failed is one (rule 12).
Status LogThread::finish_preparing() {
  Prepared prepared = preparing_.get();
  if (prepared.status) {
    prepare_failed_ = false;
    wal_->next_segment_ready();
    return Done{};
  }
  Error error = std::move(prepared.status).error().within("make the next segment of the log");
  if (prepared.created) return error;
  wal_->next_segment_failed();
  prepare_again_ = now() + prepare_pause;
  if (!std::exchange(prepare_failed_, true)) news_(error.message());
  return Done{};
}

}  // namespace kuilt::server
