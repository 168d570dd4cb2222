// The table of commands and its parser, on a small table.
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "cli/command.hpp"
#include "cli/help.hpp"
#include "cli/parser.hpp"

namespace kuilt::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Words = std::vector<std::string>;

/// What the small table sets.
struct Values {
  Words texts;
  std::string room = "lobby";
  std::size_t count = 7;
  std::chrono::milliseconds wait = std::chrono::seconds(15);
  bool fresh = false;
  Words origins;
  Words program;
};

Command table(Values& values) {
  const auto run = [](Command&) { return 0; };
  return {.name = "kuilt",
          .about = "A small table",
          .commands = {
              {.name = "put",
               .about = "Takes all that there is",
               .arguments = {{.name = "TEXT", .value = list(values.texts, "TEXT"), .help = "Some"}},
               .flags =
                   {{.name = "--room", .letter = 'r', .value = text(values.room), .help = "A room"},
                    {.name = "--test-count",
                     .value = number(values.count, 1, 10),
                     .help = "How many",
                     .reach = Reach::environment},
                    {.name = "--wait", .value = duration(values.wait), .help = "How long"},
                    {.name = "--fresh", .value = yes_no(values.fresh), .help = "Whether"},
                    {.name = "--origin", .value = list(values.origins, "URL"), .help = "Where"}},
               .run = run},
              {.name = "each",
               .about = "Runs a program",
               .after_dashes = Argument{.name = "CMD",
                                        .value = list(values.program, "CMD"),
                                        .help = "It",
                                        .is_required = false},
               .flags = {{.name = "--room", .value = text(values.room), .help = "A room"}},
               .run = run},
              {.name = "group",
               .about = "Of commands",
               .commands = {{.name = "one", .about = "One", .run = run}}}}};
}

/// The complaint; empty if there is none.
std::string complaint(Values& values, const Words& words) {
  Command root = table(values);
  const Line line = parse(root, words);
  return line.complaint ? line.complaint->message() : "";
}

TEST(Parser, FlagsAreTakenInEveryFormAndAnywhere) {
  for (const Words& words : {Words{"put", "x", "--room", "hall"}, Words{"put", "--room=hall", "x"},
                             Words{"put", "-r", "hall", "x"}, Words{"put", "x", "-rhall"}}) {
    Values values;

    EXPECT_EQ(complaint(values, words), "");

    EXPECT_EQ(values.room, "hall") << joined(words, " ");
    EXPECT_THAT(values.texts, ElementsAre("x")) << joined(words, " ");
  }
}

TEST(Parser, AValueIsTakenAsItStands) {
  Values values;
  const Words odd = {"[1,2]", "[]", "{}", "%%", "", "a,b", "-", "=", "it's"};
  Words words = {"put"};
  words.insert(words.end(), odd.begin(), odd.end());
  words.insert(words.end(), {"--room", "[a,b]", "--", "-x", "--room", "--help"});

  EXPECT_EQ(complaint(values, words), "");

  Words wanted = odd;
  wanted.insert(wanted.end(), {"-x", "--room", "--help"});
  EXPECT_EQ(values.texts, wanted);
  EXPECT_EQ(values.room, "[a,b]");
}

TEST(Parser, TheValueOfAFlagMayLookLikeAFlag) {
  Values values;

  EXPECT_EQ(complaint(values, {"put", "x", "--room", "--fresh"}), "");

  EXPECT_EQ(values.room, "--fresh");
  EXPECT_FALSE(values.fresh);
}

TEST(Parser, WhatCanNotBeIsRefusedWithTheValueAndTheLimit) {
  struct Case {
    Words words;
    std::string says;
  };
  const std::vector<Case> cases = {
      {{"put", "x", "--test-count", "11"}, R"(--test-count: "11" is no whole number, 1 to 10)"},
      {{"put", "x", "--test-count", "0"}, "1 to 10"},
      {{"put", "x", "--test-count", "-1"}, "1 to 10"},
      {{"put", "x", "--test-count", "5x"}, R"("5x" is no whole number)"},
      {{"put", "x", "--test-count", "99999999999999999999"}, "1 to 10"},
      {{"put", "x", "--test-count", ""}, "1 to 10"},
      {{"put", "x", "--wait", "15"}, R"(--wait: "15" is no time with a unit)"},
      {{"put", "x", "--wait", "s"}, "no time with a unit"},
      {{"put", "x", "--wait", "99999999999999999999s"}, "no time with a unit"},
      {{"put", "x", "--fresh=maybe"}, R"(--fresh: "maybe" is neither true nor false)"},
      {{"put", "x", "--room", "a", "--room", "b"}, R"(--room is given twice: "a" and "b")"},
      {{"put", "x", "--room"}, "--room: TEXT must follow"},
      {{"put"}, "TEXT is missing"},
      {{"put", "x", "--rom", "a"}, R"(unknown flag "--rom"; did you mean --room?)"},
      {{"put", "x", "-z"}, R"(unknown flag "-z")"},
      {{"pt"}, R"(unknown command "pt"; did you mean put?)"},
      {{"group"}, "a command is missing"},
      {{"group", "on"}, "did you mean one?"},
      {{"group", "one", "two"}, R"(unknown argument "two")"},
      {{"each", "cat"}, R"(unknown argument "cat"; CMD stands behind "--")"},
      {{}, "a command is missing"},
  };
  for (const Case& one : cases) {
    Values values;

    EXPECT_THAT(complaint(values, one.words), HasSubstr(one.says)) << joined(one.words, " ");
  }
}

TEST(Parser, TimesTakeEachUnit) {
  const std::vector<std::pair<std::string, int>> cases = {
      {"250ms", 250}, {"3s", 3000}, {"2m", 120'000}};
  for (const auto& [word, wanted] : cases) {
    Values values;

    EXPECT_EQ(complaint(values, {"put", "x", "--wait", word}), "");

    EXPECT_EQ(values.wait.count(), wanted);
  }
}

TEST(Parser, AListGathersWhatIsGivenSeveralTimes) {
  Values values;

  EXPECT_EQ(complaint(values, {"put", "x", "--origin", "a", "--origin=b,c"}), "");

  EXPECT_THAT(values.origins, ElementsAre("a", "b,c"));
}

TEST(Parser, WhatStandsBehindDashesIsLeftToTheProgram) {
  Values values;

  EXPECT_EQ(complaint(values, {"each", "--room", "hall", "--", "cat", "-n", "--", "--room"}), "");

  EXPECT_THAT(values.program, ElementsAre("cat", "-n", "--", "--room"));
  EXPECT_EQ(values.room, "hall");
}

TEST(Parser, TheEnvironmentCountsWhereTheFlagIsMissing) {
  ASSERT_EQ(::setenv("KUILT_TEST_COUNT", "3", 1), 0);
  Values by_variable;
  Values by_flag;

  const std::string first = complaint(by_variable, {"put", "x"});
  const std::string second = complaint(by_flag, {"put", "x", "--test-count", "4"});
  ASSERT_EQ(::setenv("KUILT_TEST_COUNT", "many", 1), 0);
  Values refused;
  const std::string third = complaint(refused, {"put", "x"});
  ::unsetenv("KUILT_TEST_COUNT");

  EXPECT_EQ(first, "");
  EXPECT_EQ(by_variable.count, 3U);
  EXPECT_EQ(second, "");
  EXPECT_EQ(by_flag.count, 4U);
  EXPECT_THAT(third, HasSubstr(R"(KUILT_TEST_COUNT: "many" is no whole number)"));
}

TEST(Parser, HelpIsGivenWhateverElseStandsThereAndSetsNothing) {
  Values values;
  Command root = table(values);

  const Line line = parse(root, {"put", "--room", "hall", "--help", "--nonsense"});

  EXPECT_TRUE(line.wants_help);
  EXPECT_FALSE(line.complaint);
  EXPECT_EQ(line.path, "kuilt put");
  EXPECT_EQ(values.room, "lobby") << "or help would show it as the preset";
}

TEST(Parser, HelpShowsFormLimitPresetAndVariable) {
  Values values;
  Command root = table(values);
  const Line line = parse(root, {"put", "--help"});

  const std::string help = help_text(*line.command, line.path);

  EXPECT_THAT(help, HasSubstr("Usage: kuilt put [FLAGS] TEXT...\n"));
  EXPECT_THAT(help, HasSubstr("  -r, --room TEXT           A room (preset lobby)\n"));
  EXPECT_THAT(help, HasSubstr("How many (1 to 10; preset 7; KUILT_TEST_COUNT)"));
  EXPECT_THAT(help, HasSubstr("How long (preset 15s)"));
  for (std::size_t at = 0; at < help.size();) {
    const std::size_t end = help.find('\n', at);
    EXPECT_LE(end - at, 100U);
    at = end + 1;
  }
}

TEST(Parser, NothingIsSetIfAnythingIsWrong) {
  Values values;

  EXPECT_NE(complaint(values, {"put", "x", "--room", "hall", "--nonsense"}), "");

  EXPECT_EQ(values.room, "lobby");
  EXPECT_THAT(values.texts, IsEmpty());
}

}  // namespace
}  // namespace kuilt::cli
