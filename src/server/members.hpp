// members.hpp: who the members of the cluster are, as this server knows it by now.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cluster/leader_notice.hpp"
#include "kuilt/types.hpp"
#include "raft/configuration.hpp"

namespace kuilt::server {

enum class Standing : std::uint8_t {
  joining,  ///< No configuration in its log has named it so far.
  member,
  removed,  ///< It was a member, and by a committed change it is none any more.
};

/// Where another server of the cluster is reached.
struct PeerTarget {
  std::string name;     ///< Empty while it is not known.
  std::string address;  ///< "host:port".
  NodeId id = {};       ///< None while it is not known: then whoever answers there.
};

/// Threads: any. One tells (`follow`), all others ask.
class Members {
 public:
  /// One look: both configurations are of the same moment.
  struct View {
    raft::SharedConfiguration in_force;   ///< The last one in the log, committed or not.
    raft::SharedConfiguration committed;  ///< The last one that is committed.
    Standing standing = Standing::joining;
    std::uint64_t version = 0;  ///< Grows with every change.

    /// Nothing about the members is undecided.
    [[nodiscard]] bool is_settled() const {
      return in_force == committed && !committed->is_changing();
    }
  };

  struct Start {
    NodeId self;
    raft::SharedConfiguration committed;  ///< As recovery has it.
    raft::SharedConfiguration in_force;
    bool was_member = false;  ///< A committed configuration in the log has named this server.
    /// What a server that joins was told of the members; null for others.
    raft::SharedConfiguration told = nullptr;
    /// By name, instead of what the configuration says: where ports change with each start.
    std::map<std::string, std::string> client_urls = {};
    std::string own_url;  ///< Where clients reach this server now.
  };
  explicit Members(Start start);

  void follow(raft::SharedConfiguration in_force, raft::SharedConfiguration committed);
  /// Nothing is going to change any more; whoever waits, waits no longer.
  void close();

  [[nodiscard]] View view() const;
  /// The view once it is another one than `version`, or at `until` as it is then.
  [[nodiscard]] View view_after(std::uint64_t version, Instant until) const;
  [[nodiscard]] bool is_closed() const;
  /// In force, and not empty as long as anything is known of any members.
  [[nodiscard]] raft::SharedConfiguration now() const;
  [[nodiscard]] Standing standing() const { return view().standing; }
  /// Also one that is on its way out, or was told of.
  [[nodiscard]] std::optional<raft::Member> find(NodeId id) const;
  [[nodiscard]] cluster::LeaderView leader_view(std::optional<NodeId> leader) const;

  /// Where clients reach the servers, this one first.
  [[nodiscard]] std::vector<std::string> endpoints() const;
  [[nodiscard]] std::vector<std::string> other_endpoints() const;
  /// All that this server has to have links with: who is a member before, during or after a change
  /// that is under way.
  [[nodiscard]] std::vector<PeerTarget> targets() const;

 private:
  [[nodiscard]] Standing standing_now() const;
  [[nodiscard]] std::vector<raft::Member> everybody() const;
  [[nodiscard]] std::string url_of(const raft::Member& member) const;

  const NodeId self_;
  const raft::SharedConfiguration told_;
  const std::map<std::string, std::string> client_urls_;
  const std::string own_url_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  View view_;
  bool was_member_ = false;
  bool closed_ = false;
};

}  // namespace kuilt::server
