// endpoints.hpp: where the servers of a cluster are.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace kuilt {

/// The list of a cluster's client addresses, "ws://host:port" each. A value: two clients made from
/// the same list share no state (each keeps its own place in it).
class ClusterEndpoints {
 public:
  ClusterEndpoints() = default;
  ClusterEndpoints(std::initializer_list<std::string> urls) : urls_(urls) {}
  explicit ClusterEndpoints(std::vector<std::string> urls) : urls_(std::move(urls)) {}

  [[nodiscard]] const std::vector<std::string>& urls() const { return urls_; }
  [[nodiscard]] bool empty() const { return urls_.empty(); }
  friend bool operator==(const ClusterEndpoints&, const ClusterEndpoints&) = default;

 private:
  std::vector<std::string> urls_;
};

}  // namespace kuilt
