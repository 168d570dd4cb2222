#include "server/committed_log.hpp"

#include <algorithm>
#include <utility>

#include "kuilt/detail/check.hpp"

namespace kuilt::server {
namespace {

// Shared with the feeds' rings, which hold the same entries: of its own it costs the handles.
constexpr std::size_t tail_bytes_max = std::size_t{8} << 20;
constexpr Duration retry_interval = std::chrono::milliseconds(5);
constexpr std::uint64_t durable_entries_max = 4096;   // Of one read.
constexpr Duration wait_max = std::chrono::hours(1);  // At once: far, and free of overflow.

}  // namespace

CommittedLog::CommittedLog(storage::RaftStorage& log, const cluster::FeedBoot& boot)
    : tail_(boot.base, boot.terms, boot.digests.through()), log_(&log) {}

void CommittedLog::publish(const cluster::CommittedBatch& batch) {
  const std::lock_guard lock(mutex_);
  tail_.append(batch);
  changed_.notify_all();
}

void CommittedLog::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  const std::unique_lock lock(log_mutex_);
  log_ = nullptr;
}

void CommittedLog::count_reader(int by) {
  const std::lock_guard lock(mutex_);
  readers_ += by;
  tail_.keep(readers_ > 0 ? tail_bytes_max : 0);
}

Status CommittedLog::check(Index after) const {
  if (closed_) return Error(ErrorCode::stopped, Effect::none, "the server has stopped");
  const Index through = tail_.through().index;
  if (after > through) {
    return Error(ErrorCode::invalid_argument,
                 "index " + std::to_string(after.value()) +
                     " is not committed on this server; the last that is is " +
                     std::to_string(through.value()));
  }
  if (after >= tail_.base().index) return Done{};
  return Error(ErrorCode::compacted,
               "the log begins after index " + std::to_string(tail_.base().index.value()));
}

Status CommittedLog::complaint_about(Index after) const {
  const std::lock_guard lock(mutex_);
  return check(after);
}

Result<std::vector<raft::Entry>> CommittedLog::next(Index after, std::size_t bytes_max) {
  cluster::CommittedTail::Next found;
  {
    const std::lock_guard lock(mutex_);
    if (Status status = check(after); !status) return std::move(status).error();
    found = tail_.next(after, bytes_max);
  }
  if (auto* entries = std::get_if<std::vector<raft::Entry>>(&found)) return std::move(*entries);
  const auto* file = std::get_if<cluster::CommittedTail::InFile>(&found);
  if (file == nullptr) return std::vector<raft::Entry>();
  return read(file->first, file->last, bytes_max);
}

Result<std::vector<raft::Entry>> CommittedLog::next_durable(Index after, Index last,
                                                            std::size_t bytes_max) {
  {
    const std::lock_guard lock(mutex_);
    if (Status status = check(after); !status) return std::move(status).error();
    last = std::min({last, tail_.through().index, Index(after.value() + durable_entries_max)});
  }
  if (last <= after) return std::vector<raft::Entry>();
  return read(after.next(), last, bytes_max);
}

Result<std::vector<raft::Entry>> CommittedLog::read(Index first, Index last,
                                                    std::size_t bytes_max) {
  const std::shared_lock reading(log_mutex_);
  if (log_ == nullptr) return Error(ErrorCode::stopped, Effect::none, "the server has stopped");
  auto entries = log_->read(first, last, bytes_max);
  if (!entries) {
    // Beyond what this server has on its disk: it will be there, as it is committed.
    const bool is_early = entries.error().code() == ErrorCode::invalid_argument;
    if (is_early) return std::vector<raft::Entry>();
    return std::move(entries).error().within("read the committed log");
  }
  const std::lock_guard lock(mutex_);
  return tail_.admit(first, *std::move(entries));
}

Result<std::vector<raft::Entry>> CommittedLog::await(Index after, std::size_t bytes_max,
                                                     Instant deadline) {
  while (true) {
    auto entries = next(after, bytes_max);
    if (!entries || !entries->empty() || now() >= deadline) return entries;
    std::unique_lock lock(mutex_);
    // Committed, and not yet on the disk: nobody tells when it is.
    const bool is_early = tail_.through().index > after;
    const Instant latest = now() + (is_early ? retry_interval : wait_max);
    changed_.wait_until(lock, to_steady(std::min(deadline, latest)),
                        [&] { return closed_ || (!is_early && tail_.through().index > after); });
  }
}

Position CommittedLog::through() const {
  const std::lock_guard lock(mutex_);
  return tail_.through();
}

}  // namespace kuilt::server
