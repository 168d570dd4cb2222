// peer_fields.hpp: the messages of proto/kuilt/v1/peer.proto, described.
#pragma once

#include "wire/entry_fields.hpp"
#include "wire/outcome_fields.hpp"
#include "wire/peer_messages.hpp"
#include "wire/room_fields.hpp"

namespace kuilt::raft {

void describe(auto& visitor, wire::Is<VoteRequest> auto& m) {
  visitor.field(1, "term", m.term);
  visitor.field(2, "pre", m.pre);
  visitor.field(3, "last", m.last);
  visitor.field(4, "transfer", m.transfer);
}
void describe(auto& visitor, wire::Is<VoteReply> auto& m) {
  visitor.field(1, "term", m.term);
  visitor.field(2, "pre", m.pre);
  visitor.field(3, "granted", m.granted);
  visitor.field(4, "committed", m.committed);
}
// The index of an entry is not sent: entries follow `prev` without a gap.
void describe(auto& visitor, wire::Is<Entry> auto& entry) {
  visitor.field(1, "term", entry.at.term);
  visitor.field(2, "kind", entry.kind);
  visitor.payload(3, "stored", entry.stored);
}
void describe(auto& visitor, wire::Is<AppendRequest> auto& m) {
  visitor.field(1, "term", m.term);
  visitor.field(2, "prev", m.prev);
  visitor.field(3, "commit", m.commit);
  visitor.field(4, "entries", m.entries);
}
void describe(auto& visitor, wire::Is<AppendReply> auto& m) {
  visitor.field(1, "term", m.term);
  visitor.field(2, "accepted", m.accepted);
  visitor.field(3, "durable", m.durable);
  visitor.field(4, "rejected_prev", m.rejected_prev);
  visitor.field(5, "conflict", m.conflict);
  visitor.field(6, "boot", m.boot);
}
void describe(auto& visitor, wire::Is<Heartbeat> auto& m) {
  visitor.field(1, "term", m.term);
  visitor.field(2, "commit", m.commit);
  visitor.field(3, "round", m.round);
}
void describe(auto& visitor, wire::Is<HeartbeatReply> auto& m) {
  visitor.field(1, "term", m.term);
  visitor.field(2, "round", m.round);
  visitor.field(3, "last", m.last);
  visitor.field(4, "disk_age", m.disk_age);
  visitor.field(5, "boot", m.boot);
}
void describe(auto& visitor, wire::Is<ReadRequest> auto& m) {
  visitor.field(1, "term", m.term);
  visitor.field(2, "number", m.number);
  visitor.field(3, "boot", m.boot);
}
void describe(auto& visitor, wire::Is<ReadReply> auto& m) {
  visitor.field(1, "term", m.term);
  visitor.field(2, "number", m.number);
  visitor.field(3, "boot", m.boot);
  visitor.field(4, "confirmed", m.confirmed);
  visitor.field(5, "index", m.index);
}

void describe(auto& visitor, wire::Is<TimeoutNow> auto& m) {
  visitor.field(1, "term", m.term);
  visitor.field(2, "last", m.last);
}

}  // namespace kuilt::raft

namespace kuilt::wire {

void describe(auto& visitor, Is<PeerHello> auto& m) {
  visitor.field(1, "version_min", m.version_min);
  visitor.field(2, "version_max", m.version_max);
  visitor.field(3, "features", m.features);
  visitor.field(4, "cluster", m.cluster);
  visitor.field(5, "history", m.history);
  visitor.field(6, "node", m.node);
  visitor.field(7, "boot", m.boot);
  visitor.name(8, "name", m.name);
  visitor.field(9, "nonce", m.nonce);
  visitor.field(10, "proof", m.proof);
}
void describe(auto& visitor, Is<PeerProof> auto& m) { visitor.field(1, "proof", m.proof); }
void describe(auto& visitor, Is<Forward> auto& m) {
  visitor.field(1, "number", m.number);
  visitor.field(2, "proposals", m.proposals);
}
void describe(auto& visitor, Is<ForwardReply::Answer> auto& m) {
  visitor.field(1, "place", m.place);
  describe_outcome(visitor, m.outcome);
}
void describe(auto& visitor, Is<ForwardReply> auto& m) {
  visitor.field(1, "number", m.number);
  visitor.field(2, "term", m.term);
  visitor.field(3, "answers", m.answers);
}
void describe(auto& visitor, Is<FoundingOffer> auto& m) {
  visitor.field(1, "node", m.node);
  visitor.name(2, "name", m.name);
  visitor.field(3, "peer_url", m.peer_url);
  visitor.field(4, "client_url", m.client_url);
  visitor.field(5, "nonce", m.nonce);
  visitor.digest(6, "list_digest", m.list_digest);
}
void describe(auto& visitor, Is<FoundingHold> auto& m) {
  visitor.payload(1, "record", m.record);
  visitor.field(2, "founded", m.founded);
}
void describe(auto& visitor, Is<JoinRequest> auto& m) {
  visitor.name(1, "name", m.name);
  visitor.name(2, "peer_url", m.peer_url);
  visitor.name(3, "client_url", m.client_url);
}
void describe(auto& visitor, Is<JoinAccepted> auto& m) { visitor.payload(1, "record", m.record); }
void describe(auto& visitor, Is<JoinRefused> auto& m) {
  visitor.field(1, "code", m.code);
  visitor.prose(2, "message", m.message);
  visitor.name(3, "leader", m.leader);
}
void describe(auto& visitor, Is<JoinReply> auto& m) {
  visitor.one_of("outcome", m.outcome, Alternative<JoinAccepted>{1, "accepted"},
                 Alternative<JoinRefused>{2, "refused"});
}
void describe(auto& visitor, Is<PeerGoodbye> auto& m) {
  visitor.field(1, "code", m.code);
  visitor.prose(2, "message", m.message);
}

/// PeerFrame: PeerMessage without the variant inside the variant. Numbers from 128 on, so that no
/// frame for a client parses as one for a peer, nor the other way round.
using PeerFrame =
    std::variant<PeerHello, PeerProof, raft::VoteRequest, raft::VoteReply, raft::AppendRequest,
                 raft::AppendReply, raft::Heartbeat, raft::HeartbeatReply, Forward, ForwardReply,
                 FoundingOffer, FoundingHold, PeerGoodbye, PeerRooms, PeerRoomsTaken,
                 raft::ReadRequest, raft::ReadReply, raft::TimeoutNow, JoinRequest, JoinReply>;
void describe(auto& visitor, Is<PeerFrame> auto& frame) {
  visitor.one_of(
      "message", frame, Alternative<PeerHello>{128, "hello"}, Alternative<PeerProof>{129, "proof"},
      Alternative<raft::VoteRequest>{130, "vote_request"},
      Alternative<raft::VoteReply>{131, "vote_reply"},
      Alternative<raft::AppendRequest>{132, "append_request"},
      Alternative<raft::AppendReply>{133, "append_reply"},
      Alternative<raft::Heartbeat>{134, "heartbeat"},
      Alternative<raft::HeartbeatReply>{135, "heartbeat_reply"},
      Alternative<Forward>{136, "forward"}, Alternative<ForwardReply>{137, "forward_reply"},
      Alternative<FoundingOffer>{138, "founding_offer"},
      Alternative<FoundingHold>{139, "founding_hold"}, Alternative<PeerGoodbye>{140, "goodbye"},
      Alternative<PeerRooms>{149, "rooms"}, Alternative<PeerRoomsTaken>{150, "rooms_taken"},
      Alternative<raft::ReadRequest>{142, "read_request"},
      Alternative<raft::ReadReply>{143, "read_reply"},
      Alternative<raft::TimeoutNow>{141, "timeout_now"},
      Alternative<JoinRequest>{146, "join_request"}, Alternative<JoinReply>{147, "join_reply"});
}

}  // namespace kuilt::wire
