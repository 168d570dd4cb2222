// State machines on real servers, as an application and its clients see them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "kuilt/client.hpp"
#include "kuilt/server.hpp"
#include "server/open.hpp"
#include "tests/await.hpp"

namespace kuilt {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr auto patience = 20s;  // Far more than anything here takes.

/// A counter: "add N" returns the sum. It admits nothing else, but to one who is named root.
class Sum final : public StateMachine {
 public:
  Bytes apply(const LogEntry& entry) override {
    const std::string command(entry.command.text());
    if (command == throws_at) throw std::runtime_error("cannot " + command);
    if (command.starts_with("large "))
      return Bytes(std::string(std::stoul(command.substr(6)), 'x'));
    const std::lock_guard lock(mutex_);
    if (command.starts_with("add ")) sum_ += std::stol(command.substr(4));
    return Bytes(std::to_string(sum_));
  }
  Status admit(const std::string& author, BytesView command) override {
    if (command.text().starts_with("add ") || author == "root") return Done{};
    return Error(ErrorCode::invalid_argument,
                 "\"" + std::string(command.text()) + "\" of " + author + " is not add N");
  }
  [[nodiscard]] long sum() const {
    const std::lock_guard lock(mutex_);
    return sum_;
  }
  std::string throws_at = "never";

 private:
  mutable std::mutex mutex_;
  long sum_ = 0;
};

Result<Receipt> propose(ClusterClient& client, const std::string& command) {
  const auto receipt = client.propose(command).get_for(patience);
  return receipt ? *receipt : Error(ErrorCode::timed_out, "no outcome in time");
}
/// "SUM" or the name of the refusal.
std::string result_of(ClusterClient& client, const std::string& command) {
  const auto receipt = propose(client, command);
  if (!receipt) return std::string(name_of(receipt.error().code()));
  return receipt->result ? std::string(receipt->result->text()) : "no result";
}
ClusterClient client_of(const std::string& url, const std::string& name = "ann") {
  ClientOptions options;
  options.name = name;
  return ClusterClient::connect({url}, options).or_throw();
}

class ThreeSums : public ::testing::Test {
 protected:
  void start() {
    cluster_.emplace(ServerCluster::in_process(
                         {.voters = 3, .directory = ""},
                         [this](const std::string& voter) -> StateMachine& { return sums_[voter]; })
                         .or_throw());
    cluster_->start().or_throw();
    urls_ = cluster_->endpoints().urls();
  }
  [[nodiscard]] ServerStatus status_of(const std::string& name) const {
    for (const ServerStatus& row : cluster_->status()) {
      if (row.name == name) return row;
    }
    return {};
  }
  [[nodiscard]] bool all_sums_are(long sum) const {
    return std::ranges::all_of(sums_, [&](const auto& each) { return each.second.sum() == sum; });
  }

  std::map<std::string, Sum> sums_;  // Outlives the cluster.
  std::optional<ServerCluster> cluster_;
  std::vector<std::string> urls_;
};

TEST_F(ThreeSums, EveryServerAnswersWithTheResultOfTheSameState) {
  start();
  long sum = 0;
  for (int round = 0; round < 5; ++round) {
    for (const std::string& url : urls_) {
      auto client = client_of(url);
      EXPECT_EQ(result_of(client, "add 3"), std::to_string(sum += 3)) << url;
    }
  }

  EXPECT_TRUE(comes_true([&] { return all_sums_are(sum); }));
  for (const ServerStatus& row : cluster_->status()) {
    EXPECT_TRUE(comes_true([&] {
      return status_of(row.name).applied == status_of(row.name).commit;
    })) << row.name;
  }
}

TEST_F(ThreeSums, WhatTheLeaderDoesNotAdmitIsRefusedOnEveryServerInItsWords) {
  start();
  for (const std::string& url : urls_) {
    auto client = client_of(url);
    const auto refused = propose(client, "multiply");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::not_admitted);
    EXPECT_EQ(refused.error().effect(), Effect::none);
    EXPECT_THAT(refused.error().message(), HasSubstr("\"multiply\" of ann is not add N"));
    EXPECT_EQ(result_of(client, "add 1"), std::to_string(&url - urls_.data() + 1));
  }
}

TEST_F(ThreeSums, AServerWhoseStateMachineThrowsStopsAndTheOthersGoOn) {
  sums_["b"].throws_at = "add 7";
  start();
  auto client = ClusterClient::connect(cluster_->endpoints()).or_throw();
  ASSERT_EQ(result_of(client, "add 1"), "1");

  EXPECT_EQ(result_of(client, "add 7"), "8");

  ASSERT_TRUE(comes_true([this] { return !status_of("b").failure.empty(); }));
  EXPECT_THAT(status_of("b").failure, HasSubstr("apply of entry "));
  EXPECT_THAT(status_of("b").failure, HasSubstr(" threw: cannot add 7"));
  EXPECT_EQ(status_of("b").role, "stopped");
  EXPECT_EQ(result_of(client, "add 1"), "9") << "acknowledged, and not lost";
  EXPECT_EQ(sums_["b"].sum(), 1);
}

TEST_F(ThreeSums, ResultsThatAClientCannotTakeAtOnceAreLeftOutRatherThanItsLinkClosed) {
  start();
  auto root = client_of(urls_.front(), "root");
  // Small commands whose results are more than a link may have unread.
  std::vector<Pending<Receipt>> pending;
  for (int i = 0; i < 40; ++i) pending.push_back(root.propose("large 400000"));

  std::size_t with_result = 0;
  for (auto& each : pending) {
    const auto receipt = each.get_for(patience);
    ASSERT_TRUE(receipt && *receipt) << (receipt ? receipt->error().message() : "no outcome");
    with_result += (*receipt)->result ? 1 : 0;
  }
  EXPECT_GT(with_result, 0U);
}

class OneSum : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() /
            ("kuilt-sum-" + std::to_string(::testing::UnitTest::GetInstance()->random_seed()) +
             "-" + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()));
  }
  void TearDown() override { fs::remove_all(root_); }
  [[nodiscard]] ServerOptions options() const {
    ServerOptions options;
    options.data = root_.string();
    options.listen = options.peer_listen = "127.0.0.1:0";
    options.admin_listen = "";
    return options;
  }
  fs::path root_;
};

TEST_F(OneSum, AServerThatStartsAgainAppliesItsWholeLogToAFreshObject) {
  {
    Sum sum;
    auto server = ServerCluster::open(options(), sum).or_throw();
    server.start().or_throw();
    auto client = client_of(server.endpoints().urls().front());
    for (int i = 1; i <= 300; ++i) ASSERT_EQ(result_of(client, "add 1"), std::to_string(i));
  }
  Sum sum;
  auto server = ServerCluster::open(options(), sum).or_throw();
  server.start().or_throw();
  auto client = client_of(server.endpoints().urls().front());

  EXPECT_EQ(result_of(client, "add 1"), "301");
  EXPECT_EQ(sum.sum(), 301);
}

TEST_F(OneSum, AStateMachineThatThrowsAtAnEntryStopsTheServerAgainUntilItIsCorrected) {
  {
    Sum broken;
    broken.throws_at = "add 2";
    auto server = ServerCluster::open(options(), broken).or_throw();
    server.start().or_throw();
    auto client = client_of(server.endpoints().urls().front());
    ASSERT_EQ(result_of(client, "add 1"), "1");
    auto lost = client.propose("add 2");
    ASSERT_TRUE(comes_true([&] { return !server.status().front().failure.empty(); }));
    EXPECT_EQ(server.run_until_signal(), 7);
  }
  {
    Sum broken;
    broken.throws_at = "add 2";
    auto server = ServerCluster::open(options(), broken).or_throw();
    EXPECT_TRUE(comes_true([&] { return !server.status().front().failure.empty(); }));
  }
  Sum sum;
  auto server = ServerCluster::open(options(), sum).or_throw();
  server.start().or_throw();
  auto client = client_of(server.endpoints().urls().front());
  EXPECT_EQ(result_of(client, "add 4"), "7") << "the entry at which it threw was committed";
}

TEST_F(OneSum, AServerThatHasStoppedItselfIsNotReadyAndKnowsOfNoLeader) {
  Sum broken;
  broken.throws_at = "add 2";
  std::promise<void> failed;
  auto node = server::open_node(options(), &broken,
                                {.on_failed = [&](const Error&) { failed.set_value(); },
                                 .on_news = [](const std::string&) {}})
                  .or_throw();
  node->admit_clients().or_throw();
  auto client = client_of(node->client_urls().front());
  ASSERT_EQ(result_of(client, "add 1"), "1");
  EXPECT_TRUE(node->is_ready());
  EXPECT_EQ(node->status().leader, "a");

  auto lost = client.propose("add 2");

  ASSERT_EQ(failed.get_future().wait_for(patience), std::future_status::ready);
  EXPECT_FALSE(node->is_ready());
  EXPECT_EQ(node->status().leader, "");
  EXPECT_EQ(node->core_view().role, raft::Role::follower);
}

}  // namespace
}  // namespace kuilt
