// main.cpp: kuilt-explore. Walks through all states of each slice, and prints the shortest way to
// what is broken.
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "explore/explorer.hpp"

namespace {

using kuilt::explore::Explorer;
using kuilt::explore::Kind;
using kuilt::explore::Report;
using kuilt::explore::Slice;

constexpr const char* usage =
    "usage: kuilt-explore [--slice NAME]... [--all] [--states-max N] [--raft-trace FILE]\n"
    "                     [--list] [--help]\n"
    "Looks at every state that a small group of the real consensus cores can reach within a "
    "slice:\n"
    "a bound on how often each thing may happen. Prints the shortest way to what is broken.\n"
    "  --slice NAME    this slice; may be given again (default: the quick ones)\n"
    "  --all           the quick ones and the others\n"
    "  --states-max N  give up on a slice that has more states (40000000)\n"
    "  --raft-trace FILE  write that way as lines of JSON, too: what each core does\n"
    "  --list          the slices and their bounds\n"
    "Exits with 0 if every slice was finished and nothing is broken, else with 1.\n";

struct Arguments {
  std::vector<const Slice*> slices;
  std::size_t states_max = 40'000'000;
  std::optional<int> exit_with;  // There is nothing to do.
};

const Explorer* under_way = nullptr;
const char* slice_under_way = "";

void print_trace(const std::vector<std::string>& trace) {
  for (const std::string& line : trace) std::fprintf(stderr, "%s\n", line.c_str());
}

std::string raft_trace_file;

bool write_raft_trace(const std::vector<std::string>& lines) {
  if (raft_trace_file.empty()) return true;
  std::FILE* const file = std::fopen(raft_trace_file.c_str(), "w");
  if (file == nullptr) return false;
  for (const std::string& line : lines) std::fprintf(file, "%s\n", line.c_str());
  const bool sound = std::ferror(file) == 0;
  return std::fclose(file) == 0 && sound;
}

// A failed KUILT_CHECK is a violation too, and needs its way.
void on_abort(int) {
  if (under_way != nullptr) {
    print_trace(under_way->trace_of_current());
    if (!write_raft_trace(under_way->raft_trace_of_current())) std::perror("--raft-trace");
  }
  std::fprintf(stderr, "\nslice %s: a check inside kuilt failed in this last step\n",
               slice_under_way);
  std::_Exit(1);
}

void list() {
  for (const Slice& slice : kuilt::explore::all_slices()) {
    std::printf("%-22s %s%s\n", slice.name.c_str(), slice.about.c_str(),
                slice.quick ? "" : " (--all)");
    std::printf("%22s %zu voters, %llu terms", "", slice.voters(),
                static_cast<unsigned long long>(slice.terms_max.value()));
    for (std::size_t i = 0; i < kuilt::explore::kinds; ++i) {
      const auto kind = static_cast<Kind>(i);
      if (slice.limit(kind) == 0) continue;
      std::printf(", %u %s", slice.limit(kind), std::string(name_of(kind)).c_str());
    }
    std::printf("\n");
  }
}

Arguments refuse(const std::string& why) {
  std::fprintf(stderr, "kuilt-explore: %s\n%s", why.c_str(), usage);
  return {.slices = {}, .states_max = 0, .exit_with = 2};
}

void take_default_slices(Arguments& arguments, bool all) {
  if (!arguments.slices.empty()) return;
  for (const Slice& slice : kuilt::explore::all_slices()) {
    if (all || slice.quick) arguments.slices.push_back(&slice);
  }
}

Arguments parse(const std::vector<std::string>& words) {
  Arguments arguments;
  bool all = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const bool has_value = word == "--slice" || word == "--states-max" || word == "--raft-trace";
    if (has_value && i + 1 == words.size()) return refuse(word + " needs a value");
    if (word == "--help" || word == "-h") {
      std::fputs(usage, stdout);
      return {.slices = {}, .states_max = 0, .exit_with = 0};
    }
    if (word == "--list") {
      list();
      return {.slices = {}, .states_max = 0, .exit_with = 0};
    }
    if (word == "--all") {
      all = true;
    } else if (word == "--slice") {
      const Slice* slice = kuilt::explore::find_slice(words[++i]);
      if (slice == nullptr) return refuse("there is no slice " + words[i] + "; --list shows them");
      arguments.slices.push_back(slice);
    } else if (word == "--raft-trace") {
      raft_trace_file = words[++i];
    } else if (word == "--states-max") {
      char* end = nullptr;
      arguments.states_max = std::strtoull(words[++i].c_str(), &end, 10);
      if (*end != '\0' || arguments.states_max == 0) {
        return refuse("no number of states: " + words[i]);
      }
    } else {
      return refuse("unknown argument: " + word);
    }
  }
  take_default_slices(arguments, all);
  return arguments;
}

std::size_t mebibytes_at_most() {
  rusage usage_of_process{};
  getrusage(RUSAGE_SELF, &usage_of_process);
  return static_cast<std::size_t>(usage_of_process.ru_maxrss) / 1024;
}

bool explore(const Slice& slice, std::size_t states_max) {
  const auto begun = std::chrono::steady_clock::now();
  Explorer explorer(slice);
  under_way = &explorer;
  slice_under_way = slice.name.c_str();
  const Report report = explorer.run(states_max);
  under_way = nullptr;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  std::printf("%-22s %10zu states %11zu transitions  depth %3zu  %7zu steps  %6.1f s  %5zu MiB%s\n",
              slice.name.c_str(), report.states, report.transitions, report.depth, report.steps,
              took.count(), mebibytes_at_most(), report.finished ? "" : "  NOT FINISHED");
  std::fflush(stdout);
  if (report.violation) {
    print_trace(report.trace);
    if (!write_raft_trace(report.raft_trace)) std::perror(raft_trace_file.c_str());
    std::fprintf(stderr, "\nslice %s: violated: %s\n", slice.name.c_str(),
                 report.violation->c_str());
  } else if (!report.finished) {
    std::fprintf(stderr, "slice %s: more than %zu states; --states-max allows more\n",
                 slice.name.c_str(), states_max);
  }
  return report.finished;
}

}  // namespace

int main(int count, char** words) {
  const Arguments arguments = parse({words + 1, words + count});
  if (arguments.exit_with) return *arguments.exit_with;
  std::signal(SIGABRT, on_abort);
  for (const Slice* slice : arguments.slices) {
    if (!explore(*slice, arguments.states_max)) return 1;
  }
  return 0;
}
