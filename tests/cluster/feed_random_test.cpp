// Any learners, any order of events: each sees its room's history exactly once, in order.
#include <gtest/gtest.h>

#include <array>
#include <set>

#include "kuilt/detail/rng.hpp"
#include "tests/cluster/feed_fixture.hpp"

namespace kuilt::cluster {
namespace {

using testing::history_id;
using testing::Observer;
using testing::t0;
using testing::TestLog;
using wire::Encoding;

/// One seed: a log, a feed with limits drawn small, and clients who do as they please.
class RandomFeed {
 public:
  explicit RandomFeed(std::uint64_t seed)
      : rng_(seed),
        options_(draw_options()),
        log_(rng_.chance(50) ? Position{} : Position{Index(1000), Term(7)}) {
    grow(rng_.below(200));
    log_.commit();
    feed_.emplace(options_, log_.boot(options_.checkpoint_interval));
    for (std::uint64_t i = 1; i <= 1 + rng_.below(8); ++i) clients_[LinkId(i)];
  }

  void run(int steps) {
    for (int step = 0; step < steps; ++step) turn();
  }
  /// Everybody reads, every read is answered: then all must be at the end.
  void finish() {
    while (true) {
      for (const auto& [id, client] : clients_) {
        for (const RoomName& room : client.limited) {
          take(feed_->credit(id, {room, 100'000, Index()}));
        }
      }
      if (frames_.empty() && loads_.empty()) break;
      if (!loads_.empty()) answer_load();
      if (!frames_.empty()) deliver_one();
    }
    for (auto& [id, client] : clients_) {
      for (const auto& [room, observer] : client.rooms) {
        ASSERT_TRUE(observer.is_placed);
        EXPECT_EQ(observer.at, log_.committed()) << "client " << id.value() << " room " << room;
        expect_whole(observer);
      }
    }
    EXPECT_EQ(feed_->counters().loads, loads_seen_);
  }
  [[nodiscard]] const FeedCounters& counters() const { return feed_->counters(); }

 private:
  struct Incoming {
    FeedSend send;
    bool is_stale = false;  ///< Of a feed that the client has ended or begun anew since.
  };
  struct Client {
    std::map<RoomName, Observer> rooms;
    std::set<RoomName> limited;
    std::deque<Incoming> inbox;
    bool is_frame_in_flight = false;
  };

  FeedOptions draw_options() {
    FeedOptions options;
    options.ring_bytes_max = rng_.below(6000);
    options.frame_bytes_max = 1 + rng_.below(800);
    options.frame_cache_frames_max = rng_.below(4);
    options.frame_cache_bytes_max = rng_.below(2000);
    options.load_bytes_max = 1 + rng_.below(3000);
    options.load_entries_max = 1 + rng_.below(40);
    options.loads_in_flight_max = 1 + rng_.below(3);
    options.loaded_bytes_max = rng_.below(4000);
    options.checkpoint_interval = 1 + rng_.below(30);
    return options;
  }
  RoomName any_room() { return std::array<RoomName, 4>{"", "a", "b", "rare"}[rng_.below(4)]; }

  void grow(std::uint64_t entries) {
    for (std::uint64_t i = 0; i < entries; ++i) {
      const std::uint64_t what = rng_.below(100);
      if (what < 3) {
        log_.new_term();
      } else if (what < 8) {
        log_.no_op();
      } else {
        const RoomName room = what < 10 ? "rare" : what < 50 ? "" : what < 75 ? "a" : "b";
        log_.command(std::string(rng_.below(200), 'x'), room);
      }
    }
  }

  void turn() {
    const std::uint64_t what = rng_.below(100);
    if (what < 25) {
      grow(1 + rng_.below(10));
      take(feed_->publish(log_.commit()));
    } else if (what < 70) {
      if (!frames_.empty()) deliver_one();
    } else if (what < 85) {
      if (!loads_.empty()) answer_load();
    } else if (what < 97) {
      observe();
    } else {
      leave();
    }
  }

  auto any_client() {
    auto client = clients_.begin();
    std::advance(client, static_cast<std::ptrdiff_t>(rng_.below(clients_.size())));
    return client;
  }

  void observe() {
    auto& [id, client] = *any_client();
    const RoomName room = any_room();
    const Encoding encoding = encoding_of(id);
    wire::Observe wanted{room, wire::FromStart{}, rng_.chance(50) ? 0 : 1 + rng_.below(2000)};
    const std::uint64_t first = log_.committed().index.value() - committed_count();
    const std::uint64_t place = first + rng_.below(committed_count() + 1);
    if (rng_.chance(60)) {
      wanted.from = log_.point(room, place);
    } else if (rng_.chance(30)) {
      wanted.from = wire::FromNow{};
    } else if (rng_.chance(50)) {
      wanted.from = wire::FromIndex{Index(place + 1)};
    }
    end_room(id, client, room);
    client.rooms[room] = Observer{.room = room, .encoding = encoding};
    if (wanted.credit_bytes > 0) client.limited.insert(room);
    take(feed_->observe(t0, id, encoding, wanted));
  }
  void end_room(LinkId id, Client& client, const RoomName& room) {
    if (client.rooms.contains(room)) expect_whole(client.rooms.at(room));
    client.rooms.erase(room);
    client.limited.erase(room);
    for (Incoming& incoming : client.inbox) {
      if (is_of_room(incoming.send, encoding_of(id), room)) incoming.is_stale = true;
    }
  }
  static Encoding encoding_of(LinkId id) {
    return id.value() % 2 == 0 ? Encoding::json : Encoding::protobuf;
  }
  static bool is_of_room(const FeedSend& send, Encoding encoding, const RoomName& room) {
    const wire::ServerMessage message = testing::decoded(send, encoding);
    const auto* reply = std::get_if<wire::ObserveReply>(&message);
    const auto* frame = std::get_if<wire::Feed>(&message);
    return (reply && reply->room == room) || (frame && frame->room == room);
  }
  [[nodiscard]] std::uint64_t committed_count() const {
    return log_.committed().index.value() - log_.base().index.value();
  }

  void leave() {
    const auto client = any_client();
    const LinkId id = client->first;
    if (rng_.chance(50)) {
      const RoomName room = any_room();
      end_room(id, client->second, room);
      take(feed_->unobserve(id, room));
      return;
    }
    feed_->closed(id);
    clients_.erase(client);
    std::erase(frames_, id);
    clients_[LinkId(++last_link_)];
  }

  void take(const FeedOutput& out) {
    for (const FeedLoad& load : out.loads) {
      loads_.push_back(load);
      ++loads_seen_;
    }
    ASSERT_LE(loads_.size(), options_.loads_in_flight_max);
    for (const FeedSend& send : out.send) {
      ASSERT_NE(send.kind, FeedSendKind::goodbye);
      Client& client = clients_.at(send.link);
      if (send.kind == FeedSendKind::frame) {
        ASSERT_FALSE(client.is_frame_in_flight) << "two frames of one link in flight";
        client.is_frame_in_flight = true;
      }
      client.inbox.push_back({send});
      frames_.push_back(send.link);
    }
  }

  /// The oldest of a random link: links are ordered, but not with each other.
  void deliver_one() {
    const std::size_t which = rng_.below(frames_.size());
    const LinkId id = frames_[which];
    frames_.erase(frames_.begin() + static_cast<std::ptrdiff_t>(which));
    Client& client = clients_.at(id);
    const Incoming incoming = client.inbox.front();
    client.inbox.pop_front();
    if (!incoming.is_stale) hand_over(id, client, incoming.send);
    if (incoming.send.kind != FeedSendKind::frame) return;
    client.is_frame_in_flight = false;
    take(feed_->drained(id));
  }
  void hand_over(LinkId id, Client& client, const FeedSend& send) {
    const wire::ServerMessage message = testing::decoded(send, encoding_of(id));
    if (const auto* reply = std::get_if<wire::ObserveReply>(&message)) {
      const auto observer = client.rooms.find(reply->room);
      if (observer != client.rooms.end()) return observer->second.take(*reply);
      ASSERT_EQ(reply->verdict, wire::ObserveVerdict::refused) << "a room that was left is fed";
    } else if (const auto* frame = std::get_if<wire::Feed>(&message)) {
      Observer& observer = client.rooms.at(frame->room);
      observer.take(*frame);
      ASSERT_EQ(observer.complaint, "") << "room " << observer.room;
      std::uint64_t size = 0;
      for (const Bytes& part : frame->entries) size += part.size();
      if (client.limited.contains(frame->room) && rng_.chance(80)) {
        take(feed_->credit(id, {frame->room, size, frame->through.index}));
      }
    }
  }
  void expect_whole(const Observer& observer) {
    if (!observer.is_placed) return;
    ASSERT_EQ(observer.seen,
              log_.parts(observer.room, observer.placed_at.index, observer.at.index));
    ASSERT_EQ(observer.digest, log_.digest(observer.room, observer.at.index));
  }

  void answer_load() {
    const std::size_t which = rng_.below(loads_.size());
    const FeedLoad load = loads_[which];
    loads_.erase(loads_.begin() + static_cast<std::ptrdiff_t>(which));
    std::vector<raft::Entry> entries = log_.read(load);
    if (rng_.chance(20)) entries.resize(1 + rng_.below(entries.size()));
    take(feed_->loaded(load.number, entries));
  }

  Rng rng_;
  FeedOptions options_;
  TestLog log_;
  std::optional<Feed> feed_;
  std::map<LinkId, Client> clients_;
  std::uint64_t last_link_ = 100;
  std::vector<LinkId> frames_;  ///< One for each message that is on its way.
  std::vector<FeedLoad> loads_;
  std::uint64_t loads_seen_ = 0;
};

TEST(FeedRandom, EveryLearnerSeesItsRoomExactlyOnceInOrder) {
  FeedCounters total;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomFeed run(seed);

    run.run(300);
    run.finish();

    if (::testing::Test::HasFailure()) return;
    total.resumes += run.counters().resumes;
    total.resumes_mid_batch += run.counters().resumes_mid_batch;
    total.loads += run.counters().loads;
    total.frames_sent += run.counters().frames_sent;
    total.frames_encoded += run.counters().frames_encoded;
  }
  // It proves nothing about what it did not do.
  EXPECT_GT(total.resumes, 1000U);
  EXPECT_GT(total.resumes_mid_batch, 10U);
  EXPECT_GT(total.loads, 1000U);
  EXPECT_GT(total.frames_sent, total.frames_encoded);
}

}  // namespace
}  // namespace kuilt::cluster
