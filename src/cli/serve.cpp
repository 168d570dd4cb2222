#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "cli/commands.hpp"
#include "cli/config_file.hpp"
#include "kuilt/server.hpp"
#include "kuilt/version.hpp"

namespace kuilt::cli {
namespace {

struct ServeFlags {
  ServerOptions options;
  std::vector<std::string> listen = {options.listen};
  std::string found;
  std::string join;
  std::string config;
  bool check_config = false;
  bool print_config = false;
  std::uint64_t heartbeat_ms = 50;
  std::uint64_t election_min_ms = 300;
  std::uint64_t election_max_ms = 600;
  std::uint64_t disk_stall_ms = 2000;
  std::uint64_t founding_timeout_s = 0;
};

constexpr std::uint64_t ms_max =
    1'000'000'000;  // Far from overflow in nanoseconds, in seconds too.

constexpr auto notes = R"(Examples:
  kuilt serve --name a --data ./a                          founds a cluster of one
  kuilt secret new cluster.secret                          once, for three servers; copy it to all
  kuilt serve --name a --data ./a --listen 10.0.0.1:7400 --peer-listen 10.0.0.1:7401 \
      --found a=10.0.0.1:7401,b=10.0.0.2:7401,c=10.0.0.3:7401 \
      --secret-file cluster.secret --insecure-clients      on each of the three, with its own name
  kuilt serve --name d --data ./d --listen 10.0.0.4:7400 --peer-listen 10.0.0.4:7401 \
      --join 10.0.0.1:7401 --secret-file cluster.secret --insecure-clients
                                                           a fourth, which joins them

Every flag can also stand in the environment (KUILT_LISTEN for --listen) and in the TOML file that
--config names (listen = "…"); flags come before environment, environment before file. What may be
given several times is separated by commas there, and a list in the file (listen = ["…", "…"]).
SIGTERM or Ctrl-C drains: no new clients, the others are told where to go, exit status 0.)";

/// What may also stand in the environment and in the file.
Flag setting(const char* name, Value value, const char* help, const char* form = "") {
  if (*form != '\0') value.form = form;
  return {.name = name, .value = std::move(value), .help = help, .reach = Reach::file};
}

std::vector<Flag> settings(ServeFlags& flags) {
  ServerOptions& o = flags.options;
  return {
      setting("--name", text(o.name), "What people call this server; unique in its cluster",
              "NAME"),
      setting("--data", folder(o.data), "Directory of its log; made if it is missing"),
      setting("--listen", list(flags.listen, "HOST:PORT[,...]"),
              "Addresses for clients, all of which front this server"),
      setting("--peer-listen", text(o.peer_listen), "Address for the other servers", "HOST:PORT"),
      setting("--admin-listen", text(o.admin_listen), "Address for health and metrics; empty: none",
              "HOST:PORT"),
      setting("--advertise", text(o.advertise), "What clients are told instead of --listen",
              "ws://HOST:PORT"),
      setting("--peer-advertise", text(o.peer_advertise),
              "What the other servers are told instead of --peer-listen, when this one joins",
              "HOST:PORT"),
      setting("--found", text(flags.found),
              "All servers of a new cluster, this one included, the same list on each; read only "
              "until the cluster is founded",
              "NAME=HOST:PORT,..."),
      setting("--join", text(flags.join),
              "Servers of a cluster that this one is to join, where their --peer-listen is; read "
              "only until it has joined",
              "HOST:PORT[,...]"),
      setting("--secret-file", file(o.secret_file), "The cluster's secret (kuilt secret new FILE)"),
      setting("--allow-origin", list(o.allow_origins, "ORIGIN"),
              "A web page's origin that may connect, besides our own"),
      setting("--allow-host", list(o.allow_hosts, "HOST"),
              "A Host header that is ours, besides loopback names"),
      setting("--clients-max", number(o.clients_max), "Client links; more are sent away"),
      setting("--shards", number(o.shards), "Threads for clients; 0: one for each core but two"),
      setting("--heartbeat-ms", number(flags.heartbeat_ms, 0, ms_max),
              "Between two heartbeats of a leader"),
      setting("--election-min-ms", number(flags.election_min_ms, 0, ms_max),
              "Shortest election timeout"),
      setting("--election-max-ms", number(flags.election_max_ms, 0, ms_max),
              "Longest election timeout"),
      setting("--disk-stall-ms", number(flags.disk_stall_ms, 0, ms_max),
              "A disk that takes longer for a write hangs: a leader gives way, nobody stands or "
              "votes"),
      setting("--founding-timeout-s", number(flags.founding_timeout_s, 0, ms_max),
              "How long to wait for the other founding servers, or to join; 0: for ever"),
      setting("--insecure-clients", yes_no(o.insecure_clients),
              "Serve clients that prove nothing, on a listener that is not loopback"),
  };
}

Result<std::vector<FoundingMember>> parse_found(const std::string& text) {
  std::vector<FoundingMember> list;
  std::stringstream rest(text);
  for (std::string part; std::getline(rest, part, ',');) {
    const auto equals = part.find('=');
    if (equals == std::string::npos || equals == 0 || part.find(':', equals) == std::string::npos) {
      return Error(ErrorCode::usage,
                   "--found: \"" + part + "\" is not NAME=HOST:PORT (as in a=10.0.0.1:7401)");
    }
    list.push_back({part.substr(0, equals), part.substr(equals + 1)});
  }
  return list;
}

Status complete(Command& self, ServeFlags& flags) {
  if (!flags.config.empty()) {
    if (Status status = read_config_file(self, flags.config); !status) return status;
  }
  auto list = parse_found(flags.found);
  if (!list) return std::move(list).error();
  flags.options.found = *std::move(list);
  flags.options.join = split(flags.join);
  for (std::string& address : flags.options.join) {
    if (address.starts_with("ws://")) address.erase(0, 5);
  }
  std::vector<std::string> addresses = split(joined(flags.listen));
  if (addresses.empty()) addresses.emplace_back();  // Which is no address, and is refused as such.
  flags.options.listen = addresses.front();
  addresses.erase(addresses.begin());
  flags.options.listen_also = std::move(addresses);
  flags.options.heartbeat_interval = std::chrono::milliseconds(flags.heartbeat_ms);
  flags.options.election_timeout_min = std::chrono::milliseconds(flags.election_min_ms);
  flags.options.election_timeout_max = std::chrono::milliseconds(flags.election_max_ms);
  flags.options.disk_stall_max = std::chrono::milliseconds(flags.disk_stall_ms);
  flags.options.founding_timeout = std::chrono::seconds(flags.founding_timeout_s);
  return complaint_about(flags.options);
}

void tell(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

/// Takes all the open files that the system allows, and says whether that is enough.
std::string open_files(std::size_t clients_max) {
  constexpr std::size_t files_besides_clients = 256;  // Segments, peers, loops, standard streams.
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const std::string clients = std::to_string(clients_max) + " clients (--clients-max)";
  const std::string files = "open files: at most " + std::to_string(limit.rlim_cur);
  if (limit.rlim_cur >= clients_max + files_besides_clients)
    return files + ", enough for " + clients;
  return files + ", TOO FEW for " + clients + ": raise it (ulimit -n), or lower --clients-max";
}

std::string listeners_of(const ServerOptions& options) {
  std::string all = options.listen;
  for (const std::string& also : options.listen_also) all += ", " + also;
  return all;
}

std::string who_may_connect(const ServerOptions& options) {
  if (!options.insecure_clients) return "clients: everybody on this machine, nobody else";
  return "clients: everybody who reaches " + listeners_of(options) +
         ", without any proof (--insecure-clients)";
}

void tell_settings(const ServerOptions& options) {
  tell("kuilt " + std::string(version) + ": server " + options.name + ", pid " +
       std::to_string(::getpid()) + ", directory " + options.data);
  tell("  listens for clients on " + listeners_of(options) + ", for servers on " +
       options.peer_listen + ", for administration on " +
       (options.admin_listen.empty() ? "nothing" : options.admin_listen));
  tell("  fsync on: an entry is on disk before it is acknowledged");
  tell("  " + open_files(options.clients_max));
  tell("  " + who_may_connect(options));
}

void tell_identity(const ServerCluster& server) {
  const ServerStatus self = server.status().front();
  tell("  node " + self.id.text() + ", cluster " + self.cluster.text() + ", history " +
       self.history.text());
  const ClusterEndpoints endpoints = server.endpoints();
  for (const std::string& url : endpoints.urls()) tell("  clients are admitted at " + url);
}

int serve(Command& self, ServeFlags& flags) {
  if (Status status = complete(self, flags); !status) return report(status.error());
  if (flags.print_config) {
    std::fputs(config_text(self).c_str(), stdout);
    return 0;
  }
  if (flags.check_config) {
    std::puts("the configuration is sound");
    return 0;
  }
  tell_settings(flags.options);
  flags.options.on_news = tell;
  auto server = ServerCluster::open(flags.options);
  if (!server) return report(server.error());
  if (Status status = server->start(); !status) return report(status.error());
  tell_identity(*server);
  return server->run_until_signal();
}

}  // namespace

Command serve_command() {
  const auto flags = std::make_shared<ServeFlags>();
  Command command{.name = "serve",
                  .about = "Run one server of a cluster",
                  .notes = notes,
                  .flags = settings(*flags),
                  .run = [flags](Command& self) { return serve(self, *flags); }};
  command.flags.push_back({.name = "--config",
                           .value = file(flags->config),
                           .help = "TOML file with any of these settings"});
  command.flags.push_back({.name = "--check-config",
                           .value = yes_no(flags->check_config),
                           .help = "Check the settings, and end"});
  command.flags.push_back({.name = "--print-config",
                           .value = yes_no(flags->print_config),
                           .help = "Print all settings as TOML, and end"});
  return command;
}

}  // namespace kuilt::cli
