// room.cpp: the facades of kuilt/room.hpp.
#include "kuilt/room.hpp"

#include <utility>

#include "client/room_state.hpp"
#include "kuilt/pending.hpp"

namespace kuilt {

Channel::Channel(std::shared_ptr<detail::ChannelState> state) : state_(std::move(state)) {}

// None stands for all others, so nobody is addressed by it.
Status Channel::send(PeerId to, BytesView body) {
  if (to.is_none()) {
    return Error(ErrorCode::invalid_argument, "no member has the id none: broadcast to all");
  }
  return state_->send(to, body);
}
Status Channel::broadcast(BytesView body) { return state_->send(PeerId(), body); }
std::optional<ChannelMessage> Channel::next() { return state_->next(std::nullopt); }
std::optional<ChannelMessage> Channel::next_for(std::chrono::nanoseconds timeout) {
  return state_->next(std::chrono::steady_clock::now() + detail::bounded(timeout));
}
Status Channel::on_message(std::function<void(const ChannelMessage&)> callback) {
  return state_->on_message(std::move(callback));
}
PeerId Channel::self_id() const { return state_->self_id(); }
std::uint64_t Channel::dropped() const { return state_->dropped(); }
std::optional<Error> Channel::error() const { return state_->error(); }

Room::Room(std::shared_ptr<detail::RoomState> state) : state_(std::move(state)) {}
Room::Room(Room&&) noexcept = default;
Room& Room::operator=(Room&& other) noexcept {
  if (this != &other) {
    leave();
    state_ = std::move(other.state_);
  }
  return *this;
}
Room::~Room() { leave(); }

void Room::leave() {
  if (state_) state_->leave();
}

const RoomName& Room::name() const { return state_->name(); }
PeerId Room::self_id() const { return state_->self_id(); }
Roster Room::roster() const { return state_->roster(); }
Result<Roster> Room::await_roster(const std::function<bool(const Roster&)>& wanted,
                                  std::chrono::nanoseconds timeout) {
  return state_->await_roster(wanted, timeout);
}
Status Room::on_roster(std::function<void(const RosterEvent&)> callback) {
  return state_->on_roster(std::move(callback));
}
Result<Channel> Room::channel(const std::string& name) {
  auto state = state_->channel(name);
  if (!state) return std::move(state).error().within("channel");
  return Channel(*std::move(state));
}
std::optional<Error> Room::refusal() const { return state_->refusal(); }
std::optional<Error> Room::error() const { return state_->error(); }

}  // namespace kuilt
