#include "wire/peer_messages.hpp"

#include <algorithm>
#include <limits>

#include "kuilt/detail/overloaded.hpp"
#include "wire/entry.hpp"
#include "wire/peer_fields.hpp"
#include "wire/wire_reader.hpp"
#include "wire/wire_writer.hpp"

namespace kuilt::wire {
namespace {

/// One alternative of PeerFrame, borrowed: encoding must not copy an append to put it in a frame.
template <class M>
struct Framed {
  std::uint32_t number;
  const M& message;
};
template <class M>
void describe(auto& visitor, const Framed<M>& framed) {
  visitor.field(framed.number, "message", framed.message);
}

/// Finds, by asking PeerFrame's description, the number under which it carries an `M`.
template <class M>
class NumberOf {
 public:
  void one_of(std::string_view /*name*/, const PeerFrame& /*frame*/, auto... alternatives) {
    (consider(alternatives), ...);
  }
  [[nodiscard]] std::uint32_t number() const { return number_; }

 private:
  void consider(Alternative<M> choice) { number_ = choice.number; }
  template <class Other>
  void consider(Alternative<Other> /*choice*/) {}
  std::uint32_t number_ = 0;
};

template <class M>
Bytes encode_framed(const M& message) {
  NumberOf<M> visitor;
  const PeerFrame any;
  describe(visitor, any);
  return encode_message(Framed<M>{visitor.number(), message});
}

// Entries are sent without their index, so a gap would silently move them.
void check_consecutive(const raft::AppendRequest& request) {
  Index index = request.prev.index;
  for (const raft::Entry& entry : request.entries) {
    index = index.next();
    KUILT_CHECK(entry.at.index == index);
  }
}

Bytes encode_raft(const raft::Message& message) {
  const auto encode_one = Overloaded{
      [](const raft::VoteRequest& m) { return encode_framed(m); },
      [](const raft::VoteReply& m) { return encode_framed(m); },
      [](const raft::AppendRequest& m) {
        check_consecutive(m);
        return encode_framed(m);
      },
      [](const raft::AppendReply& m) { return encode_framed(m); },
      [](const raft::Heartbeat& m) { return encode_framed(m); },
      [](const raft::HeartbeatReply& m) { return encode_framed(m); },
      [](const raft::ReadRequest& m) { return encode_framed(m); },
      [](const raft::ReadReply& m) { return encode_framed(m); },
      [](const raft::TimeoutNow& m) { return encode_framed(m); },
  };
  return std::visit(encode_one, message);
}

// Gives each entry its index and takes it through the gate.
Status admit_entries(raft::AppendRequest& request) {
  Index index = request.prev.index;
  if (index.value() > std::numeric_limits<std::uint64_t>::max() - request.entries.size()) {
    return Error(ErrorCode::bad_frame, "field prev: no index can follow it");
  }
  for (raft::Entry& entry : request.entries) {
    index = index.next();
    Result<raft::Entry> admitted =
        admit_stored({index, entry.at.term}, entry.kind, std::move(entry.stored));
    if (!admitted) return std::move(admitted).error().within("append");
    entry = *std::move(admitted);
  }
  return Done{};
}

PeerMessage lifted(PeerFrame frame) {
  const auto lift = Overloaded{
      [](PeerHello& m) -> PeerMessage { return std::move(m); },
      [](PeerProof& m) -> PeerMessage { return m; },
      [](raft::VoteRequest& m) -> PeerMessage { return raft::Message(m); },
      [](raft::VoteReply& m) -> PeerMessage { return raft::Message(m); },
      [](raft::AppendRequest& m) -> PeerMessage { return raft::Message(std::move(m)); },
      [](raft::AppendReply& m) -> PeerMessage { return raft::Message(m); },
      [](raft::Heartbeat& m) -> PeerMessage { return raft::Message(m); },
      [](raft::HeartbeatReply& m) -> PeerMessage { return raft::Message(m); },
      [](raft::ReadRequest& m) -> PeerMessage { return raft::Message(m); },
      [](raft::ReadReply& m) -> PeerMessage { return raft::Message(m); },
      [](Forward& m) -> PeerMessage { return std::move(m); },
      [](ForwardReply& m) -> PeerMessage { return std::move(m); },
      [](FoundingOffer& m) -> PeerMessage { return std::move(m); },
      [](FoundingHold& m) -> PeerMessage { return std::move(m); },
      [](PeerGoodbye& m) -> PeerMessage { return std::move(m); },
      [](raft::TimeoutNow& m) -> PeerMessage { return raft::Message(m); },
      [](PeerRooms& m) -> PeerMessage { return std::move(m); },
      [](PeerRoomsTaken& m) -> PeerMessage { return m; },
      [](JoinRequest& m) -> PeerMessage { return std::move(m); },
      [](JoinReply& m) -> PeerMessage { return std::move(m); },
  };
  return std::visit(lift, frame);
}

void put_number(std::string& to, std::uint64_t value, unsigned bytes) {
  for (unsigned i = bytes; i > 0; --i) to += static_cast<char>(value >> (8 * (i - 1)) & 0xffU);
}
void put_side(std::string& to, const PeerHello& hello) {
  const auto put_id = [&](const auto& id) {
    put_number(to, id.high(), 8);
    put_number(to, id.low(), 8);
  };
  put_number(to, hello.version_min, 4);
  put_number(to, hello.version_max, 4);
  put_number(to, hello.features, 8);
  put_id(hello.cluster);
  put_id(hello.history);
  put_id(hello.node);
  put_id(hello.boot);
  to += BytesView(hello.nonce).text();
}

}  // namespace

std::size_t peer_frame_bytes_max(std::size_t command_bytes_max) {
  constexpr std::size_t batch_bytes_max = std::size_t{1} << 20;
  constexpr std::size_t overhead = std::size_t{64} << 10;
  // A batch ends with the entry that fills it, so it may hold one largest entry beyond its bound.
  return batch_bytes_max + command_bytes_max + overhead;
}

Bytes encode(const PeerMessage& message) {
  const auto encode_one = Overloaded{
      [](const PeerHello& m) { return encode_framed(m); },
      [](const PeerProof& m) { return encode_framed(m); },
      [](const raft::Message& m) { return encode_raft(m); },
      [](const Forward& m) { return encode_framed(m); },
      [](const ForwardReply& m) { return encode_framed(m); },
      [](const FoundingOffer& m) { return encode_framed(m); },
      [](const FoundingHold& m) { return encode_framed(m); },
      [](const PeerGoodbye& m) { return encode_framed(m); },
      [](const PeerRooms& m) { return encode_framed(m); },
      [](const PeerRoomsTaken& m) { return encode_framed(m); },
      [](const JoinRequest& m) { return encode_framed(m); },
      [](const JoinReply& m) { return encode_framed(m); },
  };
  return std::visit(encode_one, message);
}

Result<PeerMessage> decode_peer(const Bytes& frame) {
  Result<PeerFrame> decoded = decode_message<PeerFrame>(frame, &frame);
  if (!decoded) return std::move(decoded).error();
  if (auto* append = std::get_if<raft::AppendRequest>(&*decoded)) {
    const Status admitted = admit_entries(*append);
    if (!admitted) return admitted.error();
  }
  return lifted(*std::move(decoded));
}

Bytes proof_input(bool acceptor, const PeerHello& initiator, const PeerHello& acceptor_hello,
                  std::uint32_t version) {
  std::string input = acceptor ? "kuilt-peer-v1 acceptor" : "kuilt-peer-v1 initiator";
  input += '\0';
  put_number(input, version, 4);
  put_side(input, initiator);
  put_side(input, acceptor_hello);
  return Bytes(std::move(input));
}

}  // namespace kuilt::wire
