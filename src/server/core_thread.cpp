#include "server/core_thread.hpp"

#include <algorithm>
#include <utility>

namespace kuilt::server {
namespace {

constexpr Duration view_interval = std::chrono::milliseconds(5);

}  // namespace

CoreThread::CoreThread(const cluster::MachineOptions& options, cluster::MachineBoot boot,
                       std::uint64_t seed)
    : machine_(options, std::move(boot), seed, now()),
      in_force_(machine_.raft().configuration()),
      committed_(machine_.raft().committed_configuration()) {
  publish_view();
}

CoreThread::~CoreThread() { stop(); }

void CoreThread::start(CoreDuties duties) {
  duties_ = std::move(duties);
  thread_ = std::thread([this] { run(); });
}

void CoreThread::stop() {
  inbox_.close();
  if (thread_.joinable()) thread_.join();
}

CoreView CoreThread::view() const {
  const std::lock_guard lock(view_mutex_);
  return view_;
}

void CoreThread::run() {
  Instant wake_at = now();
  while (!inbox_.closed()) {
    std::vector<cluster::Input> inputs = inbox_.wait(wake_at);
    if (inputs.empty()) inputs.emplace_back(cluster::Tick{});
    cluster::Output output = machine_.step(now(), std::move(inputs));
    wake_at = output.wake_at;
    const bool led_anew = output.leadership.has_value();
    const std::vector<cluster::TransferEnded> transfers = std::move(output.transfers);
    const std::vector<cluster::ChangeJudged> changes = std::move(output.changes);
    carry_out(std::move(output));
    if (led_anew || now() - viewed_at_ >= view_interval) {
      publish_view();
    } else {
      wake_at = std::min(wake_at, viewed_at_ + view_interval);  // So that no view grows older.
    }
    // Whoever is told looks at the view next.
    for (const cluster::TransferEnded& ended : transfers) duties_.transferred(ended);
    for (const cluster::ChangeJudged& judged : changes) duties_.judged(judged);
  }
}

void CoreThread::carry_out(cluster::Output output) {
  if (!output.writes.empty()) duties_.write(std::move(output.writes));
  if (!output.send.empty()) duties_.send(std::move(output.send));
  for (const raft::NeedEntries& need : output.loads) duties_.load(need);
  tell_members();
  // The feed first: whoever has an answer may look for its entry.
  if (output.committed) duties_.publish(std::move(output.committed));
  if (!output.ask.empty()) duties_.ask(std::move(output.ask));
  if (!output.answers.empty()) duties_.answer(std::move(output.answers));
  if (!output.barriers.empty()) duties_.barriers(std::move(output.barriers));
  if (output.applied) duties_.applied();
  if (output.leadership) duties_.lead(*output.leadership);
  for (const cluster::PeerFault& fault : output.faults) duties_.fault(fault);
  if (output.disk_stalled) duties_.disk(*output.disk_stalled);
}

void CoreThread::tell_members() {
  const raft::Core& core = machine_.raft();
  const bool same =
      core.configuration() == in_force_ && core.committed_configuration() == committed_;
  if (same) return;
  in_force_ = core.configuration();
  committed_ = core.committed_configuration();
  duties_.members(in_force_, committed_);
}

void CoreThread::publish_view() {
  const raft::Core& core = machine_.raft();
  CoreView view{
      .role = core.role(),
      .term = core.term(),
      .leader = core.leader(),
      .last = core.last(),
      .commit = core.commit_index(),
      .durable = core.durable_index(),
      .disk_age = core.disk_age(),
      .disk_stalled = core.disk_stalled(),
      .waiting = machine_.waiting(),
      .sessions = machine_.sessions().size(),
      .counters = machine_.counters(),
      .matches = {},
  };
  if (view.role == raft::Role::leader) {
    for (const raft::Member& member : core.configuration()->members) {
      if (const auto match = core.match_of(member.id)) view.matches.emplace(member.id, *match);
    }
  }
  viewed_at_ = now();
  const std::lock_guard lock(view_mutex_);
  view_ = std::move(view);
}

}  // namespace kuilt::server
