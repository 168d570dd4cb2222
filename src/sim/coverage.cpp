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
    "hand-overs of the lead",
    "hand-overs given back",
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
    "reads of old log to apply it",
    "cuts",
    "snapshots written",
    "snapshots given up",
    "cuts passed over",
    "restarts from a snapshot",
    "snapshots that were cut short",
    "commits that only a snapshot proves",
    "not admitted",
    "results",
    "results no longer kept",
    "room messages heard",
    "room joins refused",
    "members that did not come back",
    "members that came back in time",
    "room messages refused",
    "room messages dropped for peers",
    "room messages dropped for readers",
    "rosters asked anew",
    "reads confirmed by a leader",
    "reads confirmed via a leader",
    "reads that lost their leader",
    "read rounds that were shared",
    "reads of clients",
    "reads of clients refused",
    "own reads of servers",
    "joint configurations committed",
    "several voters changed at once",
    "servers that became voters",
    "servers that are voters no more",
    "changes that waited for learners",
    "changes given up",
    "configurations rolled back",
    "entries decided by a leader that leaves",
    "changes of members begun",
    "changes of members refused: not_leader",
    "changes of members refused: nothing_committed_in_term",
    "changes of members refused: change_under_way",
    "changes of members refused: no_voters",
    "changes of members refused: same_members",
    "changes of members refused: unknown_learner",
    "peer messages refused: candidate_left",
    "disks that hung",
    "leaders that gave way",
    "peer messages refused: disk_stalled",
    "servers that a full disk stopped",
    "recoveries on a full disk",
    "left out of the first healing: cut off",
    "left out of the first healing: with a disk that hangs",
    "runs with seven servers",
    "runs with ten clients and more",
    "runs whose clocks drift",
    "runs with timings of their own",
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
