// configuration.hpp: who takes part in a cluster, and the parameters that all must share.
#pragma once

#include <cstddef>
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

/// Of one configuration, so that a joint one fits an entry.
inline constexpr std::size_t members_max = 64;

/// The body of a configuration entry. The founding record is the first of them. Members are sorted
/// by id, in each list.
struct Configuration {
  ClusterId cluster;
  HistoryId history;
  std::vector<Member> members;
  Parameters parameters;
  /// The members before, while a change of voters is joint (C_old of C_old,new); else empty.
  std::vector<Member> outgoing{};
  /// The members to be, while new voters among them catch up as learners; else empty.
  std::vector<Member> wanted{};
  friend bool operator==(const Configuration&, const Configuration&) = default;

  [[nodiscard]] bool is_joint() const { return !outgoing.empty(); }
  [[nodiscard]] bool is_changing() const { return is_joint() || !wanted.empty(); }
  /// A member before or after a joint change is one while it lasts.
  [[nodiscard]] const Member* find(NodeId id) const {
    const Member* member = find_in(members, id);
    return member != nullptr ? member : find_in(outgoing, id);
  }
  /// Whether this server votes, in either half of a joint configuration.
  [[nodiscard]] bool votes(NodeId id) const {
    return is_voter(members, id) || is_voter(outgoing, id);
  }

  [[nodiscard]] static const Member* find_in(const std::vector<Member>& members, NodeId id) {
    for (const Member& member : members) {
      if (member.id == id) return &member;
    }
    return nullptr;
  }
  [[nodiscard]] static bool is_voter(const std::vector<Member>& members, NodeId id) {
    const Member* member = find_in(members, id);
    return member != nullptr && member->voter;
  }
};

using SharedConfiguration = std::shared_ptr<const Configuration>;

}  // namespace kuilt::raft
