#include "sim/plan.hpp"

#include <algorithm>

namespace kuilt::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t servers_max = 7;
constexpr std::size_t clients_max = 20;

template <class T, std::size_t n>
T one_of(Rng& rng, const T (&choices)[n]) {
  return choices[rng.below(n)];
}

PeerWeather draw_peer_weather(Rng& rng) {
  PeerWeather weather;
  weather.delay_min = microseconds(50);
  weather.delay_max = one_of(
      rng, {microseconds(500), microseconds(5'000), microseconds(30'000), microseconds(120'000)});
  if (rng.chance(50)) weather.loss_percent = rng.below(15);
  if (rng.chance(50)) weather.duplicate_percent = rng.below(15);
  if (rng.chance(50)) {
    weather.spike_percent = rng.below(8);
    weather.spike_max = milliseconds(100 + rng.below(3000));
  }
  return weather;
}

DiskWeather draw_disk_weather(Rng& rng) {
  return {.write_max = microseconds(100),
          .sync_max = one_of(rng, {microseconds(500), microseconds(5'000), microseconds(60'000)}),
          .slow_max = milliseconds(200 + rng.below(2500))};
}

ClientHabits draw_habits(Rng& rng) {
  ClientHabits habits;
  habits.propose_interval_max = milliseconds(40 + rng.below(400));
  habits.deadline_max = milliseconds(500 + rng.below(12'000));
  habits.command_bytes_max = one_of(rng, {std::size_t{40}, std::size_t{200}, std::size_t{3000}});
  habits.durable_percent = one_of(rng, {0U, 30U, 100U});
  habits.json_percent = one_of(rng, {0U, 30U, 100U});
  habits.credit_bytes =
      one_of(rng, {std::uint64_t{2000}, std::uint64_t{1} << 16, std::uint64_t{1} << 20});
  return habits;
}

// Small limits make the paths beyond them the usual ones.
void draw_limits(Rng& rng, Plan& plan, std::size_t command_bytes_max) {
  plan.parameters.command_bytes_max = command_bytes_max;
  const std::size_t one_entry = plan.parameters.stored_bytes_max();
  plan.parameters.session_window = one_of(rng, {4U, 32U, 1024U});
  if (rng.chance(40)) plan.parameters.session_expiry = milliseconds(500 + rng.below(4000));
  plan.few_sessions = rng.chance(15);
  if (plan.few_sessions) plan.parameters.sessions_max = 2 + rng.below(4);

  raft::Options& raft = plan.machine.raft;
  raft.append_bytes_max = one_of(rng, {std::size_t{300}, std::size_t{4000}, std::size_t{1} << 18});
  raft.window_bytes_max = raft.append_bytes_max * (1 + rng.below(8));
  raft.tail_bytes_max = one_of(rng, {std::size_t{500}, std::size_t{20'000}, std::size_t{1} << 26});
  if (rng.chance(20)) {
    raft.uncommitted_bytes_max = std::max(raft.append_bytes_max, one_entry);
  }
  if (rng.chance(20)) plan.machine.forward_window_bytes_max = one_entry;
  if (rng.chance(20)) plan.machine.waiting_bytes_max = one_entry;
  plan.machine.forward_timeout = milliseconds(200 + rng.below(1000));
  plan.machine.leader_wait_max = milliseconds(500 + rng.below(8000));

  plan.feed.ring_bytes_max =
      one_of(rng, {std::size_t{1000}, std::size_t{1} << 14, std::size_t{1} << 26});
  plan.feed.frame_bytes_max =
      one_of(rng, {std::size_t{200}, std::size_t{4096}, std::size_t{1} << 16});
  plan.feed.load_bytes_max = one_of(rng, {std::size_t{500}, std::size_t{1} << 16});
  plan.feed.loads_in_flight_max = 1 + rng.below(4);
  plan.feed.frame_cache_frames_max = one_of(rng, {std::size_t{1}, std::size_t{256}});
  plan.feed.checkpoint_interval = one_of(rng, {std::uint64_t{3}, std::uint64_t{64}});
  plan.feed.behind_hold_max = milliseconds(300 + rng.below(3000));

  plan.wal.segment_bytes = one_of(rng, {std::uint64_t{1} << 17, std::uint64_t{1} << 18});
  plan.wal.batch_bytes_max = one_of(rng, {std::size_t{4} << 10, std::size_t{32} << 10});
  plan.wal.tail_bytes_max = raft.tail_bytes_max;
}

void draw_state_machine(Rng& rng, Plan& plan) {
  plan.machine.applies = rng.chance(60);
  plan.machine.admits = plan.machine.applies && rng.chance(60);
  plan.machine.results_max = one_of(rng, {std::size_t{0}, std::size_t{10}, std::size_t{65'536}});
  if (rng.chance(30)) plan.machine.admission_bytes_max = plan.parameters.stored_bytes_max();
  plan.apply_delay_max =
      one_of(rng, {microseconds(50), microseconds(5'000), microseconds(200'000)});
}

void draw_faults(Rng& rng, Plan& plan) {
  for (const Fault fault : all_faults) {
    if (rng.chance(45)) plan.mean_interval[fault] = milliseconds(600 + rng.below(5000));
  }
}

}  // namespace

Duration up_to(Rng& rng, Duration max) {
  return Duration(
      static_cast<Duration::rep>(rng.below(static_cast<std::uint64_t>(max.count()) + 1)));
}

Plan draw_plan(Rng& rng, bool quick, std::size_t command_bytes_max) {
  Plan plan;
  plan.servers = one_of(rng, {1U, 2U, 3U, 3U, 3U, 3U, 4U, 5U});
  plan.clients = 2 + rng.below(5);
  if (rng.chance(30)) plan.base = Position{Index(1000), Term(7)};
  plan.chaos = milliseconds(quick ? 2000 + rng.below(3000) : 5000 + rng.below(8000));
  plan.quorum_only = plan.servers >= 3 && rng.chance(30);
  plan.peers = draw_peer_weather(rng);
  plan.disk = draw_disk_weather(rng);
  plan.habits = draw_habits(rng);
  plan.publish_delay_max = one_of(rng, {microseconds(0), microseconds(200), microseconds(20'000)});
  draw_limits(rng, plan, command_bytes_max);
  draw_state_machine(rng, plan);
  draw_faults(rng, plan);
  return plan;
}

void draw_transfers(Rng rng, Plan& plan) {
  if (rng.chance(45))
    plan.mean_interval[Fault::transfer_lead] = milliseconds(200 + rng.below(2000));
  plan.transfers_seed = rng.next();
}

void draw_snapshots(Rng rng, Plan& plan) {
  plan.snapshots = plan.machine.applies && rng.chance(50);
  plan.snapshots_seed = rng.next();
  if (!plan.snapshots) return;
  plan.machine.cuts.entries = one_of(rng, {3U, 10U, 40U});
  if (rng.chance(30)) plan.machine.cuts.bytes = one_of(rng, {1000U, 20'000U});
  if (rng.chance(40)) plan.snapshot_trouble_percent = 5 + rng.below(40);
}

void draw_changes(Rng rng, Plan& plan) {
  if (!rng.chance(40)) return;
  plan.changes_seed = rng.next();
  plan.spares = rng.below(servers_max + 1 - plan.servers);
  plan.mean_change_interval = milliseconds(200 + rng.below(1500));
  // Which servers are a majority is for the end of a run to know, and not before.
  plan.quorum_only = false;
  raft::Options& raft = plan.machine.raft;
  raft.learner_behind_max = one_of(rng, {std::uint64_t{0}, std::uint64_t{5}, std::uint64_t{1000}});
  raft.catch_up_rounds_max = one_of(rng, {2U, 10U});
  raft.learner_silence_max = milliseconds(700 + rng.below(4000));
}

namespace {

void draw_timings(Rng& rng, raft::Options& raft) {
  raft.heartbeat_interval = milliseconds(one_of(rng, {20, 50, 100}));
  raft.election_timeout_min = raft.heartbeat_interval * (3 + static_cast<int>(rng.below(6)));
  raft.election_timeout_max = raft.election_timeout_min * (2 + static_cast<int>(rng.below(2)));
  raft.retransmit_after = raft.heartbeat_interval * (2 + static_cast<int>(rng.below(10)));
  raft.read_wait_max = std::max<Duration>(raft.read_wait_max, raft.retransmit_after);
  raft.learner_silence_max = std::max(raft.learner_silence_max, raft.election_timeout_max);
}

void draw_size(Rng& rng, Plan& plan) {
  plan.clients = 7 + rng.below(clients_max - 6);
  if (plan.mean_change_interval > Duration(0)) return;  // There may be seven as it is.
  plan.servers = one_of(rng, {5U, 6U, 7U});
  plan.quorum_only = rng.chance(40);
}

}  // namespace

void draw_troubles(Rng rng, Plan& plan) {
  plan.troubles_seed = rng.next();
  raft::Options& raft = plan.machine.raft;
  if (rng.chance(40)) draw_timings(rng, raft);
  if (rng.chance(60)) {
    raft.disk_stall_max = raft.heartbeat_interval * (4 + static_cast<int>(rng.below(40)));
  }
  if (rng.chance(40)) plan.drift_ppm_max = one_of(rng, {1000, 20'000, 200'000});
  if (rng.chance(45)) plan.mean_interval[Fault::hung_disk] = milliseconds(600 + rng.below(4000));
  if (rng.chance(25)) plan.mean_interval[Fault::full_disk] = milliseconds(600 + rng.below(5000));
  if (rng.chance(10)) draw_size(rng, plan);
}

std::int64_t draw_drift(Rng rng, const Plan& plan) {
  const auto spread = static_cast<std::uint64_t>(2 * plan.drift_ppm_max + 1);
  return static_cast<std::int64_t>(rng.below(spread)) - plan.drift_ppm_max;
}

void draw_rooms(Rng rng, Plan& plan) {
  plan.rooms = rng.chance(35);
  plan.rooms_seed = rng.next();
  cluster::RoomOptions& rooms = plan.room_options;
  rooms.grace = milliseconds(300 + rng.below(3000));
  rooms.rooms_per_link_max = one_of(rng, {std::size_t{2}, std::size_t{64}});
  rooms.message_bytes_per_second = one_of(rng, {std::uint64_t{200}, std::uint64_t{1} << 20});
  rooms.stream.frame_bytes_max = one_of(rng, {std::size_t{100}, std::size_t{1} << 16});
  rooms.stream.posts_bytes_max = one_of(rng, {std::size_t{300}, std::size_t{1} << 20});
  rooms.stream.changes_max = one_of(rng, {std::size_t{3}, std::size_t{16'384}});
  plan.room_queue_bytes_max = one_of(rng, {std::size_t{200}, std::size_t{1} << 18});
  rooms.roster_events_max = one_of(rng, {std::size_t{1}, std::size_t{1024}});
  rooms.step_bytes_max = one_of(rng, {std::size_t{100}, std::size_t{4} << 20});
}

}  // namespace kuilt::sim
