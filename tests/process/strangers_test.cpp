// Servers that do not belong: each is refused by name, on both sides, and the cluster goes on.
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "cli/http_get.hpp"
#include "cli/local_cluster.hpp"
#include "server/peer_links.hpp"
#include "server/secret.hpp"
#include "tests/cli/process.hpp"

namespace kuilt::process_tests {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using cli::LocalCluster;
using cli::LocalServer;
using testing::HasSubstr;

/// Three servers of which the last, which the others dial, can be replaced by somebody else.
class Strangers : public testing::Test {
 protected:
  static constexpr std::size_t last = 2;

  Strangers()
      : cluster_(LocalCluster::prepare(
                     {.binary = KUILT_BINARY, .directory = folder_ / "ours", .servers = 3})
                     .or_throw()) {
    cluster_.start_all().or_throw();
    cluster_.await_leader(30s).or_throw();
  }
  [[nodiscard]] std::string secret_file() const { return folder_ / "ours/secret"; }
  [[nodiscard]] static std::string log_of(const LocalServer& server) {
    std::ifstream file(server.log_file);
    std::ostringstream text;
    text << file.rdbuf();
    return std::move(text).str();
  }
  /// Server `one` under another's address for servers, with this secret.
  [[nodiscard]] static std::vector<std::string> serve(const LocalServer& one,
                                                      const LocalServer& in_place_of,
                                                      const std::string& secret_file) {
    return {KUILT_BINARY,     "serve",
            "--name",         one.name,
            "--data",         one.data,
            "--listen",       one.client_address,
            "--peer-listen",  in_place_of.peer_address,
            "--admin-listen", one.admin_address,
            "--secret-file",  secret_file};
  }
  void expect_goes_on() {
    const auto leader = cluster_.await_leader(30s);
    ASSERT_TRUE(leader) << leader.error().message();
    const std::string url = cluster_.endpoints().urls().at(*leader);
    const auto outcome = cli::kuilt({"propose", "-e", url, "goes on"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
  }
  void expect_refused_by_both_others(const std::string& words) {
    for (std::size_t i = 0; i < last; ++i) {
      const LocalServer& server = cluster_.servers().at(i);
      EXPECT_TRUE(cli::await([&] { return log_of(server).find(words) != std::string::npos; }))
          << server.name << " says nothing of " << words << ":\n"
          << log_of(server);
    }
  }
  [[nodiscard]] bool all_are_linked() {
    return cli::await([this] {
      const auto status = cluster_.status(last);
      return status.has_value() && status->peers_linked == 2;
    });
  }

  cli::TemporaryFolder folder_;
  LocalCluster cluster_;
};

TEST_F(Strangers, AServerWithAnotherSecretIsRefusedUntilItHasTheRightOne) {
  ASSERT_TRUE(all_are_linked());
  cluster_.signal(last, SIGTERM).or_throw();
  const std::string other_secret = folder_ / "other-secret";
  ASSERT_EQ(cli::kuilt({"secret", "new", other_secret}).status, 0);
  const LocalServer& server = cluster_.servers().at(last);

  cli::Process odd(serve(server, server, other_secret));

  expect_refused_by_both_others("wrong_secret: the server that calls itself \"c\"");
  EXPECT_TRUE(odd.await_error("wrong_secret: the other server says: "));
  expect_goes_on();
  EXPECT_EQ(cluster_.status(0).or_throw().peers_linked, 1U);
  odd.signal(SIGTERM);
  EXPECT_EQ(odd.wait().status, 0);
  cluster_.start(last).or_throw();
  EXPECT_TRUE(all_are_linked()) << "with the right secret the same server is let in";
}

TEST_F(Strangers, AServerOfAnotherClusterIsRefused) {
  auto theirs =
      LocalCluster::prepare({.binary = KUILT_BINARY, .directory = folder_ / "theirs", .servers = 2})
          .or_throw();
  fs::copy_file(secret_file(), folder_ / "theirs/secret", fs::copy_options::overwrite_existing);
  theirs.start_all().or_throw();
  theirs.await_leader(30s).or_throw();
  theirs.stop_all(10s);
  cluster_.signal(last, SIGTERM).or_throw();

  cli::Process odd(
      serve(theirs.servers().back(), cluster_.servers().at(last), folder_ / "theirs/secret"));

  expect_refused_by_both_others("wrong_cluster: ");
  EXPECT_TRUE(odd.await_error("wrong_cluster: "));
  expect_goes_on();
  EXPECT_EQ(cluster_.status(0).or_throw().peers_linked, 1U);
}

// A node that has a copy of the secret and the ids, as one that was removed has: absence from my
// configuration is no reason to refuse a link, and what it says changes nothing.
TEST_F(Strangers, ThatBelongAreLinkedAndChangeNothing) {
  ASSERT_TRUE(all_are_linked());
  const auto before = nlohmann::json::parse(
      cli::http_get(cluster_.servers().front().admin_address, "/status", 5s).or_throw());
  const server::PeerIdentity identity{NodeId::named("stranger"), BootId::named("stranger"),
                                      "0 stranger", *ClusterId::parse(before.value("cluster", "")),
                                      *HistoryId::parse(before.value("history", ""))};
  std::mutex mutex;
  std::vector<NodeId> up;
  const server::PeerLinkEvents events{
      .on_up = [&](const wire::PeerHello& hello) -> Status {
        const std::lock_guard lock(mutex);
        up.push_back(hello.node);
        return Done{};
      },
      .on_down = [](NodeId) {},
      .on_message = [](NodeId, const wire::PeerMessage&) {},
      .on_refused = [](const std::string& peer,
                       const Error& error) { ADD_FAILURE() << peer << ": " << error.message(); }};
  server::PeerLinkOptions options;
  options.secret = server::load_secret(secret_file()).or_throw();
  server::PeerLinks stranger(options, identity, events);
  std::vector<server::PeerTarget> targets;
  for (std::size_t i = 0; i < 3; ++i) {
    targets.push_back({cluster_.servers().at(i).name, cluster_.servers().at(i).peer_address});
  }
  stranger.be(identity, events, targets);
  ASSERT_TRUE(cli::await([&] { return stranger.linked() == 3; }));

  const Term high(before.value("term", std::uint64_t{0}) + 7);
  for (const NodeId peer : std::vector<NodeId>(up)) {
    const Position far{Index(99), Term(high.value() - 1)};
    stranger.send(peer, raft::Message(raft::VoteRequest{high, false, far, false}));
    stranger.send(peer, raft::Message(raft::HeartbeatReply{high, 1, Index(99), {}, {}}));
  }

  const auto refused = [&](const std::string& name) {
    const auto metrics =
        cli::http_get(cluster_.servers().front().admin_address, "/metrics", 5s).or_throw();
    return metrics.find("kuilt_peer_messages_refused_total{reason=\"" + name + "\"}") !=
           std::string::npos;
  };
  EXPECT_TRUE(cli::await([&] { return refused("leader_is_live"); }));
  expect_goes_on();
  const auto after = nlohmann::json::parse(
      cli::http_get(cluster_.servers().front().admin_address, "/status", 5s).or_throw());
  EXPECT_EQ(after.value("term", 0), before.value("term", 0));
  EXPECT_EQ(after.value("peers_linked", 0), 2) << "it counts as nobody's peer";
}

}  // namespace
}  // namespace kuilt::process_tests
