// bench.hpp: figures of `kuilt bench propose` for other commands.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "kuilt/result.hpp"

namespace kuilt::cli {

struct BenchPlan {
  std::size_t voters = 3;
  std::size_t clients = 64;
  double seconds = 2;     ///< Of each measurement.
  std::string directory;  ///< The disk that is measured; empty: the system's temporary directory.
};

struct BenchFigures {
  double proposals_per_second = 0;        ///< Closed loop.
  double of_bare_loop = 0;                ///< That, as a share of what the bare loop does.
  std::chrono::microseconds latency{};    ///< p99 at half that rate, open loop.
  std::chrono::microseconds fdatasync{};  ///< Mean of one, with as many at once as voters.
  std::uint64_t refused = 0;
};

/// Starts servers of its own, and measures.
/// Errors: those of LocalCluster, and of the load.
Result<BenchFigures> bench_proposals(const BenchPlan& plan);

}  // namespace kuilt::cli
