#include "server/peer_links.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "kuilt/detail/overloaded.hpp"
#include "server/client_link.hpp"
#include "server/clock.hpp"

namespace kuilt::server {

namespace net = boost::asio;
namespace {

constexpr std::string_view subprotocol = "kuilt.peer.v1";
constexpr std::uint16_t close_going_away = 1001;  // RFC 6455, 7.4.1.
constexpr std::uint16_t close_policy = 1008;
// What the windows of core and forwards can put on the way to one peer, with room to spare.
constexpr std::size_t outbox_bytes_max = std::size_t{64} << 20;

std::string key_of(const PeerTarget& target) {
  return target.id.is_none() ? target.name + " at " + target.address : target.id.text();
}

}  // namespace

/// One WebSocket to another server: greeting, proof, then messages.
class PeerLinks::Link : public std::enable_shared_from_this<PeerLinks::Link> {
 public:
  /// `dialed`: the key of the target, and whom we expect there.
  Link(PeerLinks& owner, std::shared_ptr<transport::Seam> seam, std::string dialed,
       PeerTarget target)
      : owner_(owner),
        epoch_(owner.epoch_),
        seam_(std::move(seam)),
        dialed_(std::move(dialed)),
        target_(std::move(target)) {}

  void start() {
    // The owner keeps this link until `over`, so the events need not (that would be a circle).
    seam_->start({.on_frame = [this](const Bytes& frame) { on_frame(frame); },
                  .on_drained = [] {},
                  .on_closed = [this](const Error&) { owner_.over(shared_from_this()); }});
    if (is_dialer()) {
      initiator_.emplace(owner_.options_.secret, owner_.hello());
      send(initiator_->hello());
    } else {
      acceptor_.emplace(owner_.options_.secret, owner_.hello());
    }
  }

  void send(const wire::PeerMessage& message) {
    if (!seam_->send({wire::encode(message)})) seam_->abort();
  }
  void refuse(const Error& error) {
    note_refusal(error.code());
    send(wire::PeerGoodbye{error.code(), error.message()});
    seam_->close(close_policy, std::string(name_of(error.code())));
    owner_.refused(peer_ ? peer_->name : seam_->remote(), error);
  }
  void close() { seam_->close(close_going_away, "replaced"); }
  void abort() { seam_->abort(); }

  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  [[nodiscard]] bool is_dialer() const { return !dialed_.empty(); }
  [[nodiscard]] const std::string& dialed() const { return dialed_; }
  [[nodiscard]] bool is_proven() const { return proven_; }
  /// One side did not want the other, and will not soon.
  [[nodiscard]] bool is_refused() const { return refused_; }
  [[nodiscard]] const wire::PeerHello& peer() const { return *peer_; }

 private:
  void on_frame(const Bytes& frame) {
    auto message = wire::decode_peer(frame);
    if (!message) return refuse(message.error());
    if (const auto* goodbye = std::get_if<wire::PeerGoodbye>(&*message)) {
      note_refusal(goodbye->code);
      owner_.refused(peer_                  ? peer_->name
                     : target_.name.empty() ? target_.address
                                            : target_.name,
                     Error(goodbye->code, "the other server says: " + goodbye->message));
      return seam_->abort();
    }
    if (proven_) return owner_.events_.on_message(peer_->node, *std::move(message));
    if (Status status = is_dialer() ? greet_as_dialer(*message) : greet_as_acceptor(*message);
        !status) {
      refuse(status.error());
    }
  }

  // A busy server is still starting: it is to be asked again at once.
  void note_refusal(ErrorCode code) { refused_ = code != ErrorCode::busy; }

  Status greet_as_dialer(const wire::PeerMessage& message) {
    const auto* hello = std::get_if<wire::PeerHello>(&message);
    if (hello == nullptr) return out_of_turn();
    auto proof = initiator_->on_hello(*hello);
    if (!proof) return std::move(proof).error();
    peer_ = *hello;
    // A server that has no cluster yet may well sit where another one was.
    const bool is_another = !target_.id.is_none() && hello->node != target_.id;
    if (is_another && !hello->cluster.is_none()) {
      return Error(ErrorCode::unknown_node, "node " + hello->node.text() + " answers at " +
                                                target_.address + ", where server " + target_.name +
                                                " was, node " + target_.id.text());
    }
    send(*proof);
    return be_proven();
  }

  Status greet_as_acceptor(const wire::PeerMessage& message) {
    if (const auto* hello = std::get_if<wire::PeerHello>(&message); hello != nullptr && !peer_) {
      auto answer = acceptor_->on_hello(*hello);
      if (!answer) return std::move(answer).error();
      peer_ = *hello;
      send(*answer);
      return Done{};
    }
    const auto* proof = std::get_if<wire::PeerProof>(&message);
    if (proof == nullptr || !peer_) return out_of_turn();
    if (Status status = acceptor_->on_proof(*proof); !status) return status;
    return be_proven();
  }

  Status be_proven() {
    proven_ = true;
    seam_->admit();
    return owner_.up(shared_from_this());
  }

  static Error out_of_turn() {
    return Error(ErrorCode::hello_expected, "a message before both servers had proven themselves");
  }

  PeerLinks& owner_;
  const std::uint64_t epoch_;  // Of the identity that it greeted with.
  std::shared_ptr<transport::Seam> seam_;
  const std::string dialed_;  // Key of the target; empty if the other side dialed.
  const PeerTarget target_;
  std::optional<PeerInitiator> initiator_;
  std::optional<PeerAcceptor> acceptor_;
  std::optional<wire::PeerHello> peer_;
  bool proven_ = false;
  bool refused_ = false;
};

std::string refusal_text(const std::string& peer, const Error& error) {
  return "server " + peer + ": " + std::string(name_of(error.code())) + ": " + error.message();
}

PeerLinks::PeerLinks(PeerLinkOptions options, PeerIdentity identity, PeerLinkEvents events)
    : options_(std::move(options)),
      identity_(std::move(identity)),
      events_(std::move(events)),
      jitter_(random_session().low()),
      work_(loop_.get_executor()),
      mailbox_(std::make_shared<LoopMailbox<Order>>(loop_)),
      thread_([this] {
        mailbox_->on_items([this](std::vector<Order> orders) { on_orders(std::move(orders)); });
        loop_.run();
      }) {}

PeerLinks::~PeerLinks() {
  loop_.stop();
  thread_.join();
  mailbox_->stop();
  listener_.reset();
  links_.clear();
  up_.clear();
  dialings_.clear();  // Their timers are the loop's.
}

Status PeerLinks::listen() {
  transport::AcceptRules rules;
  rules.subprotocols = {std::string(subprotocol)};
  rules.any_host = true;  // Founding lists name servers as the network does, not as they listen.
  rules.links_max = 64;
  rules.links_per_address_max = 64;
  transport::SeamLimits limits;
  limits.frame_bytes_max = options_.frame_bytes_max;
  limits.outbox_bytes_max = outbox_bytes_max;
  limits.ping_interval = options_.ping_interval;
  auto listener = transport::listen(
      loop_.get_executor(), options_.listen, rules, limits,
      [this] { return net::any_io_executor(loop_.get_executor()); },
      [this](const std::shared_ptr<transport::Seam>& seam) { adopt(seam, ""); });
  if (!listener) return std::move(listener).error().within("listen for the other servers");
  listener_ = *std::move(listener);
  return Done{};
}

std::string PeerLinks::address() const { return listener_ ? listener_->address() : ""; }

void PeerLinks::be(PeerIdentity identity, PeerLinkEvents events, std::vector<PeerTarget> targets) {
  mailbox_->put(Change{std::move(identity), std::move(events), std::move(targets)});
}

void PeerLinks::follow(std::vector<PeerTarget> targets) {
  mailbox_->put(Follow{std::move(targets)});
}

void PeerLinks::send(NodeId to, wire::PeerMessage message) {
  std::vector<cluster::PeerSend> one;
  one.push_back({to, std::move(message)});
  send(std::move(one));
}

void PeerLinks::send(std::vector<cluster::PeerSend> messages) {
  mailbox_->put(std::move(messages));
}

void PeerLinks::on_orders(std::vector<Order> orders) {
  const auto on_order = Overloaded{
      [&](std::vector<cluster::PeerSend>& messages) {
        for (const cluster::PeerSend& send : messages) {
          const auto link = up_.find(send.to);
          if (link != up_.end()) link->second->send(send.message);
        }
      },
      [&](Change& wanted) { change(std::move(wanted)); },
      [&](const Follow& wanted) { follow(wanted.targets, now()); },
  };
  for (Order& order : orders) std::visit(on_order, order);
}

void PeerLinks::change(Change change) {
  epoch_ += 1;
  identity_ = std::move(change.identity);
  events_ = std::move(change.events);
  up_.clear();
  for (const auto& [raw, link] : std::map(links_)) link->abort();
  dialings_.clear();
  follow(change.targets, now());
}

void PeerLinks::follow(const std::vector<PeerTarget>& targets, Instant at) {
  knows_ids_ = std::ranges::none_of(targets, [](const auto& one) { return one.id.is_none(); });
  for (auto& [key, dialing] : dialings_) {
    if (!dialing.left) dialing.left = at;
  }
  for (const PeerTarget& target : targets) {
    forget_others_at(target);
    if (target.id.is_none() && waits_to_be_dialed(target)) continue;
    const std::string key = key_of(target);
    const auto known = dialings_.find(key);
    if (known != dialings_.end()) {
      known->second.left.reset();
      known->second.target = target;
      continue;
    }
    dialings_[key] = Dialing{.target = target,
                             .timer = std::make_unique<net::steady_timer>(loop_),
                             .backoff = options_.redial_min,
                             .busy = false};
    dial_soon(key, first_wait(target));
  }
  count_links();
}

// A server may sit where another one was.
void PeerLinks::forget_others_at(const PeerTarget& target) {
  for (auto& [key, dialing] : dialings_) {
    if (!dialing.left || dialing.target.address != target.address) continue;
    if (dialing.target.id != target.id) dialing.left = Instant{};  // Long ago.
  }
}

// Of two servers the one whose name sorts first dials.
bool PeerLinks::waits_to_be_dialed(const PeerTarget& target) const {
  return !target.name.empty() && target.name <= identity_.name;
}

Duration PeerLinks::first_wait(const PeerTarget& target) const {
  return waits_to_be_dialed(target) ? options_.dial_patience : Duration{};
}

void PeerLinks::count_links() {
  if (!knows_ids_) {
    linked_ = up_.size();
    return;
  }
  std::size_t linked = 0;
  for (const auto& [key, dialing] : dialings_) {
    if (!dialing.left) linked += up_.count(dialing.target.id);
  }
  linked_ = linked;
}

void PeerLinks::dial_soon(const std::string& key, Duration after) {
  Dialing& dialing = dialings_.at(key);
  dialing.busy = false;
  dialing.timer->expires_after(after);
  dialing.timer->async_wait([this, key](const boost::system::error_code& error) {
    if (!error) dial(key);
  });
}

void PeerLinks::dial(const std::string& key) {
  const auto found = dialings_.find(key);
  if (found == dialings_.end() || found->second.busy) return;
  Dialing& dialing = found->second;
  if (dialing.left && now() - *dialing.left > options_.farewell) {
    dialings_.erase(found);
    return;
  }
  if (up_.contains(dialing.target.id)) return;  // It was faster; the end of its link comes here.
  dialing.busy = true;
  transport::SeamLimits limits;
  limits.frame_bytes_max = options_.frame_bytes_max;
  limits.outbox_bytes_max = outbox_bytes_max;
  limits.ping_interval = options_.ping_interval;
  const auto on_done = [this, key, epoch = epoch_](Result<std::shared_ptr<transport::Seam>> seam) {
    if (epoch != epoch_) {
      if (seam) (*seam)->abort();
      return;
    }
    if (seam) return adopt(*seam, key);
    back_off(key, false);
  };
  transport::dial(loop_.get_executor(), dialing.target.address, {std::string(subprotocol)}, limits,
                  options_.dial_timeout, on_done);
}

void PeerLinks::adopt(const std::shared_ptr<transport::Seam>& seam, const std::string& dialed) {
  const auto target = dialings_.find(dialed);
  const auto link = std::make_shared<Link>(
      *this, seam, dialed, target == dialings_.end() ? PeerTarget{} : target->second.target);
  links_.emplace(link.get(), link);
  link->start();
}

Status PeerLinks::up(const std::shared_ptr<Link>& link) {
  const NodeId peer = link->peer().node;
  if (const auto old = up_.find(peer); old != up_.end()) {
    const auto replaced = old->second;
    up_.erase(old);
    events_.on_down(peer);
    replaced->close();
  }
  count_links();
  if (Status status = events_.on_up(link->peer()); !status) return status;
  up_.emplace(peer, link);
  count_links();
  return Done{};
}

void PeerLinks::over(const std::shared_ptr<Link>& link) {
  if (links_.erase(link.get()) == 0) return;
  if (link->is_proven()) {
    const auto current = up_.find(link->peer().node);
    if (current != up_.end() && current->second == link) {
      up_.erase(current);
      count_links();
      events_.on_down(link->peer().node);
    }
  }
  if (link->epoch() == epoch_) dial_again(link);
}

// Whoever had dialed: the other side may be gone for good from where it came.
void PeerLinks::dial_again(const std::shared_ptr<Link>& link) {
  if (!link->is_dialer()) {
    if (!link->is_proven()) return;
    const auto target = dialings_.find(link->peer().node.text());
    if (target == dialings_.end() || target->second.busy) return;
    return back_off(target->first, true);
  }
  const auto dialing = dialings_.find(link->dialed());
  if (dialing == dialings_.end() || !dialing->second.busy) return;
  back_off(dialing->first, link->is_proven() && !link->is_refused());
}

// Whom somebody refused is refused again: wait longer each time. And two that dial each other must
// not go on doing so at the same moment: the one that waits, waits again.
void PeerLinks::back_off(const std::string& key, bool was_good) {
  Dialing& dialing = dialings_.at(key);
  dialing.backoff =
      was_good ? options_.redial_min : std::min(dialing.backoff * 2, options_.redial_max);
  const auto spread = static_cast<std::uint64_t>(dialing.backoff.count());
  const auto jitter = Duration(static_cast<Duration::rep>(jitter_.below(spread)));
  dial_soon(key, first_wait(dialing.target) + dialing.backoff / 2 + jitter);
}

void PeerLinks::refused(const std::string& peer, const Error& error) {
  {
    const std::lock_guard lock(refusals_mutex_);
    refusals_[std::string(name_of(error.code()))] += 1;
  }
  events_.on_refused(peer, error);
}

std::map<std::string, std::uint64_t> PeerLinks::refusals() const {
  const std::lock_guard lock(refusals_mutex_);
  return refusals_;
}

wire::PeerHello PeerLinks::hello() const {
  wire::PeerHello hello;
  hello.cluster = identity_.cluster;
  hello.history = identity_.history;
  hello.node = identity_.node;
  hello.boot = identity_.boot;
  hello.name = identity_.name;
  return hello;
}

}  // namespace kuilt::server
