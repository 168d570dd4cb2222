// seam_room.hpp: one link of the application's, between its Room and the feed that it carries.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "client/room_state.hpp"
#include "kuilt/loom.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::detail {

/// Says the hello, joins the room, and sorts what comes: rosters and messages are the Room's, all
/// else is for who follows the raft channel.
///
/// Threads: any; what comes in comes on the Seam's.
/// Ownership: shared by the Room and its raft channel. The link ends with the last of them.
class SeamRoom final : public RoomExit, public std::enable_shared_from_this<SeamRoom> {
 public:
  /// `said`: numbers the messages of one member, whatever rooms it is in.
  SeamRoom(std::shared_ptr<Seam> seam, std::shared_ptr<client::CallbackQueue> callbacks,
           std::shared_ptr<std::atomic<std::uint64_t>> said)
      : seam_(std::move(seam)), callbacks_(std::move(callbacks)), said_(std::move(said)) {}
  ~SeamRoom() override { seam_->close(); }

  /// Once: begins to listen, and says the hello.
  void open(const std::shared_ptr<RoomState>& state, const wire::Hello& hello);
  /// Waits for the welcome. Errors: timed_out, and why there will be none.
  Result<wire::Welcome> await_welcome(Duration timeout);
  /// Once, after the welcome.
  void join();

  Status say(wire::RoomMessage message) override;
  void leave() override;
  Result<std::shared_ptr<ChannelState>> raft_channel() override;

  // For the raft channel.
  /// Once: false, if another follows already, or the link has ended.
  bool follow(SeamEvents events);
  bool send_feed(const Bytes& frame);
  /// Ends the link, for this reason.
  void end(const Error& reason);
  [[nodiscard]] PeerId self_id() const;

 private:
  void received(const Bytes& frame);
  void welcomed(wire::Welcome welcome);
  void noted(const wire::ServerHeartbeat& heartbeat);
  static void refused(RoomState& state, const wire::RoomRefusal& refusal);
  void pass_on(const Bytes& frame);
  [[nodiscard]] bool send(const wire::ClientMessage& message);

  const std::shared_ptr<Seam> seam_;
  const std::shared_ptr<client::CallbackQueue> callbacks_;
  const std::shared_ptr<std::atomic<std::uint64_t>> said_;
  RoomName room_;
  bool joined_ = false;
  std::mutex saying_;  ///< Messages leave in the order of their numbers.

  std::recursive_mutex telling_;  ///< Held while the follower is told: one event at a time.
  std::optional<SeamEvents> follower_;
  bool greeted_ = false;  ///< It has said hello: before that it would understand nothing.

  mutable std::mutex mutex_;  ///< Guards what follows.
  std::condition_variable changed_;
  std::weak_ptr<RoomState> state_;
  std::optional<wire::Welcome> welcome_;  ///< Its commit and leader are kept up to date.
  std::optional<Error> ended_;
};

}  // namespace kuilt::detail
