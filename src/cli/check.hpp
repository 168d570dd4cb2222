// check.hpp: what `kuilt check` judges by.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/bench.hpp"
#include "kuilt/committed.hpp"

namespace kuilt::cli {

/// One line of a check: what was looked at, what it was, what it should be.
struct Finding {
  std::string what;
  std::string figure;
  std::string limit;
  bool passes = false;
};

/// Whether a machine can carry a cluster: elections start after 300 ms without a heartbeat, so that
/// what waits for a disk must be far below.
[[nodiscard]] std::vector<Finding> judge_performance(const BenchFigures& figures);

/// What one server says of a room at one index.
struct Testimony {
  std::string endpoint;
  std::optional<ResumeToken> token;  ///< Nothing: it could not be asked.
  std::string trouble;               ///< Why.
};
/// Each against the first that could be asked: cluster, history, term and digest must be equal.
[[nodiscard]] std::vector<Finding> judge_consistency(const std::vector<Testimony>& testimonies);

}  // namespace kuilt::cli
