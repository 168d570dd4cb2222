// room_messages.hpp: presence in rooms and messages between their members, as values. None of it
// goes through the log.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "kuilt/bytes.hpp"
#include "kuilt/errors.hpp"
#include "kuilt/roster.hpp"
#include "wire/fields.hpp"

namespace kuilt::wire {

/// Bit of Hello::features and Welcome::features: knows the messages below.
inline constexpr std::uint64_t feature_rooms = 1;
inline constexpr std::size_t channel_bytes_max = 128;
inline constexpr std::size_t room_message_bytes_max = std::size_t{64} << 10;

using ClientSecret = Id<struct ClientSecretTag>;
template <>
inline constexpr bool is_id<PeerId> = true;

// From client to server.

struct Join {
  RoomName room;
  std::uint64_t number = 0;  ///< Of the client's counting: a refusal carries it.
  friend bool operator==(const Join&, const Join&) = default;
};
struct LeaveRoom {
  RoomName room;
  friend bool operator==(const LeaveRoom&, const LeaveRoom&) = default;
};
/// Best effort: delivered once or not at all.
struct RoomMessage {
  RoomName room;
  std::string channel;
  PeerId to;  ///< None: all others in the room.
  Bytes body;
  /// Of the sender's counting, rising: readers who move to another server tell by it what they have
  /// heard already. 0: not counted.
  std::uint64_t number = 0;
  friend bool operator==(const RoomMessage&, const RoomMessage&) = default;
};

// From server to client.

/// Everybody in the room: answers a join, and follows whenever changes had to be left out.
struct RosterReset {
  std::vector<RoomMember> members;
  friend bool operator==(const RosterReset&, const RosterReset&) = default;
};
struct RosterEvent {
  bool joined = false;  ///< Else left.
  RoomMember member;
  friend bool operator==(const RosterEvent&, const RosterEvent&) = default;
};
/// In the order in which the server learnt of it.
struct RosterChange {
  std::vector<RosterEvent> events;
  friend bool operator==(const RosterChange&, const RosterChange&) = default;
};
struct Roster {
  RoomName room;
  std::variant<RosterReset, RosterChange> change;
  friend bool operator==(const Roster&, const Roster&) = default;
};
struct Delivery {
  RoomName room;
  std::string channel;
  PeerId from;
  Bytes body;
  std::uint64_t number = 0;
  friend bool operator==(const Delivery&, const Delivery&) = default;
};
/// Of a join, or of messages: how many since the last such notice.
struct RoomRefusal {
  RoomName room;
  ErrorCode code = ErrorCode::busy;
  std::string message;
  Duration retry_after{};      ///< Zero: repeating it unchanged cannot help.
  std::uint64_t messages = 0;  ///< Zero: the join is refused.
  std::uint64_t join = 0;      ///< Its number, then.
  friend bool operator==(const RoomRefusal&, const RoomRefusal&) = default;
};

// Between servers.

/// Whether a member is in a room by a link of the sender's own.
struct Presence {
  RoomName room;
  RoomMember member;
  bool present = false;
  friend bool operator==(const Presence&, const Presence&) = default;
};
/// A message for members on the receiving server.
struct RoomPost {
  RoomMessage message;
  PeerId from;
  friend bool operator==(const RoomPost&, const RoomPost&) = default;
};
/// A stream of frames, numbered from 1, each acknowledged before the next is sent. It begins with
/// everybody who is present on the sender, and goes on with changes.
struct PeerRooms {
  std::uint64_t stream = 0;  ///< Drawn at random: a later stream is another one.
  std::uint64_t number = 0;
  bool complete = false;  ///< Who was not named since number 1 is not present.
  std::vector<Presence> presences;
  std::vector<RoomPost> posts;
  friend bool operator==(const PeerRooms&, const PeerRooms&) = default;
};
/// "I have taken in the stream through `number`."
struct PeerRoomsTaken {
  std::uint64_t stream = 0;
  std::uint64_t number = 0;
  friend bool operator==(const PeerRoomsTaken&, const PeerRoomsTaken&) = default;
};

}  // namespace kuilt::wire
