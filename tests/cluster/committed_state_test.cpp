// What a snapshot holds of the cluster: a function of the log, whoever follows it, and from where.
#include "cluster/committed_state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "cluster/boot.hpp"
#include "kuilt/detail/rng.hpp"
#include "wire/entry.hpp"

namespace kuilt::cluster {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const NodeId self = NodeId::named("a");

raft::Entry founding() {
  raft::Configuration configuration;
  configuration.cluster = ClusterId::named("cluster");
  configuration.history = HistoryId::named("history");
  configuration.members = {{self, "a", "a:1", "ws://a", true}};
  configuration.parameters.session_expiry = Duration(400);  // Of log time: some expire.
  return wire::encode_configuration({Index(1), Term(1)}, LogTime(),
                                    std::make_shared<const raft::Configuration>(configuration));
}

raft::Entry command(Rng& rng, Position at) {
  static const char* const rooms[] = {"", "side", "other"};
  wire::Command made;
  made.at = at;
  made.log_time = LogTime(at.index.value() * 10);
  made.room = rooms[rng.below(3)];
  made.session = SessionId(1 + rng.below(20), at.index.value() / 60);
  made.author = made.session.high() % 2 == 0 ? "ann" : "bob";
  made.birth = Index(1);
  made.request_id = RequestId(at.index.value());
  made.floor = RequestId(rng.below(at.index.value()));
  static const std::string body = "move";
  made.body = BytesView(body);
  made.digest = wire::command_digest(made.room, made.body);
  return wire::encode_command(made);
}

/// Entries 1 to 200, of every kind; a cut at each multiple of 25.
std::vector<raft::Entry> random_log(std::uint64_t seed) {
  Rng rng(seed);
  std::vector<raft::Entry> log = {founding()};
  std::uint64_t term = 1;
  while (log.size() < 200) {
    const std::uint64_t index = log.size() + 1;
    if (rng.chance(5)) {
      log.push_back(wire::no_op({Index(index), Term(++term)}));
    } else if (index % 25 == 0) {
      log.push_back(wire::encode_cut({Index(index), Term(term)}, LogTime(index * 10)));
    } else {
      log.push_back(command(rng, {Index(index), Term(term)}));
    }
  }
  return log;
}
bool is_cut(const raft::Entry& entry) { return entry.kind == raft::EntryKind::cut; }

CommittedState state_after(const std::vector<raft::Entry>& log, std::size_t entries) {
  CommittedState state(Position{});
  for (std::size_t i = 0; i < entries; ++i) {
    const Status taken = state.take(log[i]);
    EXPECT_TRUE(taken) << taken.error().message();
  }
  return state;
}

TEST(CommittedState, FromBytesItGoesOnAsTheOneThatWroteThem) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto log = random_log(seed);
    for (std::size_t cut = 1; cut < log.size(); cut += 13) {
      CommittedState whole = state_after(log, cut);
      const Bytes bytes = whole.encode();
      auto restored = CommittedState::decode(bytes);
      ASSERT_TRUE(restored) << restored.error().message();
      EXPECT_EQ(restored->through(), log[cut - 1].at);
      EXPECT_EQ(restored->encode(), bytes);
      EXPECT_EQ(restored->sessions().digest(), whole.sessions().digest());
      for (std::size_t i = cut; i < log.size(); ++i) {
        ASSERT_TRUE(restored->take(log[i]) && whole.take(log[i]));
      }
      ASSERT_EQ(restored->encode(), whole.encode()) << "seed " << seed << ", cut " << cut;
      EXPECT_EQ(restored->sessions().digest(), whole.sessions().digest());
    }
  }
}

TEST(CommittedState, EveryEntryOfACommandChangesItAndItsDigest) {
  const auto log = random_log(3);
  for (std::size_t entries = 1; entries + 1 < log.size(); ++entries) {
    const Bytes before = state_after(log, entries).encode();
    const Bytes after = state_after(log, entries + 1).encode();
    EXPECT_NE(digest_of_state(before), digest_of_state(after)) << entries;
  }
}

TEST(CommittedState, AnyBytesEndInAStateOrInAnError) {
  Rng rng(5);
  const Bytes sound = state_after(random_log(5), 120).encode();
  for (int round = 0; round < 5000; ++round) {
    std::string bytes(sound.text());
    for (std::uint64_t left = 1 + rng.below(3); left > 0; --left) {
      bytes[rng.below(bytes.size())] = static_cast<char>(rng.next() & 0xffU);
    }
    if (rng.chance(20)) bytes.resize(rng.below(bytes.size()) + 1);
    if (rng.chance(10)) bytes += bytes.substr(rng.below(bytes.size()));
    const auto decoded = CommittedState::decode(Bytes(bytes));
    if (!decoded) {
      EXPECT_EQ(decoded.error().code(), ErrorCode::corrupt);
    }
  }
  EXPECT_FALSE(CommittedState::decode(Bytes()));
}

TEST(CommittedState, RecordsOutOfTheirPlaceAreRefusedByName) {
  const auto log = random_log(6);
  const CommittedState state = state_after(log, 50);
  const std::string head(state_after(log, 1).encode().text());  // No session, no room.
  const auto refusal = [&](const std::vector<wire::SnapshotRecord>& records) {
    std::string bytes = head;
    for (const auto& record : records) wire::append_record(bytes, record);
    const auto decoded = CommittedState::decode(Bytes(bytes));
    return decoded ? "" : decoded.error().message();
  };
  const wire::SnapshotSession session{SessionId(1, 1), Index(1), "ann", RequestId(4), LogTime()};
  const wire::SnapshotRequest request{RequestId(5), {Index(1), Term(1)}, 7};
  const wire::SnapshotRoom room{"side", 9};

  EXPECT_EQ(refusal({session, request, room}), "");
  EXPECT_THAT(refusal({request}), HasSubstr("a request without a session"));
  EXPECT_THAT(refusal({session, session}), HasSubstr("sessions out of order"));
  EXPECT_THAT(refusal({session, request, request}), HasSubstr("requests out of order"));
  EXPECT_THAT(refusal({session, wire::SnapshotRequest{RequestId(4), {Index(1), Term(1)}, 7}}),
              HasSubstr("not above its floor"));
  EXPECT_THAT(refusal({session, wire::SnapshotRequest{RequestId(5), {Index(2), Term(1)}, 7}}),
              HasSubstr("beyond the cut"));
  EXPECT_THAT(refusal({room, session}), HasSubstr("a session out of its place"));
  EXPECT_THAT(refusal({room, room}), HasSubstr("rooms out of order"));
  EXPECT_THAT(refusal({wire::SnapshotHead{{Index(1), Term(1)}, {}, {}, {}}}),
              HasSubstr("a second head"));
  wire::SnapshotSession late = session;
  late.birth = Index(2);
  EXPECT_THAT(refusal({late}), HasSubstr("born after the cut"));
  late = session;
  late.last_use = LogTime(1);
  EXPECT_THAT(refusal({late}), HasSubstr("after the last stamp"));
}

TEST(CommittedState, ItAdvancesOnlyByWhatIsOnTheDiskAndNotBeyondTheCut) {
  const auto log = random_log(7);
  std::size_t durable = 30;
  const auto read = [&](Index after, Index last) -> Result<std::vector<raft::Entry>> {
    const std::size_t end =
        std::min({durable, static_cast<std::size_t>(last.value()), after.value() + 7});
    if (end <= after.value()) return std::vector<raft::Entry>();
    return std::vector<raft::Entry>(log.begin() + static_cast<std::ptrdiff_t>(after.value()),
                                    log.begin() + static_cast<std::ptrdiff_t>(end));
  };
  CommittedState state(Position{});
  const Position cut = log[49].at;

  EXPECT_FALSE(*state.advance(cut, read));
  EXPECT_EQ(state.through().index, Index(30));
  durable = 200;
  EXPECT_TRUE(*state.advance(cut, read));
  EXPECT_EQ(state.through(), cut);
  EXPECT_EQ(state.encode(), state_after(log, 50).encode());

  CommittedState another(Position{});
  const auto wrong = another.advance({cut.index, Term(99)}, read);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code(), ErrorCode::corrupt);
}

// --- Which snapshots a start uses ---

class Boots : public ::testing::Test {
 protected:
  /// Boots from the whole log, of which so many entries are vouched for as committed.
  void boot(std::vector<BootSnapshot> snapshots, std::uint64_t committed = 200) {
    BootBuilder builder(Position{}, 16, nullptr, std::move(snapshots));
    for (const raft::Entry& entry : log) {
      const Status taken = builder.take(entry, entry.at.index.value() <= committed);
      ASSERT_TRUE(taken) << taken.error().message();
    }
    restored = builder.restored();
    complaints = builder.complaints();
    std::vector<raft::TermRange> terms;
    for (const raft::Entry& entry : log) {
      if (terms.empty() || terms.back().term != entry.at.term) {
        terms.push_back({entry.at.index, entry.at.term});
      }
    }
    auto finished = std::move(builder).finish({.self = self,
                                               .boot = BootId(1, 1),
                                               .hard = {Term(99), {}},
                                               .terms = terms,
                                               .last = Index(200),
                                               .tail = log,
                                               .commit = Index(committed)});
    ASSERT_TRUE(finished) << finished.error().message();
    boots.emplace(*std::move(finished));
  }
  [[nodiscard]] BootSnapshot snapshot_at(std::uint64_t index) const {
    return {log[index - 1].at, state_after(log, index).encode()};
  }
  [[nodiscard]] std::uint64_t table() const { return boots->machine.sessions.digest(); }

  const std::vector<raft::Entry> log = random_log(8);
  const std::vector<std::uint64_t> cuts = [this] {
    std::vector<std::uint64_t> found;
    for (const raft::Entry& entry : log) {
      if (is_cut(entry)) found.push_back(entry.at.index.value());
    }
    return found;
  }();
  std::optional<Position> restored;
  std::vector<std::string> complaints;
  std::optional<BootBuilder::Boots> boots;
};

TEST_F(Boots, TheNewestSnapshotThatTheLogConfirmsIsUsedAndTheTableIsTheSame) {
  boot({});
  const std::uint64_t without = table();
  EXPECT_EQ(restored, std::nullopt);

  boot({snapshot_at(cuts[3]), snapshot_at(cuts[1])});

  EXPECT_EQ(restored, log[cuts[3] - 1].at);
  EXPECT_THAT(complaints, IsEmpty());
  EXPECT_EQ(table(), without);
  EXPECT_EQ(boots->feed.digests.through().index, Index(200));
  EXPECT_EQ(boots->machine.cuts.last_cut(), Index(cuts.back()));
}

TEST_F(Boots, ASnapshotThatSaysSomethingElseIsNamedAndTheOneBeforeIsUsed) {
  BootSnapshot wrong = snapshot_at(cuts[3]);
  wrong.state = state_after(log, cuts[3] - 1).encode();

  boot({wrong, snapshot_at(cuts[1])});

  EXPECT_EQ(restored, log[cuts[1] - 1].at);
  ASSERT_EQ(complaints.size(), 1U);
  EXPECT_THAT(complaints[0], HasSubstr("at index " + std::to_string(cuts[3])));
  EXPECT_THAT(complaints[0], HasSubstr("something else"));

  wrong.state = Bytes("no state at all");
  boot({wrong});
  EXPECT_EQ(restored, std::nullopt);
  EXPECT_EQ(complaints.size(), 1U);
}

TEST_F(Boots, ASnapshotOfAnotherTermOrOfNoCutIsNoneOfThisLogs) {
  BootSnapshot other = snapshot_at(cuts[3]);
  other.at.term = Term(98);
  BootSnapshot beyond = snapshot_at(cuts[2]);
  beyond.at.index = Index(500);

  boot({other, beyond});

  EXPECT_EQ(restored, std::nullopt);
  EXPECT_THAT(complaints, IsEmpty());
}

TEST_F(Boots, ASnapshotProvesThatItsCutIsCommitted) {
  boot({snapshot_at(cuts[5])}, cuts[2] + 3);

  EXPECT_EQ(restored, log[cuts[5] - 1].at);
  EXPECT_EQ(boots->machine.raft.commit, Index(cuts[5]));
  EXPECT_EQ(boots->feed.digests.through(), log[cuts[5] - 1].at);

  boot({}, cuts[2] + 3);
  EXPECT_EQ(boots->machine.raft.commit, Index(cuts[2] + 3));
}

TEST_F(Boots, OneThatIsRefusedProvesNothing) {
  BootSnapshot wrong = snapshot_at(cuts[5]);
  wrong.state = state_after(log, cuts[4]).encode();

  boot({wrong}, cuts[2] + 3);

  EXPECT_EQ(boots->machine.raft.commit, Index(cuts[2] + 3));
  EXPECT_EQ(boots->feed.digests.through().index, Index(cuts[2] + 3));
}

}  // namespace
}  // namespace kuilt::cluster
