// Servers that come and go while a cluster runs: over real sockets, all of them in this process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kuilt/client.hpp"
#include "kuilt/server.hpp"
#include "server/open.hpp"
#include "server/secret.hpp"
#include "storage/posix_directory.hpp"
#include "storage/posix_disk.hpp"
#include "storage/wal.hpp"
#include "tests/await.hpp"

namespace kuilt::server {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

class Membership : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "kuilt-members-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    create_secret((root_ / "secret").string()).or_throw();
  }
  void TearDown() override {
    servers_.clear();
    fs::remove_all(root_);
  }

  [[nodiscard]] ServerOptions options(const std::string& name) {
    const auto known = options_.find(name);
    if (known != options_.end()) return known->second;
    ServerOptions one;
    one.name = name;
    one.data = (root_ / name).string();
    one.listen = with_real_port("127.0.0.1:0").or_throw();
    one.peer_listen = with_real_port("127.0.0.1:0").or_throw();
    one.admin_listen = "";
    one.shards = 1;
    one.secret_file = (root_ / "secret").string();
    one.founding_timeout = 20s;
    options_[name] = one;
    return one;
  }
  /// As `kuilt serve --join` does it: by the peer address of one member.
  [[nodiscard]] ServerOptions joining(const std::string& name, const std::string& by) {
    ServerOptions one = options(name);
    one.join = {options(by).peer_listen};
    return one;
  }
  ServerCluster& start(const ServerOptions& options) {
    servers_.erase(options.name);
    auto opened = ServerCluster::open(options).or_throw();
    opened.start().or_throw();
    return servers_.emplace(options.name, std::move(opened)).first->second;
  }
  ServerCluster& server(const std::string& name) { return servers_.at(name); }
  ServerStatus status(const std::string& name) { return server(name).status().front(); }
  ServerCluster& leader() {
    for (auto& [name, one] : servers_) {
      if (one.status().front().role == "leader") return one;
    }
    throw std::runtime_error("no leader");
  }
  /// Orders it from whoever leads, for as long as another change is under way.
  Status change(const MembershipChange& wanted) {
    std::optional<Error> last;
    const bool is_through = comes_true([&] {
      for (auto& [name, one] : servers_) {
        auto outcome = one.change_membership(wanted);
        if (outcome) return true;
        const ErrorCode code = outcome.error().code();
        if (code == ErrorCode::not_leader || code == ErrorCode::no_leader) continue;
        last = outcome.error();
        if (code != ErrorCode::busy) return true;
      }
      return false;
    });
    if (!is_through) return Error(ErrorCode::timed_out, "nobody took the change");
    return last && last->code() != ErrorCode::busy ? Status(*last) : Status(Done{});
  }
  /// Names of those who vote, and of the others in brackets, as this server knows them.
  std::vector<std::string> members(const std::string& of) {
    std::vector<std::string> names;
    for (const MemberStatus& one : server(of).membership().members) {
      names.push_back(one.standing == "voter" ? one.name : "(" + one.name + ")");
    }
    return names;
  }
  bool all_vote(const std::string& of, const std::vector<std::string>& names) {
    return comes_true(
        [&] { return server(of).membership().stage == "settled" && members(of) == names; });
  }
  bool is_ready(const std::string& name) {
    return comes_true([&] {
      const ServerStatus row = status(name);
      return (row.role == "leader" || row.role == "follower") && !row.leader.empty();
    });
  }
  ClusterClient client(const std::string& of) {
    return ClusterClient::connect(server(of).endpoints()).or_throw();
  }

  fs::path root_;
  std::map<std::string, ServerOptions> options_;
  std::map<std::string, ServerCluster> servers_;
};

TEST_F(Membership, AServerThatJoinsCatchesUpAndVotes) {
  start(options("a"));
  ASSERT_TRUE(is_ready("a"));
  auto clients = client("a");
  const Receipt before = clients.propose("before").get().or_throw();

  start(joining("b", "a"));

  ASSERT_TRUE(all_vote("a", {"a", "b"}));
  ASSERT_TRUE(all_vote("b", {"a", "b"}));
  EXPECT_TRUE(comes_true([&] { return status("b").commit >= before.index; }));
  EXPECT_EQ(status("b").cluster, status("a").cluster);
  const Receipt after = client("b").propose("after").get().or_throw();
  EXPECT_GT(after.index, before.index);
  EXPECT_TRUE(comes_true([&] { return status("a").peers_linked == 1; }));
}

TEST_F(Membership, AServerThatJoinsByOneThatDoesNotLeadIsSentToTheLeader) {
  start(options("a"));
  start(joining("b", "a"));
  ASSERT_TRUE(all_vote("a", {"a", "b"}));
  const bool a_leads = status("a").role == "leader";

  start(joining("c", a_leads ? "b" : "a"));

  EXPECT_TRUE(all_vote("c", {"a", "b", "c"}));
}

TEST_F(Membership, ARestartNeedsNoAddressToJoinBy) {
  start(options("a"));
  start(joining("b", "a"));
  ASSERT_TRUE(all_vote("b", {"a", "b"}));
  const NodeId node = status("b").id;
  servers_.erase("b");

  start(options("b"));

  EXPECT_TRUE(is_ready("b"));
  EXPECT_EQ(status("b").id, node);
  EXPECT_TRUE(all_vote("b", {"a", "b"}));
}

// A bound directory whose log is gone is never taken for one whose log has yet to come.
TEST_F(Membership, AServerThatJoinedAndLostItsLogIsRefused) {
  start(options("b"));
  ASSERT_TRUE(is_ready("b"));
  const ServerOptions joined = joining("a", "b");
  start(joined);
  ASSERT_TRUE(all_vote("b", {"a", "b"}));
  servers_.erase("a");
  fs::remove_all(fs::path(joined.data) / "log");

  const auto refused = ServerCluster::open(options("a"));

  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::corrupt) << refused.error().message();
}

// Its name sorts first, so it is the one that dials; and it knows addresses only from what it was
// told when it joined.
TEST_F(Membership, AServerThatWasKilledBeforeTheLogCameGoesOnWithWhatItWasTold) {
  start(options("b"));
  ASSERT_TRUE(is_ready("b"));
  const ServerOptions joined = joining("a", "b");
  start(joined);
  ASSERT_TRUE(all_vote("b", {"a", "b"}));
  const storage::Identity identity{status("a").cluster, status("a").history, status("a").id};
  change({.promote = {}, .demote = {"a"}, .remove = {}}).or_throw();
  servers_.erase("a");
  // As after a kill between the binding of the directory and the first entry: its log is there, and
  // empty. It votes for nobody and has promised nothing, so this is no lie to the others.
  {
    auto directory = storage::DataDirectory::open(joined.data).or_throw();
    fs::remove_all(directory->log_path());
    auto disk = storage::PosixDisk::open(directory->log_path()).or_throw();
    storage::Wal::create(*disk, {}, identity, {}, Rng(7)).or_throw();
  }

  start(options("a"));

  EXPECT_TRUE(comes_true([&] { return status("a").role == "learner"; }));
  EXPECT_TRUE(comes_true([&] { return status("a").commit == status("b").commit; }));
}

TEST_F(Membership, AStartThatWasCutShortBeforeTheDirectoryWasBoundJoinsAsTheSameNode) {
  start(options("a"));
  ASSERT_TRUE(is_ready("a"));
  const ServerOptions joined = joining("b", "a");
  const NodeId node = NodeId::named("b");
  {
    auto directory = storage::DataDirectory::open(joined.data).or_throw();
    directory->mint(node).or_throw();
    directory->keep_joined("half of what it was told").or_throw();
  }

  start(joined);

  EXPECT_EQ(status("b").id, node);
  EXPECT_TRUE(all_vote("b", {"a", "b"}));
}

TEST_F(Membership, AWipedServerIsANewOneAndToldToReplaceTheOld) {
  start(options("a"));
  start(joining("b", "a"));
  ASSERT_TRUE(all_vote("a", {"a", "b"}));
  start(joining("c", "a"));
  ASSERT_TRUE(all_vote("a", {"a", "b", "c"}));
  const NodeId lost = status("c").id;
  servers_.erase("c");
  fs::remove_all(options("c").data);

  const auto refused = ServerCluster::open(joining("c", "a"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::name_taken);
  EXPECT_THAT(refused.error().message(), HasSubstr("kuilt members replace c"));
  EXPECT_THAT(refused.error().message(), HasSubstr(lost.text()));

  change({.promote = {}, .demote = {}, .remove = {"c"}}).or_throw();
  start(joining("c", "a"));
  EXPECT_TRUE(all_vote("a", {"a", "b", "c"}));
  EXPECT_NE(status("c").id, lost);
}

TEST_F(Membership, OneToThreeToOneWhileAClientProposes) {
  start(options("a"));
  ASSERT_TRUE(is_ready("a"));
  auto clients = ClusterClient::connect(
                     ClusterEndpoints({"ws://" + options("a").listen, "ws://" + options("b").listen,
                                       "ws://" + options("c").listen}))
                     .or_throw();
  std::vector<Pending<Receipt>> pending;
  const auto propose = [&] {
    for (int i = 0; i < 20; ++i) pending.push_back(clients.propose("x"));
  };
  propose();
  start(joining("b", "a"));
  propose();
  start(joining("c", "b"));
  propose();
  ASSERT_TRUE(all_vote("c", {"a", "b", "c"}));
  propose();

  change({.promote = {}, .demote = {}, .remove = {"a", "b"}}).or_throw();
  propose();

  EXPECT_TRUE(all_vote("c", {"c"}));
  for (auto& one : pending) {
    const auto outcome = one.get();
    EXPECT_TRUE(outcome.has_value()) << outcome.error().message();
  }
}

TEST_F(Membership, AServerThatIsRemovedStopsAndSaysSo) {
  start(options("a"));
  start(joining("b", "a"));
  ASSERT_TRUE(all_vote("b", {"a", "b"}));
  start(joining("c", "a"));
  ASSERT_TRUE(all_vote("c", {"a", "b", "c"}));

  change({.promote = {}, .demote = {}, .remove = {"c"}}).or_throw();

  EXPECT_TRUE(comes_true([&] { return status("c").role == "stopped"; }));
  EXPECT_THAT(status("c").failure, HasSubstr("was removed from the cluster"));
  EXPECT_EQ(server("c").run_until_signal(), 2);
  servers_.erase("c");
  // Its log may hold the change without a word that it is committed: then the others say so again.
  const auto again = ServerCluster::open(options("c"));
  if (again) {
    EXPECT_TRUE(comes_true([&] { return again->status().front().role == "stopped"; }));
  } else {
    EXPECT_EQ(again.error().code(), ErrorCode::removed) << again.error().message();
  }
}

TEST_F(Membership, ALeaderThatIsRemovedStopsAndAnotherOneLeads) {
  start(options("a"));
  start(joining("b", "a"));
  start(joining("c", "a"));
  ASSERT_TRUE(all_vote("c", {"a", "b", "c"}));
  const std::string leaver = leader().status().front().name;
  const std::string other = leaver == "b" ? "c" : "b";

  change({.promote = {}, .demote = {}, .remove = {leaver}}).or_throw();

  EXPECT_TRUE(comes_true([&] { return status(leaver).role == "stopped"; }));
  EXPECT_TRUE(comes_true([&] {
    const std::string leads = status(other).leader;
    return !leads.empty() && leads != leaver;
  }));
  EXPECT_TRUE(client(other).propose("x").get().has_value());
}

// It was down when it was removed: nobody tells it but its own log, once that has come.
TEST_F(Membership, AServerThatMissedItsRemovalLearnsOfItAndStops) {
  start(options("a"));
  start(joining("b", "a"));
  start(joining("c", "a"));
  ASSERT_TRUE(all_vote("c", {"a", "b", "c"}));
  servers_.erase("c");
  change({.promote = {}, .demote = {}, .remove = {"c"}}).or_throw();
  ASSERT_TRUE(all_vote("a", {"a", "b"}));
  const Term term = status("a").term;

  start(options("c"));

  EXPECT_TRUE(comes_true([&] { return status("c").role == "stopped"; }));
  EXPECT_THAT(status("c").failure, HasSubstr("was removed from the cluster"));
  EXPECT_EQ(status("a").term, term) << "it disturbs nobody";
}

TEST_F(Membership, ALearnerIsMadeOutOfAVoterAndBack) {
  start(options("a"));
  start(joining("b", "a"));
  ASSERT_TRUE(all_vote("a", {"a", "b"}));

  change({.promote = {}, .demote = {"b"}, .remove = {}}).or_throw();
  EXPECT_THAT(members("a"), ElementsAre("a", "(b)"));
  EXPECT_TRUE(comes_true([&] { return status("b").role == "learner"; }));
  EXPECT_TRUE(client("b").propose("by a learner").get().has_value());

  change({.promote = {"b"}, .demote = {}, .remove = {}}).or_throw();
  EXPECT_THAT(members("a"), ElementsAre("a", "b"));
}

TEST_F(Membership, EachStepOfAChangeIsTold) {
  start(options("a"));
  start(joining("b", "a"));
  ASSERT_TRUE(all_vote("a", {"a", "b"}));
  std::vector<std::string> stages;
  const auto note = [&](const MembershipStatus& now) {
    if (stages.empty() || stages.back() != now.stage) stages.push_back(now.stage);
  };

  const auto settled =
      leader().change_membership({.promote = {}, .demote = {}, .remove = {"b"}}, note).or_throw();

  EXPECT_EQ(settled.stage, "settled");
  ASSERT_EQ(settled.members.size(), 1U);
  EXPECT_EQ(settled.members.front().name, "a");
  EXPECT_EQ(stages.back(), "settled");
}

TEST_F(Membership, WhatCannotBeIsRefusedByName) {
  start(options("a"));
  start(joining("b", "a"));
  ASSERT_TRUE(all_vote("a", {"a", "b"}));
  ASSERT_TRUE(all_vote("b", {"a", "b"}));
  const auto code = [&](const MembershipChange& wanted) {
    const auto outcome = leader().change_membership(wanted);
    return outcome ? ErrorCode::usage : outcome.error().code();
  };

  EXPECT_EQ(code({.promote = {"z"}, .demote = {}, .remove = {}}), ErrorCode::unknown_server);
  EXPECT_EQ(code({.promote = {"b"}, .demote = {}, .remove = {}}), ErrorCode::change_refused);
  EXPECT_EQ(code({.promote = {}, .demote = {"a", "b"}, .remove = {}}), ErrorCode::change_refused);
  EXPECT_EQ(code({.promote = {}, .demote = {"b"}, .remove = {"b"}}), ErrorCode::change_refused);
  const std::string follower = leader().status().front().name == "a" ? "b" : "a";
  EXPECT_EQ(server(follower)
                .change_membership({.promote = {}, .demote = {}, .remove = {"b"}})
                .error()
                .code(),
            ErrorCode::not_leader);
  EXPECT_THAT(members("a"), ElementsAre("a", "b"));
}

// A hand-over asks who votes now, not who founded the cluster.
TEST_F(Membership, AFounderHandsOverToAServerThatJoinedLater) {
  std::mutex mutex;
  std::string news;
  ServerOptions founder = options("a");
  founder.on_news = [&](const std::string& line) {
    const std::lock_guard lock(mutex);
    news += line + "\n";
  };
  start(founder);
  start(joining("b", "a"));
  ASSERT_TRUE(all_vote("a", {"a", "b"}));
  ASSERT_TRUE(is_ready("a"));
  if (status("a").role != "leader") leader().transfer_leadership("a").or_throw();

  server("a").drain().or_throw();

  const std::lock_guard lock(mutex);
  EXPECT_THAT(news, HasSubstr("the lead went to server b"));
}

}  // namespace
}  // namespace kuilt::server
