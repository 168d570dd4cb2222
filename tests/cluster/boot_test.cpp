// What a machine starts from, made from a recovered log.
#include "cluster/boot.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "cluster/committed_state.hpp"
#include "wire/entry.hpp"

namespace kuilt::cluster::test {
namespace {

const NodeId a = NodeId::named("a");
const NodeId b = NodeId::named("b");

raft::SharedConfiguration members(const std::vector<NodeId>& ids) {
  auto configuration = std::make_shared<raft::Configuration>();
  configuration->cluster = ClusterId::named("cluster");
  configuration->parameters.session_window = 17;
  for (const NodeId id : ids) configuration->members.push_back({id, "", "", "", true});
  std::sort(configuration->members.begin(), configuration->members.end(),
            [](const auto& x, const auto& y) { return x.id < y.id; });
  return configuration;
}

// As storage hands entries over: as bytes.
raft::Entry entry(std::uint64_t index, raft::SharedConfiguration configuration) {
  raft::Entry made =
      wire::encode_configuration({Index(index), Term(1)}, LogTime(), std::move(configuration));
  made.configuration = nullptr;
  return made;
}

BootBuilder::Log log_of(std::vector<raft::Entry> tail, std::uint64_t commit) {
  BootBuilder::Log log{.self = a,
                       .boot = BootId::named("boot"),
                       .hard = {Term(1), NodeId()},
                       .terms = {},
                       .last = Index(tail.size()),
                       .tail = std::move(tail),
                       .commit = Index(commit)};
  if (!log.tail.empty()) log.terms.push_back({Index(1), Term(1)});
  return log;
}

BootBuilder::Boots boots_of(const std::vector<raft::Entry>& entries, std::uint64_t commit,
                            raft::SharedConfiguration at_base = nullptr) {
  BootBuilder builder({}, 64, std::move(at_base));
  for (const raft::Entry& one : entries) {
    EXPECT_TRUE(builder.take(one, one.at.index <= Index(commit)));
  }
  return std::move(builder).finish(log_of(entries, commit)).or_throw();
}

TEST(Boot, ConfigurationIsTheLastCommittedOneAndThoseThatMayBeRolledBackAreInTheTail) {
  const auto boots = boots_of({entry(1, members({a})), entry(2, members({b})),  //
                               entry(3, members({a, b}))},
                              2);

  EXPECT_EQ(*boots.machine.raft.configuration, *members({b}));
  ASSERT_EQ(boots.machine.raft.tail.size(), 3U);
  EXPECT_EQ(*boots.machine.raft.tail[2].configuration, *members({a, b}));
  const raft::Core core({}, boots.machine.raft, 1, Instant());
  EXPECT_EQ(*core.configuration(), *members({a, b}));
  EXPECT_EQ(*core.committed_configuration(), *members({b}));
}

TEST(Boot, WhatIsVouchedForLaterDoesNotDisplaceWhatFollowsIt) {
  const std::vector<raft::Entry> entries = {entry(1, members({a})), entry(2, members({a, b})),
                                            entry(3, members({b}))};
  BootBuilder builder({}, 64);
  for (const raft::Entry& one : entries) {  // Nothing vouches for the second but the third.
    EXPECT_TRUE(builder.take(one, one.at.index != Index(2)));
  }

  const auto boots = std::move(builder).finish(log_of(entries, 3)).or_throw();

  EXPECT_EQ(*boots.machine.raft.configuration, *members({b}));
}

// A log that vouches for its first entry alone; behind a configuration a cut, and another
// configuration behind that.
struct LogWithACut {
  [[nodiscard]] BootBuilder::Boots boots_with(std::vector<BootSnapshot> snapshots) const {
    BootBuilder builder({}, 64, nullptr, std::move(snapshots));
    for (const raft::Entry& one : entries) {
      EXPECT_TRUE(builder.take(one, one.at.index == Index(1)));
    }
    return std::move(builder).finish(log_of(entries, 1)).or_throw();
  }
  [[nodiscard]] BootSnapshot snapshot_after(std::size_t count) const {
    CommittedState state(Position{});
    for (std::size_t i = 0; i < count; ++i) EXPECT_TRUE(state.take(entries[i]));
    return {entries[2].at, state.encode()};
  }

  const std::vector<raft::Entry> entries = {entry(1, members({a})), entry(2, members({a, b})),
                                            wire::encode_cut({Index(3), Term(1)}, LogTime()),
                                            entry(4, members({b}))};
};

TEST(Boot, ASnapshotVouchesForTheConfigurationBeforeItsCutAndForNoneBehindIt) {
  const LogWithACut log;

  const auto boots = log.boots_with({log.snapshot_after(3)});

  EXPECT_EQ(boots.machine.raft.commit, Index(3));
  EXPECT_EQ(*boots.machine.raft.configuration, *members({a, b}));
  const raft::Core core({}, boots.machine.raft, 1, Instant());
  EXPECT_EQ(*core.committed_configuration(), *members({a, b}));
  EXPECT_EQ(*core.configuration(), *members({b}));
}

TEST(Boot, ASnapshotThatIsRefusedVouchesForNoConfiguration) {
  const LogWithACut log;

  const auto boots = log.boots_with({log.snapshot_after(2)});

  EXPECT_EQ(boots.machine.raft.commit, Index(1));
  EXPECT_EQ(*boots.machine.raft.configuration, *members({a}));
  EXPECT_EQ(*boots.machine.raft.tail[1].configuration, *members({a, b}));
  EXPECT_EQ(*boots.machine.raft.tail[3].configuration, *members({b}));
  const raft::Core core({}, boots.machine.raft, 1, Instant());
  EXPECT_EQ(*core.committed_configuration(), *members({a}));
  EXPECT_EQ(*core.configuration(), *members({b}));
}

TEST(Boot, ServerBootsWithALogThatLeavesItOut) {
  const auto boots = boots_of({entry(1, members({b}))}, 1);

  EXPECT_EQ(*boots.machine.raft.configuration, *members({b}));
}

TEST(Boot, WhereNoConfigurationIsCommittedNobodyIsAMemberForGood) {
  const auto boots = boots_of({entry(1, members({a, b}))}, 0);

  EXPECT_TRUE(boots.machine.raft.configuration->members.empty());
  EXPECT_EQ(boots.machine.raft.configuration->cluster, ClusterId::named("cluster"));
  EXPECT_EQ(boots.machine.raft.configuration->parameters.session_window, 17U);
}

TEST(Boot, ServerThatHasYetToHearOfItsClusterBootsWithAnEmptyLog) {
  const auto boots = boots_of({}, 0, members({}));

  EXPECT_TRUE(boots.machine.raft.configuration->members.empty());
  EXPECT_EQ(boots.feed.cluster, ClusterId::named("cluster"));
}

TEST(Boot, LogWithoutAnyConfigurationIsCorrupt) {
  BootBuilder builder({}, 64);

  const auto boots = std::move(builder).finish(log_of({}, 0));

  ASSERT_FALSE(boots);
  EXPECT_EQ(boots.error().code(), ErrorCode::corrupt);
}

}  // namespace
}  // namespace kuilt::cluster::test
