// The whole table, and what to do with a line of words.
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/commands.hpp"
#include "cli/help.hpp"
#include "cli/parser.hpp"
#include "kuilt/version.hpp"

namespace kuilt::cli {
namespace {

constexpr auto notes = R"(Examples:
  kuilt dev                                   three servers on this machine, to try things out
  kuilt propose 'hello'                       one command into the log
  kuilt observe                               the log, from its start, and everything that follows
  kuilt serve --name a --data ./a             a cluster of one server

Exit status: 0 done · 1 refused, certainly nothing happened · 2 usage or configuration ·
3 no server or no quorum, nothing sent · 4 outcome unknown · 5 session expired · 6 not allowed ·
7 damaged data · 8 degraded, or a check failed · 130 interrupted)";

int misunderstood(const std::string& what, const std::string& path) {
  std::fprintf(stderr, "error usage: %s\n  See `%s --help`.\n", what.c_str(), path.c_str());
  return info(ErrorCode::usage).exit_code;
}

int print_version(const Command& self, bool is_wanted) {
  if (!is_wanted) return misunderstood("a command is missing", self.name);
  std::printf("kuilt %s\n", version);
  return 0;
}

}  // namespace

Command command_line() {
  const auto wants_version = std::make_shared<bool>(false);
  return {.name = "kuilt",
          .about = "kuilt: a few servers agree on one log, any number of clients share it",
          .notes = notes,
          .flags = {{.name = "--version",
                     .value = yes_no(*wants_version),
                     .help = "Print the version, and end"}},
          .commands = {dev_command(), propose_command(), observe_command(), status_command(),
                       transfer_command(), members_command(), serve_command(), secret_command(),
                       context_command(), bench_command(), check_command(), wal_command(),
                       errors_command(), completion_command()},
          .run = [wants_version](Command& self) { return print_version(self, *wants_version); }};
}

int run_command_line(Command root, int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // A closed pipe is a clean end, not a death.
  const Line line = parse(root, std::vector<std::string>(argv + 1, argv + argc));
  if (line.wants_help) {
    std::fputs(help_text(*line.command, line.path).c_str(), stdout);
    return 0;
  }
  if (line.complaint) return misunderstood(line.complaint->message(), line.path);
  return line.command->run(*line.command);
}

}  // namespace kuilt::cli
