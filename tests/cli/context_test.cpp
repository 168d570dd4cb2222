// Clusters by name, and who decides which one a command talks to.
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/cli/process.hpp"

namespace kuilt::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// People with a configuration folder of their own.
class Contexts : public testing::Test {
 protected:
  Outcome run(std::vector<std::string> words, std::vector<std::string> variables = {}) {
    variables.insert(variables.begin(), "XDG_CONFIG_HOME=" + folder_.path());
    words.insert(words.begin(), "context");
    return kuilt(std::move(words), "", std::move(variables));
  }
  void set(const std::string& name, const std::string& url, const std::string& admin = "") {
    std::vector<std::string> words = {"set", name, "--endpoints", url};
    if (!admin.empty()) words.insert(words.end(), {"--admin", admin});
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
  }

  TemporaryFolder folder_;
};

TEST_F(Contexts, FlagComesBeforeVariableBeforeContextBeforePreset) {
  const Outcome preset = run({"show"});
  set("lab", "ws://lab:1", "lab:2");
  const Outcome context = run({"show"});
  const std::vector<std::string> variables = {"KUILT_ENDPOINTS=ws://variable:1",
                                              "KUILT_ADMIN=variable:2"};
  const Outcome variable = run({"show"}, variables);
  const Outcome flag = run({"show", "-e", "ws://flag:1", "--admin", "flag:2"}, variables);

  EXPECT_EQ(preset.out,
            "endpoints  ws://127.0.0.1:7400  (preset)\nadmin      127.0.0.1:7402  (preset)\n");
  EXPECT_EQ(context.out, "endpoints  ws://lab:1  (context lab)\nadmin      lab:2  (context lab)\n");
  EXPECT_EQ(variable.out,
            "endpoints  ws://variable:1  (KUILT_ENDPOINTS)\n"
            "admin      variable:2  (KUILT_ADMIN)\n");
  EXPECT_EQ(flag.out, "endpoints  ws://flag:1  (--endpoints)\nadmin      flag:2  (--admin)\n");
}

TEST_F(Contexts, CommandsGoWhereTheContextSays) {
  set("nobody", "ws://127.0.0.1:1", "127.0.0.1:1");
  const std::vector<std::string> variables = {"XDG_CONFIG_HOME=" + folder_.path()};

  const Outcome proposed = kuilt({"propose", "x", "--deadline", "200ms"}, "", variables);
  const Outcome status = kuilt({"status"}, "", variables);

  EXPECT_EQ(proposed.status, 3);
  EXPECT_THAT(proposed.err, HasSubstr("ws://127.0.0.1:1"));
  EXPECT_EQ(status.status, 3);
  EXPECT_THAT(status.out, HasSubstr("127.0.0.1:1 does not answer"));
}

TEST_F(Contexts, TheFirstIsUsedAndOthersWhenTold) {
  set("one", "ws://one:1");
  set("two", "ws://two:1", "two:2");

  const Outcome before = run({"list"});
  const Outcome use = run({"use", "two"});
  const Outcome after = run({});

  EXPECT_EQ(before.out, "* one\tws://one:1\t-\n  two\tws://two:1\ttwo:2\n");
  EXPECT_EQ(use.status, 0);
  EXPECT_EQ(after.out, "  one\tws://one:1\t-\n* two\tws://two:1\ttwo:2\n");
}

TEST_F(Contexts, ListsAsJsonToo) {
  set("one", "ws://one:1,ws://uno:1");

  const Outcome list = run({"list", "-o", "json"});

  EXPECT_EQ(list.out,
            "{\"name\":\"one\",\"in_use\":true,\"endpoints\":\"ws://one:1,ws://uno:1\","
            "\"admin\":\"\"}\n");
}

TEST_F(Contexts, OneThatWasRemovedIsInUseNoMore) {
  set("one", "ws://one:1");

  const Outcome removed = run({"rm", "one"});
  const Outcome list = run({"list"});
  const Outcome show = run({"show"});

  EXPECT_EQ(removed.status, 0);
  EXPECT_EQ(list.out, "");
  EXPECT_THAT(show.out, HasSubstr("(preset)"));
}

TEST_F(Contexts, WhatIsNotThereIsNamedBesideWhatIs) {
  const Outcome none = run({"use", "lba"});
  set("lab", "ws://lab:1");
  const Outcome use = run({"use", "lba"});
  const Outcome remove = run({"rm", "lba"});

  EXPECT_EQ(none.status, 2);
  EXPECT_THAT(none.err, HasSubstr("kuilt context set NAME --endpoints"));
  for (const Outcome& one : {use, remove}) {
    EXPECT_EQ(one.status, 2);
    EXPECT_THAT(one.err, AllOf(HasSubstr("no context \"lba\""), HasSubstr("there are: lab")));
  }
}

TEST_F(Contexts, ANameThatLeadsElsewhereAndAnAddressThatIsNoneAreRefused) {
  const std::vector<std::vector<std::string>> lines = {
      {"set", "../evil", "-e", "ws://a:1"},
      {"set", "", "-e", "ws://a:1"},
      {"set", std::string(65, 'x'), "-e", "ws://a:1"},
      {"set", "a", "-e", "http://a:1"},
      {"set", "a", "-e", "ws://"},
      {"set", "a"},
      {"use", "../evil"},
      {"rm", "../evil"}};
  for (const auto& line : lines) {
    const Outcome outcome = run(line);

    EXPECT_EQ(outcome.status, 2) << line[0] << " " << line[1];
    EXPECT_THAT(outcome.err, HasSubstr("error usage: ")) << line[0] << " " << line[1];
  }
  EXPECT_EQ(run({"list"}).out, "");
}

TEST_F(Contexts, AFolderThatCanNotBeWrittenIsAnErrorThatNamesIt) {
  write_file(folder_ / "kuilt", "a file in place of the folder");

  const Outcome outcome = run({"set", "lab", "-e", "ws://lab:1"});

  EXPECT_NE(outcome.status, 0);
  EXPECT_THAT(outcome.err, HasSubstr(folder_ / "kuilt"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("is in use")));
}

}  // namespace
}  // namespace kuilt::cli
