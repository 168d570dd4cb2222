// Voters of one process: their directories, and the cluster that comes back with them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <set>
#include <thread>

#include "kuilt/server.hpp"
#include "server/open.hpp"
#include "tests/await.hpp"

namespace kuilt::server {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;

class InProcess : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "kuilt-mesh-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }

  [[nodiscard]] InProcessOptions options(std::size_t voters = 3) const {
    return {.voters = voters, .directory = (root_ / "cluster").string()};
  }
  [[nodiscard]] fs::path directory_of(const std::string& voter) const {
    return root_ / "cluster" / voter;
  }
  /// Waits for a leader that has committed.
  static bool decides_within(const ServerCluster& cluster, std::chrono::seconds patience) {
    const auto decides = [](const ServerStatus& row) {
      return row.role == "leader" && row.commit == row.last && row.commit > Index(1);
    };
    return comes_true([&] { return std::ranges::any_of(cluster.status(), decides); }, patience);
  }
  static Index committed(const ServerCluster& cluster) {
    Index highest;
    for (const ServerStatus& row : cluster.status()) highest = std::max(highest, row.commit);
    return highest;
  }
  static std::set<NodeId> ids(const ServerCluster& cluster) {
    std::set<NodeId> out;
    for (const ServerStatus& row : cluster.status()) out.insert(row.id);
    return out;
  }
  void found() {
    const auto cluster = ServerCluster::in_process(options()).or_throw();
    ASSERT_TRUE(decides_within(cluster, 20s));
  }
  void expect_refused(const InProcessOptions& options, ErrorCode code, const auto& message) {
    const auto refused = ServerCluster::in_process(options);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code(), code) << refused.error().message();
    EXPECT_THAT(refused.error().message(), message);
  }
  [[nodiscard]] ServerOptions voter(const std::string& name) const {
    ServerOptions one;
    one.name = name;
    one.data = directory_of(name).string();
    one.listen = with_real_port("127.0.0.1:0").or_throw();
    one.shards = 1;
    return one;
  }
  static Result<std::unique_ptr<Node>> open(const ServerOptions& options, const MeshPlan& plan) {
    return open_mesh_node(options, plan, std::make_shared<InProcessMesh>(), nullptr,
                          {.on_failed = [](const Error&) {}, .on_news = [](const auto&) {}});
  }

  fs::path root_;
};

TEST_F(InProcess, AClusterInOneProcessIsOpenedAgainOnItsDirectory) {
  std::optional<ServerCluster> first = ServerCluster::in_process(options()).or_throw();
  ASSERT_TRUE(decides_within(*first, 20s));
  const std::vector<ServerStatus> before = first->status();
  const std::set<NodeId> nodes = ids(*first);
  const Index through = committed(*first);
  first.reset();

  auto second = ServerCluster::in_process(options());

  ASSERT_TRUE(second.has_value()) << second.error().message();
  ASSERT_TRUE(decides_within(*second, 20s));
  for (const ServerStatus& row : second->status()) {
    EXPECT_EQ(row.cluster, before.front().cluster);
    EXPECT_EQ(row.history, before.front().history);
  }
  EXPECT_EQ(ids(*second), nodes);
  EXPECT_GT(committed(*second), through);
}

TEST_F(InProcess, TheMeshIsItsVotersAndWhoLeadsThem) {
  auto cluster = ServerCluster::in_process({.voters = 3, .directory = ""}).or_throw();
  ASSERT_TRUE(decides_within(cluster, 20s));

  const VoterMesh mesh = cluster.mesh();

  ASSERT_EQ(mesh.size(), 3U);
  EXPECT_EQ(mesh.quorum(), 2U);
  EXPECT_EQ(mesh.voters.front().name, "a");
  const std::vector<NodeId> named = mesh.ids();
  EXPECT_EQ(std::set<NodeId>(named.begin(), named.end()), ids(cluster));
  EXPECT_EQ(mesh.leader, cluster.leader());
  for (const auto* name : {"a", "b", "c"}) cluster.stop(name).or_throw();
  EXPECT_EQ(cluster.mesh().size(), 0U);
}

TEST_F(InProcess, TwoClustersAreNeverTheSame) {
  const auto first = ServerCluster::in_process({.voters = 1, .directory = ""}).or_throw();
  const auto second = ServerCluster::in_process({.voters = 1, .directory = ""}).or_throw();

  EXPECT_NE(first.status().front().cluster, second.status().front().cluster);
}

TEST_F(InProcess, AVoterInOneProcessWhoseDirectoryWasLostIsNotTakenBack) {
  found();
  fs::remove_all(directory_of("b"));

  expect_refused(options(), ErrorCode::directory_lost, HasSubstr("voter b"));
  expect_refused(options(), ErrorCode::directory_lost, HasSubstr("voter b"));
}

TEST_F(InProcess, DirectoriesThatChangedTheirNamesAreRefused) {
  found();
  fs::rename(directory_of("a"), root_ / "aside");
  fs::rename(directory_of("b"), directory_of("a"));
  fs::rename(root_ / "aside", directory_of("b"));

  expect_refused(options(), ErrorCode::directory_of_another, HasSubstr("belongs to voter b"));
}

TEST_F(InProcess, AnotherNumberOfVotersThanFoundedTheClusterIsRefused) {
  found();

  expect_refused(options(1), ErrorCode::invalid_argument, HasSubstr("of 3 voters, not of 1"));
  expect_refused(options(5), ErrorCode::invalid_argument, HasSubstr("of 3 voters, not of 5"));
}

TEST_F(InProcess, AFoundingThatOnlyOneVoterFinishedIsCompleted) {
  fs::create_directory(root_ / "cluster");
  const MeshPlan plan = plan_mesh({voter("a"), voter("b"), voter("c")}).or_throw();
  open(voter("b"), plan).or_throw();

  auto cluster = ServerCluster::in_process(options());

  ASSERT_TRUE(cluster.has_value()) << cluster.error().message();
  EXPECT_EQ(cluster->status().front().cluster, plan.record.cluster);
  EXPECT_TRUE(decides_within(*cluster, 20s));
}

TEST_F(InProcess, ADirectoryMintedForAnotherVoterIsRefused) {
  fs::create_directory(root_ / "cluster");
  const MeshPlan plan = plan_mesh({voter("a"), voter("b")}).or_throw();
  ServerOptions swapped = voter("b");
  swapped.data = voter("a").data;

  const auto node = open(swapped, plan);

  ASSERT_FALSE(node.has_value());
  EXPECT_EQ(node.error().code(), ErrorCode::directory_of_another);
  EXPECT_TRUE(open(voter("b"), plan).has_value());
}

// The ports of now, not those of the record: clients are sent there.
TEST_F(InProcess, TheOthersGoOnWhenOneOfThemIsRemoved) {
  auto cluster = ServerCluster::in_process(options()).or_throw();
  ASSERT_TRUE(decides_within(cluster, 20s));
  cluster.change_membership({.promote = {}, .demote = {}, .remove = {"c"}}).or_throw();
  ASSERT_TRUE(comes_true([&] { return cluster.status().at(2).role == "stopped"; }));

  auto ended = std::async(std::launch::async, [&] { return cluster.run_until_signal(); });
  const auto listens = [] {
    struct sigaction now = {};
    return ::sigaction(SIGTERM, nullptr, &now) == 0 && now.sa_handler != SIG_DFL;
  };
  ASSERT_TRUE(comes_true(listens));
  ::kill(::getpid(), SIGTERM);
  EXPECT_EQ(ended.get(), 0);
}

TEST_F(InProcess, AVoterKnowsWhereTheOthersListenNow) {
  fs::create_directory(root_ / "cluster");
  ServerOptions a = voter("a");
  ServerOptions b = voter("b");
  open(a, plan_mesh({a, b}).or_throw()).or_throw();
  a.listen = "127.0.0.1:1";
  b.listen = "127.0.0.1:2";

  const auto node = open(a, plan_mesh({a, b}).or_throw()).or_throw();

  const Members& members = node->members();
  EXPECT_EQ(members.endpoints(),
            (std::vector<std::string>{"ws://127.0.0.1:1", "ws://127.0.0.1:2"}));
  for (const raft::Member& member : members.now()->members) {
    EXPECT_EQ(members.leader_view(member.id).url,
              member.name == "a" ? "ws://127.0.0.1:1" : "ws://127.0.0.1:2");
  }
}

}  // namespace
}  // namespace kuilt::server
