// local_cluster.hpp: servers as real processes on this machine, for `kuilt dev`, the demo and
// tests.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cli/admin_status.hpp"
#include "kuilt/endpoints.hpp"
#include "kuilt/result.hpp"

namespace kuilt::cli {

/// Where one server runs, if not on loopback: tests give each a network namespace of its own.
struct LocalHost {
  std::vector<std::string> command_prefix;  ///< As in {"/sbin/ip", "netns", "exec", "NAME"}.
  std::string client_host;                  ///< Also for administration.
  std::string peer_host;
};

struct LocalClusterOptions {
  std::string binary;     ///< The executable kuilt.
  std::string directory;  ///< Data, logs and the secret of all servers; made if missing.
  std::size_t servers = 3;
  std::vector<std::string> extra_flags = {};  ///< For every `kuilt serve`.
  std::vector<LocalHost> hosts = {};          ///< One for each server, or none: loopback.
  std::size_t founders = 0;  ///< The first so many found the cluster, the others join it; 0: all.
};

/// One `kuilt serve` of this machine: its addresses stay the same through kills and restarts.
struct LocalServer {
  std::string name;
  std::string client_address;  ///< "127.0.0.1:port".
  std::string peer_address;
  std::string admin_address;
  std::string data;
  std::string log_file;  ///< What it prints.
  pid_t pid = -1;        ///< −1: not running.
};

/// Starts, kills, pauses and restarts servers. Destruction kills what still runs, so that no test
/// leaves a process behind; the processes die with this one as well.
///
/// Threads: one caller at a time; servers die with the thread that started them (Linux ties them to
/// it, not to the process). Failure: every error names the server and its log file.
class LocalCluster {
 public:
  /// Picks free ports and writes the secret; starts nothing. On a directory that was used before,
  /// the servers keep their addresses (a file `cluster` there holds them).
  /// Errors: usage (it was laid out for another number of servers), directory_unwritable, io.
  static Result<LocalCluster> prepare(LocalClusterOptions options);

  /// Whether the directory holds the servers of an earlier run.
  [[nodiscard]] static bool is_laid_out(const std::string& directory);

  LocalCluster(LocalCluster&& other) noexcept;
  LocalCluster& operator=(LocalCluster&& other) noexcept;
  ~LocalCluster();

  Status start(std::size_t server);
  Status start_all();
  /// Sends a signal; SIGKILL and SIGTERM also wait for the end. Returns the exit status, if it
  /// ended.
  Result<std::optional<int>> signal(std::size_t server, int signal_number);
  /// Sends SIGTERM to all that run, and SIGKILL to what still does after `patience`.
  void stop_all(std::chrono::milliseconds patience);
  /// Waits until a leader is known to a majority of all servers, and returns its place. Does not
  /// wait on once a server has ended by itself.
  Result<std::size_t> await_leader(std::chrono::milliseconds patience);
  /// Errors: no_server (it does not answer).
  [[nodiscard]] Result<AdminStatus> status(std::size_t server) const;

  [[nodiscard]] const std::vector<LocalServer>& servers() const { return servers_; }
  [[nodiscard]] ClusterEndpoints endpoints() const;
  /// Whether the process has ended by itself; then its exit status.
  std::optional<int> ended(std::size_t server);
  /// The last error in a server's log file, or its last line.
  [[nodiscard]] std::string last_words(std::size_t server) const;

 private:
  explicit LocalCluster(LocalClusterOptions options) : options_(std::move(options)) {}
  Status lay_out();
  Status write_layout() const;
  Status read_layout();
  /// The server that a majority of all takes for the leader, if there is one.
  [[nodiscard]] std::optional<std::size_t> agreed_leader() const;
  [[nodiscard]] std::string layout_file() const { return options_.directory + "/cluster"; }
  [[nodiscard]] std::vector<std::string> command_line(const LocalServer& server) const;

  [[nodiscard]] std::string secret_file() const { return options_.directory + "/secret"; }

  LocalClusterOptions options_;
  std::vector<LocalServer> servers_;
};

}  // namespace kuilt::cli
