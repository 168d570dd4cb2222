// configuration.hpp: who takes part in a cluster, and the parameters that all must share.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kuilt/types.hpp"

namespace kuilt::raft {

/// One server of the cluster.
struct Member {
  NodeId id;
  std::string name;        ///< What people call it. Unique within a configuration.
  std::string peer_url;    ///< Where other servers reach it: "host:port".
  std::string client_url;  ///< Where clients reach it: "ws://host:port".
  bool voter = true;       ///< Otherwise a replica that does not vote.
  friend bool operator==(const Member&, const Member&) = default;
};

/// What decides a verdict about a proposal lives here, replicated, and never in a server's flags.
struct Parameters {
  std::uint64_t command_bytes_max = std::uint64_t{1} << 20;
  std::uint64_t session_window = 1024;  ///< id − floor may not exceed this.
  std::uint64_t sessions_max = 1'000'000;
  std::uint64_t sessions_per_principal_max = 100'000;
  Duration session_expiry = std::chrono::hours(24 * 7);  ///< Of log time, since its last entry.
  friend bool operator==(const Parameters&, const Parameters&) = default;

  /// Of one entry in the log, at most: the largest command, and what is stored beside it.
  [[nodiscard]] std::uint64_t stored_bytes_max() const { return command_bytes_max + 4096; }
};

/// The body of a configuration entry. The founding record is the first of them.
struct Configuration {
  ClusterId cluster;
  HistoryId history;
  std::vector<Member> members;  ///< Sorted by id.
  Parameters parameters;
  friend bool operator==(const Configuration&, const Configuration&) = default;

  [[nodiscard]] const Member* find(NodeId id) const {
    for (const Member& member : members) {
      if (member.id == id) return &member;
    }
    return nullptr;
  }
};

using SharedConfiguration = std::shared_ptr<const Configuration>;

}  // namespace kuilt::raft
