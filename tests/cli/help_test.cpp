// docs/cli.md is what the executable says of itself. To rewrite it:
//   KUILT_REWRITE=1 cli_tests --gtest_filter='Help.*'
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/cli/process.hpp"

namespace kuilt::cli {
namespace {

const std::vector<std::vector<std::string>> commands = {
    {}, {"dev"}, {"propose"}, {"observe"}, {"status"}, {"serve"}, {"secret", "new"}, {"errors"}};

std::string reference() {
  std::string page =
      "# The command line\n\nWhat `kuilt COMMAND --help` prints. A test writes this page "
      "(`tests/cli/help_test.cpp`).\n";
  for (const auto& command : commands) {
    std::string name = "kuilt";
    for (const std::string& word : command) name += " " + word;
    std::vector<std::string> line = command;
    line.push_back("--help");
    const Outcome help = kuilt(line);
    EXPECT_EQ(help.status, 0) << name;
    EXPECT_THAT(help.out, testing::HasSubstr("Examples:")) << name;
    page += "\n## " + name + "\n\n```\n" + help.out + "```\n";
  }
  return page;
}

TEST(Help, TheReferencePageIsWhatTheExecutableSays) {
  const std::string path = KUILT_SOURCE_DIR "/docs/cli.md";
  const std::string page = reference();
  if (std::getenv("KUILT_REWRITE") != nullptr) write_file(path, page);

  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();

  EXPECT_EQ(text.str(), page) << "to rewrite it: KUILT_REWRITE=1 cli_tests --gtest_filter='Help.*'";
}

}  // namespace
}  // namespace kuilt::cli
