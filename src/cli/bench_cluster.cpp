#include "cli/bench_cluster.hpp"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "bench/loop.hpp"
#include "bench/usage.hpp"
#include "cli/commands.hpp"
#include "cli/http_get.hpp"

namespace kuilt::cli {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

Result<std::unique_ptr<BenchCluster>> BenchCluster::start(const BenchClusterOptions& options) {
  std::unique_ptr<BenchCluster> bench(new BenchCluster);
  const fs::path parent =
      options.directory.empty() ? fs::temp_directory_path() : fs::path(options.directory);
  bench->directory_ = (parent / ("kuilt-bench-" + std::to_string(::getpid()))).string();
  const std::size_t clients_max = options.links + 1000;
  auto cluster =
      LocalCluster::prepare({.binary = own_binary(),
                             .directory = bench->directory_,
                             .servers = options.voters,
                             .extra_flags = {"--clients-max", std::to_string(clients_max)}});
  if (!cluster) return std::move(cluster).error();
  bench->cluster_ = *std::move(cluster);
  if (Status status = bench->cluster_->start_all(); !status) return std::move(status).error();
  const auto leader = bench->cluster_->await_leader(std::chrono::seconds(30));
  if (!leader) return leader.error();
  bench->leader_ = *leader;
  return bench;
}

std::vector<std::string> BenchCluster::addresses() const {
  std::vector<std::string> addresses;
  for (std::size_t i = 0; i < cluster_->servers().size(); ++i) {
    addresses.push_back(server(i).client_address);
  }
  return addresses;
}

Sample BenchCluster::sample() const {
  Sample sample;
  for (std::size_t i = 0; i < cluster_->servers().size(); ++i) {
    const auto metrics = http_get(server(i).admin_address, "/metrics", std::chrono::seconds(5));
    const std::string text = metrics ? *metrics : "";
    sample.servers.push_back({.cpu = bench::cpu_time_of(server(i).pid),
                              .syncs = bench::metric(text, "kuilt_log_syncs_total"),
                              .entries = bench::metric(text, "kuilt_log_entries_total")});
  }
  sample.load_cpu = bench::cpu_time_of(::getpid());
  sample.at = bench::now();
  return sample;
}

double in_microseconds(Duration time) { return static_cast<double>(time.count()) / 1000; }

double ratio(double figure, double limit) { return limit > 0 ? figure / limit : 0; }

namespace {

double percent_of_core(Duration cpu, Duration of) {
  return 100 * ratio(static_cast<double>(cpu.count()), static_cast<double>(of.count()));
}

}  // namespace

ordered_json microseconds(const bench::Spread& spread) {
  return {{"p50", in_microseconds(spread.p50)},
          {"p99", in_microseconds(spread.p99)},
          {"p999", in_microseconds(spread.p999)}};
}

ordered_json usage_between(const Sample& before, const Sample& after) {
  const Duration time = after.at - before.at;
  ordered_json servers = ordered_json::array();
  for (std::size_t i = 0; i < after.servers.size(); ++i) {
    const ServerSample& from = before.servers[i];
    const ServerSample& to = after.servers[i];
    const double syncs = to.syncs - from.syncs;
    servers.push_back(
        {{"leader", i == 0},
         {"cpu_percent", percent_of_core(to.cpu - from.cpu, time)},
         {"fdatasyncs", syncs},
         {"fdatasyncs_per_second", syncs / std::chrono::duration<double>(time).count()},
         {"entries_per_fdatasync", ratio(to.entries - from.entries, syncs)}});
  }
  return {{"servers", servers},
          {"load_cpu_percent", percent_of_core(after.load_cpu - before.load_cpu, time)}};
}

void print_usage(const ordered_json& usage) {
  for (const ordered_json& server : usage.at("servers")) {
    std::printf("    %-9s %5.0f %% of a core · %6.0f fdatasyncs/s · %6.1f entries each\n",
                server.at("leader").get<bool>() ? "leader" : "follower",
                server.at("cpu_percent").get<double>(),
                server.at("fdatasyncs_per_second").get<double>(),
                server.at("entries_per_fdatasync").get<double>());
  }
  std::printf("    %-9s %5.0f %% of a core\n", "load", usage.at("load_cpu_percent").get<double>());
}

std::string text_of(const ordered_json& latency) {
  char text[96];
  std::snprintf(text, sizeof text, "p50 %.0f µs · p99 %.0f µs · p99.9 %.0f µs",
                latency.at("p50").get<double>(), latency.at("p99").get<double>(),
                latency.at("p999").get<double>());
  return text;
}

}  // namespace kuilt::cli
