// client_fields.hpp: the messages of proto/kuilt/v1/client.proto, described.
#pragma once

#include "wire/client_messages.hpp"
#include "wire/outcome_fields.hpp"
#include "wire/room_fields.hpp"

namespace kuilt::wire {

[[nodiscard]] inline bool assign_enum(ObserveVerdict& to, std::uint64_t number) {
  if (number < static_cast<std::uint64_t>(ObserveVerdict::resumed) ||
      number > static_cast<std::uint64_t>(ObserveVerdict::refused)) {
    return false;
  }
  to = static_cast<ObserveVerdict>(number);
  return true;
}

void describe(auto& visitor, Is<Hello> auto& m) {
  visitor.field(1, "version_min", m.version_min);
  visitor.field(2, "version_max", m.version_max);
  visitor.field(3, "features", m.features);
  visitor.field(4, "cluster", m.cluster);
  visitor.field(5, "history", m.history);
  visitor.field(6, "client", m.client);
  visitor.field(7, "link", m.link);
  visitor.name(8, "name", m.name);
  visitor.field(9, "token", m.token);
  visitor.field(10, "secret", m.secret);
}
void describe(auto& visitor, Is<Propose> auto& m) { visitor.field(1, "proposals", m.proposals); }
void describe(auto& /*visitor*/, Is<FromStart> auto& /*m*/) {}
void describe(auto& /*visitor*/, Is<FromNow> auto& /*m*/) {}
void describe(auto& visitor, Is<FromIndex> auto& m) { visitor.field(1, "index", m.index); }
void describe(auto& visitor, Is<ResumePoint> auto& m) {
  visitor.field(1, "cluster", m.cluster);
  visitor.field(2, "history", m.history);
  visitor.field(3, "index", m.at.index);
  visitor.field(4, "term", m.at.term);
  visitor.digest(5, "digest", m.digest);
}
void describe(auto& visitor, Is<Observe> auto& m) {
  visitor.name(1, "room", m.room);
  visitor.one_of("from", m.from, Alternative<FromStart>{2, "start"}, Alternative<FromNow>{3, "now"},
                 Alternative<FromIndex>{4, "index"}, Alternative<ResumePoint>{5, "resume"});
  visitor.field(6, "credit_bytes", m.credit_bytes);
}
void describe(auto& visitor, Is<Credit> auto& m) {
  visitor.name(1, "room", m.room);
  visitor.field(2, "bytes", m.bytes);
  visitor.field(3, "through", m.through);
}
void describe(auto& visitor, Is<Unobserve> auto& m) { visitor.name(1, "room", m.room); }
void describe(auto& visitor, Is<ReadBarrier> auto& m) { visitor.field(1, "number", m.number); }

void describe(auto& visitor, Is<Limits> auto& m) {
  visitor.field(1, "command_bytes_max", m.command_bytes_max);
  visitor.field(2, "frame_bytes_max", m.frame_bytes_max);
  visitor.field(3, "window_bytes_max", m.window_bytes_max);
  visitor.field(4, "session_window", m.session_window);
}
void describe(auto& visitor, Is<Welcome> auto& m) {
  visitor.field(1, "version", m.version);
  visitor.field(2, "features", m.features);
  visitor.field(3, "server", m.server);
  visitor.name(4, "server_name", m.server_name);
  visitor.field(5, "cluster", m.cluster);
  visitor.field(6, "history", m.history);
  visitor.field(7, "log_id", m.log_id);
  visitor.field(8, "commit", m.commit);
  visitor.name(9, "leader", m.leader);
  visitor.field(10, "leader_url", m.leader_url);
  visitor.field(11, "endpoints", m.endpoints);
  visitor.field(12, "heartbeat_interval", m.heartbeat_interval);
  visitor.field(13, "limits", m.limits);
  visitor.name(14, "principal", m.principal);
  visitor.field(15, "member", m.member);
}
void describe(auto& visitor, Is<Answers> auto& m) { visitor.field(1, "answers", m.answers); }
void describe(auto& visitor, Is<ObserveReply> auto& m) {
  visitor.name(1, "room", m.room);
  visitor.field(2, "verdict", m.verdict);
  visitor.field(3, "at", m.at);
  visitor.digest(4, "digest", m.digest);
  visitor.prose(5, "message", m.message);
  visitor.field(6, "endpoints", m.endpoints);
}
void describe(auto& visitor, Is<Feed> auto& m) {
  visitor.name(1, "room", m.room);
  visitor.field(2, "prev", m.prev);
  visitor.field(3, "through", m.through);
  visitor.digest(4, "digest", m.digest);
  visitor.entries(5, "entries", m.entries);
}
void describe(auto& visitor, Is<ServerHeartbeat> auto& m) {
  visitor.field(1, "commit", m.commit);
  visitor.name(2, "leader", m.leader);
}
void describe(auto& visitor, Is<Reached> auto& m) { visitor.field(1, "index", m.index); }
void describe(auto& visitor, Is<BarrierAnswer> auto& m) {
  visitor.field(1, "number", m.number);
  visitor.one_of("outcome", m.outcome, Alternative<Reached>{2, "reached"},
                 Alternative<RefusedOutcome>{3, "refused"});
}
void describe(auto& visitor, Is<Goodbye> auto& m) {
  visitor.field(1, "code", m.code);
  visitor.prose(2, "message", m.message);
  visitor.field(3, "retry_after", m.retry_after);
  visitor.field(4, "endpoints", m.endpoints);
}

/// ClientFrame, from client to server: numbers below 64.
void describe(auto& visitor, Is<ClientMessage> auto& frame) {
  visitor.one_of("message", frame, Alternative<Hello>{1, "hello"},
                 Alternative<Propose>{2, "propose"}, Alternative<Observe>{3, "observe"},
                 Alternative<Credit>{4, "credit"}, Alternative<Unobserve>{5, "unobserve"},
                 Alternative<Join>{6, "join"}, Alternative<LeaveRoom>{7, "leave_room"},
                 Alternative<RoomMessage>{8, "room_message"},
                 Alternative<ReadBarrier>{9, "read_barrier"});
}
/// ClientFrame, from server to client: numbers from 64 to 127.
void describe(auto& visitor, Is<ServerMessage> auto& frame) {
  visitor.one_of(
      "message", frame, Alternative<Welcome>{64, "welcome"}, Alternative<Answers>{65, "answers"},
      Alternative<ObserveReply>{66, "observe_reply"}, Alternative<Feed>{67, "feed"},
      Alternative<ServerHeartbeat>{68, "heartbeat"}, Alternative<Goodbye>{69, "goodbye"},
      Alternative<Roster>{70, "roster"}, Alternative<Delivery>{71, "delivery"},
      Alternative<RoomRefusal>{72, "room_refusal"}, Alternative<BarrierAnswer>{73, "barrier"});
}

/// An entry as JSON shows it; in protobuf it is the Entry of entry.proto.
void describe(auto& visitor, Is<FeedEntry> auto& entry) {
  visitor.field(3, "index", entry.at.index);
  visitor.field(4, "term", entry.at.term);
  visitor.field(5, "log_time_ns", entry.log_time);
  visitor.field(6, "log_id", entry.log_id);
  visitor.name(7, "room", entry.room);
  visitor.name(8, "author", entry.author);
  visitor.field(9, "request_id", entry.request_id);
  visitor.payload(10, "command", entry.command);
}

}  // namespace kuilt::wire
