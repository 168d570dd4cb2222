// What the cluster can do on this machine, each figure beside the limit of the same run.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "bench/audience.hpp"
#include "bench/bare_cluster.hpp"
#include "bench/bare_feed.hpp"
#include "bench/proposers.hpp"
#include "bench/usage.hpp"
#include "cli/bench.hpp"
#include "cli/bench_cluster.hpp"
#include "cli/bench_rooms.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"

namespace kuilt::cli {
namespace {

using nlohmann::ordered_json;

constexpr auto propose_notes = R"(Examples:
  kuilt bench propose                                  1,000 clients, a third on each of 3 servers
  kuilt bench propose --clients 1 --voters 1           what one client waits for
  kuilt bench propose --rate 5000 --seconds 30 --json  open loop: latency at 5,000 a second

Starts servers of its own, as processes with durable logs; fsync is always on, there is no switch.
First a closed loop, as fast as it goes; then an open loop at --rate, its latencies counted from when
each proposal was meant to leave. The limit is a bare loop of as many processes that moves the same
bytes over as many sockets and into files with the same syncs, and does nothing else.)";

constexpr auto fanout_notes = R"(Examples:
  kuilt bench fanout                                   1,000 learners of one server
  kuilt bench fanout --learners 5000 --voters 3 --spread
  kuilt bench fanout --rate 1500 --seconds 30 --json

Idle memory of the server for each learner; then delay from commit to the last learner at --rate
entries a second; then as many entries as the slowest learner takes. The limit is a bare loop that
sends the same bytes to as many sockets in frames of the same size, and does nothing else.)";

struct BenchFlags {
  std::size_t voters = 3;
  std::size_t clients = 1000;
  std::size_t in_flight = 1;
  std::size_t learners = 1000;
  std::size_t command_bytes = 256;
  std::size_t window = 0;
  double rate = 0;
  double seconds = 5;
  bool spread = false;
  bool json = false;
  std::string directory;

  [[nodiscard]] Duration measured() const {
    return Duration(static_cast<Duration::rep>(seconds * 1e9));
  }
  /// Entries ahead of the slowest learner. By default no more than a server holds for slow readers.
  [[nodiscard]] std::size_t entries_ahead() const {
    constexpr std::size_t for_all_learners = 600'000;  // Of 256 bytes each, below 256 MiB.
    if (window > 0) return window;
    return std::clamp<std::size_t>(for_all_learners / std::max<std::size_t>(learners, 1), 16, 1024);
  }
  [[nodiscard]] BenchClusterOptions cluster() const {
    return {.voters = voters, .links = clients + learners, .directory = directory};
  }
  [[nodiscard]] Duration warm_up() const {
    return std::min<Duration>(measured() / 2, std::chrono::seconds(1));
  }
};

// ---- Proposals

ordered_json report_of(const bench::ProposalFigures& figures, ordered_json usage) {
  return {{"proposals_per_second", figures.per_second()},
          {"latency_us", microseconds(figures.latency)},
          {"refused", figures.refused},
          {"usage", std::move(usage)}};
}

/// Both loops against the servers.
Result<ordered_json> measure_proposals(const BenchFlags& flags, const BenchCluster& cluster) {
  bench::Loop loop;
  auto load = bench::Proposers::open(loop, {.addresses = cluster.addresses(),
                                            .clients = flags.clients,
                                            .command_bytes = flags.command_bytes});
  if (!load) return std::move(load).error();
  const Sample start = cluster.sample();
  const auto closed = (*load)->run_closed(flags.in_flight, flags.warm_up(), flags.measured());
  if (!closed) return closed.error();
  const Sample middle = cluster.sample();
  constexpr double share_of_saturation = 0.5;
  const double rate = flags.rate > 0 ? flags.rate : share_of_saturation * closed->per_second();
  const auto open = (*load)->run_open(rate, flags.warm_up(), flags.measured());
  if (!open) return open.error();
  ordered_json report;
  report["closed_loop"] = report_of(*closed, usage_between(start, middle));
  report["open_loop"] = report_of(*open, usage_between(middle, cluster.sample()));
  report["open_loop"]["rate"] = rate;
  return report;
}

/// The limit, once the servers are gone.
Status add_limit(const BenchFlags& flags, const std::string& directory, ordered_json& report) {
  const bench::ProposalSizes sizes = bench::sizes_of(flags.command_bytes);
  const auto bare = bench::run_bare_cluster({.voters = flags.voters,
                                             .clients = flags.clients,
                                             .in_flight = flags.in_flight,
                                             .request_bytes = sizes.request,
                                             .answer_bytes = sizes.answer,
                                             .entry_bytes = sizes.entry,
                                             .directory = directory},
                                            flags.warm_up(), flags.measured());
  if (!bare) return bare.error();
  const auto sync = bench::bare_sync_time(directory, flags.voters, std::chrono::milliseconds(500));
  if (!sync) return sync.error();
  report["limit"] = {{"proposals_per_second", bare->per_second()},
                     {"latency_us", microseconds(bare->latency)},
                     {"fdatasync_us", in_microseconds(*sync)}};
  const ordered_json& closed = report.at("closed_loop");
  const double rate = closed.at("proposals_per_second").get<double>();
  const double wait = closed.at("latency_us").at("p50").get<double>();
  report["ratio"] = {{"proposals_per_second", ratio(rate, bare->per_second())},
                     {"latency_p50", ratio(wait, in_microseconds(bare->latency.p50))}};
  return Done{};
}

void print_loop(const char* name, const ordered_json& loop) {
  std::printf("  %-12s %8.0f proposals/s · %s · refused %llu\n", name,
              loop.at("proposals_per_second").get<double>(), text_of(loop.at("latency_us")).c_str(),
              loop.at("refused").get<unsigned long long>());
  print_usage(loop.at("usage"));
}

void print_proposals(const BenchFlags& flags, const ordered_json& report) {
  std::printf("%zu voters, %zu clients, %zu in flight each, %zu-byte commands, fsync on\n",
              flags.voters, flags.clients, flags.in_flight, flags.command_bytes);
  print_loop("closed loop", report.at("closed_loop"));
  print_loop("open loop", report.at("open_loop"));
  const ordered_json& limit = report.at("limit");
  std::printf("  %-12s %8.0f proposals/s · %s · one fdatasync %.0f µs\n", "bare loop",
              limit.at("proposals_per_second").get<double>(),
              text_of(limit.at("latency_us")).c_str(), limit.at("fdatasync_us").get<double>());
  const ordered_json& of = report.at("ratio");
  std::printf("  closed loop against bare loop: proposals/s %.2f · latency p50 %.2f\n",
              of.at("proposals_per_second").get<double>(), of.at("latency_p50").get<double>());
}

/// Servers, both loops, then the limit.
Result<ordered_json> measure_all_of_propose(const BenchFlags& flags) {
  bench::raise_open_files();
  auto cluster = BenchCluster::start(flags.cluster());
  if (!cluster) return std::move(cluster).error();
  ordered_json result = {{"bench", "propose"},
                         {"voters", flags.voters},
                         {"clients", flags.clients},
                         {"in_flight", flags.in_flight},
                         {"command_bytes", flags.command_bytes},
                         {"seconds", flags.seconds},
                         {"fsync", true}};
  const auto measured = measure_proposals(flags, **cluster);
  if (!measured) return measured.error();
  result.update(*measured);
  (*cluster)->stop();
  if (Status status = add_limit(flags, (*cluster)->directory(), result); !status) {
    return std::move(status).error();
  }
  return result;
}

int run_propose(const BenchFlags& flags) {
  const auto result = measure_all_of_propose(flags);
  if (!result) return report(result.error());
  if (flags.json) return put_line(result->dump()) ? 0 : 1;
  print_proposals(flags, *result);
  return 0;
}

// ---- Fan-out

/// The learners of one run, and who proposes what they observe.
struct Hall {
  bench::Loop loop;
  std::unique_ptr<bench::Audience> audience;
  std::unique_ptr<bench::Proposers> proposers;

  void idle(Duration time) {
    for (const Instant until = bench::now() + time; bench::now() < until;) loop.turn(until);
  }
};

/// All on one server, which leads only if it is alone; or a share on each.
std::vector<std::string> learner_addresses(const BenchFlags& flags, const BenchCluster& cluster) {
  if (flags.spread) return cluster.addresses();
  return {cluster.server(flags.voters > 1 ? 1 : 0).client_address};
}

Result<ordered_json> fill(Hall& hall, const BenchFlags& flags, const BenchCluster& cluster) {
  constexpr auto settling = std::chrono::milliseconds(1500);
  const std::size_t place = flags.voters > 1 ? 1 : 0;
  const std::size_t before = bench::resident_bytes_of(cluster.server(place).pid);
  auto audience =
      bench::Audience::open(hall.loop, learner_addresses(flags, cluster), flags.learners);
  if (!audience) return std::move(audience).error();
  hall.audience = *std::move(audience);
  hall.idle(settling);
  const std::size_t after = bench::resident_bytes_of(cluster.server(place).pid);
  const Sample start = cluster.sample();
  hall.idle(flags.measured());
  const ordered_json usage = usage_between(start, cluster.sample());
  const std::size_t there = flags.spread ? flags.learners / flags.voters : flags.learners;
  const double each = static_cast<double>(after - std::min(before, after)) /
                      static_cast<double>(std::max<std::size_t>(there, 1));
  // A shard that is busy with learners reads one frame of each client in a turn.
  constexpr std::size_t proposing_clients = 64;
  auto proposers =
      bench::Proposers::open(hall.loop, {.addresses = {cluster.server(0).client_address},
                                         .clients = proposing_clients,
                                         .command_bytes = flags.command_bytes});
  if (!proposers) return std::move(proposers).error();
  hall.proposers = *std::move(proposers);
  hall.proposers->on_committed([&hall](Position at, Instant intended, Instant answered) {
    hall.audience->committed(at, intended, answered);
  });
  return ordered_json{{"server_bytes_each", each},
                      {"cpu_percent", usage.at("servers").at(place).at("cpu_percent")}};
}

/// Waits for the answers, and until the slowest learner has what was committed.
Status settle(Hall& hall, std::uint64_t wanted) {
  if (Status status = hall.proposers->await_answers(); !status) return status;
  const Instant deadline = bench::now() + std::chrono::seconds(20);
  while (hall.audience->complete() < wanted && !hall.audience->broken()) {
    if (bench::now() > deadline) {
      return Error(ErrorCode::timed_out, Effect::none, "the last learner is 20 s behind");
    }
    hall.loop.turn(deadline);
  }
  if (hall.audience->broken()) return *hall.audience->broken();
  return Done{};
}

Result<bench::AudienceFigures> paced(Hall& hall, const BenchFlags& flags) {
  const Instant from = bench::now() + flags.warm_up();
  hall.audience->begin(from, from + flags.measured());
  const std::uint64_t before = hall.audience->complete();
  const auto run = hall.proposers->run_open(flags.rate, flags.warm_up(), flags.measured());
  if (!run) return run.error();
  if (Status status = settle(hall, before + run->committed); !status) {
    return std::move(status).error();
  }
  return hall.audience->figures();
}

/// The slowest learner sets the pace: never more than a window ahead of it.
Result<bench::AudienceFigures> saturated(Hall& hall, const BenchFlags& flags) {
  constexpr std::size_t per_frame_max = 128;
  const std::size_t window = flags.entries_ahead();
  const Instant from = bench::now() + flags.warm_up();
  const Instant until = from + flags.measured();
  hall.audience->begin(from, until);
  const std::uint64_t before = hall.audience->complete();
  std::uint64_t proposed = 0;
  while (bench::now() < until && !hall.audience->broken() && !hall.proposers->broken()) {
    const std::uint64_t ahead = proposed - std::min(proposed, hall.audience->complete() - before);
    for (std::size_t room = window - std::min<std::size_t>(ahead, window); room > 0;) {
      const std::size_t count = std::min(room, per_frame_max);
      hall.proposers->propose(count, bench::now());
      proposed += count;
      room -= count;
    }
    hall.loop.turn(until);
  }
  if (Status status = settle(hall, before + proposed); !status) return std::move(status).error();
  return hall.audience->figures();
}

ordered_json report_of(const bench::AudienceFigures& figures, ordered_json usage) {
  const auto frames = static_cast<double>(figures.frames);
  return {{"entries_per_second", figures.entries_per_second()},
          {"entries_per_frame", ratio(static_cast<double>(figures.entries), frames)},
          {"frame_bytes", ratio(static_cast<double>(figures.bytes), frames)},
          {"frames", figures.frames},
          {"first_to_last_us", microseconds(figures.first_to_last)},
          {"propose_to_last_us", microseconds(figures.propose_to_last)},
          {"usage", std::move(usage)}};
}

Result<ordered_json> measure_fanout(const BenchFlags& flags, const BenchCluster& cluster) {
  Hall hall;
  auto idle = fill(hall, flags, cluster);
  if (!idle) return std::move(idle).error();
  const Sample start = cluster.sample();
  const auto at_rate = paced(hall, flags);
  if (!at_rate) return at_rate.error();
  const Sample middle = cluster.sample();
  const auto at_most = saturated(hall, flags);
  if (!at_most) return at_most.error();
  ordered_json report;
  report["idle"] = *std::move(idle);
  report["paced"] = report_of(*at_rate, usage_between(start, middle));
  report["saturated"] = report_of(*at_most, usage_between(middle, cluster.sample()));
  return report;
}

/// The bare loop for one of the two phases.
Status add_bare_feed(const BenchFlags& flags, bool at_rate, ordered_json& phase) {
  constexpr std::size_t frame_header_bytes = 4;
  const double entries_each = std::max(1.0, phase.at("entries_per_frame").get<double>());
  const double frames = phase.at("frames").get<double>() / static_cast<double>(flags.learners);
  const auto window =
      static_cast<std::size_t>(static_cast<double>(flags.entries_ahead()) / entries_each);
  const auto bytes = static_cast<std::size_t>(phase.at("frame_bytes").get<double>());
  const auto bare = bench::run_bare_feed({.learners = flags.learners,
                                          .frame_bytes = bytes + frame_header_bytes,
                                          .frames_per_second = at_rate ? frames / flags.seconds : 0,
                                          .window_frames = std::max<std::size_t>(window, 1)},
                                         flags.warm_up(), flags.measured());
  if (!bare) return bare.error();
  const double entries = bare->frames_per_learner_second(flags.learners) * entries_each *
                         static_cast<double>(flags.learners);
  phase["limit"] = {{"entries_per_second", entries},
                    {"first_to_last_us", microseconds(bare->first_to_last)},
                    {"order_to_last_us", microseconds(bare->order_to_last)}};
  const double delay = phase.at("first_to_last_us").at("p99").get<double>();
  phase["ratio"] = {
      {"entries_per_second", ratio(phase.at("entries_per_second").get<double>(), entries)},
      {"first_to_last_p99", ratio(delay, in_microseconds(bare->first_to_last.p99))}};
  return Done{};
}

void print_phase(const char* name, const ordered_json& phase) {
  const ordered_json& limit = phase.at("limit");
  std::printf("  %-10s %10.0f entries/s delivered · %.1f entries in a frame\n", name,
              phase.at("entries_per_second").get<double>(),
              phase.at("entries_per_frame").get<double>());
  std::printf("    first sign of a commit to last learner   %s\n",
              text_of(phase.at("first_to_last_us")).c_str());
  std::printf("    meant to be proposed to last learner     %s\n",
              text_of(phase.at("propose_to_last_us")).c_str());
  print_usage(phase.at("usage"));
  std::printf("    bare loop %10.0f entries/s · first to last %s\n",
              limit.at("entries_per_second").get<double>(),
              text_of(limit.at("first_to_last_us")).c_str());
  std::printf("    against bare loop: entries/s %.2f · first to last, p99 %.2f\n",
              phase.at("ratio").at("entries_per_second").get<double>(),
              phase.at("ratio").at("first_to_last_p99").get<double>());
}

void print_fanout(const BenchFlags& flags, const ordered_json& report) {
  std::printf("%zu learners%s, %zu voters, %zu-byte commands, fsync on\n", flags.learners,
              flags.spread ? " over all servers" : " of one server", flags.voters,
              flags.command_bytes);
  std::printf(
      "  idle       %.0f bytes of the server for each learner · %.1f %% of a core for all\n",
      report.at("idle").at("server_bytes_each").get<double>(),
      report.at("idle").at("cpu_percent").get<double>());
  print_phase("paced", report.at("paced"));
  print_phase("saturated", report.at("saturated"));
}

int run_fanout(const BenchFlags& flags) {
  constexpr std::size_t files_besides_learners = 100;
  const std::size_t files = bench::raise_open_files();
  if (flags.learners + files_besides_learners > files) {
    return report(Error(ErrorCode::usage, "--learners " + std::to_string(flags.learners) +
                                              ": this process may open only " +
                                              std::to_string(files) + " files (ulimit -Hn)"));
  }
  auto cluster = BenchCluster::start(flags.cluster());
  if (!cluster) return report(cluster.error());
  auto measured = measure_fanout(flags, **cluster);
  if (!measured) return report(measured.error());
  (*cluster)->stop();
  for (const bool at_rate : {true, false}) {
    ordered_json& phase = measured->at(at_rate ? "paced" : "saturated");
    if (Status status = add_bare_feed(flags, at_rate, phase); !status) {
      return report(status.error());
    }
  }
  ordered_json result = {{"bench", "fanout"},
                         {"voters", flags.voters},
                         {"learners", flags.learners},
                         {"spread", flags.spread},
                         {"command_bytes", flags.command_bytes},
                         {"rate", flags.rate},
                         {"window", flags.entries_ahead()},
                         {"seconds", flags.seconds},
                         {"fsync", true}};
  result.update(*measured);
  if (flags.json) return put_line(result.dump()) ? 0 : 1;
  print_fanout(flags, result);
  return 0;
}

/// `own` flags, and those that both measurements have.
std::vector<Flag> with_shared(std::vector<Flag> own, BenchFlags& flags) {
  own.insert(own.end(),
             {{.name = "--voters", .value = one_of(flags.voters, {1, 3, 5}), .help = "Servers"},
              {.name = "--seconds",
               .value = decimal(flags.seconds, 0.1, 3600),
               .help = "Of each measurement, after warming up"},
              {.name = "--command-bytes",
               .value = number(flags.command_bytes, 1, 1 << 20),
               .help = "Of each command"},
              {.name = "--dir",
               .value = folder(flags.directory),
               .help = "Where the logs go, and are removed at the end: the disk that is measured; "
                       "the system's temporary directory if empty"},
              {.name = "--json", .value = yes_no(flags.json), .help = "One JSON object"}});
  return own;
}

Command bench_propose_command() {
  const auto flags = std::make_shared<BenchFlags>();
  flags->learners = 0;
  return {.name = "propose",
          .about = "Proposals a second, and how long each takes",
          .notes = propose_notes,
          .flags = with_shared(
              {{.name = "--clients",
                .value = number(flags->clients, 1, 10'000),
                .help = "Links that propose, a share on each server"},
               {.name = "--in-flight",
                .value = number(flags->in_flight, 1, 512),
                .help = "Of each client, in the closed loop"},
               {.name = "--rate",
                .value = decimal(flags->rate, 0, 1e6),
                .help = "Proposals a second in the open loop; 0: half of the closed loop's"}},
              *flags),
          .run = [flags](Command&) { return run_propose(*flags); }};
}

Command bench_fanout_command() {
  const auto flags = std::make_shared<BenchFlags>();
  flags->voters = 1;
  flags->clients = 0;
  flags->rate = 1000;
  return {.name = "fanout",
          .about = "Entries delivered to many learners, and when",
          .notes = fanout_notes,
          .flags = with_shared(
              {{.name = "--learners",
                .value = number(flags->learners, 1, 100'000),
                .help = "Links that observe"},
               {.name = "--spread",
                .value = yes_no(flags->spread),
                .help = "Learners on all servers, not on one"},
               {.name = "--rate",
                .value = decimal(flags->rate, 1, 1e6),
                .help = "Entries proposed a second, while delay is measured"},
               {.name = "--window",
                .value = number(flags->window, 0, 8192),
                .help = "Entries ahead of the slowest learner, while throughput is measured; 0: as "
                        "many as a server holds for slow readers, 1024 at most"}},
              *flags),
          .run = [flags](Command&) { return run_fanout(*flags); }};
}

}  // namespace

Result<BenchFigures> bench_proposals(const BenchPlan& plan) {
  BenchFlags flags;
  flags.voters = plan.voters;
  flags.clients = plan.clients;
  flags.learners = 0;
  flags.seconds = plan.seconds;
  flags.directory = plan.directory;
  const auto result = measure_all_of_propose(flags);
  if (!result) return result.error();
  const ordered_json& closed = result->at("closed_loop");
  const ordered_json& open = result->at("open_loop");
  const auto time = [](const ordered_json& microseconds) {
    return std::chrono::microseconds(static_cast<std::int64_t>(microseconds.get<double>()));
  };
  return BenchFigures{.proposals_per_second = closed.at("proposals_per_second").get<double>(),
                      .of_bare_loop = result->at("ratio").at("proposals_per_second").get<double>(),
                      .latency = time(open.at("latency_us").at("p99")),
                      .fdatasync = time(result->at("limit").at("fdatasync_us")),
                      .refused = closed.at("refused").get<std::uint64_t>() +
                                 open.at("refused").get<std::uint64_t>()};
}

Command bench_command() {
  return {.name = "bench",
          .about = "What this machine and kuilt can do together",
          .notes = "Examples:\n  kuilt bench propose\n  kuilt bench fanout\n  kuilt bench rooms",
          .commands = {bench_propose_command(), bench_fanout_command(), bench_rooms_command()}};
}

}  // namespace kuilt::cli
