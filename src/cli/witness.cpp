#include "cli/witness.hpp"

#include <algorithm>
#include <set>

namespace kuilt::cli {
namespace {

constexpr std::size_t faults_max = 10;

void fault(Witness::Verdict& verdict, std::size_t& count, const std::string& what) {
  count += 1;
  if (verdict.faults.size() < faults_max) verdict.faults.push_back(what);
}

}  // namespace

void Witness::proposed(const std::string& command) {
  const std::lock_guard lock(mutex_);
  proposed_[command] += 1;
}

void Witness::acknowledged(const std::string& command, std::uint64_t index, std::uint64_t term,
                           bool duplicate) {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  acknowledged_[command] = {index, term};
  told_through_ = std::max(told_through_, index);
  duplicates_ += duplicate ? 1 : 0;
  if (acknowledged_.size() > 1) {
    longest_pause_ = std::max(longest_pause_, now - last_acknowledged_);
  }
  last_acknowledged_ = now;
}

void Witness::refused(const std::string& command) {
  const std::lock_guard lock(mutex_);
  refused_[command] += 1;
}

void Witness::observed(std::size_t observer, std::uint64_t index, std::uint64_t term,
                       const std::string& command) {
  const std::lock_guard lock(mutex_);
  seen_.at(observer).push_back({index, term, command});
  told_through_ = std::max(told_through_, index);
}

std::size_t Witness::count(std::size_t observer) const {
  const std::lock_guard lock(mutex_);
  return seen_.at(observer).size();
}

std::uint64_t Witness::told_through() const {
  const std::lock_guard lock(mutex_);
  return told_through_;
}

bool Witness::caught_up(std::uint64_t through) const {
  const std::lock_guard lock(mutex_);
  return std::ranges::all_of(seen_, [through](const History& seen) {
    return through == 0 || (!seen.empty() && seen.back().index >= through);
  });
}

const Witness::History& Witness::longest() const {
  return *std::max_element(seen_.begin(), seen_.end(),
                           [](const auto& a, const auto& b) { return a.size() < b.size(); });
}

Witness::Verdict Witness::verdict(std::uint64_t through) const {
  const std::lock_guard lock(mutex_);
  Verdict verdict;
  verdict.proposed = proposed_.size();
  verdict.acknowledged = acknowledged_.size();
  verdict.duplicates = duplicates_;
  verdict.longest_pause = std::chrono::duration_cast<std::chrono::milliseconds>(longest_pause_);
  judge_observers(verdict, through);
  judge_commands(verdict);
  return verdict;
}

void Witness::judge_observers(Verdict& verdict, std::uint64_t through) const {
  const History& reference = longest();
  verdict.observed_most = reference.size();
  verdict.observed_least = reference.size();
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    const std::string who = "observer " + std::to_string(i);
    verdict.observed_least = std::min(verdict.observed_least, seen_[i].size());
    std::set<std::string> commands;
    std::set<std::uint64_t> indexes;
    std::uint64_t last = 0;
    for (const Seen& seen : seen_[i]) {
      const std::string what = who + ", index " + std::to_string(seen.index) + ", " + seen.command;
      if (!commands.insert(seen.command).second) fault(verdict, verdict.repeats, "repeat: " + what);
      if (seen.index <= last) fault(verdict, verdict.disorders, "does not rise: " + what);
      last = seen.index;
      indexes.insert(seen.index);
    }
    std::map<std::uint64_t, const Seen*> by_index;
    for (const Seen& seen : seen_[i]) by_index.emplace(seen.index, &seen);
    for (const Seen& seen : reference) {
      const auto found = by_index.find(seen.index);
      const std::string what = who + ", index " + std::to_string(seen.index);
      if (found == by_index.end()) {
        if (seen.index <= through) fault(verdict, verdict.gaps, "gap: " + what);
      } else if (!(*found->second == seen)) {
        fault(verdict, verdict.disorders, "another entry than others saw: " + what);
      }
    }
    for (const auto& [index, seen] : by_index) {
      const bool known =
          std::binary_search(reference.begin(), reference.end(), *seen,
                             [](const Seen& a, const Seen& b) { return a.index < b.index; });
      if (!known && index <= through) {
        fault(verdict, verdict.gaps, "only " + who + " saw index " + std::to_string(index));
      }
    }
  }
}

void Witness::judge_commands(Verdict& verdict) const {
  std::map<std::string, const Seen*> history;
  for (const Seen& seen : longest()) history.emplace(seen.command, &seen);
  for (const auto& [command, told] : acknowledged_) {
    const auto found = history.find(command);
    const bool there = found != history.end() && found->second->index == told.index &&
                       found->second->term == told.term;
    if (!there) {
      fault(verdict, verdict.lost, "lost: " + command + " at " + std::to_string(told.index));
    }
  }
  for (const auto& [command, seen] : history) {
    if (!command.starts_with(prefix_)) continue;
    if (!proposed_.contains(command))
      fault(verdict, verdict.phantoms, "never proposed: " + command);
    if (refused_.contains(command)) fault(verdict, verdict.phantoms, "refused: " + command);
  }
}

}  // namespace kuilt::cli
