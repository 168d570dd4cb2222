// peers.hpp: how one server reaches the others. Two ways: WebSocket links, or a mesh in one
// process.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "cluster/machine.hpp"
#include "cluster/rooms.hpp"
#include "server/members.hpp"
#include "wire/peer_messages.hpp"

namespace kuilt::server {

/// From a server without a cluster that has proven that it knows the secret.
struct JoinAsked {
  NodeId from;
  wire::JoinRequest request;
};

/// What a node hears of peers that have proven that they belong.
using PeerEvent = std::variant<cluster::PeerUp, cluster::PeerDown, cluster::FromPeer,
                               cluster::RoomsFromPeer, cluster::RoomsTakenByPeer, JoinAsked>;
/// Called on the transport's thread.
using ToNode = std::function<void(PeerEvent)>;

/// The messages that servers exchange once they run: the rest belongs to greeting and founding.
/// Nothing, if `message` is one of those.
[[nodiscard]] std::optional<PeerEvent> for_node(NodeId from, wire::PeerMessage message);

class PeerTransport {
 public:
  virtual ~PeerTransport() = default;
  /// Sends what can be sent; a message to a peer without a link is dropped, as a lossy network
  /// would. Any thread.
  virtual void send(std::vector<cluster::PeerSend> messages) = 0;
  /// Peers with a link now. Any thread.
  [[nodiscard]] virtual std::size_t linked() const = 0;
  /// These are to be linked from now on. Any thread.
  virtual void follow(std::vector<PeerTarget> /*targets*/) {}
  /// How often a peer and this server did not want each other, by the name of the error. Any
  /// thread.
  [[nodiscard]] virtual std::map<std::string, std::uint64_t> refusals() const { return {}; }
};

/// For a cluster of one.
class NoPeers final : public PeerTransport {
 public:
  void send(std::vector<cluster::PeerSend> /*messages*/) override {}
  [[nodiscard]] std::size_t linked() const override { return 0; }
};

/// The complete graph of m voters in one process (K_m): every frame goes through the same codecs
/// as on a socket.
///
/// Threads: any; a frame is delivered on the sender's thread, into the receiver's inbox.
/// Ownership: shared by the members' transports; a member that leaves is down for the others.
class InProcessMesh : public std::enable_shared_from_this<InProcessMesh> {
 public:
  /// A member's own end. Peers that are there already are up at once, on both sides.
  [[nodiscard]] std::unique_ptr<PeerTransport> join(NodeId self, ToNode to_node);

 private:
  class End;
  void leave(NodeId self);
  void deliver(NodeId from, const cluster::PeerSend& send);
  [[nodiscard]] std::size_t others(NodeId self) const;

  mutable std::mutex mutex_;
  std::map<NodeId, ToNode> members_;
};

}  // namespace kuilt::server
