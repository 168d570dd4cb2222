// peer_links.hpp: authenticated WebSocket links between servers.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "kuilt/detail/rng.hpp"
#include "server/mailbox.hpp"
#include "server/members.hpp"
#include "server/peer_auth.hpp"
#include "server/peers.hpp"
#include "transport/seam.hpp"

namespace kuilt::server {

/// Who this server is on its peer links. While founding, cluster and history are none.
struct PeerIdentity {
  NodeId node;
  BootId boot;
  std::string name;
  ClusterId cluster;
  HistoryId history;
};

struct PeerLinkOptions {
  std::string listen;  ///< Port 0 picks a free one.
  Secret secret;
  std::size_t frame_bytes_max = std::size_t{8} << 20;
  Duration dial_timeout = std::chrono::seconds(2);
  Duration redial_min = std::chrono::milliseconds(50);
  Duration redial_max = std::chrono::seconds(1);
  /// How long the side that waits for the other one to dial waits before it dials itself.
  Duration dial_patience = std::chrono::seconds(1);
  /// A target that is none any more is still dialed for this long: it may not know yet.
  Duration farewell = std::chrono::seconds(15);
  Duration ping_interval = std::chrono::milliseconds(700);  ///< Dead after twice that.
};

/// Called on the transport's thread, only for peers that have proven that they know the secret.
struct PeerLinkEvents {
  /// An error refuses the peer: it is told why.
  std::function<Status(const wire::PeerHello&)> on_up;
  std::function<void(NodeId)> on_down;
  std::function<void(NodeId, wire::PeerMessage)> on_message;
  /// A peer said goodbye or could not be trusted; for people.
  std::function<void(const std::string& peer, const Error&)> on_refused;
};

/// What people are told of a refusal.
[[nodiscard]] std::string refusal_text(const std::string& peer, const Error& error);

/// Keeps one link to each other server. Of two servers the one whose name sorts first dials, and
/// the other one only if that takes long: it may know better where the first one is. A new link of
/// a peer takes the old one's place. Links exist between servers of the same cluster, members or
/// not, and, for founding and joining, between a server without a cluster and any that knows the
/// secret.
///
/// Threads: one of its own. Public calls from any.
/// Failure: links are made again for ever, with jitter; what is sent meanwhile is dropped.
class PeerLinks {
 public:
  PeerLinks(PeerLinkOptions options, PeerIdentity identity, PeerLinkEvents events);
  ~PeerLinks();
  PeerLinks(const PeerLinks&) = delete;
  PeerLinks& operator=(const PeerLinks&) = delete;

  /// Errors: address_in_use, invalid_argument, io.
  Status listen();
  /// Links to these from now on. Drops all links when the identity changes (founding is over).
  void be(PeerIdentity identity, PeerLinkEvents events, std::vector<PeerTarget> targets);
  /// Other targets, as the same server. Links that there are stay; those that are no targets any
  /// more are dialed for a while yet.
  void follow(std::vector<PeerTarget> targets);
  void send(NodeId to, wire::PeerMessage message);
  void send(std::vector<cluster::PeerSend> messages);
  /// How many of the targets, if their ids are known; otherwise all links.
  [[nodiscard]] std::size_t linked() const { return linked_; }
  /// How often one side has refused the other so far, by the name of the error.
  [[nodiscard]] std::map<std::string, std::uint64_t> refusals() const;
  [[nodiscard]] std::string address() const;

 private:
  class Link;
  struct Change {
    PeerIdentity identity;
    PeerLinkEvents events;
    std::vector<PeerTarget> targets;
  };
  struct Follow {
    std::vector<PeerTarget> targets;
  };
  using Order = std::variant<std::vector<cluster::PeerSend>, Change, Follow>;
  struct Dialing {
    PeerTarget target;
    std::unique_ptr<boost::asio::steady_timer> timer;
    Duration backoff{};
    bool busy = false;                 // A dial or a link of ours is on.
    std::optional<Instant> left = {};  // Is no target any more, since then.
  };

  void on_orders(std::vector<Order> orders);
  void change(Change change);
  void follow(const std::vector<PeerTarget>& targets, Instant at);
  void forget_others_at(const PeerTarget& target);
  [[nodiscard]] bool waits_to_be_dialed(const PeerTarget& target) const;
  [[nodiscard]] Duration first_wait(const PeerTarget& target) const;
  void dial_soon(const std::string& key, Duration after);
  void dial(const std::string& key);
  void dial_again(const std::shared_ptr<Link>& link);
  void back_off(const std::string& key, bool was_good);
  void count_links();
  void adopt(const std::shared_ptr<transport::Seam>& seam, const std::string& dialed);
  Status up(const std::shared_ptr<Link>& link);
  void over(const std::shared_ptr<Link>& link);
  void refused(const std::string& peer, const Error& error);
  [[nodiscard]] wire::PeerHello hello() const;

  const PeerLinkOptions options_;
  PeerIdentity identity_;
  PeerLinkEvents events_;
  Rng jitter_;
  std::map<std::string, Dialing> dialings_;       // By id, or by name and address without one.
  std::map<NodeId, std::shared_ptr<Link>> up_;    // Proven, one each.
  std::map<Link*, std::shared_ptr<Link>> links_;  // All, proven or not.
  bool knows_ids_ = false;                        // Of all targets.
  std::uint64_t epoch_ = 0;                       // Counts changes of identity.
  std::atomic<std::size_t> linked_ = 0;
  mutable std::mutex refusals_mutex_;
  std::map<std::string, std::uint64_t> refusals_;  // Guarded by it.

  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::shared_ptr<LoopMailbox<Order>> mailbox_;
  std::unique_ptr<transport::Listener> listener_;
  std::thread thread_;
};

/// PeerLinks as the machine's way to the other voters.
class WebSocketPeers final : public PeerTransport {
 public:
  explicit WebSocketPeers(std::shared_ptr<PeerLinks> links) : links_(std::move(links)) {}
  void send(std::vector<cluster::PeerSend> messages) override { links_->send(std::move(messages)); }
  [[nodiscard]] std::size_t linked() const override { return links_->linked(); }
  void follow(std::vector<PeerTarget> targets) override { links_->follow(std::move(targets)); }
  [[nodiscard]] std::map<std::string, std::uint64_t> refusals() const override {
    return links_->refusals();
  }

 private:
  std::shared_ptr<PeerLinks> links_;
};

}  // namespace kuilt::server
