#include "server/shard.hpp"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

#include <boost/asio/post.hpp>

#include "kuilt/detail/overloaded.hpp"

namespace kuilt::server {

std::optional<cluster::LinkId> LinkRegistry::enter(std::uint64_t client, std::uint32_t number,
                                                   cluster::LinkId link) {
  const std::lock_guard lock(mutex_);
  const auto [place, fresh] = links_.emplace(std::pair(client, number), link);
  if (fresh) return std::nullopt;
  return std::exchange(place->second, link);
}

void LinkRegistry::leave(std::uint64_t client, std::uint32_t number, cluster::LinkId link) {
  const std::lock_guard lock(mutex_);
  const auto place = links_.find({client, number});
  if (place != links_.end() && place->second == link) links_.erase(place);
}

Shard::Shard(const ShardOptions& options, const Facts& facts,
             const cluster::FeedOptions& feed_options, const cluster::FeedBoot& feed_boot,
             LinkRegistry& registry, ShardEvents events)
    : options_(options),
      facts_(facts),
      registry_(registry),
      events_(std::move(events)),
      feed_(feed_options, feed_boot),
      leader_(now(), options.leaderless_after),
      work_(loop_.get_executor()),
      heartbeat_timer_(loop_),
      feed_timer_(loop_),
      mailbox_(std::make_shared<LoopMailbox<Mail>>(loop_)) {
  KUILT_CHECK(options.number < shards_max);
  mailbox_->on_items([this](std::vector<Mail> mail) { on_mail(std::move(mail)); });
  on_heartbeat();
  thread_ = std::thread([this] { loop_.run(); });
}

Shard::~Shard() {
  loop_.stop();
  thread_.join();
  mailbox_->stop();
  links_.clear();
}

void Shard::publish(Batch batch) { mailbox_->put(std::move(batch)); }
void Shard::answer(std::vector<cluster::Answered> answers) { mailbox_->put(std::move(answers)); }
void Shard::answer(std::vector<cluster::BarrierAnswered> barriers) {
  mailbox_->put(std::move(barriers));
}
void Shard::led_by(LeaderView leader) { mailbox_->put(std::move(leader)); }
void Shard::deliver(std::vector<cluster::RoomFrame> frames) { mailbox_->put(std::move(frames)); }
void Shard::loaded(std::uint64_t number, Result<std::vector<raft::Entry>> entries) {
  mailbox_->put(Loaded{number, std::move(entries)});
}
void Shard::evict(cluster::LinkId link) { mailbox_->put(Evict{link}); }
void Shard::serve_as(std::vector<std::string> other_endpoints, std::optional<wire::Goodbye> away) {
  mailbox_->put(ServeAs{std::move(other_endpoints), std::move(away)});
}
void Shard::drain(wire::Goodbye goodbye) { mailbox_->put(std::move(goodbye)); }

ShardFigures Shard::figures() const {
  const std::lock_guard lock(figures_mutex_);
  return figures_;
}

void Shard::adopt(std::shared_ptr<transport::Seam> seam) {
  const cluster::LinkId id((++links_made_ << 8) | options_.number);
  auto link = std::make_unique<ClientLink>(id, std::move(seam), facts_, *this);
  ClientLink& started = *link;
  links_.emplace(id.value(), std::move(link));
  started.start();
  if (draining_ || away_) started.dismiss(draining_ ? *draining_ : *away_);
}

ClientLink* Shard::find(cluster::LinkId link) {
  const auto found = links_.find(link.value());
  return found == links_.end() ? nullptr : found->second.get();
}

void Shard::on_mail(std::vector<Mail> mail) {
  const auto on_item = Overloaded{
      [&](const Batch& batch) { carry_out(feed_.publish(batch)); },
      [&](const std::vector<cluster::Answered>& answers) { on_answers(answers); },
      [&](const std::vector<cluster::BarrierAnswered>& barriers) {
        for (const cluster::BarrierAnswered& one : barriers) {
          if (ClientLink* link = find(one.link)) link->answer(one.answer);
        }
      },
      [&](const std::vector<cluster::RoomFrame>& frames) { on_room_frames(frames); },
      [&](LeaderView& leader) {
        const bool is_known = !leader.name.empty();
        leader_.led_by(now(), std::move(leader));
        // At once: clients hold back what they propose until they hear of a leader.
        if (is_known) send_heartbeats(true);
      },
      [&](Loaded& loaded) { carry_out(feed_.loaded(loaded.number, std::move(loaded.entries))); },
      [&](const Evict& evicted) {
        ClientLink* link = find(evicted.link);
        if (link == nullptr) return;
        link->dismiss({.code = ErrorCode::replaced,
                       .message = "a newer link of this client and number took its place",
                       .retry_after = {},
                       .endpoints = {}});
      },
      [&](const wire::Goodbye& goodbye) {
        draining_ = goodbye;
        for (const auto& [id, link] : links_) link->dismiss(goodbye);
      },
      [&](ServeAs& as) {
        feed_.send_away_to(std::move(as.other_endpoints));
        away_ = std::move(as.away);
        if (!away_) return;
        for (const auto& [id, link] : links_) link->dismiss(*away_);
      },
  };
  for (Mail& item : mail) std::visit(on_item, item);
}

void Shard::on_answers(const std::vector<cluster::Answered>& answers) {
  // One frame per link and turn, however many answers it holds.
  std::map<std::uint64_t, std::vector<wire::Answer>> by_link;
  for (const cluster::Answered& answered : answers) {
    by_link[answered.link.value()].push_back(answered.answer);
  }
  for (const auto& [id, of_link] : by_link) {
    if (ClientLink* link = find(cluster::LinkId(id))) link->answer(of_link);
  }
}

void Shard::on_room_frames(const std::vector<cluster::RoomFrame>& frames) {
  for (const cluster::RoomFrame& frame : frames) {
    for (const cluster::LinkId to : frame.to) {
      ClientLink* link = find(to);
      if (link != nullptr && outlet_.admits(to, link->queued(), frame)) {
        link->send_shared(frame.frame);
      }
    }
  }
  events_.rooms_delivered(frames);
}

void Shard::carry_out(cluster::FeedOutput output) {
  for (const cluster::FeedSend& send : output.send) {
    ClientLink* link = find(send.link);
    if (link == nullptr) continue;
    if (!link->send_shared(send.frame)) continue;
    if (send.kind == cluster::FeedSendKind::goodbye) link->close_after_goodbye();
  }
  for (const cluster::FeedLoad& load : output.loads) events_.load(load);
  if (output.wake_at) wake_feed_at(output.wake_at);
}

void Shard::wake_feed_at(std::optional<Instant> at) {
  feed_timer_.expires_at(to_steady(*at));
  feed_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) carry_out(feed_.tick(now()));
  });
}

void Shard::on_heartbeat() {
  heartbeat_timer_.expires_after(facts_.client_heartbeat_interval);
  heartbeat_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    send_heartbeats(false);  // A link with a queue hears from us anyway, as soon as it reads.
    shed_slow_readers();
    publish_figures();
    on_heartbeat();
  });
}

void Shard::send_heartbeats(bool behind_queues) {
  const wire::ServerMessage heartbeat = wire::ServerHeartbeat{feed_.through(), leader().name};
  // Encoded once each; the index is that of wire::Encoding.
  const std::array<Bytes, 2> frames = {wire::encode(heartbeat, wire::Encoding::protobuf),
                                       wire::encode(heartbeat, wire::Encoding::json)};
  for (const auto& [id, link] : links_) {
    if (!link->is_admitted()) continue;
    if (link->queued() == 0) {
      link->send_shared(frames.at(link->encoding() == wire::Encoding::json ? 1 : 0));
    } else if (behind_queues) {
      link->send(heartbeat);
    }
  }
}

void Shard::shed_slow_readers() {
  std::vector<std::pair<std::size_t, ClientLink*>> queues;
  std::unordered_set<const std::byte*> counted;  // A frame that many wait for is there once.
  std::size_t pinned = 0;
  for (const auto& [id, link] : links_) {
    const std::size_t queued = link->queued();
    if (queued == 0) continue;
    const BytesView shared = link->shared_frame();
    const bool first = counted.insert(shared.data()).second;
    const std::size_t bytes = first ? queued : queued - std::min(queued, shared.size());
    pinned += bytes;
    queues.emplace_back(bytes, link.get());
  }
  std::sort(queues.begin(), queues.end());
  while (pinned > options_.pinned_bytes_max && !queues.empty()) {
    pinned -= queues.back().first;
    queues.back().second->dismiss({.code = ErrorCode::slow_reader,
                                   .message = "this server holds too many bytes for slow readers",
                                   .retry_after = std::chrono::seconds(1),
                                   .endpoints = facts_.members->other_endpoints()});
    queues.pop_back();
  }
}

void Shard::publish_figures() {
  ShardFigures figures{.clients = 0,
                       .queued_bytes = 0,
                       .room_frames_dropped = outlet_.dropped(),
                       .feed = feed_.counters()};
  for (const auto& [id, link] : links_) {
    figures.clients += link->is_admitted() ? 1 : 0;
    figures.queued_bytes += link->queued();
  }
  const std::lock_guard lock(figures_mutex_);
  figures_ = figures;
}

void Shard::admitted(cluster::LinkId link, const wire::Hello& hello) {
  {
    const std::lock_guard lock(figures_mutex_);
    figures_.clients += 1;
  }
  if (hello.client == 0) return;  // Says nothing about which of its links this is.
  if (const auto old = registry_.enter(hello.client, hello.link, link)) events_.evict(*old);
}

void Shard::submit(cluster::LinkId link, std::vector<wire::Proposal> proposals) {
  events_.to_core(cluster::Submit{link, std::move(proposals)});
}

void Shard::read_barrier(cluster::LinkId link, std::uint64_t number) {
  events_.to_core(cluster::BarrierCall{link, number, cluster::BarrierKind::published});
}

void Shard::observe(cluster::LinkId link, wire::Encoding encoding, wire::Observe wanted) {
  carry_out(feed_.observe(now(), link, encoding, wanted));
}

void Shard::credit(cluster::LinkId link, wire::Credit credit) {
  carry_out(feed_.credit(link, credit));
}

void Shard::unobserve(cluster::LinkId link, const RoomName& room) {
  carry_out(feed_.unobserve(link, room));
}

LeaderView Shard::leader() const { return leader_.told(now()); }

// A link that asks for more than the rooms can take in goes elsewhere for a while; its end is
// always heard. Messages may be lost at any time.
void Shard::to_rooms(cluster::LinkId link, cluster::RoomInput input) {
  const bool may_be_lost = std::holds_alternative<cluster::RoomSay>(input);
  if (events_.to_rooms(std::move(input)) || may_be_lost) return;
  if (ClientLink* asking = find(link)) {
    asking->dismiss({.code = ErrorCode::busy,
                     .message = "too many joins and messages of rooms wait on this server",
                     .retry_after = std::chrono::seconds(1),
                     .endpoints = facts_.members->other_endpoints()});
  }
}

void Shard::drained(cluster::LinkId link) {
  carry_out(feed_.drained(link));
  if (auto refresh = outlet_.drained(link)) to_rooms(link, *std::move(refresh));
}

void Shard::closed(cluster::LinkId link, const Error& /*reason*/) {
  const auto found = links_.find(link.value());
  if (found == links_.end()) return;
  const std::unique_ptr<ClientLink> gone = std::move(found->second);
  links_.erase(found);
  if (gone->client() != 0) registry_.leave(gone->client(), gone->number(), link);
  if (gone->is_admitted()) {
    const std::lock_guard lock(figures_mutex_);
    if (figures_.clients > 0) figures_.clients -= 1;
  }
  feed_.closed(link);
  outlet_.closed(link);
  if (gone->uses_rooms()) events_.to_rooms(cluster::RoomLinkClosed{link});
  events_.to_core(cluster::LinkClosed{link});
}

}  // namespace kuilt::server
