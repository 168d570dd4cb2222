// namespaces.hpp: hosts of our own on this machine: a hub for the clients, and one host per server
// with two links, one to clients and one to the other servers, so that either can be cut alone.
#pragma once

#include <string>
#include <vector>

#include "cli/local_cluster.hpp"

namespace kuilt::process_tests {

/// Ownership: the calling thread moves into the hub, and back on destruction; threads that it
/// starts meanwhile are in the hub too. Needs root.
class Namespaces {
 public:
  explicit Namespaces(std::size_t servers);
  ~Namespaces();
  Namespaces(const Namespaces&) = delete;
  Namespaces& operator=(const Namespaces&) = delete;

  [[nodiscard]] const std::vector<cli::LocalHost>& hosts() const { return hosts_; }
  /// Cuts or mends the link of one server to the others. Its clients notice nothing.
  void cut_from_peers(std::size_t server, bool cut);

 private:
  [[nodiscard]] std::string host(std::size_t server) const;
  void enter(const std::string& path);

  std::string prefix_;
  std::size_t servers_;
  std::vector<cli::LocalHost> hosts_;
  int home_ = -1;  // The namespace that this thread came from.
};

}  // namespace kuilt::process_tests
