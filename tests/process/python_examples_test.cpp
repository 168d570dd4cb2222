// The ten-line clients of examples/, as a reader of docs/protocol.md would run them.
#include <gtest/gtest.h>
#include <signal.h>

#include <optional>
#include <string>
#include <vector>

#include "cli/local_cluster.hpp"
#include "tests/cli/process.hpp"

namespace kuilt::process_tests {
namespace {

using namespace std::chrono_literals;

std::vector<std::string> example(std::vector<std::string> arguments) {
  arguments.front() = KUILT_SOURCE_DIR "/examples/" + arguments.front();
  arguments.insert(arguments.begin(), "/usr/bin/python3");
  return arguments;
}

TEST(PythonExamples, ProposeAndObserveOverJson) {
  const cli::TemporaryFolder folder;
  auto cluster =
      cli::LocalCluster::prepare({.binary = KUILT_BINARY, .directory = folder.path(), .servers = 1})
          .or_throw();
  cluster.start_all().or_throw();
  cluster.await_leader(20s).or_throw();
  const std::string url = cluster.endpoints().urls().front();

  {
    cli::Process propose(example({"propose.py", url, "one", "two"}));
    EXPECT_EQ(propose.next_line(), "one {'at': {'index': 3, 'term': 2}, 'duplicate': False}");
    EXPECT_EQ(propose.next_line(), "two {'at': {'index': 4, 'term': 2}, 'duplicate': False}");
  }
  {
    cli::Process observe(example({"observe.py", url}));
    EXPECT_EQ(observe.next_line(), "3 proposer one");
    EXPECT_EQ(observe.next_line(), "4 proposer two");
    EXPECT_EQ(cluster.signal(0, SIGTERM).or_throw(), 0);  // The goodbye ends the observer.
    EXPECT_EQ(observe.next_line(), std::nullopt);
  }
}

}  // namespace
}  // namespace kuilt::process_tests
