// client_shell_rooms.cpp: the rooms that an application has joined, between it and the core.
#include <utility>

#include "client/client_shell.hpp"
#include "wire/room_name.hpp"

namespace kuilt::detail {
namespace {

/// Messages that wait for the thread of the links.
constexpr std::size_t said_bytes_max = std::size_t{1} << 20;
constexpr std::size_t message_overhead = 256;

/// The way out over a client's own links.
class ShellExit final : public RoomExit {
 public:
  ShellExit(std::weak_ptr<ClientShell> shell, RoomName room, std::uint64_t membership)
      : shell_(std::move(shell)), room_(std::move(room)), membership_(membership) {}

  Status say(wire::RoomMessage message) override {
    if (const auto shell = shell_.lock()) return shell->say(membership_, std::move(message));
    return Error(ErrorCode::stopped, Effect::none, "the client was stopped");
  }
  void leave() override {
    if (const auto shell = shell_.lock()) shell->leave_room(room_, membership_);
  }
  Result<std::shared_ptr<ChannelState>> raft_channel() override {
    return Error(ErrorCode::invalid_argument,
                 "the channel \"raft\" is the log itself, which this client follows already: use "
                 "ClusterClient::observe and propose, or another name");
  }

 private:
  const std::weak_ptr<ClientShell> shell_;
  const RoomName room_;
  const std::uint64_t membership_;
};

}  // namespace

Result<std::shared_ptr<RoomState>> ClientShell::join(const RoomName& room) {
  if (Status sound = wire::check_room(room); !sound) return std::move(sound).error();
  const std::lock_guard lock(mutex_);
  if (stopped_) return Error(ErrorCode::stopped, Effect::none, "the client was stopped");
  if (memberships_.contains(room)) {
    return Error(ErrorCode::invalid_argument,
                 "the room \"" + room + "\" is joined already: use that Room, or drop it first");
  }
  const std::uint64_t number = ++last_membership_;
  const auto state = std::make_shared<RoomState>(
      room, callbacks_, std::make_shared<ShellExit>(weak_from_this(), room, number));
  memberships_[room] = {number, state};
  gather({client::JoinCall{room, number}, nullptr});
  return state;
}

Status ClientShell::say(std::uint64_t membership, wire::RoomMessage message) {
  const std::size_t bytes = message.body.size() + message_overhead;
  const std::lock_guard lock(mutex_);
  const auto found = memberships_.find(message.room);
  if (stopped_ || found == memberships_.end() || found->second.number != membership) {
    return Error(ErrorCode::stopped, Effect::none, "the room was left");
  }
  if (said_bytes_ + bytes > said_bytes_max) {
    return Error(ErrorCode::busy, Effect::none,
                 std::to_string(said_bytes_) + " bytes of messages wait to be sent, the limit is " +
                     std::to_string(said_bytes_max) + ": send slower");
  }
  said_bytes_ += bytes;
  gather({client::SayCall{std::move(message)}, nullptr});
  return Done{};
}

void ClientShell::leave_room(const RoomName& room, std::uint64_t membership) {
  const std::lock_guard lock(mutex_);
  const auto found = memberships_.find(room);
  if (found == memberships_.end() || found->second.number != membership) return;
  memberships_.erase(found);
  gather({client::LeaveCall{room}, nullptr});
}

std::shared_ptr<RoomState> ClientShell::room_of(const RoomName& room) {
  const std::lock_guard lock(mutex_);
  const auto found = memberships_.find(room);
  return found == memberships_.end() ? nullptr : found->second.state;
}

void ClientShell::room_ended(const client::RoomEnded& duty) {
  std::shared_ptr<RoomState> ended;
  {
    const std::lock_guard lock(mutex_);
    const auto found = memberships_.find(duty.room);
    if (found == memberships_.end() || found->second.number != duty.number) return;
    ended = std::move(found->second.state);
    memberships_.erase(found);
  }
  ended->end(duty.error);
}

}  // namespace kuilt::detail
