// founding.hpp: how the first servers agree on who they are (docs/ARCHITECTURE.md, "Founding").
//
// Pure: messages in, messages out. Every server tells all others its durable node id (an offer);
// from all offers each computes the same record; "I hold this record" goes to all; only when all
// hold the same one is it written. The record is a function of durable ids and of the list alone,
// so that a server that crashes in between arrives at the same record again.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kuilt/result.hpp"
#include "kuilt/server.hpp"
#include "raft/configuration.hpp"
#include "wire/peer_messages.hpp"

namespace kuilt::server {

/// The founding record of these members: sorted by id, cluster and history ids its digests
/// (SHA-256, cut to 128 bits).
[[nodiscard]] raft::Configuration founding_record(std::vector<raft::Member> members,
                                                  const raft::Parameters& parameters);

/// Equal for equal lists, whatever their order.
[[nodiscard]] std::uint64_t list_digest(std::vector<FoundingMember> list);

/// Threads: none; one caller at a time.
class Founding {
 public:
  struct Send {
    NodeId to;
    wire::PeerMessage message;
  };
  struct Output {
    std::vector<Send> send;
    std::optional<raft::Configuration> founded;  ///< Write it; then run as a member.
    std::optional<Error> failed;                 ///< This server can't be part of that cluster.
  };

  /// Pre: `list` names `own.name`, and at least one other.
  Founding(wire::FoundingOffer own, const std::vector<FoundingMember>& list,
           const raft::Parameters& parameters);

  /// A link to another server is up (again).
  Output on_link(NodeId peer);
  Output on_offer(const wire::FoundingOffer& offer);
  Output on_hold(NodeId from, const wire::FoundingHold& hold);

  /// Names of the list that have not made an offer yet: what the operator waits for.
  [[nodiscard]] std::vector<std::string> missing() const;

 private:
  Output consider();
  Output adopt(const wire::FoundingHold& hold);
  void tell_all(Output& out, const wire::PeerMessage& message) const;

  wire::FoundingOffer own_;
  std::map<std::string, FoundingMember> list_;
  raft::Parameters parameters_;
  std::map<std::string, wire::FoundingOffer> offers_;  // By name, our own included.
  std::map<NodeId, Bytes> holds_;                      // What others hold.
  std::optional<raft::Configuration> record_;          // What we hold.
};

}  // namespace kuilt::server
