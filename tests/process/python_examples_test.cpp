// The ten-line clients of examples/, as a reader of docs/protocol.md would run them.
#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "cli/local_cluster.hpp"

namespace kuilt::process_tests {
namespace {

using namespace std::chrono_literals;

/// What a command prints, as far as the test wants to read it.
class Running {
 public:
  explicit Running(const std::string& command) : pipe_(::popen(command.c_str(), "r")) {}
  ~Running() { ::pclose(pipe_); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  std::string line() {
    std::array<char, 4096> text{};
    return std::fgets(text.data(), static_cast<int>(text.size()), pipe_) == nullptr ? ""
                                                                                    : text.data();
  }

 private:
  FILE* pipe_;
};

TEST(PythonExamples, ProposeAndObserveOverJson) {
  std::string pattern = (std::filesystem::temp_directory_path() / "kuilt-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  auto cluster =
      cli::LocalCluster::prepare({.binary = KUILT_BINARY, .directory = pattern, .servers = 1})
          .or_throw();
  cluster.start_all().or_throw();
  cluster.await_leader(20s).or_throw();
  const std::string url = cluster.endpoints().urls().front();
  const std::string examples = "/usr/bin/python3 " KUILT_SOURCE_DIR "/examples/";

  {
    Running propose("timeout 30 " + examples + "propose.py " + url + " one two");
    EXPECT_EQ(propose.line(), "one {'at': {'index': 3, 'term': 2}, 'duplicate': False}\n");
    EXPECT_EQ(propose.line(), "two {'at': {'index': 4, 'term': 2}, 'duplicate': False}\n");
  }
  {
    Running observe("timeout 30 " + examples + "observe.py " + url);
    EXPECT_EQ(observe.line(), "3 proposer one\n");
    EXPECT_EQ(observe.line(), "4 proposer two\n");
    EXPECT_EQ(cluster.signal(0, SIGTERM).or_throw(), 0);  // The goodbye ends the observer.
    EXPECT_EQ(observe.line(), "");
  }
  if (!HasFailure()) std::filesystem::remove_all(pattern);
}

}  // namespace
}  // namespace kuilt::process_tests
