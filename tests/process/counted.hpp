// counted.hpp: what servers counted, over all their lives.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace kuilt::process_tests {

/// Reads /metrics of all servers several times a second. A counter begins at zero in each life of a
/// server; what it had reached before a kill is kept (but for the last fraction of a second).
class Counted {
 public:
  explicit Counted(std::vector<std::string> admin_addresses);
  ~Counted();

  /// The sum over all servers and lives. Reads once more, so that nothing recent is missing.
  [[nodiscard]] double total(const std::string& metric);

 private:
  void read_all();

  std::vector<std::string> addresses_;
  std::mutex mutex_;
  std::map<std::pair<std::size_t, std::string>, double> last_;  // In the present life.
  std::map<std::string, double> before_;                        // In ended lives.
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace kuilt::process_tests
