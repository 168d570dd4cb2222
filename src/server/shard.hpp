// shard.hpp: one event loop that owns client sockets and feeds the learners behind them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "cluster/feed.hpp"
#include "cluster/room_outlet.hpp"
#include "server/client_link.hpp"
#include "server/facts.hpp"
#include "server/mailbox.hpp"

namespace kuilt::server {

/// Which link holds a (client, number) on any shard: a new one evicts the old one.
///
/// Threads: any.
class LinkRegistry {
 public:
  /// Enters `link`; returns the link that held the place before.
  std::optional<cluster::LinkId> enter(std::uint64_t client, std::uint32_t number,
                                       cluster::LinkId link);
  /// Leaves the place, unless a newer link holds it.
  void leave(std::uint64_t client, std::uint32_t number, cluster::LinkId link);

 private:
  std::mutex mutex_;
  std::map<std::pair<std::uint64_t, std::uint32_t>, cluster::LinkId> links_;
};

/// A link's number holds its shard's in the low byte, so that answers find their way.
inline constexpr std::size_t shards_max = 64;
[[nodiscard]] inline std::size_t shard_of(cluster::LinkId link) { return link.value() & 0xffU; }

struct ShardOptions {
  std::size_t number = 0;
  /// Bytes queued for all slow readers together; beyond it the one with the most goes first.
  std::size_t pinned_bytes_max = std::size_t{256} << 20;
  /// Without a leader for so long, heartbeats say so and clients go elsewhere.
  Duration leaderless_after = std::chrono::seconds(1);
};

/// What a shard asks of the rest of the server. Called on the shard's thread.
struct ShardEvents {
  std::function<void(cluster::Input)> to_core;
  /// A read of old log; the answer comes back through `Shard::loaded`.
  std::function<void(const cluster::FeedLoad&)> load;
  /// False: the rooms have too much to do already.
  std::function<bool(cluster::RoomInput)> to_rooms;
  /// These frames have been passed on.
  std::function<void(const std::vector<cluster::RoomFrame>&)> rooms_delivered;
  /// The link that was evicted may be another shard's.
  std::function<void(cluster::LinkId)> evict;
};

struct ShardFigures {
  std::size_t clients = 0;
  std::size_t queued_bytes = 0;
  std::uint64_t room_frames_dropped = 0;  ///< Messages, for want of readers.
  cluster::FeedCounters feed;
};

/// Threads: one of its own, where everything happens. Public calls from any thread.
class Shard final : public ClientLinkOwner {
 public:
  Shard(const ShardOptions& options, const Facts& facts, const cluster::FeedOptions& feed_options,
        const cluster::FeedBoot& feed_boot, LinkRegistry& registry, ShardEvents events);
  ~Shard() override;

  [[nodiscard]] boost::asio::any_io_executor executor() { return loop_.get_executor(); }
  /// A new link. Call on the shard's executor.
  void adopt(std::shared_ptr<transport::Seam> seam);

  void publish(std::shared_ptr<const cluster::CommittedBatch> batch);
  void answer(std::vector<cluster::Answered> answers);
  void answer(std::vector<cluster::BarrierAnswered> barriers);
  void led_by(LeaderView leader);
  void deliver(std::vector<cluster::RoomFrame> frames);
  void loaded(std::uint64_t number, Result<std::vector<raft::Entry>> entries);
  void evict(cluster::LinkId link);
  /// Where else clients may go. With a goodbye: they have to, from now on and until this is called
  /// again without one.
  void serve_as(std::vector<std::string> other_endpoints, std::optional<wire::Goodbye> away);
  /// Dismisses every link, telling it where to go, for good.
  void drain(wire::Goodbye goodbye);
  [[nodiscard]] ShardFigures figures() const;

 private:
  struct Loaded {
    std::uint64_t number;
    Result<std::vector<raft::Entry>> entries;
  };
  struct Evict {
    cluster::LinkId link;
  };
  struct ServeAs {
    std::vector<std::string> other_endpoints;
    std::optional<wire::Goodbye> away;
  };
  using Batch = std::shared_ptr<const cluster::CommittedBatch>;
  using Mail = std::variant<Batch, std::vector<cluster::Answered>, std::vector<cluster::RoomFrame>,
                            LeaderView, Loaded, Evict, wire::Goodbye,
                            std::vector<cluster::BarrierAnswered>, ServeAs>;

  void on_mail(std::vector<Mail> mail);
  void on_answers(const std::vector<cluster::Answered>& answers);
  void on_room_frames(const std::vector<cluster::RoomFrame>& frames);
  void carry_out(cluster::FeedOutput output);
  void on_heartbeat();
  void send_heartbeats(bool behind_queues);
  void shed_slow_readers();
  void wake_feed_at(std::optional<Instant> at);
  void publish_figures();
  ClientLink* find(cluster::LinkId link);

  void admitted(cluster::LinkId link, const wire::Hello& hello) override;
  void submit(cluster::LinkId link, std::vector<wire::Proposal> proposals) override;
  void read_barrier(cluster::LinkId link, std::uint64_t number) override;
  void observe(cluster::LinkId link, wire::Encoding encoding, wire::Observe wanted) override;
  void credit(cluster::LinkId link, wire::Credit credit) override;
  void unobserve(cluster::LinkId link, const RoomName& room) override;
  void to_rooms(cluster::LinkId link, cluster::RoomInput input) override;
  void drained(cluster::LinkId link) override;
  void closed(cluster::LinkId link, const Error& reason) override;
  [[nodiscard]] Position commit() const override { return feed_.through(); }
  [[nodiscard]] LeaderView leader() const override;

  const ShardOptions options_;
  const Facts& facts_;
  LinkRegistry& registry_;
  ShardEvents events_;
  cluster::Feed feed_;
  cluster::RoomOutlet outlet_;
  cluster::LeaderNotice leader_;
  std::optional<wire::Goodbye> draining_;
  std::optional<wire::Goodbye> away_;  // While this server is no member.
  std::uint64_t links_made_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<ClientLink>> links_;

  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer heartbeat_timer_;
  boost::asio::steady_timer feed_timer_;
  std::shared_ptr<LoopMailbox<Mail>> mailbox_;
  mutable std::mutex figures_mutex_;
  ShardFigures figures_;
  std::thread thread_;
};

}  // namespace kuilt::server
