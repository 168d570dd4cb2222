// When a leader appends a cut, and that all machines know where the last one was.
#include <gtest/gtest.h>

#include "cluster/cut_tally.hpp"
#include "machine_group.hpp"
#include "wire/entry.hpp"

namespace kuilt::cluster::test {
namespace {

raft::Entry entry(std::uint64_t index, raft::EntryKind kind = raft::EntryKind::command) {
  return {{Index(index), Term(1)}, kind, Bytes(std::string(36, 'x')), nullptr};  // Costs 100.
}

TEST(CutTally, ACutIsDueAfterSoManyEntriesOrBytesSinceTheLastOne) {
  CutTally tally(Index(10));
  EXPECT_EQ(tally.last_cut(), Index(10));
  for (std::uint64_t i = 11; i <= 14; ++i) tally.append(entry(i));
  EXPECT_FALSE(tally.is_due({.bytes = 401, .entries = 5}));
  EXPECT_TRUE(tally.is_due({.bytes = 400, .entries = 5}));
  EXPECT_TRUE(tally.is_due({.bytes = 401, .entries = 4}));
  EXPECT_FALSE(tally.is_due({.bytes = 0, .entries = 0})) << "0 is never";

  tally.append(entry(15, raft::EntryKind::cut));

  EXPECT_EQ(tally.last_cut(), Index(15));
  EXPECT_FALSE(tally.is_due({.bytes = 1, .entries = 1})) << "not of its own making";
}

TEST(CutTally, ACutThatIsTruncatedHasNeverBeen) {
  CutTally tally(Index(0));
  tally.append(entry(1));
  tally.append(entry(2, raft::EntryKind::cut));
  tally.append(entry(3));
  tally.append(entry(4, raft::EntryKind::cut));
  tally.release(Index(2));

  tally.truncate_after(Index(3));
  EXPECT_EQ(tally.last_cut(), Index(2));
  EXPECT_TRUE(tally.is_due({.bytes = 0, .entries = 1}));
  EXPECT_FALSE(tally.is_due({.bytes = 0, .entries = 2}));

  tally.release(Index(3));
  EXPECT_EQ(tally.last_cut(), Index(2)) << "the last one that is committed stays";
}

std::vector<Index> cuts_in(const std::vector<raft::Entry>& log) {
  std::vector<Index> found;
  for (const raft::Entry& one : log) {
    if (one.kind == raft::EntryKind::cut) found.push_back(one.at.index);
  }
  return found;
}

TEST(Cuts, TheLeaderAppendsThemAndAllCommitThemAtTheSamePlaces) {
  MachineOptions options;
  options.cuts.entries = 5;
  MachineGroup group(3, options);
  group.elect();
  for (std::uint64_t id = 1; id <= 20; ++id) {
    group.submit(0, id, proposal("s", id));
    group.run_for(50ms);
  }

  const auto cuts = cuts_in(group.committed(0));
  ASSERT_GE(cuts.size(), 3U);
  EXPECT_EQ(cuts_in(group.committed(1)), cuts);
  EXPECT_EQ(cuts_in(group.committed(2)), cuts);
  EXPECT_EQ(group.count(&Counters::cuts), cuts.size());
  for (std::size_t i = 1; i < cuts.size(); ++i) {
    EXPECT_EQ(cuts[i].value() - cuts[i - 1].value(), 6U) << "five entries, and the cut";
  }
}

TEST(Cuts, WithoutAPolicyThereAreNone) {
  MachineGroup group(3);
  group.elect();
  for (std::uint64_t id = 1; id <= 20; ++id) group.submit(0, id, proposal("s", id));
  group.run_for(200ms);

  EXPECT_TRUE(cuts_in(group.committed(0)).empty());
}

TEST(Cuts, ANewLeaderCountsFromTheLastCutAndNotFromItsElection) {
  MachineOptions options;
  options.cuts.entries = 8;
  MachineGroup group(3, options);
  const std::size_t first = group.elect();
  for (std::uint64_t id = 1; id <= 5; ++id) {
    group.submit(first, id, proposal("s", id));
    group.run_for(20ms);
  }
  ASSERT_TRUE(cuts_in(group.committed(first)).empty());

  group.isolate(first);
  ASSERT_TRUE(group.run_until([&] { return group.leader() && *group.leader() != first; }));
  const std::size_t second = *group.leader();
  group.run_for(200ms);
  for (std::uint64_t id = 6; id <= 7; ++id) {
    group.submit(second, id, proposal("s", id));
    group.run_for(20ms);
  }

  EXPECT_EQ(cuts_in(group.committed(second)).size(), 1U)
      << "two no-ops and seven commands, of which its own are three";
}

}  // namespace
}  // namespace kuilt::cluster::test
