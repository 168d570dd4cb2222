#include "server/peer_links.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "kuilt/detail/overloaded.hpp"
#include "server/client_link.hpp"

namespace kuilt::server {

namespace net = boost::asio;
namespace {

constexpr std::string_view subprotocol = "kuilt.peer.v1";
constexpr std::uint16_t close_going_away = 1001;  // RFC 6455, 7.4.1.
constexpr std::uint16_t close_policy = 1008;
// What the windows of core and forwards can put on the way to one peer, with room to spare.
constexpr std::size_t outbox_bytes_max = std::size_t{64} << 20;

}  // namespace

/// One WebSocket to another server: greeting, proof, then messages.
class PeerLinks::Link : public std::enable_shared_from_this<PeerLinks::Link> {
 public:
  Link(PeerLinks& owner, std::shared_ptr<transport::Seam> seam, std::string dialed)
      : owner_(owner), epoch_(owner.epoch_), seam_(std::move(seam)), dialed_(std::move(dialed)) {}

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
      owner_.refused(peer_ ? peer_->name : dialed_,
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
  const std::string dialed_;  // Name of the target; empty if the other side dialed.
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
  };
  for (Order& order : orders) std::visit(on_order, order);
}

void PeerLinks::change(Change change) {
  epoch_ += 1;
  identity_ = std::move(change.identity);
  events_ = std::move(change.events);
  up_.clear();
  linked_ = 0;
  for (const auto& [raw, link] : std::map(links_)) link->abort();
  dialings_.clear();
  for (PeerTarget& target : change.targets) {
    if (target.name <= identity_.name) continue;  // It dials us.
    const std::string name = target.name;
    dialings_[name] = Dialing{.target = std::move(target),
                              .timer = std::make_unique<net::steady_timer>(loop_),
                              .backoff = options_.redial_min,
                              .busy = false};
    dial_soon(name, Duration{});
  }
}

void PeerLinks::dial_soon(const std::string& name, Duration after) {
  Dialing& dialing = dialings_.at(name);
  dialing.busy = false;
  dialing.timer->expires_after(after);
  dialing.timer->async_wait([this, name](const boost::system::error_code& error) {
    if (!error) dial(name);
  });
}

void PeerLinks::dial(const std::string& name) {
  const auto found = dialings_.find(name);
  if (found == dialings_.end() || found->second.busy) return;
  Dialing& dialing = found->second;
  dialing.busy = true;
  transport::SeamLimits limits;
  limits.frame_bytes_max = options_.frame_bytes_max;
  limits.outbox_bytes_max = outbox_bytes_max;
  limits.ping_interval = options_.ping_interval;
  const auto on_done = [this, name, epoch = epoch_](Result<std::shared_ptr<transport::Seam>> seam) {
    if (epoch != epoch_) {
      if (seam) (*seam)->abort();
      return;
    }
    if (seam) return adopt(*seam, name);
    Dialing& again = dialings_.at(name);
    again.backoff = std::min(again.backoff * 2, options_.redial_max);
    const auto spread = static_cast<std::uint64_t>(again.backoff.count());
    dial_soon(name,
              again.backoff / 2 + Duration(static_cast<Duration::rep>(jitter_.below(spread))));
  };
  transport::dial(loop_.get_executor(), dialing.target.address, {std::string(subprotocol)}, limits,
                  options_.dial_timeout, on_done);
}

void PeerLinks::adopt(const std::shared_ptr<transport::Seam>& seam, const std::string& dialed) {
  const auto link = std::make_shared<Link>(*this, seam, dialed);
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
  linked_ = up_.size();
  if (Status status = events_.on_up(link->peer()); !status) return status;
  up_.emplace(peer, link);
  linked_ = up_.size();
  return Done{};
}

void PeerLinks::over(const std::shared_ptr<Link>& link) {
  if (links_.erase(link.get()) == 0) return;
  if (link->is_proven()) {
    const auto current = up_.find(link->peer().node);
    if (current != up_.end() && current->second == link) {
      up_.erase(current);
      linked_ = up_.size();
      events_.on_down(link->peer().node);
    }
  }
  if (!link->is_dialer() || link->epoch() != epoch_) return;
  const auto dialing = dialings_.find(link->dialed());
  if (dialing == dialings_.end() || !dialing->second.busy) return;
  // Whom somebody refused is refused again: wait longer each time.
  const bool was_good = link->is_proven() && !link->is_refused();
  Duration& backoff = dialing->second.backoff;
  backoff = was_good ? options_.redial_min : std::min(backoff * 2, options_.redial_max);
  const auto spread = static_cast<std::uint64_t>(backoff.count());
  dial_soon(link->dialed(),
            backoff / 2 + Duration(static_cast<Duration::rep>(jitter_.below(spread))));
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
