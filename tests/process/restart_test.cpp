// A planned restart of every server, one after the other, while clients propose: nobody notices.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "cli/local_cluster.hpp"
#include "tests/cli/process.hpp"
#include "tests/process/swarm.hpp"

namespace kuilt::process_tests {
namespace {

using namespace std::chrono_literals;
using cli::LocalCluster;

constexpr std::size_t many = 500;  // Acknowledged proposals, while all clients have many more.

std::size_t hand_overs_told_by(const LocalCluster& cluster) {
  std::size_t told = 0;
  for (const auto& server : cluster.servers()) {
    std::ifstream log(server.log_file);
    for (std::string line; std::getline(log, line);) {
      told += line.find("the lead went to server ") != std::string::npos ? 1U : 0U;
    }
  }
  return told;
}

/// As an operator waits before restarting the next one: it has links to all, and lacks nothing that
/// the leader had committed by then.
bool await_back(LocalCluster& cluster, std::size_t server) {
  const std::size_t leader = cluster.await_leader(20s).or_throw();
  const auto wanted = cluster.status(leader).or_throw().commit;
  const auto is_back = [&] {
    const auto status = cluster.status(server);
    return status && status->peers_linked == 2 && status->commit >= wanted;
  };
  return cli::await(is_back, 20s);
}

TEST(PlannedRestart, OfEachServerInTurnFailsNoProposal) {
  const cli::TemporaryFolder folder;
  auto cluster =
      LocalCluster::prepare({.binary = KUILT_BINARY, .directory = folder.path(), .servers = 3})
          .or_throw();
  cluster.start_all().or_throw();
  const std::size_t first = cluster.await_leader(30s).or_throw();
  Swarm swarm(
      {.clients = 12, .json_clients = 3, .urls = cluster.endpoints().urls(), .label = "restart"});
  swarm.pace(8, 5ms);

  for (std::size_t i = 0; i < 3; ++i) {
    const std::size_t server = (first + i) % 3;  // The one that leads is the first.
    swarm.await_full_load(many);
    EXPECT_EQ(cluster.signal(server, SIGTERM).or_throw(), 0);
    swarm.await_acknowledged(many);
    cluster.start(server).or_throw();
    ASSERT_TRUE(await_back(cluster, server));
  }
  swarm.await_acknowledged(many);
  swarm.finish(60s);

  const cli::Witness::Verdict verdict = swarm.verdict();
  EXPECT_TRUE(verdict.sound());
  for (const std::string& fault : verdict.faults) ADD_FAILURE() << fault;
  EXPECT_EQ(verdict.acknowledged, verdict.proposed) << "none fails, and none is unknown";
  EXPECT_GE(hand_overs_told_by(cluster), 1U);
  std::printf("%zu proposals, %zu of them repeated; %zu hand-overs; longest pause %lld ms\n",
              verdict.proposed, verdict.duplicates, hand_overs_told_by(cluster),
              static_cast<long long>(verdict.longest_pause.count()));
}

}  // namespace
}  // namespace kuilt::process_tests
