#include "client/seam_room.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include "client/client_options.hpp"
#include "client/client_shell.hpp"
#include "kuilt/detail/overloaded.hpp"
#include "kuilt/pending.hpp"
#include "kuilt/seam_room.hpp"
#include "wire/room_name.hpp"

namespace kuilt::detail {
namespace {

constexpr wire::Encoding encoding = wire::Encoding::protobuf;

/// What `channel("raft")` is: the link's conversation, from after the admission on.
class RaftChannel final : public ChannelState, public Seam {
 public:
  explicit RaftChannel(std::shared_ptr<SeamRoom> room) : room_(std::move(room)) {}

  Status send(PeerId /*to*/, BytesView /*body*/) override { return misused(); }
  std::optional<ChannelMessage> next(Deadline /*deadline*/) override { return std::nullopt; }
  Status on_message(std::function<void(const ChannelMessage&)> /*callback*/) override {
    return misused();
  }
  [[nodiscard]] PeerId self_id() const override { return room_->self_id(); }
  [[nodiscard]] std::uint64_t dropped() const override { return 0; }
  [[nodiscard]] std::optional<Error> error() const override { return misused(); }

  void start(SeamEvents events) override { follows_ = room_->follow(std::move(events)); }
  bool send(Bytes frame) override { return follows_ && room_->send_feed(frame); }
  void close() override {
    if (!follows_) return;  // The link is another's.
    room_->end(Error(ErrorCode::stopped, Effect::none, "the raft channel was closed"));
  }

 private:
  static Error misused() {
    return Error(ErrorCode::usage, Effect::none,
                 "the channel \"raft\" carries the log's feed, not messages: give it to a "
                 "SeamRaftTransport, or use another channel");
  }
  const std::shared_ptr<SeamRoom> room_;
  std::atomic<bool> follows_ = false;
};

}  // namespace

void SeamRoom::open(const std::shared_ptr<RoomState>& state, const wire::Hello& hello) {
  room_ = state->name();
  {
    const std::lock_guard lock(mutex_);
    state_ = state;
  }
  seam_->start({.on_frame =
                    [weak = weak_from_this()](const Bytes& frame) {
                      if (const auto self = weak.lock()) self->received(frame);
                    },
                .on_torn =
                    [weak = weak_from_this()](const Error& reason) {
                      if (const auto self = weak.lock()) self->end(reason);
                    }});
  if (!send(hello)) end(Error(ErrorCode::no_server, "the link was torn before the hello"));
}

Result<wire::Welcome> SeamRoom::await_welcome(Duration timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, bounded(timeout), [this] { return welcome_ || ended_; });
  if (ended_) return *ended_;
  if (welcome_) return *welcome_;
  return Error(ErrorCode::timed_out, "no welcome from the server in time");
}

void SeamRoom::join() {
  joined_ = true;
  if (!send(wire::Join{room_})) end(Error(ErrorCode::stopped, Effect::none, "the link was torn"));
}

bool SeamRoom::send(const wire::ClientMessage& message) {
  return seam_->send(wire::encode(message, encoding));
}

Status SeamRoom::say(wire::RoomMessage message) {
  {
    const std::lock_guard saying(saying_);
    message.number = ++*said_;
    if (send(std::move(message))) return Done{};
  }
  const std::lock_guard lock(mutex_);
  if (ended_) return *ended_;
  return Error(ErrorCode::busy, Effect::none, "too much waits to be sent on the link of the room");
}

// The raft channel may live on, and with it the link.
void SeamRoom::leave() {
  if (joined_) static_cast<void>(send(wire::LeaveRoom{room_}));
  callbacks_->stop();
}

Result<std::shared_ptr<ChannelState>> SeamRoom::raft_channel() {
  return std::shared_ptr<ChannelState>(std::make_shared<RaftChannel>(shared_from_this()));
}

bool SeamRoom::follow(SeamEvents events) {
  const std::lock_guard telling(telling_);
  if (follower_) {
    events.on_torn(
        Error(ErrorCode::usage, Effect::none, "the raft channel of this room is in use already"));
    return false;
  }
  std::optional<Error> ended;
  {
    const std::lock_guard lock(mutex_);
    ended = ended_;
  }
  if (ended) {
    events.on_torn(*ended);
    return false;
  }
  follower_ = std::move(events);
  return true;
}

// The hello was said when the room was joined: who follows gets the welcome of then, with what the
// server has said since.
bool SeamRoom::send_feed(const Bytes& frame) {
  auto message = wire::decode_client(frame, encoding);
  if (!message) return false;
  const auto on_message = Overloaded{
      [&](const wire::Hello&) {
        const std::lock_guard telling(telling_);  // Its first event is the welcome.
        std::optional<wire::Welcome> welcome;
        {
          const std::lock_guard lock(mutex_);
          if (!ended_) welcome = welcome_;
        }
        greeted_ = true;
        if (welcome) pass_on(wire::encode(wire::ServerMessage(*welcome), encoding));
        return welcome.has_value();
      },
      [&](const wire::Propose&) { return seam_->send(frame); },
      [&](const wire::Observe&) { return seam_->send(frame); },
      [&](const wire::Credit&) { return seam_->send(frame); },
      [&](const wire::Unobserve&) { return seam_->send(frame); },
      [&](const wire::ReadBarrier&) { return seam_->send(frame); },
      [](const wire::Join&) { return false; },  // What follows is the Room's own.
      [](const wire::LeaveRoom&) { return false; },
      [](const wire::RoomMessage&) { return false; },
  };
  return std::visit(on_message, *message);
}

PeerId SeamRoom::self_id() const {
  const std::lock_guard lock(mutex_);
  return welcome_ ? welcome_->member : PeerId();
}

void SeamRoom::end(const Error& reason) {
  std::shared_ptr<RoomState> state;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    ended_ = reason;
    state = state_.lock();
    changed_.notify_all();
  }
  seam_->close();
  if (state) state->end(reason);
  const std::lock_guard telling(telling_);
  if (!follower_) return;
  if (const auto tell = std::exchange(follower_->on_torn, {})) tell(reason);
}

void SeamRoom::pass_on(const Bytes& frame) {
  const std::lock_guard telling(telling_);
  if (greeted_ && follower_->on_torn) follower_->on_frame(frame);
}

void SeamRoom::welcomed(wire::Welcome welcome) {
  const std::lock_guard lock(mutex_);
  welcome_ = std::move(welcome);
  changed_.notify_all();
}

void SeamRoom::noted(const wire::ServerHeartbeat& heartbeat) {
  const std::lock_guard lock(mutex_);
  welcome_->commit = std::max(welcome_->commit, heartbeat.commit);
  welcome_->leader = heartbeat.leader;
}

// A refused join ends the Room and not the link, which a node may follow.
void SeamRoom::refused(RoomState& state, const wire::RoomRefusal& refusal) {
  state.refused(refusal);
  if (refusal.messages == 0) state.end(Error(refusal.code, Effect::none, refusal.message));
}

void SeamRoom::received(const Bytes& frame) {
  auto message = wire::decode_server(frame, encoding);
  if (!message) return end(message.error());
  std::shared_ptr<RoomState> state;
  bool admitted = false;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    state = state_.lock();
    admitted = welcome_.has_value();
  }
  const bool is_welcome = std::holds_alternative<wire::Welcome>(*message);
  if (is_welcome == admitted && !std::holds_alternative<wire::Goodbye>(*message)) {
    return end(Error(ErrorCode::bad_frame,
                     admitted ? "a second welcome" : "the first message was not a welcome"));
  }
  const auto on_message = Overloaded{
      [&](wire::Welcome& welcome) { welcomed(std::move(welcome)); },
      [&](const wire::Roster& roster) {
        if (state && roster.room == room_) state->told(self_id(), roster);
      },
      [&](const wire::Delivery& delivery) {
        if (state && delivery.room == room_) state->delivered(delivery);
      },
      [&](const wire::RoomRefusal& refusal) {
        if (state && refusal.room == room_) refused(*state, refusal);
      },
      [&](const wire::Answers&) { pass_on(frame); },
      [&](const wire::BarrierAnswer&) { pass_on(frame); },
      [&](const wire::ObserveReply&) { pass_on(frame); },
      [&](const wire::Feed&) { pass_on(frame); },
      [&](const wire::ServerHeartbeat& heartbeat) {
        noted(heartbeat);
        pass_on(frame);
      },
      [&](const wire::Goodbye& goodbye) {
        pass_on(frame);
        end(Error(goodbye.code, Effect::none, goodbye.message));
      },
  };
  std::visit(on_message, *message);
}

}  // namespace kuilt::detail

namespace kuilt {

struct SeamRoomFactory::Impl {
  Loom& loom;
  const wire::ClientSecret secret{detail::random_bits(), detail::random_bits() | 1U};
  const std::shared_ptr<std::atomic<std::uint64_t>> said =
      std::make_shared<std::atomic<std::uint64_t>>(0);
};

SeamRoomFactory::SeamRoomFactory(Loom& loom) : impl_(new Impl{loom}) {}
SeamRoomFactory::SeamRoomFactory(SeamRoomFactory&&) noexcept = default;
SeamRoomFactory& SeamRoomFactory::operator=(SeamRoomFactory&&) noexcept = default;
SeamRoomFactory::~SeamRoomFactory() = default;

Result<Room> SeamRoomFactory::join(const WebSocketAdvertisement& to,
                                   const SeamRoomOptions& options) {
  const std::string doing = "join " + to.url;
  ClientOptions asked;
  asked.name = to.display_name;
  asked.token = options.token;
  if (Status sound = client::complaint_about(asked); !sound) {
    return std::move(sound).error().within(doing);
  }
  if (Status sound = wire::check_room(options.room); !sound) {
    return std::move(sound).error().within(doing);
  }
  const auto begin = std::chrono::steady_clock::now();
  auto seam = impl_->loom.weave(to, options.timeout);
  if (!seam) return std::move(seam).error().within(doing);
  const auto callbacks = std::make_shared<client::CallbackQueue>(Dispatch::thread);
  const auto link = std::make_shared<detail::SeamRoom>(*std::move(seam), callbacks, impl_->said);
  const auto state = std::make_shared<detail::RoomState>(options.room, callbacks, link);
  Room room(state);
  wire::Hello hello;
  hello.features = wire::feature_rooms;
  hello.client = detail::random_bits();
  hello.name = to.display_name;
  hello.token = options.token;
  hello.secret = impl_->secret;
  link->open(state, hello);
  const auto welcome =
      link->await_welcome(options.timeout - (std::chrono::steady_clock::now() - begin));
  if (!welcome) return Error(welcome.error()).within(doing);
  const NodeId server = to.server_peer_id;
  if (!server.is_none() && welcome->server != server) {
    return Error(ErrorCode::unknown_node,
                 "server " + welcome->server.text() + " answers, not " + server.text())
        .within(doing);
  }
  if ((welcome->features & wire::feature_rooms) == 0) {
    return Error(ErrorCode::version_unsupported, "the server knows no rooms").within(doing);
  }
  link->join();
  return room;
}

}  // namespace kuilt
