#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <optional>
#include <set>
#include <thread>

#include "cli/local_cluster.hpp"
#include "tests/cli/process.hpp"
#include "tests/process/counted.hpp"
#include "tests/process/log_history.hpp"
#include "tests/process/namespaces.hpp"
#include "tests/process/swarm.hpp"

namespace kuilt::process_tests {
namespace {

using namespace std::chrono_literals;
using cli::LocalCluster;

constexpr std::size_t few = 100;    // Acknowledged proposals: an undisturbed moment.
constexpr std::size_t many = 1000;  // Enough for the load to spread through all servers.

// A run with fewer retries that carried a committed id proves nothing. A fast machine answers most
// before the kill, so that it takes more of them.
constexpr double repeats_min = 100;
constexpr int follower_kills_max = 20;

std::vector<std::string> admin_addresses(const LocalCluster& cluster) {
  std::vector<std::string> addresses;
  for (const auto& server : cluster.servers()) addresses.push_back(server.admin_address);
  return addresses;
}

std::size_t kill_leader(LocalCluster& cluster) {
  const std::size_t leader = cluster.await_leader(20s).or_throw();
  cluster.signal(leader, SIGKILL).or_throw();
  return leader;
}

// Waits for a server that is still recovering.
std::size_t clients_of(const LocalCluster& cluster, std::size_t server) {
  std::optional<std::size_t> clients;
  const auto answers = [&] {
    if (const auto status = cluster.status(server)) clients = status->clients;
    return clients.has_value();
  };
  if (cli::await(answers, 20s)) return *clients;
  throw std::runtime_error("server " + std::to_string(server) + " does not answer");
}

// Its clients' proposals are committed by the leader all the same, and then asked for again.
void kill_and_restart_busiest_follower(LocalCluster& cluster, Swarm& swarm) {
  const std::size_t leader = cluster.await_leader(20s).or_throw();
  std::size_t busiest = (leader + 1) % 3;
  const std::size_t other = (leader + 2) % 3;
  if (clients_of(cluster, other) > clients_of(cluster, busiest)) busiest = other;
  swarm.pace(24, 5ms);
  swarm.await_full_load(many);
  cluster.signal(busiest, SIGKILL).or_throw();
  swarm.pace(2, 50ms);
  swarm.await_acknowledged(few);
  cluster.start(busiest).or_throw();
}

void expect_sound(const Swarm& swarm) {
  const cli::Witness::Verdict verdict = swarm.verdict();
  EXPECT_GT(swarm.reads(), 0U);
  EXPECT_EQ(swarm.stale_reads(), 0U) << "a read is at or above what anybody was told before it";
  EXPECT_TRUE(verdict.sound());
  EXPECT_GT(verdict.acknowledged, 0U);
  for (const std::string& fault : verdict.faults) ADD_FAILURE() << fault;
}

// All logs agree at every index that two of them hold; nothing stands in one twice; and all that
// was acknowledged is there, once.
void expect_one_history(const LocalCluster& cluster, const std::vector<std::string>& acknowledged) {
  std::vector<LogHistory> logs;
  for (const auto& server : cluster.servers()) logs.push_back(read_log(server.data).or_throw());
  for (std::size_t i = 0; i < logs.size(); ++i) {
    EXPECT_TRUE(logs[i].repeats.empty())
        << "server " << i << " holds " << logs[i].repeats.size() << " requests twice";
    const std::size_t both = std::min(logs[0].chain.size(), logs[i].chain.size());
    for (std::size_t at = 0; at < both; ++at) {
      ASSERT_EQ(logs[0].chain[at], logs[i].chain[at])
          << "servers 0 and " << i << " differ at index " << at + 1;
    }
    std::multiset<std::string> commands(logs[i].commands.begin(), logs[i].commands.end());
    std::size_t missing = 0;
    for (const std::string& command : acknowledged) missing += commands.count(command) != 1 ? 1 : 0;
    EXPECT_EQ(missing, 0U) << "of " << acknowledged.size() << " acknowledged, on server " << i;
  }
}

// Clients that know only the leader go on proposing to it while it can commit nothing: what it
// appends meanwhile is taken back by its successor, and yet each proposal ends up in the log once.
void cut_the_leader_off(LocalCluster& cluster, Namespaces& namespaces,
                        std::vector<std::string>& acknowledged) {
  const std::size_t cut = cluster.await_leader(20s).or_throw();
  Swarm faithful({.clients = 5,
                  .json_clients = 0,
                  .urls = {cluster.endpoints().urls().at(cut)},
                  .label = "faithful"});
  faithful.pace(8, 5ms);
  faithful.await_full_load(few);
  namespaces.cut_from_peers(cut, true);
  std::this_thread::sleep_for(4s);  // The cut itself.
  namespaces.cut_from_peers(cut, false);
  faithful.await_acknowledged(few);
  faithful.finish(60s);
  expect_sound(faithful);
  const auto& told = faithful.acknowledged();
  acknowledged.insert(acknowledged.end(), told.begin(), told.end());
}

// Three servers, fifty clients; kills, a pause and a partition while all of them propose.
TEST(Failover, NothingIsLostOrRepeatedThroughKillsAPauseAndAPartition) {
  const cli::TemporaryFolder folder;
  Namespaces namespaces(3);
  auto cluster = LocalCluster::prepare({.binary = KUILT_BINARY,
                                        .directory = folder.path(),
                                        .servers = 3,
                                        .extra_flags = {"--insecure-clients"},
                                        .hosts = namespaces.hosts()})
                     .or_throw();
  cluster.start_all().or_throw();
  cluster.await_leader(30s).or_throw();
  Counted counted(admin_addresses(cluster));
  std::vector<std::string> acknowledged;

  {
    Swarm swarm(
        {.clients = 45, .json_clients = 5, .urls = cluster.endpoints().urls(), .label = "first"});
    for (int round = 0; round < 4; ++round) {
      swarm.pace(2, 50ms);
      swarm.await_acknowledged(few);
      swarm.pace(24, 5ms);  // Much in flight, so that many answers die with their server.
      swarm.await_full_load(many);
      const std::size_t killed = kill_leader(cluster);
      swarm.pace(2, 50ms);
      cluster.await_leader(20s).or_throw();
      swarm.await_acknowledged(few);
      cluster.start(killed).or_throw();
    }
    const auto repeats = [&] { return counted.total("kuilt_committed_repeats_total"); };
    for (int kill = 0; kill < 3 || (repeats() < repeats_min && kill < follower_kills_max); ++kill) {
      kill_and_restart_busiest_follower(cluster, swarm);
    }
    const std::size_t leader = cluster.await_leader(20s).or_throw();
    const std::size_t follower = (leader + 1) % 3;
    cluster.signal(follower, SIGSTOP).or_throw();
    std::this_thread::sleep_for(10s);  // The pause itself.
    cluster.signal(follower, SIGCONT).or_throw();

    cut_the_leader_off(cluster, namespaces, acknowledged);
    swarm.finish(60s);
    expect_sound(swarm);
    const auto& more = swarm.acknowledged();
    acknowledged.insert(acknowledged.end(), more.begin(), more.end());
  }
  {
    const std::size_t leader = cluster.await_leader(20s).or_throw();
    std::vector<std::string> followers = cluster.endpoints().urls();
    followers.erase(followers.begin() + static_cast<std::ptrdiff_t>(leader));
    Swarm swarm({.clients = 45, .json_clients = 5, .urls = followers, .label = "second"});
    swarm.pace(24, 5ms);
    swarm.await_full_load(many);
    const std::size_t killed = kill_leader(cluster);
    cluster.await_leader(20s).or_throw();
    swarm.await_acknowledged(few);
    cluster.start(killed).or_throw();
    swarm.finish(60s);
    expect_sound(swarm);
    const auto& more = swarm.acknowledged();
    acknowledged.insert(acknowledged.end(), more.begin(), more.end());
  }

  // Void, unless the faults did what they are for.
  const double repeats = counted.total("kuilt_committed_repeats_total");
  std::printf("%.0f retries carried a committed id\n", repeats);
  EXPECT_GE(repeats, repeats_min);
  EXPECT_GE(counted.total("kuilt_truncations_total"), 1);
  cluster.await_leader(20s).or_throw();
  cluster.stop_all(10s);
  expect_one_history(cluster, acknowledged);
}

}  // namespace
}  // namespace kuilt::process_tests
