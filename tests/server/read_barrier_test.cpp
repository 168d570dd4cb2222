// Linearizable reads of real servers: by clients of any of them, and by the program they run in.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <optional>
#include <thread>

#include "kuilt/client.hpp"
#include "kuilt/server.hpp"
#include "server/open.hpp"
#include "tests/server/talker.hpp"

namespace kuilt::server {
namespace {

constexpr auto patience = 20s;  // Far more than anything here takes.

/// Counts commands. Its calls may be held up.
class Count final : public StateMachine {
 public:
  Bytes apply(const LogEntry& /*entry*/) override {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (held && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    ++commands;
    return {};
  }
  std::atomic<bool> held = false;
  std::atomic<int> commands = 0;
};

class ReadBarriers : public ::testing::Test {
 protected:
  void start() {
    cluster_.emplace(ServerCluster::in_process({.voters = 3, .directory = ""},
                                               [this](const std::string& voter) -> StateMachine& {
                                                 return counts_[voter];
                                               })
                         .or_throw());
    cluster_->start().or_throw();
    urls_ = cluster_->endpoints().urls();
  }
  static Index proposed(ClusterClient& client) {
    const auto receipt = client.propose("x").get_for(patience);
    EXPECT_TRUE(receipt && *receipt);
    return receipt && *receipt ? (*receipt)->index : Index();
  }

  std::map<std::string, Count> counts_;  // Outlives the cluster.
  std::optional<ServerCluster> cluster_;
  std::vector<std::string> urls_;
};

TEST_F(ReadBarriers, ClientOfAnyServerLearnsOfAllThatWasAcknowledgedToAnother) {
  start();
  auto writer = ClusterClient::connect({urls_[0]}).or_throw();
  for (const std::string& url : urls_) {
    auto reader = ClusterClient::connect({url}).or_throw();
    const Index acknowledged = proposed(writer);

    const auto index = reader.read_barrier(patience).get();

    ASSERT_TRUE(index) << index.error().message();
    EXPECT_GE(*index, acknowledged);
  }
}

TEST_F(ReadBarriers, ObserverReachesTheIndexAlsoWhereNothingIsVisible) {
  start();
  auto writer = ClusterClient::connect({urls_[0]}).or_throw();
  auto reader = ClusterClient::connect({urls_[1]}).or_throw();
  auto seen = reader.observe(from_start, {.room = "empty"}).or_throw();
  proposed(writer);

  const Index index = reader.read_barrier(patience).get().or_throw();
  Index through;
  while (through < index) {
    const auto piece = seen.next_for(patience);
    ASSERT_TRUE(piece.has_value());
    if (const auto* far = std::get_if<Committed::Advance>(&*piece)) through = far->through.index;
  }

  EXPECT_GE(through, index);
}

TEST_F(ReadBarriers, OwnProgramReadsAStateThatHasAppliedTheIndex) {
  start();
  auto writer = ClusterClient::connect({urls_[0]}).or_throw();
  for (int round = 1; round <= 3; ++round) {
    proposed(writer);
    for (auto& [name, count] : counts_) {
      const auto index = cluster_->read_barrier(patience, name);
      ASSERT_TRUE(index) << index.error().message();
      EXPECT_EQ(count.commands, round) << name;
    }
  }
}

TEST_F(ReadBarriers, StateMachineThatIsBehindIsWaitedForAndNamed) {
  start();
  auto writer = ClusterClient::connect({urls_[0]}).or_throw();
  proposed(writer);
  cluster_->read_barrier(patience, "c").or_throw();
  counts_["c"].held = true;
  // The client's server may be a or b: c alone is held up.
  auto other = ClusterClient::connect({urls_[0], urls_[1]}).or_throw();
  proposed(other);

  const auto early = cluster_->read_barrier(50ms, "c");
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code(), ErrorCode::timed_out);
  EXPECT_EQ(early.error().effect(), Effect::none);

  counts_["c"].held = false;
  EXPECT_TRUE(cluster_->read_barrier(patience, "c"));
  EXPECT_EQ(counts_["c"].commands, 2);
}

TEST_F(ReadBarriers, WithoutAMajorityNothingIsRead) {
  start();
  cluster_->read_barrier(patience).or_throw();
  auto reader = ClusterClient::connect({urls_[0]}).or_throw();
  reader.read_barrier(patience).get().or_throw();
  cluster_->stop("b").or_throw();
  cluster_->stop("c").or_throw();

  const auto by_client = reader.read_barrier(3s).get();
  const auto by_program = cluster_->read_barrier(3s);

  for (const auto& result : {by_client, by_program}) {
    ASSERT_FALSE(result);
    EXPECT_TRUE(result.error().code() == ErrorCode::no_leader ||
                result.error().code() == ErrorCode::not_leader)
        << result.error().message();
    EXPECT_EQ(result.error().effect(), Effect::none);
  }
}

TEST_F(ReadBarriers, GoOnWhenTheLeaderIsStopped) {
  start();
  auto reader = ClusterClient::connect(cluster_->endpoints()).or_throw();
  auto writer = ClusterClient::connect(cluster_->endpoints()).or_throw();
  const Index acknowledged = proposed(writer);
  cluster_->stop(cluster_->leader()).or_throw();

  const auto index = reader.read_barrier(patience).get();

  ASSERT_TRUE(index) << index.error().message();
  EXPECT_GE(*index, acknowledged);
  EXPECT_GE(cluster_->read_barrier(patience).or_throw(), acknowledged);
}

TEST_F(ReadBarriers, ServerThatDoesNotRunHereIsNamed) {
  start();
  cluster_->stop("b").or_throw();

  for (const std::string name : {"b", "nobody"}) {
    const auto index = cluster_->read_barrier(patience, name);
    ASSERT_FALSE(index);
    EXPECT_EQ(index.error().code(), ErrorCode::invalid_argument);
  }
}

/// One voter of three, alone: it never knows a leader.
class Alone : public ::testing::TestWithParam<Encoding> {
 protected:
  void SetUp() override {
    std::vector<ServerOptions> all(3);
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i].name = std::string(1, static_cast<char>('a' + i));
      all[i].data = "";
      all[i].listen = with_real_port("127.0.0.1:0").or_throw();
      all[i].segment_bytes = std::uint64_t{4} << 20;
    }
    node_ =
        open_mesh_node(all[0], plan_mesh(all).or_throw(), std::make_shared<InProcessMesh>(),
                       nullptr, {.on_failed = [](const Error&) {}, .on_news = [](const auto&) {}})
            .or_throw();
    node_->admit_clients().or_throw();
    talker_ = std::make_unique<Talker>(GetParam());
    ASSERT_TRUE(talker_->connect(node_->client_urls().front()));
    talker_->say(wire::Hello{});
    const auto welcome = talker_->hear<wire::Welcome>();
    ASSERT_TRUE(welcome.has_value());
    EXPECT_NE(welcome->features & wire::feature_reads, 0U);
  }
  /// The next answer: its number, and the name of the refusal.
  std::pair<std::uint64_t, std::string> answer() {
    const auto heard = talker_->hear<wire::BarrierAnswer>();
    if (!heard) return {0, "nothing"};
    const auto* refused = std::get_if<wire::RefusedOutcome>(&heard->outcome);
    if (refused == nullptr) return {heard->number, "an index"};
    EXPECT_TRUE(refused->certain);
    EXPECT_GT(refused->retry_after, 0ns);
    return {heard->number, std::string(name_of(refused->code))};
  }

  std::unique_ptr<Node> node_;
  std::unique_ptr<Talker> talker_;
};

TEST_P(Alone, AReadWithNoLeaderIsRefusedByThatName) {
  talker_->say(wire::ReadBarrier{7});

  EXPECT_EQ(answer(), std::pair(std::uint64_t{7}, std::string("no_leader")));
}

TEST_P(Alone, TooManyUnansweredOnOneLinkAreBusyAndTheLinkLives) {
  for (std::uint64_t number = 1; number <= 1025; ++number) talker_->say(wire::ReadBarrier{number});

  EXPECT_EQ(answer(), std::pair(std::uint64_t{1025}, std::string("busy")));
  EXPECT_EQ(answer(), std::pair(std::uint64_t{1}, std::string("no_leader")));
}

TEST_P(Alone, AServerThatStopsEndsTheReadsOfItsProgram) {
  OwnReads::Asked asked = node_->read_barrier();
  const auto reads = node_->own_reads();
  node_.reset();

  ASSERT_EQ(asked.outcome.wait_for(patience), std::future_status::ready);
  EXPECT_EQ(std::get<wire::RefusedOutcome>(asked.outcome.get()).code, ErrorCode::stopped);
  EXPECT_EQ(std::get<wire::RefusedOutcome>(reads->ask().outcome.get()).code, ErrorCode::stopped);
}

INSTANTIATE_TEST_SUITE_P(Both, Alone, testing::Values(Encoding::protobuf, Encoding::json),
                         [](const auto& encoding) {
                           return encoding.param == Encoding::json ? "Json" : "Protobuf";
                         });

}  // namespace
}  // namespace kuilt::server
