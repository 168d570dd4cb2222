// run.hpp: one seed in, one report out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kuilt/committed.hpp"
#include "sim/coverage.hpp"
#include "sim/trace.hpp"

namespace kuilt::sim {

struct RunOptions {
  std::uint64_t seed = 1;
  bool quick = false;
  Trace::Listener listener;         ///< Hears every event, if set.
  Trace::Listener raft_listener{};  ///< Hears every line of the trace of Raft, if set.
};

struct Report {
  std::uint64_t seed = 0;
  std::optional<std::string> violation;  ///< The sentence that does not hold.
  Instant ended_at{};
  std::uint64_t trace_hash = 0;
  std::uint64_t events = 0;
  std::vector<std::string> last_lines;  ///< Of the trace, if there is a violation.
  Coverage coverage;
  std::vector<LogEntry> committed;  ///< All commands, in order, as applications see them.
};

/// Runs one seed to its end or to the first violation. The same options give the same report.
[[nodiscard]] Report run(const RunOptions& options);

/// What happened last in the run that is under way: for a crash handler.
[[nodiscard]] std::vector<std::string> last_lines_of_current_run();

}  // namespace kuilt::sim
