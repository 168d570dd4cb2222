// plan.hpp: what one seed lets happen. Swarm testing: each seed switches each fault on or off and
// draws its strength, since faults that are all on at once hide what only some of them show
// (Groce et al., "Swarm Testing", 2012).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string_view>

#include "cluster/feed.hpp"
#include "cluster/machine.hpp"
#include "cluster/rooms.hpp"
#include "kuilt/detail/rng.hpp"
#include "kuilt/types.hpp"
#include "storage/wal.hpp"

namespace kuilt::sim {

enum class Fault : std::uint8_t {
  power_cut,
  kill,
  kill_then_power_cut,  ///< SIGKILL, restart, and the power goes soon after it has answered.
  partition,
  one_way_partition,
  isolate_leader,
  pause_server,
  slow_disk,
  tear_peer_link,
  tear_client_link,
  restart_client,
  pause_client,
  stop_reading,
  transfer_lead,  ///< Asked of any server, to any server or to the one best suited.
  hung_disk,      ///< Often under a leader, and longer than it may take.
  full_disk,      ///< Ends the process as soon as its log needs another file.
};
/// But those that have a source of their own (draw_transfers, draw_troubles).
inline constexpr std::array all_faults = {
    Fault::power_cut,           Fault::kill,
    Fault::kill_then_power_cut, Fault::partition,
    Fault::one_way_partition,   Fault::isolate_leader,
    Fault::pause_server,        Fault::slow_disk,
    Fault::tear_peer_link,      Fault::tear_client_link,
    Fault::restart_client,      Fault::pause_client,
    Fault::stop_reading,
};

/// How frames between servers travel. Links are TCP in reality; the core must survive less.
struct PeerWeather {
  Duration delay_min{};
  Duration delay_max{};
  std::uint64_t loss_percent = 0;
  std::uint64_t duplicate_percent = 0;
  std::uint64_t spike_percent = 0;  ///< So many frames are late by up to `spike_max`.
  Duration spike_max{};
};

struct DiskWeather {
  Duration write_max{};
  Duration sync_max{};
  Duration slow_max{};  ///< Of one operation while the disk is slow.
};

/// What one client does.
struct ClientHabits {
  Duration propose_interval_max{};
  Duration deadline_max{};
  std::size_t command_bytes_max = 0;
  std::uint64_t durable_percent = 0;  ///< Proposals of a session that outlives the client.
  std::uint64_t json_percent = 0;     ///< Clients that speak kuilt.v1.json.
  std::uint64_t credit_bytes = 0;
};

struct Plan {
  std::size_t servers = 3;
  std::size_t clients = 4;
  Position base;                            ///< Of the log on every server.
  Duration chaos{};                         ///< Virtual time with faults; then everything heals.
  bool quorum_only = false;                 ///< Heal a majority first, and finish with it alone.
  std::map<Fault, Duration> mean_interval;  ///< Of the faults that are on.
  PeerWeather peers;
  DiskWeather disk;
  ClientHabits habits;
  raft::Parameters parameters;
  bool few_sessions = false;  ///< Fewer than there are clients.
  cluster::MachineOptions machine;
  cluster::FeedOptions feed;
  storage::WalOptions wal;
  Duration apply_delay_max{};    ///< Of a state machine, if there is one, between two rounds.
  Duration publish_delay_max{};  ///< From the core to the shard that feeds.
  bool snapshots = false;        ///< Servers take them; the policy is `machine.cuts`.
  std::uint64_t snapshots_seed = 0;
  std::uint64_t snapshot_trouble_percent = 0;  ///< So many freezes, and writers, throw.
  bool rooms = false;                          ///< Clients come to rooms, talk there and go.
  std::uint64_t rooms_seed = 0;
  std::uint64_t transfers_seed = 0;
  cluster::RoomOptions room_options;
  std::size_t room_queue_bytes_max = 0;  ///< On a client link, before its rooms must wait.
  std::size_t spares = 0;                ///< Servers beside the founders that may become members.
  Duration mean_change_interval{};       ///< Of the members; zero: they stay what they are.
  std::uint64_t changes_seed = 0;
  std::int64_t drift_ppm_max = 0;  ///< Clocks gain or lose up to so many millionths.
  std::uint64_t troubles_seed = 0;
};

inline constexpr std::size_t command_bytes_usual = 4096;

/// `quick`: a third of the virtual time. All limits allow commands of `command_bytes_max`.
[[nodiscard]] Plan draw_plan(Rng& rng, bool quick,
                             std::size_t command_bytes_max = command_bytes_usual);
/// When the lead is to be handed over, from a source of its own, as for rooms.
void draw_transfers(Rng rng, Plan& plan);
/// Whether and when snapshots are taken, from a source of its own: as for rooms. Pre: `machine` is
/// drawn.
void draw_snapshots(Rng rng, Plan& plan);
/// What goes on in rooms, from a source of its own: a run without them is what it was before.
void draw_rooms(Rng rng, Plan& plan);

/// Which members come and go, from a source of its own too.
void draw_changes(Rng rng, Plan& plan);

/// Disks that hang or are full, clocks that drift, timings, and many servers and clients: from a
/// source of its own too. Pre: all else is drawn.
void draw_troubles(Rng rng, Plan& plan);
/// Of one life of one process.
[[nodiscard]] std::int64_t draw_drift(Rng rng, const Plan& plan);

/// Uniform in [0, max].
[[nodiscard]] Duration up_to(Rng& rng, Duration max);

}  // namespace kuilt::sim
