// Every exit status of `kuilt --help`, and every command of the table, by the real executable.
//
// 5 is in propose_session_test.cpp.
#include <signal.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "cli/commands.hpp"
#include "tests/cli/process.hpp"
#include "tests/cli/servers.hpp"

namespace kuilt::cli {
namespace {

using testing::HasSubstr;
using Words = std::vector<std::string>;

struct Row {
  int status;
  Words words;       ///< URLS, ADMIN, DATA and FOLDER stand for those of the running cluster.
  std::string says;  ///< On either stream.
  std::string input = {};
};

const std::string nobody = "ws://127.0.0.1:1";

/// What a cluster of one answers.
const std::vector<Row> rows = {
    {0, {"propose", "-e", "URLS", "first"}, "committed "},
    {0, {"propose", "-", "-e", "URLS", "-o", "json"}, "\"duplicate\":false", "second\n"},
    {0, {"observe", "-e", "URLS", "--count", "1"}, "\tfirst\n"},
    {0, {"observe", "-e", "URLS", "--count", "1", "--", "cat"}, "first"},
    {0, {"status", "--admin", "ADMIN"}, "well: leader a"},
    {0, {"transfer", "a", "--admin", "ADMIN"}, "leader a already"},
    {1, {"transfer", "--admin", "ADMIN"}, "error transfer_failed: there is no other voter"},
    {1, {"transfer", "b", "--admin", "ADMIN"}, "error unknown_server: no server \"b\""},
    {3, {"transfer", "--admin", "127.0.0.1:1"}, "error no_server: 127.0.0.1:1 does not answer"},
    {0, {"check", "consistency", "-e", "URLS"}, "PASS"},
    {0, {"serve", "--check-config"}, "the configuration is sound"},
    {0, {"serve", "--print-config"}, "listen = [\"127.0.0.1:7400\"]"},
    {0, {"secret", "new", "FOLDER/secret"}, "copy it to all servers"},
    {0, {"wal", "inspect", "DATA"}, "sound: entries through "},
    {0, {"wal", "verify", "DATA"}, "sound: entries through "},
    {0, {"wal", "dump", "DATA", "--until", "1"}, "configuration"},
    {0, {"context", "list"}, ""},
    {0, {"context", "set", "lab", "-e", "ws://lab:1"}, "context lab is in use"},
    {0, {"context", "use", "lab"}, "context lab is in use"},
    {0, {"context", "show"}, "endpoints  ws://lab:1  (context lab)"},
    {0, {"context", "rm", "lab"}, "context lab is removed"},
    {0, {"members", "--admin", "ADMIN"}, "settled: no change is under way"},
    {0, {"members", "list", "--admin", "ADMIN"}, "voter"},
    {0, {"members", "add", "a", "--admin", "ADMIN"}, "a votes; the cluster has 1 voters"},
    {0, {"completion", "bash"}, "complete -F _kuilt kuilt"},
    {0, {"errors"}, "unknown_outcome (65)"},
    {0, {"errors", "session_expired"}, "Exit status: 5"},
    {0, {"errors", "not_allowed"}, "Exit status: 6"},
    {0, {"--version"}, "kuilt 0."},
    {1,
     {"propose", "-", "-e", "URLS"},
     "error command_too_large: line 1: ",
     std::string(std::size_t{1} << 21, 'x') + "\n"},
    {1, {"members", "promote", "a", "--admin", "ADMIN"}, "error change_refused: "},
    {1, {"members", "promote", "z", "--admin", "ADMIN"}, "error unknown_server: no server \"z\""},
    {1, {"members", "remove", "a", "--admin", "ADMIN"}, "error change_refused: no member would be"},
    {1,
     {"members", "replace", "a", "--admin", "ADMIN"},
     "error change_refused: no member would be"},
    {2, {}, "See `kuilt --help`"},
    {2, {"propse"}, "did you mean propose?"},
    {2, {"dev", "--servers", "9"}, "--servers: \"9\" is no whole number, 1 to 7"},
    {2, {"propose"}, "TEXT is missing"},
    {2, {"observe", "--from", "x"}, "--from: \"x\" is neither start, nor now, nor an index"},
    {2, {"status", "--watsh"}, "did you mean --watch?"},
    {2, {"serve", "--listen", "nowhere"}, "error invalid_argument"},
    {2, {"secret", "new", "FOLDER/secret"}, "exists already"},
    {2, {"context", "use", "nowhere"}, "there is no context \"nowhere\""},
    {2, {"completion", "tcsh"}, "\"tcsh\" is not one of bash, zsh, fish"},
    {2, {"bench", "propose", "--voters", "2"}, "\"2\" is not one of 1, 3, 5"},
    {2, {"bench", "fanout", "--learners", "0"}, "1 to 100000"},
    {2, {"check", "perf", "--seconds", "0"}, "\"0\" is no number from 0.1 to 3600"},
    {2, {"errors", "session_expird"}, "did you mean session_expired?"},
    {3, {"propose", "x", "-e", nobody, "--deadline", "300ms"}, "error no_server"},
    {3, {"observe", "-e", nobody, "--connect-deadline", "300ms"}, "error no_server"},
    {3, {"status", "--admin", "127.0.0.1:1"}, "down: none of 1 servers answers"},
    {3, {"members", "--admin", "127.0.0.1:1"}, "error no_server"},
    {3,
     {"members", "add", "z", "--admin", "ADMIN", "--wait", "100ms"},
     "start it with kuilt serve"},
    {3, {"check", "consistency", "-e", nobody, "--deadline", "300ms"}, "error no_server"},
    {8, {"status", "--admin", "ADMIN,127.0.0.1:1"}, "degraded: leader a, but only 1 of 2"},
    {8, {"check", "consistency", "-e", "URLS," + nobody, "--deadline", "1s"}, "FAIL"},
    {8, {"observe", "-e", "URLS", "--", "false"}, "error: false ended with status 1"},
};

/// Runs the rows, and tells which statuses were seen.
TEST(ExitStatus, IsWhatTheTableSays) {
  Servers servers(1);
  const TemporaryFolder folder;
  std::map<std::string, std::string> stands_for = {{"URLS", servers.urls()},
                                                   {"ADMIN", servers.admin()},
                                                   {"FOLDER", folder.path()},
                                                   {"DATA", servers->servers().front().data}};
  for (const Row& row : rows) {
    Words words = row.words;
    for (std::string& word : words) {
      for (const auto& [name, value] : stands_for) {
        if (word.starts_with(name)) word.replace(0, name.size(), value);
      }
    }

    const Outcome outcome = kuilt(words, row.input, {"XDG_CONFIG_HOME=" + folder.path()});

    EXPECT_EQ(outcome.status, row.status) << joined(row.words, " ") << "\n" << outcome.err;
    EXPECT_THAT(outcome.out + outcome.err, HasSubstr(row.says)) << joined(row.words, " ");
  }
}

TEST(ExitStatus, EveryCommandIsInTheTable) {
  // They start servers of their own, for seconds, or need more than one: dev_test.cpp,
  // members_test.cpp, tests/bench and tests/process do that.
  std::set<std::string> done_elsewhere = {
      "kuilt dev",        "kuilt bench propose",  "kuilt bench fanout",    "kuilt bench rooms",
      "kuilt check perf", "kuilt members remove", "kuilt members replace", "kuilt members promote"};
  std::set<std::string> succeed;
  for (const Row& row : rows) {
    if (row.status != 0 || row.words.empty()) continue;
    succeed.insert("kuilt " + row.words[0]);
    if (row.words.size() > 1) succeed.insert("kuilt " + row.words[0] + " " + row.words[1]);
  }
  const std::function<void(const Command&, const std::string&)> look =
      [&](const Command& command, const std::string& path) {
        for (const Command& one : command.commands) look(one, path + " " + one.name);
        if (!command.commands.empty() || done_elsewhere.contains(path)) return;
        EXPECT_TRUE(succeed.contains(path)) << path;
      };
  look(command_line(), "kuilt");
}

TEST(ExitStatus, Is4WhereTheOutcomeIsUnknown) {
  Servers servers(3);
  const std::string leader = "ws://" + servers->servers().at(servers.leader()).client_address;
  servers->signal((servers.leader() + 1) % 3, SIGKILL).or_throw();
  servers->signal((servers.leader() + 2) % 3, SIGKILL).or_throw();

  const Outcome outcome = kuilt({"propose", "lost?", "--deadline", "1500ms", "-e", leader});

  EXPECT_EQ(outcome.status, 4) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("error unknown_outcome"));
}

TEST(ExitStatus, Is6WhereTheSessionIsOfAnotherCluster) {
  Servers own(1);
  Servers other(1);
  const TemporaryFolder folder;
  const std::string session = folder / "mine";
  ASSERT_EQ(kuilt({"propose", "here", "--session", session, "-e", own.urls()}).status, 0);

  const Outcome outcome = kuilt({"propose", "there", "--session", session, "-e", other.urls()});

  EXPECT_EQ(outcome.status, 6) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("error wrong_cluster"));
  EXPECT_EQ(kuilt({"propose", "again", "--session", session, "-e", own.urls()}).status, 0);
}

TEST(ExitStatus, Is7WhereTheLogIsDamaged) {
  Servers servers(1);
  ASSERT_EQ(kuilt({"propose", "-e", servers.urls(), "kept"}).status, 0);
  ASSERT_EQ(servers->signal(0, SIGTERM).or_throw(), 0);
  const std::string data = servers->servers().front().data;
  overwrite(data + "/log/wal-0000000000000001", 100, "damage");

  const Outcome outcome = kuilt({"serve", "--data", data, "--listen", "127.0.0.1:0",
                                 "--peer-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"});

  EXPECT_EQ(outcome.status, 7);
  EXPECT_THAT(outcome.err, HasSubstr("error corrupt"));
  EXPECT_THAT(outcome.err, HasSubstr("wal-0000000000000001"));
}

TEST(ExitStatus, Is130WhereAnInterruptEndsIt) {
  Servers servers(1);
  ASSERT_EQ(kuilt({"propose", "-e", servers.urls(), "seen"}).status, 0);
  const std::vector<Words> lines = {{"observe", "-e", servers.urls()},
                                    {"status", "--watch", "--admin", servers.admin()},
                                    {"propose", "-", "-e", servers.urls()}};
  for (const Words& line : lines) {
    for (const int number : {SIGINT, SIGTERM}) {
      Words words = line;
      words.insert(words.begin(), KUILT_BINARY);
      Process process(words);
      process.write("a line\n");
      ASSERT_TRUE(process.await_output("\n")) << joined(line, " ");

      process.signal(number);

      EXPECT_EQ(process.wait().status, 130) << joined(line, " ");
    }
  }
}

TEST(ExitStatus, OfAServerIs0AfterADrain) {
  Servers servers(1);

  EXPECT_EQ(servers->signal(0, SIGTERM).or_throw(), 0);
}

}  // namespace
}  // namespace kuilt::cli
