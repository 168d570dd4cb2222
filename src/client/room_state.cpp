#include "client/room_state.hpp"

#include <utility>

#include "kuilt/detail/overloaded.hpp"
#include "wire/utf8.hpp"

namespace kuilt::detail {
namespace {

using Clock = std::chrono::steady_clock;

/// Of an application that has events and does not take them: then it is told who is there instead.
constexpr std::size_t events_max = 4096;
/// Of one channel, not taken yet.
constexpr std::size_t messages_bytes_max = std::size_t{1} << 20;
/// What a message costs besides its body.
constexpr std::size_t message_overhead = 64;

constexpr std::string_view raft_channel_name = "raft";

/// What the application gave is freed where it is called: it may own more than another thread can
/// end.
template <class Callback>
void free_in(client::CallbackQueue& callbacks, const char* name, Callback callback) {
  if (callback) callbacks.run(name, [callback = std::move(callback)] {});
}

}  // namespace

RoomState::RoomState(RoomName name, std::shared_ptr<client::CallbackQueue> callbacks,
                     std::shared_ptr<RoomExit> exit)
    : name_(std::move(name)), callbacks_(std::move(callbacks)), exit_(std::move(exit)) {}

void RoomState::told(PeerId self, const wire::Roster& roster) {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  const auto on_change = Overloaded{
      [&](const wire::RosterReset& whole) {
        self_ = self;
        reset(whole.members);
      },
      [&](const wire::RosterChange& some) {
        if (!known_) return;  // Of an earlier membership of this room: everybody comes first.
        for (const wire::RosterEvent& event : some.events) {
          event.joined ? joined(event.member) : left(event.member);
        }
      },
  };
  std::visit(on_change, roster.change);
  ++version_;
  changed_.notify_all();
  send_taker(on_roster_);
}

void RoomState::joined(const RoomMember& member) {
  if (members_.emplace(member.id, member.name).second) push(MemberJoined{member});
}

void RoomState::left(const RoomMember& member) {
  if (members_.erase(member.id) > 0) push(MemberLeft{member});
}

void RoomState::reset(const std::vector<RoomMember>& members) {
  if (!std::exchange(known_, true)) {
    for (const RoomMember& member : members) members_.emplace(member.id, member.name);
    return push(RosterReset{snapshot()});
  }
  const kuilt::Roster before = snapshot();
  const kuilt::Roster after(members);
  for (const RoomMember& member : before) {
    if (!after.contains(member.id)) left(member);
  }
  for (const RoomMember& member : after) joined(member);
}

void RoomState::push(RosterEvent event) {
  if (!on_roster_ || !known_) return;
  if (events_.size() < events_max) return events_.push_back(std::move(event));
  events_.clear();
  events_.push_back(RosterReset{snapshot()});
}

kuilt::Roster RoomState::snapshot() const {
  std::vector<RoomMember> members;
  members.reserve(members_.size());
  for (const auto& [id, name] : members_) members.push_back({id, name});
  return kuilt::Roster(std::move(members));
}

void RoomState::send_taker(const std::shared_ptr<const OnRoster>& callback) {
  if (events_.empty() || std::exchange(taker_sent_, true)) return;
  callbacks_->run("on_roster",
                  [self = shared_from_this(), callback] { self->hand_events(callback); });
}

void RoomState::hand_events(const std::shared_ptr<const OnRoster>& callback) {
  const std::lock_guard calling(calling_);
  while (auto event = next_event()) {
    (*callback)(*event);
    if (!callbacks_->out_of_time()) continue;
    const std::lock_guard lock(mutex_);
    taker_sent_ = false;
    return send_taker(callback);
  }
}

std::optional<RosterEvent> RoomState::next_event() {
  const std::lock_guard lock(mutex_);
  if (events_.empty()) {
    taker_sent_ = false;
    return std::nullopt;
  }
  RosterEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void RoomState::delivered(const wire::Delivery& delivery) {
  std::shared_ptr<MemberChannel> channel;
  {
    const std::lock_guard lock(mutex_);
    const auto found = channels_.find(delivery.channel);
    if (found == channels_.end()) return;
    channel = found->second;
  }
  channel->deliver({delivery.from, delivery.body});
}

void RoomState::refused(const wire::RoomRefusal& refusal) {
  const std::lock_guard lock(mutex_);
  refusal_ = Error(refusal.code, Effect::none, refusal.message);
  if (refusal.messages > 0 && refusal.code == ErrorCode::busy) {
    refused_until_ = Clock::now() + bounded(refusal.retry_after);
  }
}

void RoomState::end(const Error& reason) {
  std::map<std::string, std::shared_ptr<MemberChannel>> channels;
  std::shared_ptr<const OnRoster> unused;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    ended_ = reason;
    channels = channels_;
    unused = std::exchange(on_roster_, nullptr);
    changed_.notify_all();
  }
  free_in(*callbacks_, "on_roster", std::move(unused));
  for (const auto& [name, channel] : channels) channel->end(reason);
}

PeerId RoomState::self_id() const {
  const std::lock_guard lock(mutex_);
  return self_;
}

kuilt::Roster RoomState::roster() const {
  const std::lock_guard lock(mutex_);
  return snapshot();
}

Result<kuilt::Roster> RoomState::await_roster(
    const std::function<bool(const kuilt::Roster&)>& wanted, Duration timeout) {
  if (callbacks_->here()) {
    return Error(ErrorCode::usage, Effect::none,
                 "waiting for a roster inside a callback would hold up the other callbacks");
  }
  const auto deadline = Clock::now() + bounded(timeout);
  std::unique_lock lock(mutex_);
  while (true) {
    if (ended_) return *ended_;
    const std::uint64_t seen = version_;
    if (known_) {
      kuilt::Roster roster = snapshot();
      lock.unlock();  // The application may well ask the room in there.
      if (wanted(roster)) return roster;
      lock.lock();
    }
    const auto has_news = [&] { return ended_ || version_ != seen; };
    if (!changed_.wait_until(lock, deadline, has_news)) return why_not_yet();
  }
}

Error RoomState::why_not_yet() const {
  if (!known_ && refusal_) return *refusal_;
  return Error(ErrorCode::timed_out, Effect::none,
               known_ ? "the room \"" + name_ + "\" has " + std::to_string(members_.size()) +
                            " members, and not those that are waited for"
                      : "no server has admitted this client to the room \"" + name_ + "\" in time");
}

Status RoomState::on_roster(std::function<void(const RosterEvent&)> callback) {
  const std::lock_guard lock(mutex_);
  if (on_roster_) return Error(ErrorCode::usage, "the room has an on_roster callback already");
  on_roster_ = std::make_shared<const OnRoster>(std::move(callback));
  if (known_) push(RosterReset{snapshot()});
  send_taker(on_roster_);
  if (ended_) on_roster_.reset();
  return Done{};
}

Result<std::shared_ptr<ChannelState>> RoomState::channel(const std::string& name) {
  if (name == raft_channel_name) return exit_->raft_channel();
  if (name.size() > wire::channel_bytes_max) {
    return Error(ErrorCode::invalid_argument,
                 "the channel's name has " + std::to_string(name.size()) + " bytes, the limit is " +
                     std::to_string(wire::channel_bytes_max));
  }
  if (!wire::is_utf8(name)) {
    return Error(ErrorCode::invalid_argument, "the channel's name is not UTF-8");
  }
  const std::lock_guard lock(mutex_);
  const auto fresh = [&] {
    return std::make_shared<MemberChannel>(name, weak_from_this(), callbacks_);
  };
  if (ended_) {
    const auto channel = fresh();
    channel->end(*ended_);
    return std::shared_ptr<ChannelState>(channel);
  }
  auto& channel = channels_[name];
  if (!channel) channel = fresh();
  return std::shared_ptr<ChannelState>(channel);
}

std::optional<Error> RoomState::refusal() const {
  const std::lock_guard lock(mutex_);
  return refusal_;
}

std::optional<Error> RoomState::error() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

void RoomState::leave() {
  end(Error(ErrorCode::stopped, Effect::none, "the room was left"));
  std::map<std::string, std::shared_ptr<MemberChannel>> channels;
  {
    const std::lock_guard lock(mutex_);
    events_.clear();
    channels.swap(channels_);
  }
  exit_->leave();
  for (const auto& [name, channel] : channels) channel->mute();
  const std::lock_guard running(calling_);
}

Status RoomState::say(const std::string& channel, PeerId to, BytesView body) {
  if (body.size() > wire::room_message_bytes_max) {
    return Error(ErrorCode::invalid_argument, "the message has " + std::to_string(body.size()) +
                                                  " bytes, the limit is " +
                                                  std::to_string(wire::room_message_bytes_max) +
                                                  ": what is larger is proposed, or sent in parts");
  }
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return *ended_;
    if (refused_until_ && Clock::now() < *refused_until_) return *refusal_;
  }
  return exit_->say({name_, channel, to, Bytes::copy_of(body)});
}

void MemberChannel::deliver(ChannelMessage message) {
  const std::size_t bytes = message.body.size() + message_overhead;
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  if (bytes_ + bytes > messages_bytes_max) return void(++dropped_);
  bytes_ += bytes;
  messages_.push_back(std::move(message));
  changed_.notify_one();
  send_taker(callback_);
}

void MemberChannel::end(const Error& reason) {
  std::shared_ptr<const OnMessage> unused;
  {
    const std::lock_guard lock(mutex_);
    ended_ = reason;
    unused = std::exchange(callback_, nullptr);
    changed_.notify_all();
  }
  free_in(*callbacks_, "on_message", std::move(unused));
}

void MemberChannel::mute() {
  {
    const std::lock_guard lock(mutex_);
    muted_ = true;
  }
  const std::lock_guard running(calling_);
}

Status MemberChannel::send(PeerId to, BytesView body) {
  if (const auto room = room_.lock()) return room->say(name_, to, body);
  return error().value_or(Error(ErrorCode::stopped, Effect::none, "the room was left"));
}

std::optional<ChannelMessage> MemberChannel::next(Deadline deadline) {
  std::unique_lock lock(mutex_);
  const auto ready = [this] { return !messages_.empty() || ended_; };
  if (deadline) {
    changed_.wait_until(lock, *deadline, ready);
  } else {
    changed_.wait(lock, ready);
  }
  if (messages_.empty()) {
    taker_sent_ = false;
    return std::nullopt;
  }
  ChannelMessage message = std::move(messages_.front());
  messages_.pop_front();
  bytes_ -= message.body.size() + message_overhead;
  return message;
}

Status MemberChannel::on_message(std::function<void(const ChannelMessage&)> callback) {
  const std::lock_guard lock(mutex_);
  if (callback_) return Error(ErrorCode::usage, "the channel has an on_message callback already");
  callback_ = std::make_shared<const OnMessage>(std::move(callback));
  send_taker(callback_);
  if (ended_) callback_.reset();
  return Done{};
}

void MemberChannel::send_taker(const std::shared_ptr<const OnMessage>& callback) {
  if (!callback || messages_.empty() || std::exchange(taker_sent_, true)) return;
  callbacks_->run("on_message",
                  [self = shared_from_this(), callback] { self->hand_messages(callback); });
}

// One callback for all that is there; the rest in a later one if it is time to end.
void MemberChannel::hand_messages(const std::shared_ptr<const OnMessage>& callback) {
  const std::lock_guard calling(calling_);
  const auto is_muted = [this] {
    const std::lock_guard lock(mutex_);
    return muted_;
  };
  while (!is_muted()) {
    const auto message = next(Clock::now());
    if (!message) return;
    (*callback)(*message);
    if (!callbacks_->out_of_time()) continue;
    const std::lock_guard lock(mutex_);
    taker_sent_ = false;
    return send_taker(callback);
  }
}

PeerId MemberChannel::self_id() const {
  const auto room = room_.lock();
  return room ? room->self_id() : PeerId();
}

std::uint64_t MemberChannel::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

std::optional<Error> MemberChannel::error() const {
  const std::lock_guard lock(mutex_);
  if (!messages_.empty()) return std::nullopt;
  return ended_;
}

}  // namespace kuilt::detail
