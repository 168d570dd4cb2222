// Completion, in the shells that it is for.
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "cli/commands.hpp"
#include "tests/cli/process.hpp"

namespace kuilt::cli {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;
using Words = std::vector<std::string>;

std::string script_for(const std::string& shell) {
  const Outcome outcome = kuilt({"completion", shell});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return outcome.out;
}

Words lines_of(const std::string& text) {
  Words lines;
  std::istringstream rest(text);
  for (std::string line; std::getline(rest, line);) lines.push_back(line);
  return lines;
}

/// Runs a script in a shell, and returns what it printed, by lines.
Words run_in(const std::string& shell, const std::string& script) {
  Process process({"/usr/bin/env", shell, "-c", script});
  const Outcome outcome = process.wait();
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "") << shell;
  return lines_of(outcome.out);
}

/// What bash offers for the last of these words. Words as bash breaks them: at = too.
Words in_bash(const Words& line) {
  std::string words = "kuilt";
  for (const std::string& word : line) words += " '" + word + "'";
  return run_in("bash", script_for("bash") + "COMP_WORDS=(" + words +
                            ")\nCOMP_CWORD=" + std::to_string(line.size()) +
                            "\n_kuilt\nprintf '%s\\n' \"${COMPREPLY[@]}\"\ncomplete -p kuilt | "
                            "grep -q _kuilt\n");
}

/// What zsh is handed for the last of these words: its own functions are told to print.
Words in_zsh(const Words& line) {
  std::string words = "kuilt";
  for (const std::string& word : line) words += " '" + word + "'";
  return run_in("zsh",
                "compdef() { : }\n_describe() { print -l -- ${(P)2%%:*} }\n"
                "compadd() { shift; print -l -- \"$@\" }\n_files() { print files \"$@\" }\n"
                "_command_names() { print programs }\n_message() { }\n" +
                    script_for("zsh") + "words=(" + words +
                    ")\nCURRENT=" + std::to_string(line.size() + 1) + "\n_kuilt\n");
}

/// What fish offers, without the explanations.
Words in_fish(const std::string& line) {
  return run_in("fish", script_for("fish") + "complete -C'" + line + "' | string split -f1 \\t\n");
}

Words commands() {
  Words names;
  for (const Command& one : command_line().commands) names.push_back(one.name);
  return names;
}

TEST(Completion, BashOffersCommandsFlagsAndValues) {
  Words first = commands();
  first.insert(first.end(), {"--version", "--help"});

  EXPECT_THAT(in_bash({""}), testing::UnorderedElementsAreArray(first));
  EXPECT_THAT(in_bash({"pro"}), ElementsAre("propose"));
  EXPECT_THAT(in_bash({"secret", ""}), UnorderedElementsAre("new", "--help"));
  EXPECT_THAT(in_bash({"observe", "--fr"}), ElementsAre("--from"));
  EXPECT_THAT(in_bash({"observe", "--from", ""}), ElementsAre("start", "now"));
  EXPECT_THAT(in_bash({"observe", "-o", "j"}), ElementsAre("json"));
  EXPECT_THAT(in_bash({"observe", "--output", "=", "t"}), ElementsAre("text"));
  EXPECT_THAT(in_bash({"observe", "--output", "="}), ElementsAre("text", "json"));
  EXPECT_THAT(in_bash({"bench", "propose", "--voters", ""}), ElementsAre("1", "3", "5"));
  EXPECT_THAT(in_bash({"errors", "session_e"}), ElementsAre("session_expired"));
  EXPECT_THAT(in_bash({"completion", "z"}), ElementsAre("zsh"));
}

TEST(Completion, BashOffersFilesAndProgramsWhereTheyStand) {
  const TemporaryFolder folder;
  write_file(folder / "cluster.toml", "");

  EXPECT_THAT(in_bash({"serve", "--config", folder / "clus"}),
              ElementsAre(folder / "cluster.toml"));
  EXPECT_THAT(in_bash({"observe", "--count", "1", "--", "bas"}), Contains("bash"));
  EXPECT_THAT(in_bash({"observe", "--", "cat", "--from", ""}), Not(Contains("start")))
      << "what stands there is the program's";
}

TEST(Completion, BashTakesTheValueOfAFlagForNoCommand) {
  const Words offered = in_bash({"propose", "--room", "dev", "--"});

  EXPECT_THAT(offered, AllOf(Contains("--in-flight"), Not(Contains("--servers"))));
  EXPECT_THAT(in_bash({"propose", "--room", ""}), Not(Contains("dev")));
}

TEST(Completion, EveryFlagOfTheTableIsOfferedByBash) {
  for (const Command& command : command_line().commands) {
    for (const Flag& flag : command.flags) {
      EXPECT_THAT(in_bash({command.name, flag.name}), Contains(flag.name)) << command.name;
    }
  }
}

TEST(Completion, ZshOffersTheSame) {
  Words first = commands();
  first.insert(first.end(), {"--version", "--help"});

  EXPECT_THAT(in_zsh({""}), testing::UnorderedElementsAreArray(first));
  EXPECT_THAT(in_zsh({"secret", ""}), UnorderedElementsAre("new", "--help"));
  EXPECT_THAT(in_zsh({"observe", "--from", ""}), ElementsAre("start", "now"));
  EXPECT_THAT(in_zsh({"observe", "-o", ""}), ElementsAre("text", "json"));
  EXPECT_THAT(in_zsh({"serve", "--config", ""}), ElementsAre("files"));
  EXPECT_THAT(in_zsh({"observe", "--", ""}), ElementsAre("programs"));
  EXPECT_THAT(in_zsh({"propose", "--room", ""}), IsEmpty());
  EXPECT_THAT(in_zsh({"propose", "x", ""}),
              AllOf(Contains("--in-flight"), Not(Contains("--servers"))));
}

TEST(Completion, FishOffersTheSame) {
  EXPECT_THAT(in_fish("kuilt "), testing::UnorderedElementsAreArray(commands()));
  EXPECT_THAT(in_fish("kuilt secret "), ElementsAre("new"));
  EXPECT_THAT(in_fish("kuilt observe --from "), UnorderedElementsAre("start", "now"));
  EXPECT_THAT(in_fish("kuilt observe -o j"), ElementsAre("json"));
  EXPECT_THAT(in_fish("kuilt propose --in"), ElementsAre("--in-flight"));
  EXPECT_THAT(in_fish("kuilt bench propose --voters "), UnorderedElementsAre("1", "3", "5"));
}

}  // namespace
}  // namespace kuilt::cli
