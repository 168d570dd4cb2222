#include "server/apply_thread.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "cluster/application.hpp"

namespace kuilt::server {
namespace {

// Of one round: short, so that a question does not wait long behind a replay.
constexpr std::size_t round_bytes_max = std::size_t{256} << 10;
// Of results that wait to be told: beyond it the state machine waits for the core.
constexpr std::size_t untold_bytes_max = std::size_t{1} << 20;
constexpr std::size_t result_overhead = 64;
constexpr Duration retry_interval = std::chrono::milliseconds(5);

// A server that stops does not wait for the rest of a long snapshot.
class StoppableSource final : public SnapshotSource {
 public:
  StoppableSource(SnapshotSource& source, std::function<bool()> stops)
      : source_(source), stops_(std::move(stops)) {}

  Result<Bytes> read(std::size_t bytes_max) override {
    has_stopped_ = has_stopped_ || stops_();
    if (!has_stopped_) return source_.read(bytes_max);
    return Error(ErrorCode::stopped, Effect::none, "the server is stopping");
  }
  [[nodiscard]] bool has_stopped() const { return has_stopped_; }

 private:
  SnapshotSource& source_;
  std::function<bool()> stops_;
  bool has_stopped_ = false;
};

}  // namespace

ApplyThread::ApplyThread(StateMachine& machine, CommittedLog& log, Index base, Events events,
                         Snapshots snapshots)
    : machine_(machine),
      log_(log),
      reader_(log),
      events_(std::move(events)),
      snapshots_(std::move(snapshots)),
      applied_(base.value()),
      told_(base),
      thread_([this] { run(); }) {}

ApplyThread::~ApplyThread() { stop(); }

void ApplyThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void ApplyThread::wake() {
  const std::lock_guard lock(mutex_);
  ++changes_;
  changed_.notify_one();
}

void ApplyThread::taken() {
  const std::lock_guard lock(mutex_);
  tells_ = false;
  ++changes_;
  changed_.notify_one();
}

void ApplyThread::ask(std::vector<cluster::AdmissionQuestion> questions) {
  const std::lock_guard lock(mutex_);
  // Those of an earlier lead need no answer, and might hold up the others.
  if (!questions_.empty() && questions_.front().term < questions.front().term) questions_.clear();
  std::move(questions.begin(), questions.end(), std::back_inserter(questions_));
  ++changes_;
  changed_.notify_one();
}

void ApplyThread::run() {
  if (!restore()) return;
  std::uint64_t seen = 0;
  Instant deadline = Instant::max();
  while (wait_for_change(seen, deadline)) {
    is_early_ = false;
    const bool is_more = apply_some();
    answer_questions();
    tell();
    if (failed_) return;
    if (is_more) seen = 0;  // Goes on at once.
    deadline = is_early_ ? now() + retry_interval : Instant::max();
  }
}

bool ApplyThread::restore() {
  if (!snapshots_.restored) return true;
  const auto file = snapshots_.open();
  if (!file) {
    fail(Error(file.error()).within("open the snapshot"));
    return false;
  }
  StoppableSource source(**file, [this] { return stopped(); });
  const auto through = cluster::restore(machine_, source, *snapshots_.restored);
  if (source.has_stopped()) return false;  // Whatever the state machine made of it.
  if (!through) {
    fail(through.error());
    return false;
  }
  applied_.store(through->value(), std::memory_order_relaxed);
  return true;
}

bool ApplyThread::stopped() {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

// The state machine has taken in everything through the cut, and nothing behind it.
void ApplyThread::meet_cut(Position cut) {
  SnapshotThread* const thread = snapshots_.thread;
  if (thread == nullptr || cut.index < snapshots_.first_cut || !thread->claim()) return;
  auto writer = cluster::freeze(machine_);
  if (!writer) {
    thread->give_up(cut, writer.error());
  } else if (!*writer) {
    thread->release();
  } else {
    thread->write(cut, *std::move(writer));
  }
}

bool ApplyThread::wait_for_change(std::uint64_t& seen, Instant deadline) {
  std::unique_lock lock(mutex_);
  const Instant latest = now() + std::chrono::hours(1);  // Far, and free of overflow.
  changed_.wait_until(lock, to_steady(std::min(deadline, latest)),
                      [&] { return stopped_ || changes_ != seen; });
  seen = changes_;
  return !stopped_;
}

/// True if there may be more to do at once.
bool ApplyThread::apply_some() {
  if (results_bytes_ >= untold_bytes_max) return false;
  const auto entries = log_.next(applied(), round_bytes_max);
  if (!entries) {
    fail(entries.error());
    return false;
  }
  if (entries->empty()) {
    is_early_ = log_.through().index > applied();
    return false;
  }
  for (const raft::Entry& entry : *entries) {
    if (!apply(entry)) return false;
    applied_.store(entry.at.index.value(), std::memory_order_relaxed);
    if (entry.kind == raft::EntryKind::cut) meet_cut(entry.at);
    if (results_bytes_ >= untold_bytes_max) break;
  }
  return true;
}

bool ApplyThread::apply(const raft::Entry& entry) {
  const auto seen = cluster::log_entry_of(entry);
  if (!seen) {
    fail(Error(ErrorCode::corrupt,
               "entry " + std::to_string(entry.at.index.value()) + ": " + seen.error().message()));
    return false;
  }
  if (!*seen) return true;  // No command.
  auto result = cluster::apply(machine_, **seen);
  if (!result) {
    fail(result.error());
    return false;
  }
  keep(entry.at.index, *std::move(result));
  return true;
}

void ApplyThread::keep(Index index, Bytes result) {
  if (result.size() <= result_bytes_max) {
    results_bytes_ += result.size() + result_overhead;
    results_.push_back({index, std::move(result)});
  } else if (!std::exchange(told_of_size_, true)) {
    events_.on_news("apply of entry " + std::to_string(index.value()) + " returned " +
                    std::to_string(result.size()) + " bytes: results over " +
                    std::to_string(result_bytes_max) + " bytes are not sent to clients");
  }
}

void ApplyThread::answer_questions() {
  if (failed_) return;
  cluster::Verdicts verdicts;
  for (const cluster::AdmissionQuestion& question : questions_that_are_due()) {
    verdicts.verdicts.push_back(
        {question.number, cluster::refusal_of(machine_, question.author, question.command)});
  }
  if (!verdicts.verdicts.empty()) events_.to_core(std::move(verdicts));
}

std::vector<cluster::AdmissionQuestion> ApplyThread::questions_that_are_due() {
  const std::lock_guard lock(mutex_);
  const auto is_early = [&](const auto& question) { return question.after > applied(); };
  const auto first_early = std::ranges::find_if(questions_, is_early);
  std::vector<cluster::AdmissionQuestion> due(std::move_iterator(questions_.begin()),
                                              std::move_iterator(first_early));
  questions_.erase(questions_.begin(), first_early);
  return due;
}

void ApplyThread::tell() {
  if (told_ == applied()) return;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(tells_, true)) return;
  }
  told_ = applied();
  results_bytes_ = 0;
  events_.to_core(cluster::Applied{told_, std::exchange(results_, {})});
}

void ApplyThread::fail(const Error& error) {
  failed_ = true;
  if (error.code() == ErrorCode::stopped) return;  // The server is being stopped anyway.
  events_.on_failed(error);
}

}  // namespace kuilt::server
