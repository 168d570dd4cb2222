// The C++ examples do what they say.
#include <csignal>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "cli/local_cluster.hpp"
#include "kuilt/client.hpp"
#include "kuilt/server.hpp"
#include "tests/cli/one_way_proxy.hpp"
#include "tests/cli/process.hpp"

namespace kuilt::cli {
namespace {

Outcome run_example(const std::string& name, const std::vector<std::string>& arguments = {}) {
  std::vector<std::string> line = {KUILT_EXAMPLE_DIR "/example_" + name};
  line.insert(line.end(), arguments.begin(), arguments.end());
  Process process(std::move(line));
  return process.wait();
}

TEST(Examples, HelloProposesAndObserves) {
  auto cluster = ServerCluster::in_process({.voters = 1, .directory = ""}).or_throw();
  cluster.start().or_throw();

  const Outcome outcome = run_example("hello", {cluster.endpoints().urls().front()});

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "anonymous said hello\n");
}

TEST(Examples, AnEmbeddedClusterSurvivesTheEndOfItsLeader) {
  const Outcome outcome = run_example("embedded");

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, testing::HasSubstr("survived the end of "));
}

TEST(Examples, ScoresAnswersWithWhatItsStateMachineSaysAlsoAfterARestart) {
  const TemporaryFolder folder;
  const auto ports =
      LocalCluster::prepare(
          {.binary = "", .directory = folder / "ports", .servers = 1, .extra_flags = {}})
          .or_throw();
  const std::string address = ports.servers().front().client_address;
  for (const std::string points : {"1", "2"}) {
    Process scores({KUILT_EXAMPLE_DIR "/example_scores", address, folder / "data"});
    auto client = ClusterClient::connect({"ws://" + address}, {.name = "ann"}).or_throw();

    EXPECT_EQ(client.propose("a point").get().or_throw().result, Bytes(points));

    scores.signal(SIGTERM);
    EXPECT_EQ(scores.wait().status, 0);
  }
}

/// Every command in the log of a cluster, up to the one that ends with `last`.
std::vector<std::string> commands_through(const ServerCluster& cluster, const std::string& last) {
  std::vector<std::string> commands;
  auto client = ClusterClient::connect(cluster.endpoints()).or_throw();
  auto seen = client.observe(from_start).or_throw();
  while (const auto piece = seen.next_for(std::chrono::seconds(20))) {
    const auto* entry = std::get_if<Committed::Entry>(&*piece);
    if (entry == nullptr) continue;
    commands.emplace_back(entry->entry.command.text());
    if (commands.back() == last) break;
  }
  return commands;
}

TEST(Examples, ACommandOfAClientKilledBeforeItsOutcomeIsInTheLogOnce) {
  auto cluster = ServerCluster::in_process({.voters = 3, .directory = ""}).or_throw();
  cluster.start().or_throw();
  const std::string url = cluster.endpoints().urls().front();
  OneWayProxy proxy(std::stoi(url.substr(url.rfind(':') + 1)));
  const TemporaryFolder folder;
  const std::string program = KUILT_EXAMPLE_DIR "/example_exactly_once";
  {
    Process process({program, folder / "mine", proxy.url()});
    process.write("one\n");
    ASSERT_TRUE(process.await_output("1 committed\n"));
    proxy.keep_back();
    process.write("two\n");
    ASSERT_THAT(commands_through(cluster, "two"), testing::ElementsAre("one", "two"));

    // A second process does not get at the session meanwhile.
    const Outcome second = Process({program, folder / "mine", url}).wait();
    EXPECT_NE(second.status, 0);
    EXPECT_THAT(second.err, testing::HasSubstr("session_locked"));
    process.signal(SIGKILL);
    EXPECT_EQ(process.wait().status, 128 + SIGKILL);
  }

  Process again({program, folder / "mine", url});
  again.write("three\n");
  again.close_input();
  const Outcome outcome = again.wait();

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "2 duplicate\n3 committed\n");
  EXPECT_THAT(commands_through(cluster, "three"), testing::ElementsAre("one", "two", "three"));
}

TEST(Examples, AGameWithAFrameLoopOfItsOwnSeesItsMovesInOrder) {
  auto cluster = ServerCluster::in_process({.voters = 1, .directory = ""}).or_throw();
  cluster.start().or_throw();

  const Outcome outcome = run_example("play", {cluster.endpoints().urls().front()});

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "left\nright\nquit\n");
}

TEST(Examples, ALearnerManagesItsOwnLinkAndStorage) {
  auto cluster = ServerCluster::in_process({.voters = 1, .directory = ""}).or_throw();
  cluster.start().or_throw();
  const std::string url = cluster.endpoints().urls().front();
  auto client = ClusterClient::connect(cluster.endpoints()).or_throw();
  client.propose("before").get().or_throw();

  const Outcome outcome = run_example("learner", {url, cluster.mesh().ids().front().text()});

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "learnt before\nlearnt action:move=1\n");
  const Outcome wrong = run_example("learner", {url, NodeId::named("another").text()});
  EXPECT_NE(wrong.status, 0);
  EXPECT_THAT(wrong.err, testing::HasSubstr("unknown_node"));
}

TEST(Examples, StayWithin25LinesBesidesIncludesAndComments) {
  for (const std::string name :
       {"hello", "embedded", "exactly_once", "learner", "play", "scores"}) {
    std::ifstream file(KUILT_SOURCE_DIR "/examples/" + name + ".cpp");
    int lines = 0;
    for (std::string line; std::getline(file, line);) {
      lines += line.empty() || line.starts_with('#') || line.starts_with("//") ? 0 : 1;
    }
    EXPECT_GT(lines, 0) << name;
    EXPECT_LE(lines, 25) << name;
  }
}

}  // namespace
}  // namespace kuilt::cli
