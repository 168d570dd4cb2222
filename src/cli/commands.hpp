// commands.hpp: the commands of the executable, each in a file of its own.
//
// A command adds its flags to the parser and says what to run; it prints data on standard output
// and everything else on standard error, and answers with the exit status that `kuilt --help`
// lists.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "kuilt/endpoints.hpp"
#include "kuilt/result.hpp"

namespace kuilt::cli {

/// Flags of every command that talks to a cluster.
struct Common {
  std::string endpoints;        ///< -e URL[,URL]; else KUILT_ENDPOINTS, the context, the default.
  std::string output = "text";  ///< -o text|json.

  [[nodiscard]] bool json() const { return output == "json"; }
};

/// What the parser chose; runs after parsing has succeeded.
using Run = std::function<int()>;

void add_serve(CLI::App& app, Run& run);
void add_dev(CLI::App& app, Run& run);
void add_propose(CLI::App& app, Common& common, Run& run);
void add_observe(CLI::App& app, Common& common, Run& run);
void add_status(CLI::App& app, Common& common, Run& run);
void add_secret(CLI::App& app, Run& run);
void add_errors(CLI::App& app, Common& common, Run& run);
void add_bench(CLI::App& app, Common& common, Run& run);

/// Adds -e and -o to a command.
void add_common(CLI::App& command, Common& common);

/// Addresses of admin listeners: --admin > KUILT_ADMIN > the context > 127.0.0.1:7402.
[[nodiscard]] std::vector<std::string> admin_of(const std::string& flag);
/// -e > KUILT_ENDPOINTS > the context that `kuilt dev` wrote > ws://127.0.0.1:7400.
[[nodiscard]] ClusterEndpoints endpoints_of(const Common& common);
/// Where the context lies: $XDG_CONFIG_HOME/kuilt/context, or ~/.config/kuilt/context.
[[nodiscard]] std::string context_file();
/// Best effort: a context is a convenience.
void write_context(const ClusterEndpoints& endpoints, const std::vector<std::string>& admin);

/// Adds a flag for a time: "15s", "500ms". Without a unit it is refused.
CLI::Option* add_duration(CLI::App& command, const char* name, std::uint64_t& milliseconds,
                          const char* help);

/// Of the table; but what may have happened all the same never counts as refused, nor as not sent.
[[nodiscard]] int exit_status_of(const Error& error);
/// Prints "error CODE: message" and the way out on standard error; returns the exit status.
int report(const Error& error);

/// The login name, for who proposes.
[[nodiscard]] std::string user_name();

/// Parses, runs, and returns the exit status for `main`.
int run_command_line(int argc, char** argv);

/// The executable that is running: what `kuilt dev` starts its servers from.
[[nodiscard]] std::string own_binary();

}  // namespace kuilt::cli
