// servers.hpp: a cluster of real processes for a test, gone at its end.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/local_cluster.hpp"
#include "tests/cli/process.hpp"

namespace kuilt::cli {

/// Has a leader once constructed.
class Servers {
 public:
  explicit Servers(std::size_t count);

  LocalCluster* operator->() { return &cluster_; }
  [[nodiscard]] std::size_t leader() const { return leader_; }
  /// As -e takes them.
  [[nodiscard]] std::string urls() const;
  /// As --admin takes them.
  [[nodiscard]] std::string admin() const;

 private:
  TemporaryFolder folder_;
  LocalCluster cluster_;
  std::size_t leader_ = 0;
};

/// The last column of what `kuilt observe` printed.
std::vector<std::string> commands_in(const std::string& observed);
/// What `kuilt propose -o json` printed of the index of the last command.
int last_index_in(const std::string& proposed);

}  // namespace kuilt::cli
