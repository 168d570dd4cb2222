// room_state.hpp: what is between the thread of a link and one room of an application.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "client/callback_queue.hpp"
#include "kuilt/room.hpp"
#include "wire/room_messages.hpp"

namespace kuilt::detail {

/// One channel, as the application sees it. A room's ordinary ones are MemberChannels; what is
/// behind the name "raft" depends on whose room it is.
///
/// Threads: any.
class ChannelState {
 public:
  using Deadline = std::optional<std::chrono::steady_clock::time_point>;
  virtual ~ChannelState() = default;
  /// None: to all others.
  virtual Status send(PeerId to, BytesView body) = 0;
  /// Waits until then, or without a deadline for ever.
  virtual std::optional<ChannelMessage> next(Deadline deadline) = 0;
  virtual Status on_message(std::function<void(const ChannelMessage&)> callback) = 0;
  [[nodiscard]] virtual PeerId self_id() const = 0;
  [[nodiscard]] virtual std::uint64_t dropped() const = 0;
  [[nodiscard]] virtual std::optional<Error> error() const = 0;
};

/// How what a room says gets out: over a client's link, or over one that the application made.
///
/// Threads: any.
class RoomExit {
 public:
  virtual ~RoomExit() = default;
  /// Errors: busy, stopped.
  virtual Status say(wire::RoomMessage message) = 0;
  /// The application has dropped the room. Once.
  virtual void leave() = 0;
  /// What `channel("raft")` is. Errors: invalid_argument.
  virtual Result<std::shared_ptr<ChannelState>> raft_channel() = 0;
};

class MemberChannel;

/// Threads: any. What comes in (`told`, `delivered`, `refused`, `end`) comes from one at a time.
/// Ownership: shared by the application's Room and whoever feeds it; channels are told of its end.
class RoomState final : public std::enable_shared_from_this<RoomState> {
 public:
  RoomState(RoomName name, std::shared_ptr<client::CallbackQueue> callbacks,
            std::shared_ptr<RoomExit> exit);

  // From the link.
  /// Whole rosters are told to the application as what has changed since the last news.
  void told(PeerId self, const wire::Roster& roster);
  void delivered(const wire::Delivery& delivery);
  void refused(const wire::RoomRefusal& refusal);
  /// The first reason stays.
  void end(const Error& reason);

  // From the application: see kuilt/room.hpp.
  [[nodiscard]] const RoomName& name() const { return name_; }
  [[nodiscard]] PeerId self_id() const;
  [[nodiscard]] kuilt::Roster roster() const;
  Result<kuilt::Roster> await_roster(const std::function<bool(const kuilt::Roster&)>& wanted,
                                     Duration timeout);
  Status on_roster(std::function<void(const RosterEvent&)> callback);
  Result<std::shared_ptr<ChannelState>> channel(const std::string& name);
  [[nodiscard]] std::optional<Error> refusal() const;
  [[nodiscard]] std::optional<Error> error() const;
  /// No callback of the room's begins any more; waits for one that runs, unless inside it.
  void leave();
  Status say(const std::string& channel, PeerId to, BytesView body);

 private:
  using OnRoster = std::function<void(const RosterEvent&)>;
  // Pre of all: `mutex_` is held.
  void joined(const RoomMember& member);
  void left(const RoomMember& member);
  void reset(const std::vector<RoomMember>& members);
  void push(RosterEvent event);
  [[nodiscard]] kuilt::Roster snapshot() const;
  [[nodiscard]] Error why_not_yet() const;
  void send_taker(const std::shared_ptr<const OnRoster>& callback);
  [[nodiscard]] std::optional<RosterEvent> next_event();
  void hand_events(const std::shared_ptr<const OnRoster>& callback);

  const RoomName name_;
  const std::shared_ptr<client::CallbackQueue> callbacks_;
  const std::shared_ptr<RoomExit> exit_;
  std::recursive_mutex calling_;  ///< Held while the application is called: it may leave there.
  mutable std::mutex mutex_;      ///< Guards what follows. Behind the other one.
  std::condition_variable changed_;
  bool known_ = false;  ///< A server has told of everybody.
  PeerId self_;
  std::map<PeerId, std::string> members_;
  std::uint64_t version_ = 0;  ///< Of the members.
  /// Until the end: what it owns may lead back here.
  std::shared_ptr<const OnRoster> on_roster_;
  std::deque<RosterEvent> events_;  ///< For `on_roster_`. While there are any, a taker is there.
  bool taker_sent_ = false;
  std::map<std::string, std::shared_ptr<MemberChannel>> channels_;
  std::optional<Error> refusal_;
  std::optional<std::chrono::steady_clock::time_point> refused_until_;  ///< Messages, as busy.
  std::optional<Error> ended_;
};

/// An ordinary channel: a queue that is bounded in bytes, and drops what is beyond.
class MemberChannel final : public ChannelState,
                            public std::enable_shared_from_this<MemberChannel> {
 public:
  MemberChannel(std::string name, std::weak_ptr<RoomState> room,
                std::shared_ptr<client::CallbackQueue> callbacks)
      : name_(std::move(name)), room_(std::move(room)), callbacks_(std::move(callbacks)) {}

  void deliver(ChannelMessage message);
  void end(const Error& reason);
  /// Calls nothing from now on, and waits for a call that runs, unless inside it.
  void mute();

  Status send(PeerId to, BytesView body) override;
  std::optional<ChannelMessage> next(Deadline deadline) override;
  Status on_message(std::function<void(const ChannelMessage&)> callback) override;
  [[nodiscard]] PeerId self_id() const override;
  [[nodiscard]] std::uint64_t dropped() const override;
  [[nodiscard]] std::optional<Error> error() const override;

 private:
  using OnMessage = std::function<void(const ChannelMessage&)>;
  /// Pre: `mutex_` is held.
  void send_taker(const std::shared_ptr<const OnMessage>& callback);
  void hand_messages(const std::shared_ptr<const OnMessage>& callback);

  const std::string name_;
  const std::weak_ptr<RoomState> room_;
  const std::shared_ptr<client::CallbackQueue> callbacks_;
  std::recursive_mutex calling_;  ///< Held while the application is called: it may leave there.
  mutable std::mutex mutex_;      ///< Guards what follows. Behind the other one.
  std::condition_variable changed_;
  std::deque<ChannelMessage> messages_;
  std::size_t bytes_ = 0;
  std::uint64_t dropped_ = 0;
  std::shared_ptr<const OnMessage> callback_;  ///< Until the end: what it owns may lead back here.
  bool muted_ = false;
  bool taker_sent_ = false;
  std::optional<Error> ended_;
};

}  // namespace kuilt::detail
