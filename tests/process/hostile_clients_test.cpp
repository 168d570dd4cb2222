#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <future>
#include <string>
#include <vector>

#include "cli/local_cluster.hpp"
#include "kuilt/client.hpp"
#include "tests/cli/process.hpp"

namespace kuilt::process_tests {
namespace {

using namespace std::chrono_literals;

// The bound that docs/performance.md states: ring and tail of 64 MiB each, what learners of old log
// share, 4 MiB for each link that does not read, and the process itself.
constexpr std::size_t resident_mib_max = 400;

std::vector<std::string> hostile_clients(const std::string& mode, int count,
                                         const std::string& address) {
  const auto colon = address.rfind(':');
  return {"/usr/bin/python3",
          KUILT_SOURCE_DIR "/tests/process/hostile_clients.py",
          mode,
          std::to_string(count),
          address.substr(0, colon),
          address.substr(colon + 1)};
}

std::size_t resident_mib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6)) / 1024;
  }
  return 0;
}

class HostileClients : public testing::TestWithParam<const char*> {};

TEST_P(HostileClients, HarmNobodyAndCostTheServerABoundedAmountOfMemory) {
  const cli::TemporaryFolder folder;
  auto cluster =
      cli::LocalCluster::prepare({.binary = KUILT_BINARY, .directory = folder.path(), .servers = 1})
          .or_throw();
  cluster.start_all().or_throw();
  cluster.await_leader(20s).or_throw();
  const std::string& address = cluster.servers().front().client_address;
  cli::Process hostile(hostile_clients(GetParam(), 40, address), {},
                       cli::Process::StandardError::ours);
  ASSERT_TRUE(hostile.await_output("ready"));

  // 100 MB of commands, while the hostile ones are at it.
  constexpr int commands = 1600;
  auto client = ClusterClient::connect(cluster.endpoints()).or_throw();
  auto seen = client.observe(from_start).or_throw();
  auto count_entries = std::async(std::launch::async, [&seen] {
    int entries = 0;
    while (entries < commands) {
      const auto next = seen.next_for(60s);
      if (!next) break;
      entries += std::holds_alternative<Committed::Entry>(*next) ? 1 : 0;
    }
    return entries;
  });
  const std::string command(64 << 10, 'x');
  std::vector<Pending<Receipt>> pending;
  std::size_t resident_most = 0;
  for (int i = 0; i < commands; ++i) {
    pending.push_back(client.propose(command, {.deadline = 60s, .room = ""}));
    if (pending.size() < 64) continue;
    for (auto& one : pending) EXPECT_TRUE(one.get().has_value());
    pending.clear();
    resident_most = std::max(resident_most, resident_mib(cluster.servers().front().pid));
  }
  for (auto& one : pending) EXPECT_TRUE(one.get().has_value());

  EXPECT_EQ(count_entries.get(), commands) << "a well-behaved observer sees everything";
  EXPECT_GT(resident_most, 0U);
  EXPECT_LT(resident_most, resident_mib_max);
  EXPECT_EQ(cluster.ended(0), std::nullopt) << "the server lives";
  const auto status = cluster.signal(0, SIGTERM).or_throw();
  EXPECT_EQ(status, 0) << "and drains";
}

INSTANTIATE_TEST_SUITE_P(Modes, HostileClients, testing::Values("silent", "slow", "garbage"),
                         [](const auto& mode) { return std::string(mode.param); });

}  // namespace
}  // namespace kuilt::process_tests
