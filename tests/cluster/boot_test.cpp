// What a machine starts from, made from a recovered log.
#include "cluster/boot.hpp"

#include <gtest/gtest.h>

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
