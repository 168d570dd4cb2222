#include "sim/coverage.hpp"

#include <array>

namespace kuilt::sim {
namespace {

constexpr std::array required = {
    "suppressed repeats",
    "joined repeats",
    "committed repeats",
    "lost forwards",
    "re-forwards",
    "stale answers",
    "truncations",
    "held resumes",
    "expired sessions",
    "resumes mid-batch",
    "torn tails",
    "power cuts",
    "kills",
    "kills, then power cuts",
    "interrupted recoveries",
    "reads of old log",
    "feed loads",
    "acknowledged",
    "refused",
    "unknown outcomes",
};

}  // namespace

void Coverage::count(std::string_view name, std::uint64_t times) {
  const auto total = totals_.find(name);
  if (total == totals_.end()) {
    totals_.emplace(name, times);
  } else {
    total->second += times;
  }
}

void Coverage::count(const cluster::Counters& counters) {
  count("suppressed repeats", counters.suppressed_repeats);
  count("joined repeats", counters.joined_repeats);
  count("committed repeats", counters.committed_repeats);
  count("forwards", counters.forwards);
  count("lost forwards", counters.lost_forwards);
  count("re-forwards", counters.reforwards);
  count("stale answers", counters.stale_answers);
  count("truncations", counters.truncations);
  count("truncated entries", counters.truncated_entries);
  count("elections won", counters.elections_won);
  count("appended", counters.appended);
  count("refused as busy", counters.refused_busy);
  for (const auto& [name, times] : counters.refused_peer_messages) {
    count("peer messages refused: " + name, times);
  }
}

void Coverage::count(const cluster::FeedCounters& counters) {
  count("resumes", counters.resumes);
  count("held resumes", counters.held_resumes);
  count("resumes mid-batch", counters.resumes_mid_batch);
  count("feed frames", counters.frames_sent);
  count("feed loads", counters.loads);
}

void Coverage::count(const client::ClientCore::Counters& counters) {
  count("attempts", counters.attempts);
  count("retries", counters.retries);
  count("dials", counters.dials);
  count("sessions re-opened", counters.sessions_reopened);
}

void Coverage::add(const Coverage& other) {
  for (const auto& [name, times] : other.totals_) count(name, times);
}

std::vector<std::string> Coverage::missing() const {
  std::vector<std::string> names;
  for (const std::string_view name : required) {
    const auto total = totals_.find(name);
    if (total == totals_.end() || total->second == 0) names.emplace_back(name);
  }
  return names;
}

}  // namespace kuilt::sim
