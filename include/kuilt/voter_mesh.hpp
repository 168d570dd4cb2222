// voter_mesh.hpp: the voters of a cluster, as a value.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "kuilt/types.hpp"

namespace kuilt {

/// The complete graph K_m of a cluster's m voters: each is linked to every other, and election,
/// quorum and commit happen among them alone. As its configuration in the log has them.
///
/// Threads: a value.
struct VoterMesh {
  /// One server of the set.
  struct Voter {
    std::string name;
    NodeId id;
    friend bool operator==(const Voter&, const Voter&) = default;
  };
  std::vector<Voter> voters;  ///< By their names.
  std::string leader;         ///< The name of the one that leads; empty if none is known to.

  [[nodiscard]] std::size_t size() const { return voters.size(); }
  /// How many have to hold an entry for it to be committed.
  [[nodiscard]] std::size_t quorum() const { return voters.size() / 2 + 1; }
  /// For `ClusterConfig::voters`.
  [[nodiscard]] std::vector<NodeId> ids() const {
    std::vector<NodeId> all;
    for (const Voter& voter : voters) all.push_back(voter.id);
    return all;
  }
};

}  // namespace kuilt
