// Members that come and go, one process each, while clients propose and observe.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include <gmock/gmock.h>

#include "cli/admin_members.hpp"
#include "cli/local_cluster.hpp"
#include "tests/cli/process.hpp"
#include "tests/process/log_history.hpp"
#include "tests/process/swarm.hpp"

namespace kuilt::process_tests {
namespace {

namespace fs = std::filesystem;

using namespace std::chrono_literals;
using cli::LocalCluster;
using testing::HasSubstr;

constexpr std::size_t many = 300;  // Acknowledged proposals between two changes.

class Membership : public testing::Test {
 protected:
  void prepare(std::size_t servers, std::size_t founders) {
    cluster_.emplace(LocalCluster::prepare({.binary = KUILT_BINARY,
                                            .directory = folder_.path(),
                                            .servers = servers,
                                            .extra_flags = {},
                                            .hosts = {},
                                            .founders = founders})
                         .or_throw());
  }
  LocalCluster& cluster() { return *cluster_; }
  [[nodiscard]] const cli::LocalServer& server(std::size_t place) const {
    return cluster_->servers().at(place);
  }
  /// Of all servers that run.
  [[nodiscard]] std::string admin() const {
    std::string all;
    for (const cli::LocalServer& one : cluster_->servers()) {
      if (one.pid >= 0) all += (all.empty() ? "" : ",") + one.admin_address;
    }
    return all;
  }
  cli::Outcome members(std::vector<std::string> words) {
    words.insert(words.begin(), "members");
    words.insert(words.end(), {"--admin", admin()});
    return cli::kuilt(words);
  }
  /// Starts it, and waits as an operator does.
  void add(std::size_t place) {
    cluster_->start(place).or_throw();
    const cli::Outcome outcome = members({"add", server(place).name});
    EXPECT_EQ(outcome.status, 0) << outcome.err << cluster_->last_words(place);
    EXPECT_THAT(outcome.out, HasSubstr(server(place).name + " votes"));
  }
  std::string leader() {
    std::string name;
    EXPECT_TRUE(cli::await([&] {
      for (std::size_t i = 0; i < cluster_->servers().size(); ++i) {
        const auto status = cluster_->status(i);
        if (status && status->role == "leader") name = status->name;
      }
      return !name.empty();
    }));
    return name;
  }
  /// Removed servers end by themselves, and say why.
  void expect_removed(std::size_t place) {
    std::optional<int> status;
    ASSERT_TRUE(cli::await([&] { return (status = cluster_->ended(place)).has_value(); }));
    EXPECT_EQ(status, 2);
    EXPECT_THAT(cluster_->last_words(place),
                HasSubstr("removed: server " + server(place).name + " was removed"));
  }
  [[nodiscard]] std::size_t place_of(const std::string& name) const {
    return static_cast<std::size_t>(name.front() - 'a');
  }

  cli::TemporaryFolder folder_;
  std::optional<LocalCluster> cluster_;
};

// Each log is a beginning of the longest one, holds nothing twice, and the logs of those who stayed
// hold all that was acknowledged.
void expect_one_history(const LocalCluster& cluster, const std::set<std::size_t>& stayed,
                        const std::vector<std::string>& acknowledged) {
  std::vector<LogHistory> logs;
  for (const auto& server : cluster.servers()) logs.push_back(read_log(server.data).or_throw());
  const LogHistory& longest =
      *std::ranges::max_element(logs, {}, [](const LogHistory& log) { return log.chain.size(); });
  for (std::size_t i = 0; i < logs.size(); ++i) {
    EXPECT_TRUE(logs[i].repeats.empty()) << "server " << i << " holds a request twice";
    const std::size_t both = std::min(longest.chain.size(), logs[i].chain.size());
    for (std::size_t at = 0; at < both; ++at) {
      ASSERT_EQ(longest.chain[at], logs[i].chain[at]) << "server " << i << ", index " << at + 1;
    }
    if (!stayed.contains(i)) continue;
    const std::multiset<std::string> held(logs[i].commands.begin(), logs[i].commands.end());
    std::size_t missing = 0;
    for (const std::string& command : acknowledged) missing += held.count(command) != 1 ? 1 : 0;
    EXPECT_EQ(missing, 0U) << "of " << acknowledged.size() << " acknowledged, on server " << i;
  }
}

TEST_F(Membership, OneToThreeToFiveToThreeFailsNoProposal) {
  prepare(5, 1);
  cluster().start(0).or_throw();
  ASSERT_EQ(leader(), "a");
  std::set<std::size_t> stayed = {0, 1, 2, 3, 4};
  Swarm swarm(
      {.clients = 12, .json_clients = 0, .urls = cluster().endpoints().urls(), .label = "members"});
  swarm.pace(8, 5ms);
  for (std::size_t place = 1; place < 5; ++place) {
    swarm.await_acknowledged(many);
    add(place);
  }
  swarm.await_acknowledged(many);

  // One that leads, and one that does not: by one change each.
  for (const bool leads : {true, false}) {
    const std::string leading = leader();
    std::size_t leaver = place_of(leading);
    if (!leads) leaver = *stayed.begin() == leaver ? *stayed.rbegin() : *stayed.begin();
    const cli::Outcome removed = members({"remove", server(leaver).name});
    EXPECT_EQ(removed.status, 0) << removed.err;
    expect_removed(leaver);
    stayed.erase(leaver);
    swarm.await_acknowledged(many);
  }
  swarm.finish(60s);

  const cli::Witness::Verdict verdict = swarm.verdict();
  EXPECT_TRUE(verdict.sound());
  for (const std::string& fault : verdict.faults) ADD_FAILURE() << fault;
  EXPECT_EQ(verdict.acknowledged, verdict.proposed) << "none fails, and none is unknown";
  const cli::Outcome left = members({"list"});
  EXPECT_THAT(left.out, HasSubstr("settled: no change is under way"));
  EXPECT_EQ(cli::kuilt({"status", "--admin", admin()}).status, 0);
  std::printf("%zu proposals, %zu of them repeated; longest pause %lld ms\n", verdict.proposed,
              verdict.duplicates, static_cast<long long>(verdict.longest_pause.count()));
  ASSERT_TRUE(cli::await([&] {
    std::set<std::uint64_t> ends;
    for (const std::size_t place : stayed) {
      const auto status = cluster().status(place);
      ends.insert(status ? status->commit : 0);
    }
    return ends.size() == 1 && !ends.contains(0);
  }));
  cluster().stop_all(10s);
  expect_one_history(cluster(), stayed, swarm.acknowledged());
}

TEST_F(Membership, AWipedServerIsReplacedUnderItsName) {
  prepare(3, 3);
  cluster().start_all().or_throw();
  const std::size_t lost = (cluster().await_leader(30s).or_throw() + 1) % 3;
  const std::string name = server(lost).name;
  cluster().signal(lost, SIGKILL).or_throw();
  std::filesystem::remove_all(server(lost).data);

  // With the list that it was founded with it is told what to do; and so it is if it asks to join.
  std::vector<std::string> joins = {KUILT_BINARY,     "serve",
                                    "--name",         name,
                                    "--data",         server(lost).data,
                                    "--listen",       server(lost).client_address,
                                    "--peer-listen",  server(lost).peer_address,
                                    "--admin-listen", server(lost).admin_address,
                                    "--secret-file",  folder_ / "secret",
                                    "--join",         server((lost + 1) % 3).peer_address};
  cli::Process refused(joins);
  const cli::Outcome outcome = refused.wait();
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("error name_taken: "));
  EXPECT_THAT(outcome.err, HasSubstr("kuilt members replace " + name));

  std::vector<std::string> order = {KUILT_BINARY, "members", "replace", name, "--admin", admin()};
  cli::Process replacing(order);
  ASSERT_TRUE(replacing.await_error("the old " + name + " is removed"));
  cli::Process again(joins);
  const cli::Outcome replaced = replacing.wait();
  EXPECT_EQ(replaced.status, 0) << replaced.err;
  EXPECT_THAT(replaced.out, HasSubstr(name + " votes, with its new directory"));
  EXPECT_TRUE(again.await_error("3 of 3 linked"));
  EXPECT_EQ(cli::kuilt({"status", "--admin", admin() + "," + server(lost).admin_address}).status,
            0);
  again.signal(SIGTERM);
  EXPECT_EQ(again.wait().status, 0);
}

// Killed at any time while it joins, it goes on with the same command, and is one member.
TEST_F(Membership, AServerThatIsKilledWhileItJoinsGoesOnWithTheSameCommand) {
  prepare(2, 1);
  cluster().start(0).or_throw();
  ASSERT_EQ(leader(), "a");
  // One after the other, as a start leaves them: who it is, whom it joins, a log, all of it.
  const fs::path data = server(1).data;
  const std::vector<std::function<bool()>> steps = {
      [&] { return fs::exists(data / "identity"); },
      [&] { return fs::exists(data / "joined"); },
      [&] {
        std::error_code none;
        return fs::directory_iterator(data / "log", none) != fs::directory_iterator();
      },
      [&] { return cluster().status(1).has_value(); },
  };
  for (const auto& is_done : steps) {
    cluster().start(1).or_throw();
    EXPECT_TRUE(cli::await(is_done));
    (void)cluster().signal(1, SIGKILL);
  }

  add(1);

  const auto all = cli::ask_members({server(0).admin_address, server(1).admin_address});
  ASSERT_TRUE(all.has_value()) << all.error().message();
  EXPECT_EQ(all->members.size(), 2U);
  EXPECT_EQ(cli::kuilt({"propose", "-e", "ws://" + server(1).client_address, "x"}).status, 0);
}

}  // namespace
}  // namespace kuilt::process_tests
