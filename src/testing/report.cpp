#include <charconv>
#include <cstdlib>
#include <string_view>

#include "kuilt/testing.hpp"
#include "sim/trace.hpp"

namespace kuilt::testing {
namespace {

constexpr const char* seed_variable = "KUILT_SEED";

std::optional<std::string> wanted_alone() {
  const char* text = std::getenv(seed_variable);
  return text == nullptr ? std::nullopt : std::optional<std::string>(text);
}

Report replay(const std::string& wanted, const std::function<Report(std::uint64_t)>& run) {
  std::uint64_t seed = 0;
  const char* end = wanted.data() + wanted.size();
  const auto [stopped, error] = std::from_chars(wanted.data(), end, seed);
  if (error == std::errc{} && stopped == end) return run(seed);
  Report report;
  report.violation = std::string(seed_variable) + " is \"" + wanted + "\": it must be one seed";
  return report;
}

void add(std::map<std::string, std::uint64_t>& totals,
         const std::map<std::string, std::uint64_t>& more) {
  for (const auto& [name, times] : more) totals[name] += times;
}

}  // namespace

std::string Report::text() const {
  std::string text;
  for (const std::string& event : last_events) text += event + "\n";
  text += "seed " + std::to_string(seed) + ", after " + sim::text_of(Instant(ended_at)) +
          " of virtual time: ";
  if (sound()) return text + "sound, " + std::to_string(committed.size()) + " commands committed";
  text += "violated: " + *violation +
          "\nreplay: the same options with .seed = " + std::to_string(seed) +
          "; for_seeds runs it alone with " + seed_variable + "=" + std::to_string(seed) +
          " in the environment";
  return text;
}

Report for_seeds(std::uint64_t first, std::uint64_t last,
                 const std::function<Report(std::uint64_t seed)>& run) {
  if (const auto wanted = wanted_alone()) return replay(*wanted, run);
  Report report;
  report.expect(first <= last, "for_seeds needs one seed at least: the last is " +
                                   std::to_string(last) + ", the first " + std::to_string(first));
  std::map<std::string, std::uint64_t> totals;
  for (std::uint64_t i = 0; report.sound() && i <= last - first; ++i) {
    report = run(first + i);
    add(totals, report.counters);
    if (i > 0 || !report.sound()) continue;
    const Report again = run(first);
    report.expect(again.trace_hash == report.trace_hash,
                  "the same seed gave another run: something depends on more than the simulation "
                  "(a clock, an address, a random source)");
  }
  if (report.sound()) report.counters = std::move(totals);
  return report;
}

}  // namespace kuilt::testing
