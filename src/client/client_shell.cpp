#include "client/client_shell.hpp"

#include <chrono>
#include <random>
#include <utility>

#include <boost/asio/post.hpp>

#include "kuilt/detail/overloaded.hpp"
#include "wire/room_name.hpp"

namespace kuilt::detail {
namespace {

using client::CallId;
using client::DialId;

/// Of what a server sends: a feed frame with one largest entry, as text escaped in JSON.
constexpr std::size_t frame_bytes_max = std::size_t{32} << 20;
constexpr std::size_t welcome_bytes_max = std::size_t{64} << 10;
/// What the closing handshakes may take when a client stops.
constexpr Duration farewell_max = std::chrono::milliseconds(250);

/// Of an application that calls and never lets its callbacks run.
constexpr std::size_t callbacks_waiting_max = 65536;
/// Queued on a link beyond which no message of a room joins.
constexpr std::size_t room_queue_bytes_max = std::size_t{256} << 10;
/// Events are for people: of those that nobody hears, the first ones are kept.
constexpr std::size_t events_waiting_max = 1024;

Instant clock_now() { return Instant(std::chrono::steady_clock::now().time_since_epoch()); }

std::chrono::steady_clock::time_point deadline_of(Instant at) {
  return std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(at.time_since_epoch()));
}

wire::ObserveFrom on_wire(const From& from) {
  const auto convert = Overloaded{
      [](const FromStart&) -> wire::ObserveFrom { return wire::FromStart{}; },
      [](const FromNow&) -> wire::ObserveFrom { return wire::FromNow{}; },
      [](const FromIndex& wanted) -> wire::ObserveFrom { return wire::FromIndex{wanted.index}; },
      [](const ResumeToken& token) -> wire::ObserveFrom {
        return wire::ResumePoint{token.cluster, token.history, token.position, token.digest};
      },
  };
  return std::visit(convert, from);
}

client::Dialer over_websocket(wire::Encoding encoding, Duration timeout) {
  return [encoding, timeout](const transport::net::any_io_executor& executor,
                             const std::string& endpoint, const transport::SeamLimits& limits,
                             client::DialDone done) {
    transport::dial(executor, endpoint, {std::string(wire::subprotocol_of(encoding))}, limits,
                    timeout, std::move(done));
  };
}

ClientEventKind public_kind(client::EventKind kind) {
  switch (kind) {
    case client::EventKind::connected: return ClientEventKind::connected;
    case client::EventKind::disconnected: return ClientEventKind::disconnected;
    case client::EventKind::resumed: return ClientEventKind::resumed;
    case client::EventKind::refused: return ClientEventKind::refused;
    case client::EventKind::feed_broken: return ClientEventKind::feed_broken;
  }
  KUILT_FAIL("an event of no kind");
}

}  // namespace

std::uint64_t random_bits() {
  std::random_device device;
  const std::uint64_t high = device();
  return (high << 32U) | device();
}

SessionId random_session() { return {random_bits(), random_bits() | 1U}; }

ClientShell::ClientShell(const client::ClientOptions& core, ClientOptions options,
                         std::uint64_t seed, SessionId session, client::Dialer dialer, Watch watch)
    : options_(std::move(options)),
      encoding_(options_.json ? wire::Encoding::json : wire::Encoding::protobuf),
      dialer_(dialer ? std::move(dialer) : over_websocket(encoding_, core.dial_timeout)),
      watch_(std::move(watch)),
      callbacks_(std::make_shared<client::CallbackQueue>(options_.dispatch)),
      work_(loop_.get_executor()),
      wake_(loop_),
      core_(core, seed, session, clock_now()) {}

ClientShell::~ClientShell() { stop(); }

void ClientShell::start() {
  thread_ = std::thread([this] {
    callbacks_->set_links(std::this_thread::get_id());
    loop_.run();
    callbacks_->set_links({});  // A later thread may get the same id.
  });
  post(client::Tick{});
}

void ClientShell::begin_to_stop() {
  const std::lock_guard lock(mutex_);
  // Together: whatever was taken before is in front of the Stop, and nothing comes after it.
  if (!std::exchange(stopped_, true)) gather({client::Stop{}, nullptr});
}

void ClientShell::stop() {
  if (callbacks_->on_links()) return begin_to_stop();  // A thread can't wait for itself.
  {
    const std::lock_guard stop_lock(stop_mutex_);
    begin_to_stop();
    if (thread_.joinable()) thread_.join();
  }
  callbacks_->stop();
}

std::shared_ptr<PendingState<Receipt>> ClientShell::propose(BytesView command,
                                                            const ProposeOptions& options) {
  client::ProposeCall asked;
  asked.room = options.room;
  asked.command = Bytes::copy_of(command);
  return propose(std::move(asked), options.deadline, [](bool refused) { return refused; });
}

std::shared_ptr<PendingState<Receipt>> ClientShell::propose(client::ProposeCall asked,
                                                            Duration deadline, OnEnd on_end,
                                                            OnNeedKey on_need_key) {
  const auto refuse = [&](Error refusal) {
    const bool certain = on_end(!asked.sent_before);
    return failed(certain ? std::move(refusal) : client::in_doubt(refusal));
  };
  asked.deadline = clock_now() + bounded(deadline);
  if (Status sound = wire::check_room(asked.room); !sound) return refuse(std::move(sound).error());
  const std::lock_guard lock(mutex_);
  if (stopped_) {
    return refuse(Error(ErrorCode::stopped, Effect::none, "the client was stopped before"));
  }
  if (callbacks_->waiting() >= callbacks_waiting_max) {
    return refuse(Error(ErrorCode::busy, Effect::none,
                        std::to_string(callbacks_waiting_max) + " callbacks wait to be run"));
  }
  asked.call = CallId(++last_call_);
  asked.renews = on_need_key != nullptr;
  auto abandon = [weak = weak_from_this(), call = asked.call] {
    if (const auto shell = weak.lock()) shell->post(client::CancelCall{call});
  };
  auto state = std::make_shared<PendingState<Receipt>>(callbacks_, std::move(abandon));
  pending_.emplace(asked.call, PendingCall{state, std::move(on_end), std::move(on_need_key)});
  gather({std::move(asked), nullptr});
  return state;
}

std::shared_ptr<PendingState<Index>> ClientShell::read_barrier(Duration deadline) {
  const std::lock_guard lock(mutex_);
  if (stopped_) {
    return failed_read(Error(ErrorCode::stopped, Effect::none, "the client was stopped before"));
  }
  if (callbacks_->waiting() >= callbacks_waiting_max) {
    return failed_read(Error(ErrorCode::busy, Effect::none,
                             std::to_string(callbacks_waiting_max) + " callbacks wait to be run"));
  }
  const CallId call(++last_call_);
  auto abandon = [weak = weak_from_this(), call] {
    if (const auto shell = weak.lock()) shell->post(client::CancelCall{call});
  };
  auto state = std::make_shared<PendingState<Index>>(callbacks_, std::move(abandon));
  pending_reads_.emplace(call, state);
  gather({client::BarrierCall{call, clock_now() + bounded(deadline)}, nullptr});
  return state;
}

std::shared_ptr<PendingState<Index>> ClientShell::failed_read(Error error) {
  auto state = std::make_shared<PendingState<Index>>(callbacks_, nullptr);
  state->resolve(std::move(error));
  return state;
}

std::shared_ptr<PendingState<Receipt>> ClientShell::failed(Error error) {
  auto state = std::make_shared<PendingState<Receipt>>(callbacks_, nullptr);
  state->resolve(std::move(error));
  return state;
}

Result<ClusterPlace> ClientShell::await_cluster(Duration deadline) {
  if (callbacks_->here()) {
    return Error(ErrorCode::usage, Effect::none,
                 "waiting for a server inside a callback or selector would hold up all others");
  }
  const auto state = std::make_shared<PendingState<ClusterPlace>>(callbacks_, nullptr);
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return Error(ErrorCode::stopped, Effect::none, "the client was stopped");
    place_waiters_.push_back(state);
    gather({client::Tick{}, nullptr});
  }
  if (auto place = state->get_for(deadline)) return *std::move(place);
  const std::lock_guard lock(mutex_);
  std::erase(place_waiters_, state);
  return Error(ErrorCode::no_server, "no server has admitted this client in time");
}

void ClientShell::tell_place() {
  const std::lock_guard lock(mutex_);
  if (place_waiters_.empty()) return;
  const auto welcome = core_.welcome();
  if (!welcome && !stopping_) return;
  for (const auto& waiter : std::exchange(place_waiters_, {})) {
    if (welcome) {
      waiter->resolve(ClusterPlace{welcome->cluster, welcome->history, core_.commit()});
    } else {
      waiter->resolve(Error(ErrorCode::stopped, Effect::none, "the client was stopped"));
    }
  }
}

Result<std::shared_ptr<Subscription>> ClientShell::observe(
    const From& from, const RoomName& room, std::function<void(const Committed&)> callback,
    std::function<void(const Error&)> on_end) {
  if (Status sound = wire::check_room(room); !sound) return std::move(sound).error();
  const std::lock_guard lock(mutex_);
  if (stopped_) return Error(ErrorCode::stopped, Effect::none, "the client was stopped");
  if (rooms_.contains(room)) {
    return Error(ErrorCode::invalid_argument,
                 "the room \"" + room + "\" is observed already: drop that observer first");
  }
  const std::uint64_t number = ++last_observe_;
  auto on_taken = [weak = weak_from_this(), room, number](std::uint64_t bytes) {
    if (const auto shell = weak.lock()) shell->taken(room, number, bytes);
  };
  auto on_left = [weak = weak_from_this(), room, number] {
    if (const auto shell = weak.lock()) shell->left(room, number);
  };
  auto subscription = std::make_shared<Subscription>(std::move(on_taken), std::move(on_left),
                                                     [weak = std::weak_ptr(callbacks_)] {
                                                       const auto callbacks = weak.lock();
                                                       return callbacks && callbacks->on_links();
                                                     });
  rooms_[room] = number;
  gather({client::ObserveCall{room, on_wire(from)},
          std::make_shared<const Observed>(
              Observed{room, number, subscription, std::move(callback), std::move(on_end)})});
  return subscription;
}

void ClientShell::taken(const RoomName& room, std::uint64_t number, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto found = rooms_.find(room);
  if (found == rooms_.end() || found->second != number) return;
  gather({client::Taken{room, bytes}, nullptr});
}

void ClientShell::left(const RoomName& room, std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = rooms_.find(room);
  if (found == rooms_.end() || found->second != number) return;
  rooms_.erase(found);
  gather({client::UnobserveCall{room}, nullptr, number});
}

std::shared_ptr<const ClientShell::Observed> ClientShell::fed(const RoomName& room) const {
  const auto found = fed_.find(room);
  return found == fed_.end() ? nullptr : found->second;
}

void ClientShell::post(client::Input input) {
  const std::lock_guard lock(mutex_);
  gather({std::move(input), nullptr});
}

void ClientShell::gather(Gathered one) {
  inbox_.push_back(std::move(one));
  if (std::exchange(turn_posted_, true)) return;  // One wake takes all that gathers meanwhile.
  boost::asio::post(loop_, [this] { turn(); });
}

void ClientShell::turn() {
  std::vector<Gathered> gathered;
  {
    const std::lock_guard lock(mutex_);
    gathered.swap(inbox_);
    turn_posted_ = false;
    said_bytes_ = 0;
  }
  std::vector<client::Input> inputs = half_heard();
  for (Gathered& one : gathered) {
    if (one.observed) {
      // What an earlier observer of the room is still owed goes to that one.
      step(std::exchange(inputs, {}));
      fed_[one.observed->room] = one.observed;
    }
    if (const auto* call = std::get_if<client::UnobserveCall>(&one.input)) {
      step(std::exchange(inputs, {}));
      const auto target = fed(call->room);
      if (target != nullptr && target->number == one.left) fed_.erase(call->room);
    }
    if (std::holds_alternative<client::Stop>(one.input)) stopping_ = true;
    inputs.push_back(std::move(one.input));
  }
  step(std::move(inputs));
  tell_place();
}

// Before all else of a turn: whatever woke the core, no link that speaks is silent to it.
std::vector<client::Input> ClientShell::half_heard() {
  std::vector<client::Input> inputs;
  for (auto& [dial, open] : open_) {
    if (!open.seam) continue;
    const auto heard_at = open.seam->last_read();
    if (std::exchange(open.heard_at, heard_at) == heard_at) continue;
    inputs.emplace_back(client::Heard{dial, Instant(heard_at.time_since_epoch())});
  }
  return inputs;
}

void ClientShell::step(std::vector<client::Input> inputs) {
  client::Output out = core_.step(clock_now(), std::move(inputs));
  for (client::Duty& duty : out.duties) carry_out(duty);
  if (stopping_) return finish_when_closed();
  if (out.wake_at == Instant::max()) return;
  wake_.expires_at(deadline_of(out.wake_at));
  wake_.async_wait([this](const boost::system::error_code& error) {
    if (!error) post(client::Tick{});
  });
}

void ClientShell::finish_when_closed() {
  if (closing_.empty()) return loop_.stop();
  wake_.expires_after(farewell_max);
  wake_.async_wait([this](const boost::system::error_code& error) {
    if (!error) loop_.stop();
  });
}

void ClientShell::carry_out(client::Duty& duty) {
  const auto on_duty = Overloaded{
      [&](const client::Dial& one) { dial(one); },
      [&](const client::Send& one) { send(one); },
      [&](const client::Close& one) { close(one.dial); },
      [&](client::Resolved& one) { resolved(one); },
      [&](client::BarrierResolved& one) { read(one); },
      [&](client::Delivered& one) { delivered(one); },
      [&](const client::Advanced& one) { advanced(one); },
      [&](const client::ObserveEnded& one) { ended(one); },
      [&](const client::RoomTold& one) {
        if (const auto room = room_of(one.roster.room)) room->told(one.self, one.roster);
      },
      [&](const client::RoomDelivered& one) {
        if (const auto room = room_of(one.delivery.room)) room->delivered(one.delivery);
      },
      [&](const client::RoomRefused& one) {
        if (const auto room = room_of(one.refusal.room)) room->refused(one.refusal);
      },
      [&](const client::RoomEnded& one) { room_ended(one); },
      [&](const client::NeedSession&) { post(client::FreshSession{random_session()}); },
      [&](const client::NeedKey& one) { need_key(one); },
      [&](const client::Event& one) { happened(one); },
  };
  std::visit(on_duty, duty);
}

void ClientShell::dial(const client::Dial& duty) {
  open_[duty.dial] = Open{};
  transport::SeamLimits limits;
  limits.first_frame_bytes_max = welcome_bytes_max;
  limits.frame_bytes_max = frame_bytes_max;
  limits.text = encoding_ == wire::Encoding::json;
  dialer_(loop_.get_executor(), duty.endpoint, limits,
          [this, id = duty.dial](Result<std::shared_ptr<transport::Seam>> seam) {
            dialed(id, std::move(seam));
          });
}

void ClientShell::dialed(DialId id, Result<std::shared_ptr<transport::Seam>> seam) {
  const auto found = open_.find(id);
  if (!seam) {
    if (found == open_.end()) return;
    open_.erase(found);
    return post(client::Broken{id, seam.error().message()});
  }
  if (found == open_.end()) return (*seam)->abort();  // Given up while it was being dialed.
  found->second.seam = *seam;
  found->second.heard_at = (*seam)->last_read();
  transport::SeamEvents events;
  events.on_frame = [this, id](const Bytes& frame) { received(id, frame); };
  events.on_drained = [] {};
  events.on_closed = [this, id](const Error& reason) {
    if (open_.erase(id) > 0) post(client::Broken{id, reason.message()});
    if (closing_.erase(id) > 0 && stopping_ && closing_.empty()) loop_.stop();
  };
  (*seam)->start(std::move(events));
  post(client::Dialed{id});
}

void ClientShell::received(DialId id, const Bytes& frame) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  auto message = wire::decode_server(frame, encoding_);
  if (!message) {
    const auto seam = std::move(found->second.seam);
    open_.erase(found);
    seam->abort();
    return post(client::Broken{id, "bad_frame: " + message.error().message()});
  }
  if (std::holds_alternative<wire::Welcome>(*message)) found->second.seam->admit();
  found->second.heard_at = found->second.seam->last_read();
  post(client::Arrived{id, *std::move(message)});
}

void ClientShell::send(const client::Send& duty) {
  const auto found = open_.find(duty.dial);
  if (found == open_.end() || !found->second.seam) return;
  // Messages of rooms are lost rather than that they fill the outbox, in which others stand too.
  const bool may_be_lost = std::holds_alternative<wire::RoomMessage>(duty.message);
  if (may_be_lost && found->second.seam->queued() > room_queue_bytes_max) return;
  if (found->second.seam->send({wire::encode(duty.message, encoding_)})) return;
  const auto seam = std::move(found->second.seam);
  open_.erase(found);
  seam->abort();
  post(client::Broken{duty.dial, "the server does not read what is sent to it"});
}

void ClientShell::close(DialId id) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  const auto seam = std::move(found->second.seam);
  open_.erase(found);
  if (!seam) return;
  closing_.insert(id);
  seam->close(1000, "");
}

void ClientShell::resolved(client::Resolved& duty) {
  PendingCall call;
  {
    const std::lock_guard lock(mutex_);
    const auto found = pending_.find(duty.call);
    if (found == pending_.end()) return;
    call = std::move(found->second);
    pending_.erase(found);
  }
  const bool refused = !duty.result && duty.result.error().effect() == Effect::none;
  // What it owns goes before anybody is told: a session's file may be opened again then.
  const bool in_doubt = !std::exchange(call.on_end, nullptr)(refused) && refused;
  if (in_doubt) return call.state->resolve(client::in_doubt(duty.result.error()));
  if (!duty.result) return call.state->resolve(std::move(duty.result).error());
  call.state->resolve(Receipt{duty.result->at.index, duty.result->at.term, duty.result->duplicate,
                              duty.result->result});
}

void ClientShell::need_key(const client::NeedKey& duty) {
  OnNeedKey tell;
  {
    const std::lock_guard lock(mutex_);
    const auto found = pending_.find(duty.call);
    if (found != pending_.end()) tell = found->second.on_need_key;
  }
  if (tell) tell(duty);
}

void ClientShell::read(client::BarrierResolved& duty) {
  std::shared_ptr<PendingState<Index>> state;
  {
    const std::lock_guard lock(mutex_);
    const auto found = pending_reads_.find(duty.call);
    if (found == pending_reads_.end()) return;
    state = std::move(found->second);
    pending_reads_.erase(found);
  }
  state->resolve(std::move(duty.result));
}

void ClientShell::delivered(client::Delivered& duty) {
  const auto target = fed(duty.room);
  if (target == nullptr) return;
  wire::FeedEntry& entry = duty.entry;
  target->subscription->deliver(
      LogEntry{entry.at.index, entry.at.term, std::move(entry.command), std::move(entry.author),
               entry.request_id, entry.log_time, std::move(entry.room)},
      duty.bytes);
}

// Follows every frame: the entries before it are passed on with it, in one callback.
void ClientShell::advanced(const client::Advanced& duty) {
  const auto target = fed(duty.room);
  if (target == nullptr) return;
  target->subscription->advance(ResumeToken{duty.cluster, duty.history, duty.through, duty.digest});
  pass_on(target);
}

void ClientShell::ended(const client::ObserveEnded& duty) {
  const auto found = fed_.find(duty.room);
  if (found == fed_.end()) return;
  std::shared_ptr<const Observed> target = std::move(found->second);
  fed_.erase(found);
  {
    const std::lock_guard lock(mutex_);
    const auto room = rooms_.find(duty.room);
    if (room != rooms_.end() && room->second == target->number) rooms_.erase(room);
  }
  target->subscription->end(duty.error);
  if (!target->callback && !target->on_end) return;
  // Handed over also where nothing is to be called: it may own more than this thread can end.
  callbacks_->run("on_end", [target = std::move(target), error = duty.error] {
    if (target->on_end) target->on_end(error);
  });
}

// All pieces that are there, in one callback; the rest in a later one if it is time to end.
void ClientShell::hand_pieces(const std::shared_ptr<client::CallbackQueue>& callbacks,
                              const std::shared_ptr<const Observed>& observed) {
  callbacks->run("on_committed", [weak = std::weak_ptr(callbacks), observed] {
    const auto queue = weak.lock();
    const auto nobody_waits = std::chrono::steady_clock::now();
    while (auto piece = observed->subscription->next(nobody_waits)) {
      observed->callback(*piece);
      if (queue && queue->out_of_time()) return hand_pieces(queue, observed);
    }
  });
}

void ClientShell::pass_on(const std::shared_ptr<const Observed>& observed) {
  if (!observed->callback || !observed->subscription->wants_taker()) return;
  hand_pieces(callbacks_, observed);
}

void ClientShell::happened(const client::Event& duty) {
  if (watch_) watch_(duty);
  if (!options_.on_event || callbacks_->waiting() >= events_waiting_max) return;
  ClientEvent event{
      public_kind(duty.kind), duty.endpoint, duty.text, duty.at, duty.after, duty.rule};
  callbacks_->run("on_event",
                  [callback = options_.on_event, event = std::move(event)] { callback(event); });
}

}  // namespace kuilt::detail
