// What can't be understood or done without a cluster: status, and the words that help.
#include <sys/stat.h>

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/cli/process.hpp"

namespace kuilt::cli {
namespace {

using testing::HasSubstr;

struct Case {
  std::vector<std::string> arguments;
  int status;
  std::string says;  ///< On standard error, or on standard output if the status is 0.
};

std::string text(const std::vector<std::string>& arguments) {
  std::string out = "kuilt";
  for (const std::string& argument : arguments) out += " " + argument;
  return out;
}

void expect(const Case& expected) {
  const Outcome outcome = kuilt(expected.arguments);

  EXPECT_EQ(outcome.status, expected.status) << text(expected.arguments) << "\n" << outcome.err;
  EXPECT_THAT(expected.status == 0 ? outcome.out : outcome.err, HasSubstr(expected.says))
      << text(expected.arguments);
}

TEST(Usage, WhatIsNotUnderstoodEndsWithStatus2AndAHint) {
  const std::vector<Case> cases = {
      {{}, 2, "See `kuilt --help`"},
      {{"serv"}, 2, "unknown command \"serv\"; did you mean serve?"},
      {{"--vers"}, 2, "unknown flag \"--vers\""},
      {{"propose", "x", "--rom", "y"}, 2, "unknown flag \"--rom\"; did you mean --room?"},
      {{"propose"}, 2, "See `kuilt propose --help`"},
      {{"propose", "x", "--in-flight", "0"}, 2, "--in-flight"},
      {{"propose", "x", "--in-flight", "many"}, 2, "--in-flight"},
      {{"propose", "x", "--deadline", "15"}, 2, "--deadline"},
      {{"propose", "x", "-o", "yaml"}, 2, "yaml"},
      {{"observe", "--from", "yesterday"}, 2, "\"yesterday\" is neither start, nor now"},
      {{"observe", "--from", "-1"}, 2, "--from"},
      {{"observe", "cat"}, 2, "CMD [ARGS] stands behind \"--\""},
      {{"observe", "--count", "0"}, 2, "--count"},
      {{"secret"}, 2, "See `kuilt secret --help`"},
      {{"secret", "nw", "x"}, 2, "did you mean new?"},
      {{"secret", "new"}, 2, "See `kuilt secret new --help`"},
      {{"serve", "--listn", "127.0.0.1:0"}, 2, "did you mean --listen?"},
      {{"serve", "--clients-max", "-5"}, 2, "--clients-max"},
      {{"errors", "session_expird"}, 2, "there is no error \"session_expird\""},
      {{"dev", "--servers", "9"}, 2, "--servers"},
  };
  for (const Case& one : cases) expect(one);
}

TEST(Usage, WhatNeedsNoClusterEndsWithStatus0) {
  const std::vector<Case> cases = {
      {{"--version"}, 0, "kuilt 0."},
      {{"--help"}, 0, "Exit status"},
      {{"errors"}, 0, "unknown_outcome"},
      {{"errors", "session_expired"}, 0, "Exit status: 5"},
      {{"errors", "60", "-o", "json"}, 0, "\"name\":\"session_expired\""},
      {{"serve", "--check-config"}, 0, "the configuration is sound"},
  };
  for (const Case& one : cases) expect(one);
}

TEST(Usage, WithoutAServerNothingWasSentAndTheStatusIs3) {
  const std::string nobody = "ws://127.0.0.1:1";
  const std::vector<Case> cases = {
      {{"propose", "x", "-e", nobody, "--deadline", "300ms"}, 3, "error no_server"},
      {{"observe", "-e", nobody, "--connect-deadline", "300ms"}, 3, "error no_server"},
  };
  for (const Case& one : cases) expect(one);
}

TEST(Usage, StatusOfServersThatDoNotAnswerIsDown) {
  const Outcome outcome = kuilt({"status", "--admin", "127.0.0.1:1"});

  EXPECT_EQ(outcome.status, 3);
  EXPECT_THAT(outcome.out, HasSubstr("down: none of 1 servers answers"));
}

TEST(Usage, TheEnvironmentIsAskedWhereTheFlagIsMissing) {
  const Outcome outcome =
      kuilt({"propose", "x", "--deadline", "200ms"}, "", {"KUILT_ENDPOINTS=ws://127.0.0.1:2"});

  EXPECT_THAT(outcome.err, HasSubstr("ws://127.0.0.1:2"));
}

TEST(Usage, ASecretIsForItsOwnerOnlyAndNeverOverwritten) {
  const TemporaryFolder folder;

  const Outcome first = kuilt({"secret", "new", folder / "secret"});
  const Outcome second = kuilt({"secret", "new", folder / "secret"});

  struct stat facts{};
  ASSERT_EQ(::stat((folder / "secret").c_str(), &facts), 0);
  EXPECT_EQ(first.status, 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
  EXPECT_EQ(second.status, 2);
  EXPECT_THAT(second.err, HasSubstr("exists already"));
}

TEST(Usage, FreshNeverRemovesAForeignFolder) {
  const TemporaryFolder folder;
  write_file(folder / "thesis.tex", "years of work");

  const Outcome outcome = kuilt({"dev", "--fresh", "--dir", folder.path()});

  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("was not made by kuilt dev"));
  struct stat facts{};
  EXPECT_EQ(::stat((folder / "thesis.tex").c_str(), &facts), 0);
}

}  // namespace
}  // namespace kuilt::cli
