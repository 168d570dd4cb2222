#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <unistd.h>

#include "cli/commands.hpp"
#include "cli/contexts.hpp"
#include "cli/dev_view.hpp"
#include "cli/local_cluster.hpp"
#include "cli/output.hpp"

namespace kuilt::cli {
namespace {

namespace fs = std::filesystem;

constexpr auto notes = R"(Examples:
  kuilt dev                        three servers; go on where the last run ended
  kuilt dev --fresh --servers 5    five, with an empty log

The servers are processes of their own with durable logs in --dir, on free ports of this machine,
open to everybody on it. Other commands find them through the context dev, which is set and used
(kuilt context). On a terminal it shows them in a table: keys 1 to 9 kill a server (SIGKILL) and
start it again, l moves the lead to another server, q quits. Otherwise it prints lines, until SIGINT
or SIGTERM. At the end all servers are told to drain.)";

struct Flags {
  std::size_t servers = 3;
  std::string directory = ".kuilt-dev";
  bool fresh = false;
};

/// Removes what an earlier run left, and never anything else.
Status remove_old(const std::string& directory) {
  std::error_code error;
  if (!fs::exists(directory, error) || fs::is_empty(directory, error)) return Done{};
  if (!LocalCluster::is_laid_out(directory)) {
    return Error(ErrorCode::usage, "--fresh: \"" + directory +
                                       "\" was not made by kuilt dev, and is left alone; remove it "
                                       "yourself, or give another --dir");
  }
  fs::remove_all(directory, error);
  if (error) {
    return Error(ErrorCode::directory_unwritable,
                 "--fresh: remove " + directory + ": " + error.message());
  }
  return Done{};
}

/// Until people quit. Returns the exit status.
int show(LocalCluster& cluster) {
  if (::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0) return run_dev_table(cluster);
  return run_dev_lines(cluster);
}

/// Other commands find the cluster by it. Where it can't be written, they take -e.
void use_context(const LocalCluster& cluster) {
  const Contexts contexts;
  Context context{.name = "dev", .endpoints = cluster.endpoints().urls(), .admin = {}};
  for (const LocalServer& server : cluster.servers()) context.admin.push_back(server.admin_address);
  const std::string before = contexts.in_use();
  Status status = contexts.set(context);
  if (status) status = contexts.use(context.name);
  if (!status) {
    std::fprintf(stderr, "no context: %s; other commands need -e %s\n",
                 status.error().message().c_str(), joined(context.endpoints).c_str());
  } else if (!before.empty() && before != context.name) {
    std::fprintf(stderr, "context dev is in use now; back to %s: kuilt context use %s\n",
                 before.c_str(), before.c_str());
  }
}

int dev(const Flags& flags) {
  constexpr auto founding_patience = std::chrono::seconds(30);
  constexpr auto drain_patience = std::chrono::seconds(10);
  remember_interrupts();
  if (flags.fresh) {
    if (Status status = remove_old(flags.directory); !status) return report(status.error());
  }
  auto cluster = LocalCluster::prepare({.binary = own_binary(),
                                        .directory = flags.directory,
                                        .servers = flags.servers,
                                        .extra_flags = {}});
  if (!cluster) return report(cluster.error());
  if (Status status = cluster->start_all(); !status) return report(status.error());
  const auto leader = cluster->await_leader(founding_patience);
  if (interrupt() == 0 && !leader) return report(leader.error());
  use_context(*cluster);
  const int status = interrupt() == 0 ? show(*cluster) : 0;
  cluster->stop_all(drain_patience);
  return status;
}

}  // namespace

Command dev_command() {
  const auto flags = std::make_shared<Flags>();
  return {
      .name = "dev",
      .about = "A cluster on this machine, to try things out",
      .notes = notes,
      .flags = {{.name = "--servers", .value = number(flags->servers, 1, 7), .help = "How many"},
                {.name = "--dir",
                 .value = folder(flags->directory),
                 .help = "Logs, data and secret of all servers"},
                {.name = "--fresh",
                 .value = yes_no(flags->fresh),
                 .help = "Begin with an empty log: removes what --dir holds"}},
      .run = [flags](Command&) { return dev(*flags); }};
}

}  // namespace kuilt::cli
