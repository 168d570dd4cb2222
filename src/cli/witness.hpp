// witness.hpp: what clients really saw, and whether that is one history.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace kuilt::cli {

/// Takes down what each client proposed, was told, and observed; then judges it from that alone.
/// Every command proposed must be a different text.
///
/// Threads: any.
class Witness {
 public:
  /// Others may use the same log: only commands that begin with `prefix` are judged as ours.
  explicit Witness(std::size_t observers, std::string prefix = "")
      : prefix_(std::move(prefix)), seen_(observers) {}

  void proposed(const std::string& command);
  /// `duplicate`: an earlier attempt under the same id had done it.
  void acknowledged(const std::string& command, std::uint64_t index, std::uint64_t term,
                    bool duplicate);
  /// A refusal that is certain: the command must never appear.
  void refused(const std::string& command);
  void observed(std::size_t observer, std::uint64_t index, std::uint64_t term,
                const std::string& command);
  /// How many entries this observer has seen.
  [[nodiscard]] std::size_t count(std::size_t observer) const;
  /// The highest index that anybody was told of, in an acknowledgement or by observing.
  [[nodiscard]] std::uint64_t told_through() const;
  /// Every observer has got to that index. Before that, what is missing is only late: a server
  /// passes answers on before it has committed the entry itself, so that observers can be level
  /// with each other and still behind what was acknowledged.
  [[nodiscard]] bool caught_up(std::uint64_t through) const;

  struct Verdict {
    std::size_t proposed = 0;
    std::size_t acknowledged = 0;
    std::size_t duplicates = 0;      ///< Acknowledged as done by an earlier attempt.
    std::size_t observed_least = 0;  ///< By the observer that saw the fewest entries.
    std::size_t observed_most = 0;
    std::size_t gaps = 0;       ///< Entries that some observer missed.
    std::size_t repeats = 0;    ///< Commands seen twice by the same observer.
    std::size_t disorders = 0;  ///< Indexes that do not rise, or differ between observers.
    std::size_t lost = 0;       ///< Acknowledged, and not at that place in the history.
    std::size_t phantoms = 0;   ///< Never proposed, or certainly refused, and yet there.
    std::chrono::milliseconds longest_pause{};  ///< Between two acknowledgements.
    std::vector<std::string> faults;            ///< The first few, in words.

    [[nodiscard]] bool sound() const { return gaps + repeats + disorders + lost + phantoms == 0; }
  };
  /// Once all have caught up with that index: what is missing up to there is a gap, or lost. What
  /// others write meanwhile may have reached some observers only.
  [[nodiscard]] Verdict verdict(std::uint64_t through) const;

 private:
  struct Seen {
    std::uint64_t index = 0;
    std::uint64_t term = 0;
    std::string command;
    bool operator==(const Seen&) const = default;
  };
  struct Told {
    std::uint64_t index = 0;
    std::uint64_t term = 0;
  };
  using History = std::vector<Seen>;
  [[nodiscard]] const History& longest() const;
  void judge_observers(Verdict& verdict, std::uint64_t through) const;
  void judge_commands(Verdict& verdict) const;

  const std::string prefix_;
  mutable std::mutex mutex_;
  std::vector<History> seen_;
  std::map<std::string, int> proposed_;
  std::map<std::string, Told> acknowledged_;
  std::map<std::string, int> refused_;
  std::size_t duplicates_ = 0;
  std::uint64_t told_through_ = 0;
  std::chrono::steady_clock::time_point last_acknowledged_{};
  std::chrono::steady_clock::duration longest_pause_{};
};

}  // namespace kuilt::cli
