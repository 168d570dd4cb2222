// server_disk.cpp: a server's log: batches carried out step by step, crashes, recovery.
#include <iterator>
#include <utility>

#include "kuilt/detail/overloaded.hpp"
#include "sim/server.hpp"

namespace kuilt::sim {
namespace {

using std::chrono::milliseconds;

constexpr Duration recovery_min = milliseconds(5);
constexpr Duration recovery_max = milliseconds(200);
constexpr Duration idle_after = milliseconds(50);
constexpr Duration hung_look_interval = milliseconds(20);
constexpr std::uint64_t interrupted_recovery_percent = 25;
constexpr std::uint64_t operations_of_a_recovery = 12;
constexpr Duration clock_offset_max = std::chrono::hours(1000);

}  // namespace

storage::Identity Server::identity() const {
  return {configuration_.cluster, configuration_.history, id_};
}

void Server::make_log(const raft::Entry* founding) {
  auto created =
      storage::Wal::create(disk_, scene_.plan.wal, identity(), scene_.plan.base, Rng(rng_.next()));
  if (!created) return complain("a log can be created: " + created.error().message());
  raft::Write write;
  write.seq = raft::WriteSeq(1);
  write.hard.term = scene_.plan.base.term;
  write.commit = scene_.plan.base.index;
  if (founding != nullptr) {
    write.hard.term = founding->at.term;
    write.entries = {*founding};
    write.commit = founding->at.index;
  }
  const storage::Wal::Planned planned = (*created)->plan(std::span(&write, 1));
  const Status status = storage::perform_all(disk_, planned.batch.ops);
  if (!status) complain(status.error().message());
  (*created)->done();
  scene_.invariants.ordered(number_, write);
  scene_.invariants.synced(number_, write.seq);
}

// A founder's log begins with the founding record. Another server is told to which cluster it is to
// belong, and learns from the log who the members are.
raft::SharedConfiguration Server::known_at_base() const {
  if (configuration_.find(id_) != nullptr) return nullptr;
  auto known = std::make_shared<raft::Configuration>(configuration_);
  known->members.clear();
  return known;
}

void Server::start() {
  if (runs() || std::exchange(starting_, true)) return;
  ++incarnation_;
  paused_until_ = {};
  when_awake(scene_.now() + recovery_min + up_to(rng_, recovery_max), [this] { recover(); });
}

void Server::recover() {
  starting_ = false;
  if (!scene_.healed && rng_.chance(interrupted_recovery_percent)) {
    disk_.fail_after(rng_.below(operations_of_a_recovery));
  }
  std::vector<raft::Entry> entries;
  const storage::SnapshotSurvey survey = survey_snapshots();
  std::vector<cluster::BootSnapshot> candidates;
  for (const storage::SnapshotFile& one : survey.sound) {
    candidates.push_back({one.header.at, one.state});
  }
  cluster::BootBuilder builder(scene_.plan.base, scene_.plan.feed.checkpoint_interval,
                               known_at_base(), candidates);
  auto opened = storage::Wal::open(disk_, scene_.plan.wal, identity(), Rng(rng_.next()),
                                   [&](const raft::Entry& entry, bool committed) {
                                     entries.push_back(entry);
                                     return builder.take(entry, committed);
                                   });
  if (!opened) return recovery_failed(opened.error());
  disk_.heal();
  storage::Recovered& found = opened->recovered;
  scene_.note("s{} recovers a log through {}, committed through {}, torn bytes {}",
              {number_, found.last.value(), found.commit.value(), found.dropped_bytes});
  if (found.dropped_bytes > 0) scene_.coverage.count("torn tails");
  const Index proven = builder.proven(found.commit);
  if (proven > found.commit) scene_.coverage.count("commits that only a snapshot proves");
  scene_.invariants.booted(number_, found.hard, entries, proven);
  check_durable_again();
  FoundSnapshots snapshots = judge(survey, builder);

  const std::uint64_t own = scene_.plan.troubles_seed + (number_ << 16) + incarnation_;
  clock_ = Clock(up_to(rng_, clock_offset_max), draw_drift(Rng(own), scene_.plan));
  auto boots = std::move(builder).finish({.self = id_,
                                          .boot = BootId(rng_.next(), rng_.next()),
                                          .hard = found.hard,
                                          .terms = std::move(found.terms),
                                          .last = found.last,
                                          .tail = std::move(found.tail),
                                          .commit = found.commit});
  if (!boots) return complain("a recovered log boots: " + boots.error().message());
  snapshots.last_cut = boots->machine.cuts.last_cut();
  cluster::Machine machine(scene_.plan.machine, std::move(boots->machine), rng_.next(),
                           local_now());
  process_ =
      std::make_unique<Process>(std::move(opened->wal), std::move(machine), scene_.plan,
                                boots->feed, new_rooms(), static_cast<FrontOwner&>(*this), *this);
  trace_core();
  start_applying(boots->feed, snapshots);
  submit(cluster::Tick{});
  heartbeat();
  read_own();
  greet_peers();
}

void Server::recovery_failed(const Error& error) {
  if (disk_.is_full()) {
    scene_.coverage.count("recoveries on a full disk");
    disk_.heal();
    return start();
  }
  if (!disk_.failed()) return complain("a log is recovered: " + error.message());
  scene_.note("s{} is killed while it recovers", {number_});
  scene_.coverage.count("interrupted recoveries");
  disk_.heal();
  if (rng_.chance(50)) {
    disk_.cut_power();
    snapshot_disk_.cut_power();
  }
  start();
}

// Nothing here damages a file that has its name, so none may be damaged.
storage::SnapshotSurvey Server::survey_snapshots() {
  if (!scene_.plan.snapshots) return {};
  auto survey = storage::survey_snapshots(snapshot_disk_, identity());
  if (!survey) {
    complain(survey.error().message());
    return {};
  }
  for (const storage::DamagedSnapshot& damaged : survey->damaged) {
    complain("a snapshot has its name when all of it is durable: " + damaged.why.message());
  }
  const auto files = snapshot_disk_.list();
  for (const storage::FileInfo& file : *files) {
    if (storage::is_unfinished_snapshot(file.name)) {
      scene_.coverage.count("snapshots that were cut short");
    }
  }
  return *std::move(survey);
}

Server::FoundSnapshots Server::judge(const storage::SnapshotSurvey& survey,
                                     const cluster::BootBuilder& builder) {
  for (const std::string& complaint : builder.complaints()) complain(complaint);
  if (survey.sound.empty()) return {};
  const storage::SnapshotFile& newest = survey.sound.front();
  if (builder.restored() != newest.header.at) {
    complain("the cut of a snapshot is in the log that is durable on its server");
  }
  return {newest.file, builder.restored(), {}};
}

// What was recovered must survive a power cut that comes right now (rule 10).
void Server::check_durable_again() {
  SimDisk worst = disk_;
  worst.forget_unsynced();
  const auto ignore = [](const raft::Entry&, bool) -> Status { return Done{}; };
  const auto opened =
      storage::Wal::open(worst, scene_.plan.wal, identity(), Rng(rng_.next()), ignore);
  if (!opened) return complain("a recovered log is durable: " + opened.error().message());
  if (opened->recovered.last != scene_.invariants.log_of(number_).last().index ||
      opened->recovered.hard != scene_.invariants.durable_hard_of(number_)) {
    complain("a recovered tail is durable before it counts");
  }
}

void Server::write_on() {
  Process& process = *process_;
  if (process.batch || process.writes.empty()) return;
  const std::vector<raft::Write> writes(process.writes.begin(), process.writes.end());
  storage::Wal::Planned planned = process.wal->plan(writes);
  if (planned.taken == 0) return complain("a plan takes at least one write");
  process.writes.erase(
      process.writes.begin(),
      std::next(process.writes.begin(), static_cast<std::ptrdiff_t>(planned.taken)));
  process.marked_idle = false;
  begin(std::move(planned.batch));
}

void Server::begin(storage::Batch batch) {
  process_->batch = std::move(batch);
  process_->next_op = 0;
  run_op();
}

void Server::run_op() {
  Process& process = *process_;
  if (process.next_op == process.batch->ops.size()) return batch_done();
  if (scene_.now() < hung_until_) {
    scene_.agenda.after(hung_look_interval, [this, incarnation = incarnation_] {
      if (incarnation == incarnation_) run_op();
    });
    return;
  }
  const storage::DiskOp& op = process.batch->ops.at(process.next_op);
  // The kernel goes on while the process is paused: only the news of it waits.
  scene_.agenda.after(latency_of(op), [this, incarnation = incarnation_] {
    if (incarnation != incarnation_) return;
    const Status status = disk_.perform(process_->batch->ops.at(process_->next_op));
    if (!status) return op_failed(status.error());
    ++process_->next_op;
    run_op();
  });
}

// Rule 12: a failed write ends the process, and is never tried again.
void Server::op_failed(const Error& error) {
  if (!disk_.is_full()) return complain("a planned operation can be done: " + error.message());
  scene_.note("s{} stops, as its disk is full", {number_});
  scene_.coverage.count("servers that a full disk stopped");
  die(false);
}

void Server::batch_done() {
  const raft::WriteSeq through = process_->batch->through;
  scene_.invariants.synced(number_, through);
  when_awake(scene_.now(), [this, through] {
    process_->wal->done();
    process_->batch.reset();
    if (through > raft::WriteSeq()) submit(raft::Written{through});
    write_on();
    if (!process_->batch) when_awake(scene_.now() + idle_after, [this] { mark_idle(); });
  });
}

void Server::mark_idle() {
  Process& process = *process_;
  if (process.batch || !process.writes.empty() || std::exchange(process.marked_idle, true)) return;
  begin(process.wal->plan_idle_mark());
}

Duration Server::latency_of(const storage::DiskOp& op) {
  if (scene_.now() < slow_until_) return up_to(rng_, scene_.plan.disk.slow_max);
  const DiskWeather& weather = scene_.plan.disk;
  const auto on_op = Overloaded{
      [&](const storage::CreateZeroed&) { return weather.sync_max; },
      [&](const storage::WriteAt&) { return weather.write_max; },
      [&](const storage::SyncData&) { return weather.sync_max; },
      [&](const storage::SyncDirectory&) { return weather.sync_max; },
      [&](const storage::RemoveFile&) { return weather.write_max; },
      [&](const storage::Append&) { return weather.write_max; },
      [&](const storage::RenameFile&) { return weather.write_max; },
  };
  return up_to(rng_, std::visit(on_op, op));
}

void Server::kill() {
  if (!runs()) return;
  scene_.note("s{} is killed", {number_});
  scene_.coverage.count("kills");
  die(false);
}

void Server::cut_power() {
  if (!runs()) return;
  scene_.note("s{} loses power with {} unsynced blocks", {number_, disk_.unsynced_blocks()});
  scene_.coverage.count("power cuts");
  die(true);
}

void Server::die(bool power) {
  const std::optional<storage::Batch>& batch = process_->batch;
  if (batch && process_->next_op < batch->ops.size()) {
    disk_.interrupt(batch->ops.at(process_->next_op));
  }
  if (process_->snapshotting) process_->snapshotting->interrupt();
  if (power) {
    disk_.cut_power();
    snapshot_disk_.cut_power();
  }
  settle_counters();
  process_.reset();
  ++incarnation_;
  scene_.links.die(*this);
  for (Server* peer : peers_) {
    if (peer != this) peer->peer_is(number_, false);
  }
}

}  // namespace kuilt::sim
