// room.hpp: who else is there, and messages to them that do not go through the log.
//
//   auto room = client.join("table-7").or_throw();
//   room.await_roster([](const Roster& r) { return r.size() == 2; }, 5s).or_throw();
//   auto chat = room.channel("chat").or_throw();
//   chat.broadcast("hello").or_throw();
//   while (auto said = chat.next()) show(said->from, said->body.text());
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "kuilt/bytes.hpp"
#include "kuilt/detail/chrono.hpp"
#include "kuilt/detail/export.hpp"
#include "kuilt/detail/function.hpp"
#include "kuilt/result.hpp"
#include "kuilt/roster.hpp"
#include "kuilt/types.hpp"

namespace kuilt {

/// Somebody came.
struct MemberJoined {
  RoomMember member;
};
/// Somebody left, or was lost sight of for longer than a failover takes.
struct MemberLeft {
  RoomMember member;
};
/// This is who is there: the first news of a room, and what stands for more events than were kept.
struct RosterReset {
  Roster roster;
};
using RosterEvent = std::variant<MemberJoined, MemberLeft, RosterReset>;  ///< What is told.

/// What a member has said on a channel.
struct ChannelMessage {
  PeerId from;
  Bytes body;
};

namespace detail {
class ChannelState;
class RoomState;
}  // namespace detail

/// A named way between the members of one room. Best effort: a message arrives once or not at all.
/// It is lost when sender or receiver has no link then, when one of them or a server in between is
/// too slow, and when the receiver has not opened the channel. Messages of one sender stay in
/// order. Nothing of it is in the log: what must not be lost is proposed.
///
/// Threads: any, at the same time.
/// Ownership: copies are the same channel. May outlive the room, and is then ended.
class KUILT_API Channel {
 public:
  explicit Channel(std::shared_ptr<detail::ChannelState> state);

  /// Sends to one member. Success does not promise that it is there, nor that it arrives.
  /// Errors: invalid_argument (over 64 KiB), busy (1 MiB waits to be sent, or the server has of
  /// late refused messages as too many: `Room::refusal` says why), stopped.
  Status send(PeerId to, BytesView body);
  /// To all others in the room. Errors: as `send`.
  Status broadcast(BytesView body);

  /// Waits for the next message. Nothing, once the room is ended: `error()` says why.
  [[nodiscard]] std::optional<ChannelMessage> next();
  /// As `next`, but nothing after `timeout` as well.
  [[nodiscard]] std::optional<ChannelMessage> next_for(std::chrono::nanoseconds timeout);
  /// Has `callback` called with every message, where the client's callbacks run, until the room is
  /// ended. Errors: usage (it has one already).
  Status on_message(std::function<void(const ChannelMessage&)> callback);

  /// As `Room::self_id`.
  [[nodiscard]] PeerId self_id() const;
  /// Messages that came and found 1 MiB not taken yet.
  [[nodiscard]] std::uint64_t dropped() const;
  /// Why there will be no more. Nothing, while the room goes on.
  [[nodiscard]] std::optional<Error> error() const;

  [[nodiscard]] const std::shared_ptr<detail::ChannelState>& state() const { return state_; }

 private:
  std::shared_ptr<detail::ChannelState> state_;
};

/// Membership of one room. It is made by joining, and lasts across failovers: the client joins
/// again on the next server, where it is the same member; what has changed meanwhile is told as
/// members that left and joined.
///
/// The roster says who has a link to some server of the cluster, as far as this client's server
/// has heard: a moment late, and for two seconds still whoever lost their link, so that others'
/// failovers are not seen. It decides nothing: rules that need certainty go through the log.
///
/// Threads: calls from any thread, at the same time; callbacks run where the client's do.
/// Ownership: move-only; destruction leaves: no callback of the room or its channels begins any
/// more, and one that runs is waited for, unless the room is destroyed inside it. What callbacks
/// own is freed with the room's end. May outlive the client, and is then ended.
class KUILT_API Room {
 public:
  explicit Room(std::shared_ptr<detail::RoomState> state);
  Room(Room&&) noexcept;
  Room& operator=(Room&&) noexcept;
  ~Room();

  [[nodiscard]] const RoomName& name() const;  ///< As it was joined.
  /// Who this client is among the members. None, until a server has admitted it to the room.
  [[nodiscard]] PeerId self_id() const;
  /// Who is there, as far as is known: empty, until a server has admitted this client to the room;
  /// afterwards this client is always among them.
  [[nodiscard]] Roster roster() const;
  /// Waits until the roster satisfies `wanted`, and returns that roster. Never satisfied by one of
  /// before the first admission.
  /// Errors: timed_out; busy (the room, or the cluster, is full: joining is tried again until it
  /// succeeds); usage (inside a callback); and why the room is ended, as `error`.
  Result<Roster> await_roster(const std::function<bool(const Roster&)>& wanted,
                              std::chrono::nanoseconds timeout);
  /// Has `callback` called with the roster, and then with every change, until the room is ended.
  /// Errors: usage (it has one already).
  Status on_roster(std::function<void(const RosterEvent&)> callback);

  /// Opens the channel; a second call gives the same one.
  /// Errors: invalid_argument (the name is over 128 bytes, is not UTF-8, or is "raft", which is
  /// the log's own: see `ClusterClient::observe`).
  Result<Channel> channel(const std::string& name);

  /// What the server said last against this room: a join that is tried again, or messages that it
  /// did not pass on (busy: too many bytes a second). Nothing, if all has gone well.
  [[nodiscard]] std::optional<Error> refusal() const;
  /// Why the room is ended: stopped; invalid_argument (64 rooms are joined already);
  /// version_unsupported (the server knows no rooms); or what all servers say against this client.
  /// Nothing, while it goes on.
  [[nodiscard]] std::optional<Error> error() const;

 private:
  void leave();
  std::shared_ptr<detail::RoomState> state_;
};

}  // namespace kuilt
