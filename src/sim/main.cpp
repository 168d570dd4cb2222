// main.cpp: kuilt-sim. Runs seeds, prints what was exercised, and fails with a seed to replay.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "sim/run.hpp"

namespace {

constexpr const char* usage =
    "usage: kuilt-sim [--seed N] [--seeds M] [--quick] [--trace] [--raft-trace FILE]\n"
    "                 [--require-coverage]\n"
    "  --seed N            the first seed (1)\n"
    "  --seeds M           how many seeds, one after the other (1)\n"
    "  --quick             a third of the virtual time\n"
    "  --trace             print every event\n"
    "  --raft-trace FILE   write what the consensus cores do, as lines of JSON; of one seed\n"
    "  --require-coverage  fail if anything that must be exercised never was\n";

struct Arguments {
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  bool quick = false;
  bool trace = false;
  const char* raft_trace = nullptr;
  bool require_coverage = false;
};

std::uint64_t seed_under_way = 0;
const char* flags_of_run = "";
std::FILE* raft_trace = nullptr;  // Where the trace of Raft goes, if anywhere.

std::optional<Arguments> parse(int count, char** words) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    const bool has_number = word == "--seed" || word == "--seeds";
    if (has_number) {
      if (i + 1 == count) return std::nullopt;
      char* end = nullptr;
      const std::uint64_t number = std::strtoull(words[++i], &end, 10);
      if (end == words[i] || *end != '\0') return std::nullopt;
      (word == "--seed" ? arguments.seed : arguments.seeds) = number;
    } else if (word == "--quick") {
      arguments.quick = true;
    } else if (word == "--trace") {
      arguments.trace = true;
    } else if (word == "--raft-trace") {
      if (++i == count) return std::nullopt;
      arguments.raft_trace = words[i];
    } else if (word == "--require-coverage") {
      arguments.require_coverage = true;
    } else {
      return std::nullopt;
    }
  }
  if (arguments.raft_trace != nullptr && arguments.seeds != 1) return std::nullopt;
  return arguments;
}

void print_replay() {
  std::fprintf(stderr, "replay: kuilt-sim --seed %llu%s --trace\n",
               static_cast<unsigned long long>(seed_under_way), flags_of_run);
}

// A failed KUILT_CHECK is a violation too, and needs its seed.
void on_abort(int) {
  if (raft_trace != nullptr) std::fflush(raft_trace);
  for (const std::string& line : kuilt::sim::last_lines_of_current_run()) {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fprintf(stderr, "seed %llu: a check inside kuilt failed\n",
               static_cast<unsigned long long>(seed_under_way));
  print_replay();
  std::_Exit(1);
}

void print_failure(const kuilt::sim::Report& report) {
  for (const std::string& line : report.last_lines) std::fprintf(stderr, "%s\n", line.c_str());
  std::fprintf(stderr, "\nseed %llu, at %s: violated: %s\n",
               static_cast<unsigned long long>(report.seed),
               kuilt::sim::text_of(report.ended_at).c_str(), report.violation->c_str());
  print_replay();
}

void print_totals(const kuilt::sim::Coverage& totals) {
  for (const auto& [name, total] : totals.totals()) {
    std::printf("  %-42s %12llu\n", name.c_str(), static_cast<unsigned long long>(total));
  }
}

kuilt::sim::Report run_one(const Arguments& arguments) {
  kuilt::sim::RunOptions options{.seed = seed_under_way, .quick = arguments.quick, .listener = {}};
  if (arguments.trace) {
    options.listener = [](const std::string& line) { std::puts(line.c_str()); };
  }
  if (raft_trace != nullptr) {
    options.raft_listener = [](const std::string& line) {
      std::fprintf(raft_trace, "%s\n", line.c_str());
    };
  }
  return kuilt::sim::run(options);
}

// There is one seed then, and it is over.
bool raft_trace_is_written() {
  if (raft_trace == nullptr) return true;
  const bool sound = std::ferror(raft_trace) == 0;
  return std::fclose(std::exchange(raft_trace, nullptr)) == 0 && sound;
}

int complain_about_coverage(const kuilt::sim::Coverage& totals) {
  const auto missing = totals.missing();
  for (const std::string& name : missing) {
    std::fprintf(stderr, "never exercised: %s\n", name.c_str());
  }
  return missing.empty() ? 0 : 1;
}

}  // namespace

int main(int count, char** words) {
  const auto arguments = parse(count, words);
  if (!arguments) {
    std::fputs(usage, stderr);
    return 2;
  }
  if (arguments->raft_trace != nullptr) {
    raft_trace = std::fopen(arguments->raft_trace, "w");
    if (raft_trace == nullptr) return std::perror(arguments->raft_trace), 1;
  }
  flags_of_run = arguments->quick ? " --quick" : "";
  std::signal(SIGABRT, on_abort);

  kuilt::sim::Coverage totals;
  std::uint64_t hash = 0;
  std::uint64_t events = 0;
  const auto begun = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < arguments->seeds; ++i) {
    seed_under_way = arguments->seed + i;
    const kuilt::sim::Report report = run_one(*arguments);
    if (!raft_trace_is_written()) return std::perror(arguments->raft_trace), 1;
    if (report.violation) {
      print_failure(report);
      return 1;
    }
    totals.add(report.coverage);
    hash = hash * 31 + report.trace_hash;
    events += report.events;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;

  std::printf("seeds %llu to %llu: all invariants held; %llu events in %.1f s; trace %016llx\n",
              static_cast<unsigned long long>(arguments->seed),
              static_cast<unsigned long long>(seed_under_way),
              static_cast<unsigned long long>(events), took.count(),
              static_cast<unsigned long long>(hash));
  print_totals(totals);
  return arguments->require_coverage ? complain_about_coverage(totals) : 0;
}
