// A learner that its application manages: what it takes, what it stores, what it refuses.
#include "kuilt/raft.hpp"

#include <gmock/gmock.h>

#include "tests/client/log_seam.hpp"

namespace kuilt::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto patience = 20s;  // Far more than anything here takes.

const NodeId self = NodeId::named("me");
const ClusterConfig cluster{.voters = {voter_a}, .learners = {self}};

struct Nodes : ::testing::Test {
  RaftConfig config() {
    RaftConfig config;
    config.on_event = events.noting();
    return config;
  }
  RaftNode start() { return RaftNode::start(cluster, transport, storage, config()).or_throw(); }
  std::shared_ptr<LogSeam> swap_in(SeamScript script = {}) {
    auto seam = std::make_shared<LogSeam>(log, std::move(script));
    transport.swap(seam);
    return seam;
  }
  Receipt propose(const RaftNode& node, std::string_view command) {
    auto client = cluster_client_with_node(node);
    auto done = client.propose(command).get_for(patience);
    EXPECT_TRUE(done);
    return (*std::move(done)).or_throw();
  }
  bool comes_to_hold(std::size_t entries) {
    return comes_true([&] { return stored_in(storage).size() == entries; });
  }

  TinyLog log;
  EventBook events;
  InMemoryRaftStorage storage;
  ManagedRaftTransport transport;
};

TEST_F(Nodes, StoresWhatIsCommittedAndProposes) {
  auto seam = std::make_shared<LogSeam>(log);
  SeamRaftTransport one(seam);
  auto node = RaftNode::start(cluster, one, storage).or_throw();

  EXPECT_EQ(propose(node, "one").index, Index(1));
  EXPECT_EQ(propose(node, "two").index, Index(2));

  EXPECT_TRUE(comes_to_hold(2));
  EXPECT_THAT(stored_in(storage), ElementsAre("one", "two"));
  EXPECT_TRUE(comes_true([&] { return node.status().entries == 2; }));
  const RaftNodeStatus status = node.status();
  EXPECT_EQ(status.id, self);
  EXPECT_EQ(status.server, "a");
  EXPECT_EQ(status.stored, TinyLog::position(2));
  EXPECT_FALSE(status.failure);
  node.stop();
  EXPECT_TRUE(seam->closed());
}

TEST_F(Nodes, AsksForWhatFollowsItsStorageAndNothingElse) {
  swap_in();
  {
    auto node = start();
    propose(node, "one");
    ASSERT_TRUE(comes_to_hold(1));
  }

  auto again = std::make_shared<LogSeam>(log);
  SeamRaftTransport other(again);
  auto node = RaftNode::start(cluster, other, storage).or_throw();
  propose(node, "two");

  ASSERT_TRUE(comes_to_hold(2));
  EXPECT_THAT(stored_in(storage), ElementsAre("one", "two"));
  ASSERT_EQ(again->observes().size(), 1U);
  const auto point = std::get<wire::ResumePoint>(again->observes().front().from);
  EXPECT_EQ(point.at, TinyLog::position(1));
  EXPECT_EQ(point.cluster, ClusterId::named("cluster"));
  EXPECT_EQ(point.digest, log.digest_through(1));
}

struct Refused {
  FeedRule rule;
  std::function<void(wire::Feed&)> spoil;
};
struct Rules : Nodes, ::testing::WithParamInterface<Refused> {};

TEST_P(Rules, OfTheFeedAreKeptOrNamedAndNothingOfSuchAFrameIsStored) {
  auto node = start();
  swap_in();
  propose(node, "one");
  ASSERT_TRUE(comes_to_hold(1));
  swap_in({.spoil = GetParam().spoil});
  propose(node, "two");

  const ClientEvent event = events.await(ClientEventKind::feed_broken);

  EXPECT_EQ(event.rule, GetParam().rule) << event.text;
  EXPECT_THAT(event.text, ::testing::StartsWith(std::string(name_of(GetParam().rule)) + ": "));
  EXPECT_THAT(stored_in(storage), ElementsAre("one"));
  EXPECT_EQ(node.status().violations, 1U);
  EXPECT_EQ(node.status().last_violation, GetParam().rule);
  swap_in();
  EXPECT_TRUE(comes_to_hold(2));
  EXPECT_THAT(stored_in(storage), ElementsAre("one", "two"));
}

INSTANTIATE_TEST_SUITE_P(
    Each, Rules,
    ::testing::Values(
        Refused{FeedRule::gap, [](wire::Feed& feed) { feed.prev.index = Index(2); }},
        Refused{FeedRule::repeat, [](wire::Feed& feed) { feed.prev = Position{}; }},
        Refused{FeedRule::older_term, [](wire::Feed& feed) { feed.through.term = Term(0); }},
        Refused{FeedRule::wrong_digest, [](wire::Feed& feed) { ++feed.digest; }},
        Refused{FeedRule::wrong_end, [](wire::Feed& feed) { feed.through.term = Term(2); }},
        Refused{FeedRule::unreadable,
                [](wire::Feed& feed) { feed.entries.front() = Bytes("\x01"); }},
        Refused{FeedRule::other_room,
                [](wire::Feed& feed) {
                  auto entry = wire::decode_feed_entry(feed.entries.front()).or_throw();
                  entry.room = "chess";
                  feed.entries.front() = wire::encode_feed_entry(entry);
                }}),
    [](const auto& tested) { return std::string(name_of(tested.param.rule)); });

TEST_F(Nodes, AServerThatIsNoVoterIsRefusedByName) {
  auto node = start();
  const auto seam = swap_in({.server = NodeId::named("stranger")});

  // Seams that are not there yet are refusals too.
  EXPECT_TRUE(comes_true([&] { return seam->closed(); }));
  EXPECT_TRUE(seam->observes().empty());
  const auto sound = swap_in();
  EXPECT_EQ(propose(node, "one").index, Index(1));
  EXPECT_THAT(stored_in(storage).size(), ::testing::Le(1U));
}

TEST_F(Nodes, AServerOfAnotherClusterThanTheStoragesIsNotSpokenTo) {
  swap_in();
  {
    auto node = start();
    propose(node, "one");
    ASSERT_TRUE(comes_to_hold(1));
  }
  auto node = start();
  const auto other = swap_in({.cluster = "another"});

  EXPECT_TRUE(comes_true([&] { return other->closed(); }));
  EXPECT_EQ(other->proposals(), 0U);
  EXPECT_TRUE(other->observes().empty());
  swap_in();
  EXPECT_EQ(propose(node, "two").index, Index(2));
}

TEST_F(Nodes, WhatIsWrongWithAConfigurationIsNamed) {
  const auto refusal = [&](const ClusterConfig& wrong) {
    auto node = RaftNode::start(wrong, transport, storage);
    EXPECT_FALSE(node);
    EXPECT_EQ(node.error().code(), ErrorCode::invalid_argument);
    return node.error().message();
  };

  EXPECT_THAT(refusal({{self, voter_a}, {self}}), HasSubstr("is among the voters"));
  EXPECT_THAT(refusal({{}, {self}}), HasSubstr("voters is empty"));
  EXPECT_THAT(refusal({{voter_a}, {}}), HasSubstr("learners has 0 ids"));
  EXPECT_THAT(refusal({{voter_a}, {self, NodeId::named("b")}}), HasSubstr("learners has 2 ids"));
  EXPECT_THAT(refusal({{voter_a}, {NodeId()}}), HasSubstr("none"));
}

TEST_F(Nodes, WhatIsWrongWithItsOptionsIsNamed) {
  const auto refusal = [&](const RaftConfig& wrong) {
    auto node = RaftNode::start(cluster, transport, storage, wrong);
    EXPECT_FALSE(node);
    return node.error().message();
  };

  EXPECT_THAT(refusal({.name = std::string(200, 'x')}), HasSubstr("name has 200 bytes"));
  EXPECT_THAT(refusal({.room = std::string(200, 'x')}), HasSubstr("room's name has 200 bytes"));
  EXPECT_THAT(refusal({.silence_max = 0s}), HasSubstr("silence_max is 0 ns"));
}

/// What a damaged storage is found to be.
struct Damaged : Nodes {
  void SetUp() override {
    swap_in();
    auto node = start();
    for (const auto* command : {"one", "two", "three"}) propose(node, command);
    ASSERT_TRUE(comes_to_hold(3));
    node.stop();
    entries = storage.read(Index(), 1 << 20).or_throw();
    through = storage.load().or_throw();
  }
  std::string verdict() {
    InMemoryRaftStorage damaged;
    damaged.append(entries, *through).or_throw();
    auto node = RaftNode::start(cluster, transport, damaged);
    if (node) return "started";
    EXPECT_EQ(node.error().code(), ErrorCode::corrupt);
    return node.error().message();
  }
  std::vector<LogEntry> entries;
  std::optional<ResumeToken> through;
};

TEST_F(Damaged, IsNotWhatWasStored) { EXPECT_EQ(verdict(), "started"); }
TEST_F(Damaged, AnEntryThatIsGoneIsFound) {
  entries.erase(entries.begin() + 1);
  EXPECT_THAT(verdict(), HasSubstr("wrong_digest"));
}
TEST_F(Damaged, AnEntryThatIsAnotherIsFound) {
  entries[1].command = Bytes("five");
  EXPECT_THAT(verdict(), HasSubstr("wrong_digest"));
}
TEST_F(Damaged, AnEntryThatIsThereTwiceIsFound) {
  entries.insert(entries.begin() + 1, entries[0]);
  EXPECT_THAT(verdict(), HasSubstr("repeat"));
}
TEST_F(Damaged, AnOlderTermIsFound) {
  entries[2].term = Term(0);
  EXPECT_THAT(verdict(), ::testing::AnyOf(HasSubstr("older_term"), HasSubstr("term")));
}
TEST_F(Damaged, EntriesBeyondItsPlaceAreFound) {
  through->position = TinyLog::position(2);
  EXPECT_THAT(verdict(), HasSubstr("beyond its place at 2"));
}

/// Refuses to append from the `fails_at`th time on.
class FailingStorage final : public RaftStorage {
 public:
  explicit FailingStorage(int fails_at) : left_(fails_at) {}
  Result<std::optional<ResumeToken>> load() override { return kept_.load(); }
  Status append(std::span<const LogEntry> entries, const ResumeToken& through) override {
    if (left_-- > 0) return kept_.append(entries, through);
    ++refused;
    return Error(ErrorCode::disk_full, "no space for " + std::to_string(entries.size()));
  }
  Result<std::vector<LogEntry>> read(Index after, std::size_t bytes_max) override {
    if (unreadable) return Error(ErrorCode::io, "cannot be read");
    return kept_.read(after, bytes_max);
  }
  std::atomic<int> refused = 0;
  std::atomic<bool> unreadable = false;

 private:
  std::atomic<int> left_;
  InMemoryRaftStorage kept_;
};

TEST_F(Nodes, AStorageThatFailsIsNamedAndNotAskedAgain) {
  FailingStorage full(1);
  swap_in();
  auto node = RaftNode::start(cluster, transport, full, config()).or_throw();
  auto client = cluster_client_with_node(node);
  auto seen = client.observe(from_start).or_throw();
  propose(node, "one");
  ASSERT_TRUE(comes_true([&] { return stored_in(full).size() == 1; }));

  propose(node, "two");
  propose(node, "three");  // What is proposed goes on.
  std::vector<std::string> texts;
  while (const auto piece = seen.next()) {
    if (const auto* entry = std::get_if<Committed::Entry>(&*piece)) {
      texts.emplace_back(entry->entry.command.text());
    }
  }

  EXPECT_THAT(texts, ElementsAre("one"));
  ASSERT_TRUE(seen.error());
  EXPECT_EQ(seen.error()->code(), ErrorCode::disk_full);
  EXPECT_THAT(seen.error()->message(), HasSubstr("append to the learner's storage: no space"));
  EXPECT_EQ(node.status().failure->code(), ErrorCode::disk_full);
  EXPECT_EQ(full.refused, 1);
}

TEST_F(Nodes, AStorageThatCannotBeReadIsNamed) {
  FailingStorage odd(100);
  odd.unreadable = true;

  const auto node = RaftNode::start(cluster, transport, odd);

  ASSERT_FALSE(node);
  EXPECT_EQ(node.error().code(), ErrorCode::io);
  EXPECT_THAT(node.error().message(), HasSubstr("read the learner's storage: cannot be read"));
}

TEST_F(Nodes, AnotherHistoryEndsTheStoringAndSaysSo) {
  swap_in();
  {
    auto node = start();
    propose(node, "one");
    ASSERT_TRUE(comes_to_hold(1));
  }
  auto node = start();
  swap_in({.history = "restored"});

  ASSERT_TRUE(comes_true([&] { return node.status().failure.has_value(); }));
  EXPECT_EQ(node.status().failure->code(), ErrorCode::history_differs);
  EXPECT_THAT(stored_in(storage), ElementsAre("one"));
}

TEST_F(Nodes, ANodeThatIsDestroyedEndsItsCalls) {
  auto node = std::make_unique<RaftNode>(start());
  swap_in({.answers = false});
  auto client = cluster_client_with_node(*node);
  auto asked = client.propose("one");
  auto seen = client.observe(from_start).or_throw();
  ASSERT_TRUE(comes_true([&] { return log.size() == 1; }));

  node.reset();

  const auto outcome = asked.get_for(patience);
  ASSERT_TRUE(outcome);
  ASSERT_FALSE(*outcome);
  EXPECT_EQ(outcome->error().code(), ErrorCode::stopped);
  EXPECT_EQ(outcome->error().effect(), Effect::unknown);
  while (seen.next()) {
  }
  EXPECT_EQ(seen.error()->code(), ErrorCode::stopped);
  EXPECT_EQ(client.propose("two").get().error().code(), ErrorCode::stopped);
  EXPECT_EQ(client.observe(from_start).error().code(), ErrorCode::stopped);
}

}  // namespace
}  // namespace kuilt::testing
