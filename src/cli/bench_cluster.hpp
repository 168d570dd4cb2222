// bench_cluster.hpp: the servers that `kuilt bench` measures, and what its reports have in common.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "bench/samples.hpp"
#include "cli/local_cluster.hpp"
#include "kuilt/result.hpp"

namespace kuilt::cli {

struct BenchClusterOptions {
  std::size_t voters = 3;
  std::size_t links = 0;  ///< Of clients, that they must take.
  std::string directory;  ///< The disk that is measured; empty: the system's temporary directory.
};

/// What one server had used at some moment.
struct ServerSample {
  Duration cpu{};
  double syncs = 0;
  double entries = 0;
};
struct Sample {
  Instant at{};
  Duration load_cpu{};
  std::vector<ServerSample> servers;
};

/// Servers of its own, in a directory that goes with it. The leader is the first.
class BenchCluster {
 public:
  /// Errors: those of LocalCluster.
  static Result<std::unique_ptr<BenchCluster>> start(const BenchClusterOptions& options);
  ~BenchCluster() {
    stop();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  [[nodiscard]] std::vector<std::string> addresses() const;
  [[nodiscard]] const LocalServer& server(std::size_t place) const {
    return cluster_->servers().at((leader_ + place) % cluster_->servers().size());
  }
  [[nodiscard]] Sample sample() const;
  [[nodiscard]] const std::string& directory() const { return directory_; }
  /// Kept until then: the limit is measured without them, on the same disk.
  void stop() {
    if (cluster_) cluster_->stop_all(std::chrono::seconds(10));
    cluster_.reset();
  }

 private:
  BenchCluster() = default;
  std::string directory_;
  std::optional<LocalCluster> cluster_;
  std::size_t leader_ = 0;
};

[[nodiscard]] double in_microseconds(Duration time);
/// Zero, if there is no limit.
[[nodiscard]] double ratio(double figure, double limit);
[[nodiscard]] nlohmann::ordered_json microseconds(const bench::Spread& spread);
/// What each server used between two samples, and the load beside them.
[[nodiscard]] nlohmann::ordered_json usage_between(const Sample& before, const Sample& after);
void print_usage(const nlohmann::ordered_json& usage);
/// Of what `microseconds` made.
[[nodiscard]] std::string text_of(const nlohmann::ordered_json& latency);

}  // namespace kuilt::cli
