// room_fields.hpp: the messages of proto/kuilt/v1/room.proto, described.
#pragma once

#include "wire/room_messages.hpp"

namespace kuilt {

void describe(auto& visitor, wire::Is<RoomMember> auto& m) {
  visitor.field(1, "id", m.id);
  visitor.name(2, "name", m.name);
}

}  // namespace kuilt

namespace kuilt::wire {

void describe(auto& visitor, Is<Join> auto& m) {
  visitor.name(1, "room", m.room);
  visitor.field(2, "number", m.number);
}
void describe(auto& visitor, Is<LeaveRoom> auto& m) { visitor.name(1, "room", m.room); }
void describe(auto& visitor, Is<RoomMessage> auto& m) {
  visitor.name(1, "room", m.room);
  visitor.name(2, "channel", m.channel);
  visitor.field(3, "to", m.to);
  visitor.payload(4, "body", m.body);
  visitor.field(5, "number", m.number);
}

void describe(auto& visitor, Is<RosterReset> auto& m) { visitor.field(1, "members", m.members); }
void describe(auto& visitor, Is<RosterEvent> auto& m) {
  visitor.field(1, "joined", m.joined);
  visitor.field(2, "member", m.member);
}
void describe(auto& visitor, Is<RosterChange> auto& m) { visitor.field(1, "events", m.events); }
void describe(auto& visitor, Is<Roster> auto& m) {
  visitor.name(1, "room", m.room);
  visitor.one_of("change", m.change, Alternative<RosterReset>{2, "reset"},
                 Alternative<RosterChange>{3, "changed"});
}
void describe(auto& visitor, Is<Delivery> auto& m) {
  visitor.name(1, "room", m.room);
  visitor.name(2, "channel", m.channel);
  visitor.field(3, "from", m.from);
  visitor.payload(4, "body", m.body);
  visitor.field(5, "number", m.number);
}
void describe(auto& visitor, Is<RoomRefusal> auto& m) {
  visitor.name(1, "room", m.room);
  visitor.field(2, "code", m.code);
  visitor.prose(3, "message", m.message);
  visitor.field(4, "retry_after", m.retry_after);
  visitor.field(5, "messages", m.messages);
  visitor.field(6, "join", m.join);
}

void describe(auto& visitor, Is<Presence> auto& m) {
  visitor.name(1, "room", m.room);
  visitor.field(2, "member", m.member);
  visitor.field(3, "present", m.present);
}
void describe(auto& visitor, Is<RoomPost> auto& m) {
  visitor.field(1, "message", m.message);
  visitor.field(2, "from", m.from);
}
void describe(auto& visitor, Is<PeerRooms> auto& m) {
  visitor.field(1, "stream", m.stream);
  visitor.field(2, "number", m.number);
  visitor.field(3, "complete", m.complete);
  visitor.field(4, "presences", m.presences);
  visitor.field(5, "posts", m.posts);
}
void describe(auto& visitor, Is<PeerRoomsTaken> auto& m) {
  visitor.field(1, "stream", m.stream);
  visitor.field(2, "number", m.number);
}

}  // namespace kuilt::wire
