#include "server/peers.hpp"

#include <utility>

#include "kuilt/detail/overloaded.hpp"

namespace kuilt::server {

std::optional<PeerEvent> for_node(NodeId from, wire::PeerMessage message) {
  using Wanted = std::optional<PeerEvent>;
  const auto on_message = Overloaded{
      [&](raft::Message& m) -> Wanted { return cluster::FromPeer{from, std::move(m)}; },
      [&](wire::Forward& m) -> Wanted { return cluster::FromPeer{from, std::move(m)}; },
      [&](wire::ForwardReply& m) -> Wanted { return cluster::FromPeer{from, std::move(m)}; },
      [&](wire::PeerRooms& m) -> Wanted { return cluster::RoomsFromPeer{from, std::move(m)}; },
      [&](wire::PeerRoomsTaken& m) -> Wanted { return cluster::RoomsTakenByPeer{from, m}; },
      [](const wire::PeerHello&) -> Wanted { return std::nullopt; },
      [](const wire::PeerProof&) -> Wanted { return std::nullopt; },
      [](const wire::FoundingOffer&) -> Wanted { return std::nullopt; },
      [](const wire::FoundingHold&) -> Wanted { return std::nullopt; },
      [](const wire::PeerGoodbye&) -> Wanted { return std::nullopt; },
      [](const wire::JoinRequest&) -> Wanted { return std::nullopt; },
      [](const wire::JoinReply&) -> Wanted { return std::nullopt; },
  };
  return std::visit(on_message, message);
}

class InProcessMesh::End final : public PeerTransport {
 public:
  End(std::shared_ptr<InProcessMesh> mesh, NodeId self) : mesh_(std::move(mesh)), self_(self) {}
  ~End() override { mesh_->leave(self_); }

  void send(std::vector<cluster::PeerSend> messages) override {
    for (const cluster::PeerSend& message : messages) mesh_->deliver(self_, message);
  }
  [[nodiscard]] std::size_t linked() const override { return mesh_->others(self_); }

 private:
  std::shared_ptr<InProcessMesh> mesh_;
  NodeId self_;
};

std::unique_ptr<PeerTransport> InProcessMesh::join(NodeId self, ToNode to_node) {
  const std::lock_guard lock(mutex_);
  for (const auto& [other, to_other] : members_) {
    to_other(cluster::PeerUp{self});
    to_node(cluster::PeerUp{other});
  }
  members_.insert_or_assign(self, std::move(to_node));
  return std::make_unique<End>(shared_from_this(), self);
}

void InProcessMesh::leave(NodeId self) {
  const std::lock_guard lock(mutex_);
  members_.erase(self);
  for (const auto& [other, to_other] : members_) to_other(cluster::PeerDown{self});
}

void InProcessMesh::deliver(NodeId from, const cluster::PeerSend& send) {
  auto decoded = wire::decode_peer(wire::encode(send.message));
  KUILT_CHECK(decoded.has_value());  // We encoded it a line ago.
  auto event = for_node(from, *std::move(decoded));
  KUILT_CHECK(event.has_value());  // A node sends nothing else.
  const std::lock_guard lock(mutex_);
  const auto member = members_.find(send.to);
  if (member != members_.end()) member->second(*std::move(event));
}

std::size_t InProcessMesh::others(NodeId self) const {
  const std::lock_guard lock(mutex_);
  return members_.size() - members_.count(self);
}

}  // namespace kuilt::server
