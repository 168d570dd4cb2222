// commands.hpp: the commands of the executable, each described and carried out in a file of its
// own.
//
// A command prints data on standard output and everything else on standard error, and answers with
// the exit status that `kuilt --help` lists.
#pragma once

#include <string>
#include <vector>

#include "cli/command.hpp"
#include "kuilt/endpoints.hpp"
#include "kuilt/result.hpp"

namespace kuilt::cli {

/// Flags of every command that talks to a cluster.
struct Common {
  std::string endpoints;        ///< -e URL[,URL]; else KUILT_ENDPOINTS, the context, the default.
  std::string output = "text";  ///< -o text|json.

  [[nodiscard]] bool json() const { return output == "json"; }
};

/// The whole table.
[[nodiscard]] Command command_line();

[[nodiscard]] Command bench_command();
[[nodiscard]] Command check_command();
[[nodiscard]] Command completion_command();
[[nodiscard]] Command context_command();
[[nodiscard]] Command dev_command();
[[nodiscard]] Command errors_command();
[[nodiscard]] Command members_command();
[[nodiscard]] Command observe_command();
[[nodiscard]] Command propose_command();
[[nodiscard]] Command secret_command();
[[nodiscard]] Command serve_command();
[[nodiscard]] Command status_command();
[[nodiscard]] Command transfer_command();
[[nodiscard]] Command wal_command();

/// -e, -o and --admin.
[[nodiscard]] Flag endpoints_flag(Common& common);
[[nodiscard]] Flag output_flag(Common& common);
[[nodiscard]] Flag admin_flag(std::string& admin);

/// -e > KUILT_ENDPOINTS > the context in use > ws://127.0.0.1:7400.
[[nodiscard]] ClusterEndpoints endpoints_of(const Common& common);
/// Addresses of admin listeners: --admin > KUILT_ADMIN > the context in use > 127.0.0.1:7402.
[[nodiscard]] std::vector<std::string> admin_of(const std::string& flag);

/// Of the table; but what may have happened all the same never counts as refused, nor as not sent.
[[nodiscard]] int exit_status_of(const Error& error);
/// Prints "error CODE: message" and the way out on standard error; returns the exit status.
int report(const Error& error);

/// The login name, for who proposes.
[[nodiscard]] std::string user_name();

/// Parses, runs, and returns the exit status for `main`.
int run_command_line(Command root, int argc, char** argv);

/// The executable that is running: what `kuilt dev` starts its servers from.
[[nodiscard]] std::string own_binary();

}  // namespace kuilt::cli
