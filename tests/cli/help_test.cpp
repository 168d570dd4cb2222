// docs/cli.md is what the executable says of itself. To rewrite it:
//   KUILT_REWRITE=1 cli_tests --gtest_filter='Help.*'
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "cli/commands.hpp"
#include "tests/cli/process.hpp"

namespace kuilt::cli {
namespace {

/// Of a command and all below it, as the executable prints it.
void append_help(std::string& page, const Command& command, const std::vector<std::string>& path) {
  const std::string name = joined(path, " ");
  std::vector<std::string> words(path.begin() + 1, path.end());
  words.emplace_back("--help");
  const Outcome help = kuilt(words);
  EXPECT_EQ(help.status, 0) << name;
  EXPECT_THAT(help.out, testing::HasSubstr("Examples:")) << name;
  page += "\n## " + name + "\n\n```\n" + help.out + "```\n";
  for (const Command& one : command.commands) {
    std::vector<std::string> below = path;
    below.push_back(one.name);
    append_help(page, one, below);
  }
}

std::string reference_page() {
  std::string page =
      "# The command line\n\nWhat `kuilt COMMAND --help` prints. A test writes this page "
      "(`tests/cli/help_test.cpp`).\n";
  const Command root = command_line();
  append_help(page, root, {root.name});
  return page;
}

TEST(Help, TheReferencePageIsWhatTheExecutableSays) {
  const std::string path = KUILT_SOURCE_DIR "/docs/cli.md";
  const std::string page = reference_page();
  if (std::getenv("KUILT_REWRITE") != nullptr) write_file(path, page);

  const std::string there = read_file(path);
  const auto [differs, expected] = std::ranges::mismatch(there, page);

  EXPECT_TRUE(there == page)
      << "docs/cli.md is not what the executable says, from here on:\n"
      << std::string(expected, page.end()).substr(0, 200)
      << "\nto rewrite it: KUILT_REWRITE=1 cli_tests --gtest_filter='Help.*'";
}

}  // namespace
}  // namespace kuilt::cli
