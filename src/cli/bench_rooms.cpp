// Many rooms with a few members each: messages, and entries, beside the same limit.
#include "cli/bench_rooms.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>

#include "bench/bare_feed.hpp"
#include "bench/crowd.hpp"
#include "cli/bench_cluster.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"

namespace kuilt::cli {
namespace {

using nlohmann::ordered_json;

constexpr auto rooms_notes = R"(Examples:
  kuilt bench rooms                                    1,000 rooms of 10, a third of all on each server
  kuilt bench rooms --rooms 10 --members 100 --voters 1 --json

In each room one member speaks at a time, and the next as soon as all have heard: first by messages
between members, which no log holds, then by commands that all in the room observe. The limit is a
bare loop that sends frames of the same size to as many sockets, and does nothing else.)";

struct RoomFlags {
  std::size_t voters = 3;
  std::size_t rooms = 1000;
  std::size_t members = 10;
  std::size_t bytes = 256;
  double seconds = 5;
  bool json = false;
  std::string directory;

  [[nodiscard]] std::size_t links() const { return rooms * members; }
  [[nodiscard]] Duration measured() const {
    return Duration(static_cast<Duration::rep>(seconds * 1e9));
  }
  [[nodiscard]] Duration warm_up() const {
    return std::min<Duration>(measured() / 2, std::chrono::seconds(1));
  }
};

ordered_json report_of(const bench::CrowdFigures& figures, ordered_json usage) {
  const double seconds = std::chrono::duration<double>(figures.measured).count();
  return {{"said_per_second", static_cast<double>(figures.said) / seconds},
          {"heard_per_second", static_cast<double>(figures.heard) / seconds},
          {"frame_bytes",
           ratio(static_cast<double>(figures.bytes), static_cast<double>(figures.heard))},
          {"lost", figures.lost},
          {"to_last_us", microseconds(figures.to_last)},
          {"usage", std::move(usage)}};
}

Result<ordered_json> measure(const RoomFlags& flags, const BenchCluster& cluster) {
  bench::Loop loop;
  auto crowd = bench::Crowd::open(loop, {.addresses = cluster.addresses(),
                                         .rooms = flags.rooms,
                                         .members = flags.members,
                                         .bytes = flags.bytes});
  if (!crowd) return std::move(crowd).error();
  const Sample start = cluster.sample();
  const auto messages = (*crowd)->run(bench::Speech::message, flags.warm_up(), flags.measured());
  if (!messages) return messages.error();
  const Sample middle = cluster.sample();
  const auto commands = (*crowd)->run(bench::Speech::command, flags.warm_up(), flags.measured());
  if (!commands) return commands.error();
  return ordered_json{{"messages", report_of(*messages, usage_between(start, middle))},
                      {"commands", report_of(*commands, usage_between(middle, cluster.sample()))}};
}

/// The limit, once the servers are gone. One process has both ends of its sockets, so there may
/// have to be fewer of them.
Status add_limit(const RoomFlags& flags, std::size_t files, ordered_json& phase) {
  const std::size_t sockets = std::min(flags.links(), files / 3);
  constexpr std::size_t frame_header_bytes = 4;
  const auto bytes = static_cast<std::size_t>(phase.at("frame_bytes").get<double>());
  const auto bare = bench::run_bare_feed({.learners = sockets,
                                          .frame_bytes = bytes + frame_header_bytes,
                                          .frames_per_second = 0,
                                          .window_frames = 1},
                                         flags.warm_up(), flags.measured());
  if (!bare) return bare.error();
  const double frames = bare->frames_per_learner_second(sockets) * static_cast<double>(sockets);
  phase["limit"] = {{"sockets", sockets}, {"frames_per_second", frames}};
  phase["ratio"] = ratio(phase.at("heard_per_second").get<double>(), frames);
  return Done{};
}

void print_phase(const char* name, const ordered_json& phase) {
  std::printf("  %-9s %9.0f said/s · %9.0f heard/s · to the last member %s · lost %llu\n", name,
              phase.at("said_per_second").get<double>(), phase.at("heard_per_second").get<double>(),
              text_of(phase.at("to_last_us")).c_str(), phase.at("lost").get<unsigned long long>());
  print_usage(phase.at("usage"));
  std::printf("    bare loop %9.0f frames/s · heard/s against it %.2f\n",
              phase.at("limit").at("frames_per_second").get<double>(),
              phase.at("ratio").get<double>());
}

Result<ordered_json> measure_all(const RoomFlags& flags) {
  constexpr std::size_t files_besides_members = 100;
  const std::size_t files = bench::raise_open_files();
  if (flags.links() + files_besides_members > files) {
    return Error(ErrorCode::usage, std::to_string(flags.links()) +
                                       " members: this process may open only " +
                                       std::to_string(files) + " files (ulimit -Hn)");
  }
  auto cluster = BenchCluster::start(
      {.voters = flags.voters, .links = flags.links(), .directory = flags.directory});
  if (!cluster) return std::move(cluster).error();
  auto measured = measure(flags, **cluster);
  if (!measured) return std::move(measured).error();
  (*cluster)->stop();
  for (const char* phase : {"messages", "commands"}) {
    if (Status status = add_limit(flags, files, measured->at(phase)); !status) {
      return std::move(status).error();
    }
  }
  ordered_json result = {{"bench", "rooms"},     {"voters", flags.voters},
                         {"rooms", flags.rooms}, {"members", flags.members},
                         {"bytes", flags.bytes}, {"seconds", flags.seconds},
                         {"fsync", true}};
  result.update(*measured);
  return result;
}

int run_rooms(const RoomFlags& flags) {
  const auto result = measure_all(flags);
  if (!result) return report(result.error());
  if (flags.json) return put_line(result->dump()) ? 0 : 1;
  std::printf("%zu rooms of %zu members, %zu voters, %zu bytes each time, fsync on\n", flags.rooms,
              flags.members, flags.voters, flags.bytes);
  print_phase("messages", result->at("messages"));
  print_phase("commands", result->at("commands"));
  return 0;
}

}  // namespace

Command bench_rooms_command() {
  const auto flags = std::make_shared<RoomFlags>();
  return {
      .name = "rooms",
      .about = "Messages and entries in many small rooms",
      .notes = rooms_notes,
      .flags = {{.name = "--rooms",
                 .value = number(flags->rooms, 1, 10'000),
                 .help = "Rooms, each with members of its own"},
                {.name = "--members",
                 .value = number(flags->members, 2, 1000),
                 .help = "Of each room, spread over the servers"},
                {.name = "--bytes",
                 .value = number(flags->bytes, 24, 1 << 16),
                 .help = "Of each message or command"},
                {.name = "--voters", .value = one_of(flags->voters, {1, 3, 5}), .help = "Servers"},
                {.name = "--seconds",
                 .value = decimal(flags->seconds, 0.1, 3600),
                 .help = "Of each measurement, after warming up"},
                {.name = "--dir",
                 .value = folder(flags->directory),
                 .help = "Where the logs go, and are removed at the end; the system's "
                         "temporary directory if empty"},
                {.name = "--json", .value = yes_no(flags->json), .help = "One JSON object"}},
      .run = [flags](Command&) { return run_rooms(*flags); }};
}

}  // namespace kuilt::cli
