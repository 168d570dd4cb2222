// kuilt check: whether a machine, and whether a cluster, is what it should be.
#include "cli/check.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/commands.hpp"
#include "cli/json_line.hpp"
#include "cli/link_news.hpp"
#include "cli/output.hpp"
#include "kuilt/client.hpp"

namespace kuilt::cli {
namespace {

constexpr auto perf_notes = R"(Examples:
  kuilt check perf                        64 clients and 3 servers of its own, on this machine
  kuilt check perf --dir /var/lib/kuilt   on the disk that the servers will use

Runs `kuilt bench propose` for a few seconds and judges: one fdatasync takes at most 10 ms, a
proposal at half load is committed within 100 ms (p99), nothing is refused, and the servers do at
least a tenth of what a bare loop with the same writes does. Run it where nothing else is busy.
Exit status: 0 all pass · 8 something fails.)";

constexpr auto consistency_notes = R"(Examples:
  kuilt check consistency                                           the servers of the context
  kuilt check consistency -e ws://10.0.0.1:7400,ws://10.0.0.2:7400  these

Asks each server for its digest of the room's whole history through the last index that all of them
have committed: a chain over every entry, as observers get it. Equal digests are equal histories.
Writes nothing. Servers that do not answer can't be compared, which fails the check.
Exit status: 0 all are equal · 3 no server answers · 8 one differs, or could not be asked.)";

constexpr int check_failed = 8;

std::string percent(double share) { return std::to_string(static_cast<int>(share * 100)) + " %"; }

/// PASS or FAIL for each, and the exit status.
int print(const std::vector<Finding>& findings, bool json) {
  bool passes = true;
  for (const Finding& one : findings) {
    passes = passes && one.passes;
    const char* verdict = one.passes ? "PASS" : "FAIL";
    const std::string line =
        json ? JsonLine()
                   .add("check", one.what)
                   .add("passes", one.passes)
                   .add("figure", one.figure)
                   .add("limit", one.limit)
                   .text()
             : std::string(verdict) + "  " + one.what + ": " + one.figure + " (" + one.limit + ")";
    if (!put_line(line)) return 0;
  }
  return passes ? 0 : check_failed;
}

// ---- Performance

struct PerfFlags {
  Common common;
  BenchPlan plan;
};

int check_performance(const PerfFlags& flags) {
  const auto figures = bench_proposals(flags.plan);
  if (!figures) return report(figures.error());
  return print(judge_performance(*figures), flags.common.json());
}

// ---- Consistency

struct ConsistencyFlags {
  Common common;
  std::string room;
  std::chrono::milliseconds deadline = std::chrono::seconds(15);
};

/// Where one server stands, and its digest through there: what it answers to an observer first.
Testimony ask(const std::string& endpoint, From from, const ConsistencyFlags& flags) {
  Testimony testimony{endpoint, std::nullopt, "does not answer within " + text_of(flags.deadline)};
  // Both written by the client's thread, and read once the client has stopped.
  std::string trouble;
  bool is_elsewhere = false;
  ClientOptions options;
  options.on_event = [&](const ClientEvent& event) {
    // A server that drains sends its clients to another one, whose word is no testimony of its own.
    is_elsewhere = is_elsewhere || event.endpoint != endpoint;
    if (event.kind != ClientEventKind::connected) trouble = event.text;
  };
  auto client = ClusterClient::connect(ClusterEndpoints{endpoint}, std::move(options));
  if (!client) return {endpoint, std::nullopt, client.error().message()};
  auto seen = client->observe(from, {.room = flags.room});
  if (!seen) return {endpoint, std::nullopt, seen.error().message()};
  const auto give_up_at = std::chrono::steady_clock::now() + flags.deadline;
  while (!seen->token() && interrupt() == 0 && std::chrono::steady_clock::now() < give_up_at) {
    if (!seen->next_for(std::chrono::milliseconds(100)) && seen->error()) break;
  }
  const std::optional<ResumeToken> token = seen->token();
  client->stop();
  if (token && !is_elsewhere) {
    testimony.token = token;
  } else if (!trouble.empty()) {
    testimony.trouble = trouble;
  }
  return testimony;
}

std::vector<Testimony> ask_all(const std::vector<std::string>& endpoints, const From& from,
                               const ConsistencyFlags& flags) {
  std::vector<Testimony> testimonies;
  for (const std::string& one : endpoints) testimonies.push_back(ask(one, from, flags));
  return testimonies;
}

int check_consistency(const ConsistencyFlags& flags) {
  remember_interrupts();
  const ClusterEndpoints endpoints = endpoints_of(flags.common);
  std::vector<Testimony> testimonies = ask_all(endpoints.urls(), from_now, flags);
  std::optional<std::uint64_t> common;
  for (const Testimony& one : testimonies) {
    if (!one.token) continue;
    const std::uint64_t index = one.token->position.index.value();
    common = std::min(common.value_or(index), index);
  }
  if (interrupt() != 0) return interrupted_status;
  if (!common) {
    return report(Error(ErrorCode::no_server,
                        testimonies.front().endpoint + ": " + testimonies.front().trouble));
  }
  for (Testimony& one : testimonies) {
    if (one.token) one = ask(one.endpoint, from_index(*common + 1), flags);
  }
  if (interrupt() != 0) return interrupted_status;
  return print(judge_consistency(testimonies), flags.common.json());
}

std::string hexadecimal(std::uint64_t digest) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(digest));
  return text;
}

std::string token_text(const ResumeToken& token) {
  return "index " + std::to_string(token.position.index.value()) + ", term " +
         std::to_string(token.position.term.value()) + ", digest " + hexadecimal(token.digest);
}

/// Why they are not one history; empty if they are.
std::string difference(const ResumeToken& first, const ResumeToken& other) {
  if (first.cluster != other.cluster) return "is of another cluster than the first";
  if (first.history != other.history) return "has another history id than the first";
  if (first.position != other.position) return "has another term there than the first";
  if (first.digest != other.digest) return "has another history than the first";
  return "";
}

Command perf_command() {
  const auto flags = std::make_shared<PerfFlags>();
  return {.name = "perf",
          .about = "Whether this machine can carry a cluster",
          .notes = perf_notes,
          .flags = {{.name = "--voters",
                     .value = one_of(flags->plan.voters, {1, 3, 5}),
                     .help = "Servers"},
                    {.name = "--clients",
                     .value = number(flags->plan.clients, 1, 10'000),
                     .help = "Links that propose"},
                    {.name = "--seconds",
                     .value = decimal(flags->plan.seconds, 0.1, 3600),
                     .help = "Of each measurement"},
                    {.name = "--dir",
                     .value = folder(flags->plan.directory),
                     .help = "The disk to measure; the system's temporary directory if empty"},
                    output_flag(flags->common)},
          .run = [flags](Command&) { return check_performance(*flags); }};
}

Command consistency_command() {
  const auto flags = std::make_shared<ConsistencyFlags>();
  return {.name = "consistency",
          .about = "Whether all servers have the same history",
          .notes = consistency_notes,
          .flags = {endpoints_flag(flags->common),
                    {.name = "--room",
                     .value = text(flags->room, "ROOM"),
                     .help = "Room to compare; the default room if empty"},
                    {.name = "--deadline",
                     .value = duration(flags->deadline),
                     .help = "For the answer of one server"},
                    output_flag(flags->common)},
          .run = [flags](Command&) { return check_consistency(*flags); }};
}

}  // namespace

std::vector<Finding> judge_performance(const BenchFigures& figures) {
  constexpr auto fdatasync_max = std::chrono::milliseconds(10);
  constexpr auto latency_max = std::chrono::milliseconds(100);
  constexpr double of_bare_loop_least = 0.1;
  return {{"one fdatasync", text_of(figures.fdatasync), "at most " + text_of(fdatasync_max),
           figures.fdatasync <= fdatasync_max},
          {"commit latency, p99 at half load", text_of(figures.latency),
           "at most " + text_of(latency_max), figures.latency <= latency_max},
          {"proposals refused", std::to_string(figures.refused), "none", figures.refused == 0},
          {"proposals a second, of a bare loop",
           std::to_string(static_cast<std::uint64_t>(figures.proposals_per_second)) + ", " +
               percent(figures.of_bare_loop),
           "at least " + percent(of_bare_loop_least), figures.of_bare_loop >= of_bare_loop_least}};
}

std::vector<Finding> judge_consistency(const std::vector<Testimony>& testimonies) {
  const ResumeToken* first = nullptr;
  std::vector<Finding> findings;
  for (const Testimony& one : testimonies) {
    Finding finding{one.endpoint, one.trouble, "could not be asked", false};
    if (one.token) {
      if (first == nullptr) first = &*one.token;
      const std::string why = difference(*first, *one.token);
      finding.figure = token_text(*one.token);
      finding.limit = why.empty() ? "as the first" : why;
      finding.passes = why.empty();
    }
    findings.push_back(std::move(finding));
  }
  return findings;
}

Command check_command() {
  return {.name = "check",
          .about = "Whether this machine, or a cluster, is what it should be",
          .notes = "Examples:\n  kuilt check perf\n  kuilt check consistency",
          .commands = {perf_command(), consistency_command()}};
}

}  // namespace kuilt::cli
