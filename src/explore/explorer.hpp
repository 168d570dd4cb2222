// explorer.hpp: every state of a slice, the nearest first.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "explore/group.hpp"
#include "explore/state.hpp"

namespace kuilt::explore {

struct Report {
  bool finished = false;  ///< All states of the slice were looked at, and nothing is broken.
  std::size_t states = 0;
  std::size_t transitions = 0;
  std::size_t depth = 0;    ///< Events from the beginning to the farthest state.
  std::size_t servers = 0;  ///< Different states of one server.
  std::size_t steps = 0;    ///< Runs of the real code; all other transitions repeat one of them.
  std::optional<std::string> violation;
  std::vector<std::string> trace;       ///< The shortest way there, in words,
  std::vector<std::string> raft_trace;  ///< and as lines of JSON (raft/trace.hpp).
};

/// Breadth first, over the code that ships: each state is reached from the one before it by one
/// step of one real core. Threads: none.
class Explorer {
 public:
  struct Means {
    bool exchange_members = true;
    bool keep_twins = false;  ///< For `twins_that_differ`.
  };
  explicit Explorer(const Slice& slice, Means means);
  explicit Explorer(const Slice& slice) : Explorer(slice, Means()) {}

  /// Looks at all states; at `states_max` at most, if there are more it does not finish.
  Report run(std::size_t states_max);
  /// Whether servers with equal fingerprints have different futures, and how many were compared.
  [[nodiscard]] std::optional<std::string> twins_that_differ() {
    return catalogue_.twins_that_differ();
  }
  [[nodiscard]] std::size_t twins() const { return catalogue_.twins(); }
  /// The way to the step that runs, for a check that fails inside it.
  [[nodiscard]] std::vector<std::string> trace_of_current() const;
  /// The same as lines of JSON, without that step.
  [[nodiscard]] std::vector<std::string> raft_trace_of_current() const;

 private:
  struct Reached {
    std::uint32_t before = 0;
    Action by;
  };

  State first();
  [[nodiscard]] std::vector<const Facts*> facts_of_all(const State& state) const;
  [[nodiscard]] std::vector<Action> actions(const State& state) const;
  [[nodiscard]] bool may(const State& state, Kind kind) const;
  void add_events(const State& state, Slot slot, std::vector<Action>& out) const;
  void add_deliveries(const State& state, Slot from, Slot to, std::vector<Action>& out) const;
  raft::Violation apply(State& state, const Action& action);
  raft::Violation act(State& state, const Action& action);
  raft::Violation campaign(State& state, const Action& action);
  raft::Violation step(State& state, Slot slot, Event event);
  raft::Violation finish_writes(State& state, Slot slot);
  void spend(State& state, const Action& action) const;
  Event take_event(State& state, const Action& action) const;
  bool beyond_bounds(const State& state, Slot changed) const;
  bool expand(const State& state, std::size_t number, Report& report);
  bool look_at(const State& state, const Reached& step, Report& report);

  [[nodiscard]] std::vector<Action> way_to(std::size_t number) const;
  Group tell_way(std::vector<std::string>& lines, raft::TraceLines* raft_trace) const;

  Slice slice_;
  std::shared_ptr<const Setting> setting_;
  std::vector<std::vector<Slot>> orders_;
  Catalogue catalogue_;
  HashSet seen_;
  std::vector<Reached> reached_;
  States next_;
  Reached current_;
  bool wrote_ = false;  // A disk that was idle was given something to do by the last action.
};

}  // namespace kuilt::explore
