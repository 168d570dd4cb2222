// The C++ examples do what they say.
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "kuilt/server.hpp"
#include "tests/cli/process.hpp"

namespace kuilt::cli {
namespace {

Outcome run_example(const std::string& name, const std::string& argument = "") {
  std::vector<std::string> line = {KUILT_EXAMPLE_DIR "/example_" + name};
  if (!argument.empty()) line.push_back(argument);
  Process process(std::move(line));
  return process.wait();
}

TEST(Examples, HelloProposesAndObserves) {
  auto cluster = ServerCluster::in_process({.voters = 1, .directory = ""}).or_throw();
  cluster.start().or_throw();

  const Outcome outcome = run_example("hello", cluster.endpoints().urls().front());

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "anonymous said hello\n");
}

TEST(Examples, AnEmbeddedClusterSurvivesTheEndOfItsLeader) {
  const Outcome outcome = run_example("embedded");

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, testing::HasSubstr("survived the end of "));
}

TEST(Examples, StayWithin25LinesBesidesIncludesAndComments) {
  for (const std::string name : {"hello", "embedded"}) {
    std::ifstream file(KUILT_SOURCE_DIR "/examples/" + name + ".cpp");
    int lines = 0;
    for (std::string line; std::getline(file, line);) {
      lines += line.empty() || line.starts_with('#') || line.starts_with("//") ? 0 : 1;
    }
    EXPECT_GT(lines, 0) << name;
    EXPECT_LE(lines, 25) << name;
  }
}

}  // namespace
}  // namespace kuilt::cli
