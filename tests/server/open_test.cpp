#include "server/open.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "storage/posix_directory.hpp"

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
    return open_node(options, {.on_failed = [](const Error&) {}, .on_news = [](const auto&) {}});
  }
  static bool leads_within(const Node& node, std::chrono::seconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (node.status().role == "leader") return true;
      std::this_thread::yield();
    }
    return false;
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
  {
    auto directory = storage::DataDirectory::open(cut_short.data).or_throw();
    directory->mint(before.id).or_throw();
    fs::remove_all(directory->log_path());
    fs::copy(fs::path(options_.data) / "log", directory->log_path(), fs::copy_options::recursive);
  }

  auto again = open(cut_short);

  ASSERT_TRUE(again.has_value()) << again.error().message();
  EXPECT_EQ((*again)->status().cluster, before.cluster);
  EXPECT_TRUE(leads_within(**again, 10s));
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

}  // namespace
}  // namespace kuilt::server
