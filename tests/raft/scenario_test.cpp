// Scripts with recorded transcripts: tests/raft/scenarios/*.txt. KUILT_REWRITE=1 records anew what
// comes of the commands; the difference is for a person to read.
#include "tests/raft/scenario.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace kuilt::raft::test {
namespace {

const std::filesystem::path folder =
    std::filesystem::path(KUILT_SOURCE_DIR) / "tests/raft/scenarios";

std::string read(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    names.push_back(file.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

// The first line that differs, with its number.
std::string first_difference(const std::string& recorded, const std::string& now) {
  std::istringstream old_lines(recorded);
  std::istringstream new_lines(now);
  for (int number = 1;; ++number) {
    std::string old_line = "(end)";
    std::string new_line = "(end)";
    const bool more_old = static_cast<bool>(std::getline(old_lines, old_line));
    const bool more_new = static_cast<bool>(std::getline(new_lines, new_line));
    if (!more_old && !more_new) return "";
    if (old_line == new_line && more_old == more_new) continue;
    return "line " + std::to_string(number) + "\n  recorded: " + old_line +
           "\n  now:      " + new_line;
  }
}

class Scenarios : public testing::TestWithParam<std::string> {};

TEST_P(Scenarios, GoAsRecorded) {
  const std::filesystem::path path = folder / (GetParam() + ".txt");
  const std::string recorded = read(path);
  Scenario scenario;

  const std::string now = scenario.run(recorded);

  EXPECT_TRUE(scenario.complaints().empty()) << scenario.complaints().front();
  EXPECT_NE(now.find("> expect"), std::string::npos) << "expects nothing";
  if (std::getenv("KUILT_REWRITE") != nullptr) {
    std::ofstream(path) << now;
  } else {
    EXPECT_EQ(first_difference(recorded, now), "");
  }
}

INSTANTIATE_TEST_SUITE_P(All, Scenarios, testing::ValuesIn(names()), [](const auto& scenario) {
  std::string name = scenario.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

// The controls: what a scenario expects, and what it has recorded, can be found wrong.
TEST(ScenarioScript, ComplainsOfAnExpectationThatIsNotMet) {
  Scenario scenario;

  const std::string text = scenario.run("> servers 1\n> timeout a\n> expect leads a 1\n");

  ASSERT_EQ(scenario.complaints().size(), 1U);
  EXPECT_EQ(scenario.complaints()[0], "expected, and is not so: expect leads a 1");
  EXPECT_NE(first_difference("> servers 1\n", text), "");
}

TEST(ScenarioScript, RefusesWhatItDoesNotKnow) {
  EXPECT_THROW((void)Scenario().run("> servers 1\n> dance a\n"), std::runtime_error);
  EXPECT_THROW((void)Scenario().run("> servers 1\n> timeout b\n"), std::runtime_error);
  EXPECT_THROW((void)Scenario().run("> servers 2\n> deliver a b\n"), std::runtime_error);
  EXPECT_THROW((void)Scenario().run("> servers 1\n> write a\n"), std::runtime_error);
  EXPECT_THROW((void)Scenario().run("> servers 1\n> expect joy a\n"), std::runtime_error);
}

}  // namespace
}  // namespace kuilt::raft::test
