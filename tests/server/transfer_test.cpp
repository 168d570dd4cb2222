// The hand-over of the lead between the voters of one process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <optional>
#include <thread>

#include "kuilt/client.hpp"
#include "kuilt/server.hpp"
#include "server/transfers.hpp"

namespace kuilt::server {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

template <class Condition>
bool await(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (std::chrono::steady_clock::now() < deadline) {
    if (condition()) return true;
    std::this_thread::yield();
  }
  return condition();
}

/// All of its voters know the leader, which has committed in its term.
ServerCluster settled(std::size_t voters) {
  auto cluster = ServerCluster::in_process({.voters = voters, .directory = {}}).or_throw();
  const auto is_settled = [&] {
    for (const ServerStatus& row : cluster.status()) {
      if (row.leader.empty() || row.commit != row.last || row.commit < Index(2)) return false;
    }
    return true;
  };
  EXPECT_TRUE(await(is_settled));
  return cluster;
}
std::string other_than(const std::string& leader) { return leader == "a" ? "b" : "a"; }
NodeId id_of(const ServerCluster& cluster, const std::string& name) {
  for (const ServerStatus& row : cluster.status()) {
    if (row.name == name) return row.id;
  }
  return {};
}

TEST(TransferInProcess, TheServerThatIsNamedLeads) {
  auto cluster = settled(3);
  const std::string target = other_than(cluster.leader());

  EXPECT_EQ(cluster.transfer_leadership(target).or_throw(), target);

  EXPECT_TRUE(await([&] { return cluster.leader() == target; }));
}

TEST(TransferInProcess, ByIdItIsTheSame) {
  auto cluster = settled(3);
  const std::string target = other_than(cluster.leader());

  EXPECT_EQ(cluster.transfer_leadership(id_of(cluster, target)).or_throw(), target);
}

TEST(TransferInProcess, WithoutANameTheLeaderChooses) {
  auto cluster = settled(3);
  const std::string before = cluster.leader();

  EXPECT_NE(cluster.transfer_leadership().or_throw(), before);
}

TEST(TransferInProcess, ToWhoeverLeadsAlreadyItIsDoneAtOnce) {
  auto cluster = settled(3);
  const std::string leader = cluster.leader();
  const Term term = cluster.status().front().term;

  EXPECT_EQ(cluster.transfer_leadership(leader).or_throw(), leader);
  EXPECT_EQ(cluster.status().front().term, term);
}

TEST(TransferInProcess, WhatCannotBeIsRefusedByName) {
  auto cluster = settled(1);
  const auto refused = [&cluster](const auto& target, ErrorCode code, const std::string& says) {
    const auto outcome = cluster.transfer_leadership(target);
    ASSERT_FALSE(outcome.has_value());
    EXPECT_EQ(outcome.error().code(), code);
    EXPECT_EQ(outcome.error().effect(), Effect::none);
    EXPECT_THAT(outcome.error().message(), HasSubstr(says));
  };

  refused(std::string("b"), ErrorCode::unknown_server, "no server \"b\" in the cluster");
  refused(NodeId::named("b"), ErrorCode::unknown_server, "no member of the cluster has that node");
  refused(std::string(), ErrorCode::transfer_failed, "no other voter");
  cluster.stop("a").or_throw();
  refused(std::string(), ErrorCode::no_leader, "no server here knows of a leader");
}

TEST(TransferInProcess, ProposalsGoOnWhileTheLeadGoesRound) {
  auto cluster = settled(3);
  cluster.start().or_throw();
  auto client = ClusterClient::connect(cluster.endpoints()).or_throw();
  std::vector<Pending<Receipt>> pending;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 20; ++i) pending.push_back(client.propose("x"));
    cluster.transfer_leadership().or_throw();
  }

  for (auto& each : pending) EXPECT_TRUE(each.get().has_value());
}

TEST(TransfersTest, WhoeverWaitsHearsThatTheServerStops) {
  Transfers transfers;
  std::optional<Result<std::string>> heard;
  const auto hear = [&heard](Result<std::string> how) { heard = std::move(how); };

  const std::uint64_t number = transfers.add(hear);
  transfers.close("it stops");
  ASSERT_TRUE(heard.has_value());
  EXPECT_EQ(heard->error().code(), ErrorCode::stopped);
  EXPECT_EQ(heard->error().effect(), Effect::unknown);

  heard.reset();
  transfers.end(number, std::string("b"));
  EXPECT_FALSE(heard.has_value()) << "each hears once";
  transfers.add(hear);
  ASSERT_TRUE(heard.has_value());
  EXPECT_EQ(heard->error().effect(), Effect::none) << "nobody was asked";
}

TEST(TransfersTest, WaitingForOneThatNeverEndsIsBounded) {
  const auto outcome = await_transfer([](const TransferDone&) {}, 10ms);

  EXPECT_EQ(outcome.error().code(), ErrorCode::transfer_failed);
  EXPECT_EQ(outcome.error().effect(), Effect::unknown);
}

TEST(TransfersTest, EveryEndIsToldByNameAndWithWhatItLeftBehind) {
  using raft::TransferEnd;
  raft::Configuration configuration;
  const NodeId b = NodeId::named("b");
  configuration.members.push_back({b, "b", "", "", true});
  const auto told = [&](TransferEnd end) {
    const auto outcome = told_of({end, b}, "a", configuration);
    if (outcome) return "leader " + *outcome;
    return std::string(name_of(outcome.error().code())) +
           (outcome.error().effect() == Effect::unknown ? ", in doubt" : "");
  };

  EXPECT_EQ(told(TransferEnd::done), "leader b");
  EXPECT_EQ(told(TransferEnd::not_leader), "not_leader");
  EXPECT_EQ(told(TransferEnd::under_way), "busy");
  EXPECT_EQ(told(TransferEnd::unknown_target), "unknown_server");
  EXPECT_EQ(told(TransferEnd::target_does_not_vote), "not_a_voter");
  EXPECT_EQ(told(TransferEnd::target_silent), "transfer_failed");
  EXPECT_EQ(told(TransferEnd::no_successor), "transfer_failed");
  EXPECT_EQ(told(TransferEnd::target_behind), "target_behind");
  EXPECT_EQ(told(TransferEnd::target_not_won), "transfer_failed, in doubt");
  EXPECT_EQ(told(TransferEnd::another_won), "transfer_failed");
}

}  // namespace
}  // namespace kuilt::server
