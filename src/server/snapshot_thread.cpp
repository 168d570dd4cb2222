#include "server/snapshot_thread.hpp"

#include <algorithm>
#include <utility>

#include "cluster/application.hpp"
#include "cluster/committed_state.hpp"
#include "storage/snapshot_streams.hpp"

namespace kuilt::server {
namespace {

constexpr std::size_t read_bytes_max = std::size_t{1} << 20;
constexpr Duration retry_interval = std::chrono::milliseconds(5);

std::string text_of(Position cut) {
  return "the snapshot at index " + std::to_string(cut.index.value());
}

Error stopped_error() { return Error(ErrorCode::stopped, Effect::none, "the server is stopping"); }

SnapshotStatus status_of(const storage::SnapshotHeader& header, std::uint64_t bytes) {
  return {.at = header.at, .bytes = bytes, .digest = header.state_digest, .age = {}};
}

}  // namespace

SnapshotThread::SnapshotThread(Parts parts)
    : parts_(std::move(parts)),
      unusable_(parts_.found.unusable),
      untouched_(parts_.found.untouched) {
  if (const auto& newest = parts_.found.newest) {
    newest_file_ = newest->file;
    figures_.newest = status_of(newest->header, newest->file.bytes);
  }
  written_at_ = now();
  thread_ = std::thread([this] { run(); });
}

SnapshotThread::~SnapshotThread() { stop(); }

void SnapshotThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

bool SnapshotThread::claim() {
  const std::lock_guard lock(mutex_);
  if (!stopped_ && !claimed_) return claimed_ = true;
  ++figures_.passed_over;
  return false;
}

void SnapshotThread::write(Position cut, SnapshotWriter writer) {
  const std::lock_guard lock(mutex_);
  job_ = Job{cut, std::move(writer)};
  changed_.notify_all();
}

void SnapshotThread::give_up(Position cut, const Error& error) {
  fail(cut, error);
  release();
}

void SnapshotThread::release() {
  const std::lock_guard lock(mutex_);
  claimed_ = false;
}

SnapshotFigures SnapshotThread::figures() const {
  const std::lock_guard lock(mutex_);
  SnapshotFigures figures = figures_;
  if (figures.newest) figures.newest->age = now() - written_at_;
  return figures;
}

void SnapshotThread::run() {
  while (const auto job = next_job()) {
    storage::SnapshotHeader header;
    end(*job, header, write_file(*job, header));
    release();
  }
}

std::optional<SnapshotThread::Job> SnapshotThread::next_job() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopped_ || job_; });
  return stopped_ ? std::nullopt : std::exchange(job_, std::nullopt);
}

Result<std::uint64_t> SnapshotThread::write_file(const Job& job, storage::SnapshotHeader& header) {
  const auto state = state_at(job.cut, header);
  if (!state) return Error(state.error());
  storage::SnapshotPlan plan(header);
  storage::SnapshotFileSink sink(
      plan, [this](const std::vector<storage::DiskOp>& ops) { return perform(ops); });
  Status status = perform(plan.begin());
  if (status) status = perform(plan.add(storage::SnapshotPart::cluster, *state));
  if (status) status = cluster::write(job.writer, sink);
  if (sink.failure()) status = *sink.failure();  // Whatever the writer made of it.
  if (status) status = perform(plan.finish());
  if (status) return plan.bytes();
  for (const storage::DiskOp& op : plan.give_up()) {
    if (!parts_.disk.perform(op)) break;  // The next start removes it.
  }
  return std::move(status).error();
}

Result<Bytes> SnapshotThread::state_at(Position cut, storage::SnapshotHeader& header) {
  cluster::CommittedState state(parts_.base);
  if (newest_file_) {
    const auto bytes = storage::read_snapshot_state(parts_.disk, *newest_file_, parts_.identity);
    auto before = bytes ? cluster::CommittedState::decode(*bytes) : Error(bytes.error());
    // One that is damaged by now costs reading the whole log.
    if (before && before->through().index < cut.index) state = *std::move(before);
  }
  // A server that stops does not wait for the rest of a long log.
  const auto read = [this](Index after, Index last) -> Result<std::vector<raft::Entry>> {
    if (stopped()) return stopped_error();
    return parts_.log.next_durable(after, last, read_bytes_max);
  };
  while (true) {
    const auto complete = state.advance(cut, read);
    if (!complete) return Error(complete.error()).within("read the log for it");
    if (*complete) break;
    if (stops_within(retry_interval)) return stopped_error();
  }
  Bytes encoded = state.encode();
  header = {.cluster = parts_.identity.cluster,
            .history = parts_.identity.history,
            .at = cut,
            .log_time = state.sessions().log_time(),
            .state_digest = cluster::digest_of_state(encoded)};
  return encoded;
}

Status SnapshotThread::perform(const std::vector<storage::DiskOp>& ops) {
  for (const storage::DiskOp& op : ops) {
    if (stopped()) return stopped_error();
    if (Status status = parts_.disk.perform(op); !status) return status;
  }
  return Done{};
}

void SnapshotThread::end(const Job& job, const storage::SnapshotHeader& header,
                         Result<std::uint64_t> written) {
  if (!written) return fail(job.cut, written.error());
  newest_file_ = storage::FileInfo{storage::snapshot_name(job.cut), *written};
  std::erase(unusable_, newest_file_->name);  // It took the place of that one.
  std::erase(untouched_, newest_file_->name);
  {
    const std::lock_guard lock(mutex_);
    figures_.newest = status_of(header, *written);
    figures_.failure.clear();
    ++figures_.written;
    written_at_ = now();
  }
  clean_up();
}

void SnapshotThread::clean_up() {
  auto files = parts_.disk.list();
  if (files) {
    std::erase_if(*files, [this](const storage::FileInfo& file) {
      return std::ranges::find(untouched_, file.name) != untouched_.end();
    });
  }
  Status status = files ? perform(storage::plan_cleanup(*files, unusable_)) : Error(files.error());
  if (status) {
    unusable_.clear();
  } else if (!stopped()) {
    parts_.on_news("old snapshots stay: " + status.error().message());
  }
}

void SnapshotThread::fail(Position cut, const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    ++figures_.given_up;
    figures_.failure = text_of(cut) + ": " + error.message();
  }
  parts_.on_news(text_of(cut) + " was given up: " + error.message());
}

bool SnapshotThread::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

bool SnapshotThread::stops_within(Duration pause) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, pause, [this] { return stopped_; });
}

}  // namespace kuilt::server
