#include "server/founding.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <memory>

#include "kuilt/detail/rng.hpp"

namespace kuilt::server {
namespace {

const std::vector<FoundingMember> three = {{"a", "h1:1"}, {"b", "h2:1"}, {"c", "h3:1"}};

wire::FoundingOffer offer_of(const std::string& name, const std::string& id,
                             const std::vector<FoundingMember>& list = three) {
  wire::FoundingOffer offer;
  offer.node = NodeId::named(id);
  offer.name = name;
  offer.peer_url = name + ":1";
  offer.client_url = "ws://" + name + ":2";
  offer.list_digest = list_digest(list);
  return offer;
}

// Founding servers on links that deliver in any order between peers, in order on each link.
class World {
 public:
  explicit World(std::uint64_t seed) : rng_(seed) {}

  void start(const std::string& name, const std::string& id) {
    servers_[name] = std::make_unique<Founding>(offer_of(name, id), three, raft::Parameters{});
    ids_[name] = NodeId::named(id);
    for (const auto& [other, server] : servers_) {
      links_[{name, other}].clear();
      links_[{other, name}].clear();
    }
    for (const auto& [other, server] : servers_) {
      if (other == name) continue;
      take(name, servers_[name]->on_link(ids_[other]));
      take(other, servers_[other]->on_link(ids_[name]));
    }
  }
  void crash(const std::string& name) {
    servers_.erase(name);
    for (auto& [ends, queue] : links_) {
      if (ends.first == name || ends.second == name) queue.clear();
    }
  }
  // Delivers up to `count` messages, one from a random link each.
  void run(int count) {
    for (int i = 0; i < count; ++i) {
      std::vector<std::pair<std::string, std::string>> busy;
      for (const auto& [ends, queue] : links_) {
        if (!queue.empty()) busy.push_back(ends);
      }
      if (busy.empty()) return;
      deliver(busy.at(rng_.below(busy.size())));
    }
  }

  std::map<std::string, raft::Configuration> founded;
  std::map<std::string, ErrorCode> failed;

 private:
  void deliver(const std::pair<std::string, std::string>& ends) {
    auto& queue = links_.at(ends);
    const wire::PeerMessage message = queue.front();
    queue.pop_front();
    const std::string& to = ends.second;
    if (!servers_.contains(to)) return;
    if (const auto done = founded.find(to); done != founded.end()) {
      // A member answers a stranger's offer with the record, as open.cpp does.
      if (std::holds_alternative<wire::FoundingOffer>(message)) {
        links_[{to, ends.first}].push_back(
            wire::FoundingHold{wire::encode_configuration_record(done->second), true});
      }
      return;
    }
    if (const auto* offer = std::get_if<wire::FoundingOffer>(&message)) {
      take(to, servers_[to]->on_offer(*offer));
    } else {
      take(to, servers_[to]->on_hold(ids_[ends.first], std::get<wire::FoundingHold>(message)));
    }
  }
  void take(const std::string& name, Founding::Output out) {
    for (Founding::Send& send : out.send) {
      for (const auto& [other, id] : ids_) {
        if (id == send.to && servers_.contains(other)) {
          links_[{name, other}].push_back(std::move(send.message));
        }
      }
    }
    if (out.founded) founded.emplace(name, *out.founded);
    if (out.failed) failed.emplace(name, out.failed->code());
  }

  Rng rng_;
  std::map<std::string, std::unique_ptr<Founding>> servers_;
  std::map<std::string, NodeId> ids_;
  std::map<std::pair<std::string, std::string>, std::deque<wire::PeerMessage>> links_;
};

TEST(Founding, AllServersArriveAtTheSameRecordInAnyOrderOfMessages) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed);
    for (const char* name : {"a", "b", "c"}) world.start(name, name);
    world.run(1000);
    ASSERT_EQ(world.founded.size(), 3U);
    EXPECT_EQ(world.founded.at("a"), world.founded.at("b"));
    EXPECT_EQ(world.founded.at("a"), world.founded.at("c"));
    EXPECT_FALSE(world.founded.at("a").cluster.is_none());
  }
}

TEST(Founding, NothingIsWrittenBeforeAllHoldTheRecord) {
  World world(1);
  world.start("a", "a");
  world.start("b", "b");

  world.run(1000);

  EXPECT_TRUE(world.founded.empty()) << "c has not been heard of";
}

TEST(Founding, AServerThatCrashedBeforeItWroteArrivesAtTheSameRecord) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed);
    for (const char* name : {"a", "b", "c"}) world.start(name, name);
    world.run(static_cast<int>(seed % 20));
    world.founded.erase("b");  // Whatever it agreed to, it had not written it.
    world.crash("b");
    world.run(1000);

    world.start("b", "b");  // The node id was durable.
    world.run(1000);

    ASSERT_EQ(world.founded.size(), 3U);
    EXPECT_EQ(world.founded.at("a"), world.founded.at("b"));
    EXPECT_EQ(world.founded.at("a"), world.founded.at("c"));
  }
}

TEST(Founding, NoTwoRecordsAreFoundedWhenADirectoryIsLostOnTheWay) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed);
    for (const char* name : {"a", "b", "c"}) world.start(name, name);
    world.run(static_cast<int>(seed % 25));
    const bool had_written = world.founded.erase("b") > 0;
    world.crash("b");
    world.start("b", "b-with-a-new-directory");
    world.run(1000);

    std::optional<ClusterId> cluster;
    for (const auto& [name, record] : world.founded) {
      if (cluster) {
        EXPECT_EQ(*cluster, record.cluster);
      }
      cluster = record.cluster;
    }
    const bool refused = world.failed.contains("b");
    if (refused) {
      EXPECT_EQ(world.failed.at("b"), ErrorCode::directory_lost);
    }
    EXPECT_TRUE(refused || world.founded.contains("b") || had_written);
  }
}

TEST(Founding, AnotherListIsRefusedByName) {
  Founding founding(offer_of("a", "a"), three, {});
  const std::vector<FoundingMember> other = {{"a", "h1:1"}, {"b", "h2:1"}};

  const auto same = founding.on_offer(offer_of("b", "b"));
  const auto differs = founding.on_offer(offer_of("c", "c", other));

  EXPECT_FALSE(same.failed.has_value()) << "positive control";
  ASSERT_TRUE(differs.failed.has_value());
  EXPECT_EQ(differs.failed->code(), ErrorCode::founding_differs);
}

TEST(Founding, TheOrderOfTheListDoesNotMatter) {
  EXPECT_EQ(list_digest(three), list_digest({three[2], three[0], three[1]}));
  EXPECT_NE(list_digest(three), list_digest({three[0], three[1]}));
}

TEST(Founding, AServerWhoseDirectoryWasLostIsToldToReplaceIt) {
  const raft::Configuration record =
      founding_record({{NodeId::named("a"), "a", "a:1", "ws://a:2", true},
                       {NodeId::named("old b"), "b", "b:1", "ws://b:2", true}},
                      {});
  Founding founding(offer_of("b", "new b"), three, {});

  const auto out = founding.on_hold(
      NodeId::named("a"), wire::FoundingHold{wire::encode_configuration_record(record), true});

  ASSERT_TRUE(out.failed.has_value());
  EXPECT_EQ(out.failed->code(), ErrorCode::directory_lost);
  EXPECT_NE(out.failed->message().find("members replace"), std::string::npos);
}

}  // namespace
}  // namespace kuilt::server
