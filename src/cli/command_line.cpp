// What stands on the command line, and what to say if it can't be understood.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "kuilt/version.hpp"

namespace kuilt::cli {
namespace {

constexpr auto footer = R"(Examples:
  kuilt dev                                   three servers on this machine, to try things out
  kuilt propose 'hello'                       one command into the log
  kuilt observe                               the log, from its start, and everything that follows
  kuilt serve --name a --data ./a             a cluster of one server

Exit status: 0 done · 1 refused, certainly nothing happened · 2 usage or configuration ·
3 no server or no quorum, nothing sent · 4 outcome unknown · 5 session expired · 6 not allowed ·
7 damaged data · 8 degraded, or a check failed · 130 interrupted)";

/// How many letters to add, drop or change to make one word of the other (Levenshtein).
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::vector<std::string> words_of(const CLI::App& command) {
  std::vector<std::string> words;
  for (const CLI::App* one : command.get_subcommands(nullptr)) words.push_back(one->get_name());
  for (const CLI::Option* one : command.get_options()) {
    for (const std::string& name : one->get_lnames()) words.push_back("--" + name);
  }
  return words;
}

/// The word that was probably meant; empty if none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& words) {
  std::string best;
  std::size_t best_distance = 1 + word.size() / 3;
  for (const std::string& one : words) {
    const std::size_t far = distance(word, one);
    if (far > best_distance || (far == best_distance && !best.empty())) continue;
    best = one;
    best_distance = far;
  }
  return best;
}

/// The innermost command that was named.
CLI::App& chosen(CLI::App& app) {
  CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  return *command;
}

std::string full_name(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent == nullptr ? command.get_name() : full_name(*parent) + " " + command.get_name();
}

int misunderstood(CLI::App& app, const CLI::ParseError& error) {
  CLI::App& command = chosen(app);
  std::string what = error.what();
  const std::vector<std::string> unknown = app.remaining(true);
  if (!unknown.empty()) {  // Also where the complaint is what is missing for want of it.
    const std::string kind = unknown.front().starts_with('-') ? "flag" : "argument";
    const bool is_command = &command == &app || !command.get_subcommands(nullptr).empty();
    what = "unknown " + (is_command && kind == "argument" ? "command" : kind) + " \"" +
           unknown.front() + "\"";
    const std::string meant = nearest(unknown.front(), words_of(command));
    if (!meant.empty()) what += "; did you mean " + meant + "?";
  }
  std::fprintf(stderr, "error usage: %s\n  See `%s --help`.\n", what.c_str(),
               full_name(command).c_str());
  return info(ErrorCode::usage).exit_code;
}

void add_commands(CLI::App& app, Common& common, Run& run) {
  add_dev(app, run);
  add_propose(app, common, run);
  add_observe(app, common, run);
  add_status(app, common, run);
  add_serve(app, run);
  add_secret(app, run);
  add_errors(app, common, run);
  add_bench(app, common, run);
}

}  // namespace

int run_command_line(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // A closed pipe is a clean end, not a death.
  CLI::App app{"kuilt: a few servers agree on one log, any number of clients share it.", "kuilt"};
  app.set_version_flag("--version", std::string("kuilt ") + kuilt::version);
  app.require_subcommand(1);
  app.footer(footer);
  Common common;
  Run run;
  add_commands(app, common, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);  // --help, --version.
  } catch (const CLI::ParseError& error) {
    return misunderstood(app, error);
  }
  return run();
}

}  // namespace kuilt::cli
