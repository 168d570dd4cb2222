#include "server/open.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <thread>
#include <vector>

#include "server/secret.hpp"
#include "storage/posix_directory.hpp"
#include "storage/posix_disk.hpp"
#include "storage/wal.hpp"
#include "tests/await.hpp"

namespace kuilt::server {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class OpenNode : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "kuilt-open-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    options_.listen = with_real_port("127.0.0.1:0").or_throw();
    options_.peer_listen = with_real_port("127.0.0.1:0").or_throw();
    options_.data = (root_ / "data").string();
  }
  void TearDown() override { fs::remove_all(root_); }

  static Result<std::unique_ptr<Node>> open(const ServerOptions& options) {
    return open_node(options, nullptr,
                     {.on_failed = [](const Error&) {}, .on_news = [](const auto&) {}});
  }
  static bool leads_within(const Node& node, std::chrono::seconds patience) {
    return comes_true([&] { return node.status().role == "leader"; }, patience);
  }

  /// The log of `options_`, as a start leaves it that was killed before it bound its directory.
  void copy_log_into_an_unbound_directory(const std::string& data, NodeId node) {
    auto directory = storage::DataDirectory::open(data).or_throw();
    directory->mint(node).or_throw();
    fs::copy(fs::path(options_.data) / "log", directory->log_path(), fs::copy_options::recursive);
  }

  fs::path root_;
  ServerOptions options_;
};

TEST_F(OpenNode, ANewDirectoryFoundsAClusterOfOneThatElectsItself) {
  auto node = open(options_);

  ASSERT_TRUE(node.has_value()) << node.error().message();
  EXPECT_TRUE(leads_within(**node, 10s));
  EXPECT_EQ((*node)->status().voters, 1U);
}

TEST_F(OpenNode, ARestartKeepsNodeClusterAndTerm) {
  auto first = open(options_).or_throw();
  ASSERT_TRUE(leads_within(*first, 10s));
  const ServerStatus before = first->status();
  first.reset();

  auto second = open(options_).or_throw();

  ASSERT_TRUE(leads_within(*second, 10s));
  const ServerStatus after = second->status();
  EXPECT_EQ(after.id, before.id);
  EXPECT_EQ(after.cluster, before.cluster);
  EXPECT_GT(after.term, before.term);
}

// A start that died after its log was made and before the directory was bound to the cluster.
TEST_F(OpenNode, AFoundingThatWasCutShortBeforeTheDirectoryWasBoundIsCompleted) {
  auto first = open(options_).or_throw();
  const ServerStatus before = first->status();
  first.reset();
  ServerOptions cut_short = options_;
  cut_short.data = (root_ / "cut").string();
  copy_log_into_an_unbound_directory(cut_short.data, before.id);

  auto again = open(cut_short);

  ASSERT_TRUE(again.has_value()) << again.error().message();
  EXPECT_EQ((*again)->status().cluster, before.cluster);
  EXPECT_TRUE(leads_within(**again, 10s));
}

// The record names the addresses of the first start; the cluster is that one nevertheless.
TEST_F(OpenNode, AFoundingThatWasCutShortIsCompletedUnderOtherAddresses) {
  auto first = open(options_).or_throw();
  const ServerStatus before = first->status();
  first.reset();
  ServerOptions other = options_;
  other.data = (root_ / "cut").string();
  other.listen = "127.0.0.1:0";
  other.peer_listen = "127.0.0.1:0";
  other.name = "renamed";
  copy_log_into_an_unbound_directory(other.data, before.id);

  auto again = open(other);

  ASSERT_TRUE(again.has_value()) << again.error().message();
  EXPECT_EQ((*again)->status().cluster, before.cluster);
  EXPECT_EQ((*again)->status().history, before.history);
  EXPECT_TRUE(leads_within(**again, 10s));
  again->reset();
  EXPECT_EQ(open(other).or_throw()->status().cluster, before.cluster);
}

TEST_F(OpenNode, AFoundingThatWasCutShortBeforeItsRecordWasWholeStartsOver) {
  const NodeId node = NodeId::named("n");
  {
    auto directory = storage::DataDirectory::open(options_.data).or_throw();
    directory->mint(node).or_throw();
    auto disk = storage::PosixDisk::open(directory->log_path()).or_throw();
    const storage::Identity planned{ClusterId::named("x"), HistoryId::named("x"), node};
    const storage::WalOptions small{.segment_bytes = std::uint64_t{1} << 20};
    storage::Wal::create(*disk, small, planned, {}, Rng(1)).or_throw();
    const storage::FileName segment = disk->list().or_throw().front().name;
    disk->perform(storage::WriteAt{segment, 8192, {Bytes(std::string("torn"))}}).or_throw();
    // As a look at it leaves it, which was cut short in turn: sealed, and what follows removed.
    const auto nothing = [](const raft::Entry&, bool) -> Status { return Done{}; };
    storage::Wal::open(*disk, small, planned, Rng(2), nothing).or_throw();
    ASSERT_EQ(disk->list().or_throw().size(), 2U);
    disk->perform(storage::RemoveFile{disk->list().or_throw().back().name}).or_throw();
  }

  auto node_of_one = open(options_);

  ASSERT_TRUE(node_of_one.has_value()) << node_of_one.error().message();
  EXPECT_EQ((*node_of_one)->status().id, node);
  EXPECT_NE((*node_of_one)->status().cluster, ClusterId::named("x"));
  EXPECT_TRUE(leads_within(**node_of_one, 10s));
}

TEST_F(OpenNode, ALogOfAnotherNodeIsNeitherTakenNorRemoved) {
  open(options_).or_throw();
  ServerOptions other = options_;
  other.data = (root_ / "other").string();
  copy_log_into_an_unbound_directory(other.data, NodeId::named("stranger"));
  const auto files = [&other] {
    return std::distance(fs::directory_iterator(fs::path(other.data) / "log"),
                         fs::directory_iterator());
  };
  const auto before = files();

  const auto node = open(other);

  ASSERT_FALSE(node.has_value());
  EXPECT_EQ(node.error().code(), ErrorCode::directory_of_another);
  EXPECT_EQ(files(), before);
}

TEST_F(OpenNode, ASecondNodeOnTheSameDirectoryIsRefusedByName) {
  auto first = open(options_).or_throw();

  const auto second = open(options_);

  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), ErrorCode::directory_locked);
}

TEST_F(OpenNode, AListWithoutASecretIsRefusedBeforeAnythingIsWritten) {
  options_.found = {{"a", options_.peer_listen}, {"b", "127.0.0.1:1"}};

  const auto node = open(options_);

  ASSERT_FALSE(node.has_value());
  EXPECT_EQ(node.error().code(), ErrorCode::invalid_argument);
  EXPECT_NE(node.error().message().find("kuilt secret new"), std::string::npos);
  EXPECT_FALSE(fs::exists(options_.data));
}

// 127.1 is a name to the resolver, and none that a server knows itself by.
TEST_F(OpenNode, ServersMeetByNamesThatTheyDoNotListenOn) {
  const std::string secret = (root_ / "secret").string();
  create_secret(secret).or_throw();
  std::vector<FoundingMember> found;
  std::vector<ServerOptions> both;
  for (const char* name : {"a", "b"}) {
    ServerOptions one;
    one.name = name;
    one.data = (root_ / name).string();
    one.listen = with_real_port("127.0.0.1:0").or_throw();
    one.peer_listen = with_real_port("127.0.0.1:0").or_throw();
    one.secret_file = secret;
    one.founding_timeout = 20s;
    found.push_back({name, "127.1" + one.peer_listen.substr(one.peer_listen.find(':'))});
    both.push_back(one);
  }
  for (ServerOptions& one : both) one.found = found;

  auto other = std::async(std::launch::async, [&] { return open(both.front()); });
  const auto node = open(both.back());
  const auto node_of_other = other.get();

  ASSERT_TRUE(node.has_value()) << node.error().message();
  ASSERT_TRUE(node_of_other.has_value()) << node_of_other.error().message();
  EXPECT_EQ((*node)->status().cluster, (*node_of_other)->status().cluster);
}

TEST(ServerTiming, IsRefusedForWhatTheServerCanSetAlone) {
  ServerOptions options;
  options.election_timeout_max = 1min;  // Longer than the core lets a learner be silent by itself.
  EXPECT_TRUE(complaint_about(options).has_value());
  options.election_timeout_max = options.election_timeout_min;
  const Status refused = complaint_about(options);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message().find("election_timeout_max"), std::string::npos);
  options = {};
  options.disk_stall_max = options.heartbeat_interval - 1ms;
  const Status hasty = complaint_about(options);
  ASSERT_FALSE(hasty.has_value());
  EXPECT_NE(hasty.error().message().find("disk_stall_max"), std::string::npos);
}

}  // namespace
}  // namespace kuilt::server
