// network.hpp: who can reach whom, and how long it takes.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "kuilt/detail/rng.hpp"
#include "sim/plan.hpp"

namespace kuilt::sim {

using ServerNumber = std::size_t;

/// The ways between servers: lossy, late, out of order, and cut in one direction or both.
class PeerNetwork {
 public:
  PeerNetwork(const PeerWeather& weather, Rng rng) : weather_(weather), rng_(rng) {}

  /// When each copy of one frame arrives, from now: none if it is lost.
  [[nodiscard]] std::vector<Duration> send(ServerNumber from, ServerNumber to);

  void cut(ServerNumber from, ServerNumber to) { ++cuts_[{from, to}]; }
  void mend(ServerNumber from, ServerNumber to);
  /// Until everything heals, whatever is mended meanwhile.
  void sever(ServerNumber from, ServerNumber to) { severed_.insert({from, to}); }
  [[nodiscard]] bool reaches(ServerNumber from, ServerNumber to) const;
  /// Everything arrives from now on, quickly and once.
  void heal();

 private:
  PeerWeather weather_;
  Rng rng_;
  std::map<std::pair<ServerNumber, ServerNumber>, int> cuts_;  ///< Partitions may overlap.
  std::set<std::pair<ServerNumber, ServerNumber>> severed_;
};

}  // namespace kuilt::sim
