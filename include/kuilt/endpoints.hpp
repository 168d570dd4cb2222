// endpoints.hpp: where the servers of a cluster are.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "kuilt/detail/function.hpp"

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

/// What a client may try next.
struct EndpointChoice {
  /// Never empty; in the order of the list. Without those that another link of this client uses,
  /// and those whose servers have asked for patience.
  std::vector<std::string> candidates;
  std::string last;  ///< What this client tried last; empty at first.
};
/// Answers which of the candidates, by its place. A place beyond the last leaves the turn to round
/// robin, and is told as an event. Servers' own hints come first, and are not asked for.
///
/// Threads: the client's thread of links, which must not be kept waiting: `get` and `open_session`
/// answer usage in there, `stop` only begins to. One that throws ends the process with its name.
/// Ownership: each client has a copy, and so the copy's own state: what it captures by value.
using EndpointSelector = std::function<std::size_t(const EndpointChoice&)>;

}  // namespace kuilt
