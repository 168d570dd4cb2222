// members.hpp: leaders and followers whose configuration changes.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "tests/raft/fixture.hpp"

namespace kuilt::raft::test {

inline const NodeId f = NodeId::named("f");

inline Entry entry_of(std::uint64_t index, std::uint64_t term, SharedConfiguration configuration) {
  return {at(index, term), EntryKind::configuration, Bytes("members"), std::move(configuration)};
}

inline SharedConfiguration joint(const std::vector<NodeId>& before,
                                 const std::vector<NodeId>& after) {
  auto configuration = std::make_shared<Configuration>(*voters(after));
  configuration->outgoing = voters(before)->members;
  return configuration;
}

inline std::vector<NodeId> ids_of(const std::vector<Member>& members, bool voter) {
  std::vector<NodeId> ids;
  for (const Member& member : members) {
    if (member.voter == voter) ids.push_back(member.id);
  }
  return ids;
}

using Ids = std::vector<NodeId>;
inline Ids sorted(Ids ids) {
  std::ranges::sort(ids);
  return ids;
}

inline ChangeMembership to(const std::vector<NodeId>& ids, const std::vector<NodeId>& learners = {},
                           bool wait = true) {
  return {voters(ids, learners)->members, wait};
}

// What a driver does with Output::configure.
inline const Output& configure(Node& node) {
  const SharedConfiguration wanted = node.out().configure;
  EXPECT_NE(wanted, nullptr);
  if (!wanted) return node.out();
  const std::uint64_t index = node.core().last().index.value() + 1;
  return node.step(Propose{{entry_of(index, node.core().term().value(), wanted)}});
}

// A leader of term 2 with everything committed through index 2, its no-op.
inline Node leader_of(const SharedConfiguration& configuration, const Ids& others,
                      Options options = {}) {
  Node leader(boot(a, configuration, {Term(1), NodeId()}, {1}, {}, 1), options);
  leader.lead(others);
  leader.written();
  for (const NodeId other : others) leader.acknowledge(other, 2);
  EXPECT_EQ(leader.core().role(), Role::leader);
  EXPECT_TRUE(leader.core().committed_in_own_term());
  return leader;
}

// The leader of before goes all the way to `members`: the joint configuration is committed, by its
// disk and these others', and the one after is appended.
inline void leave_joint(Node& leader, const Ids& members, const Ids& others) {
  leader.step(to(members));
  configure(leader);
  leader.written();
  for (const NodeId other : others) leader.acknowledge(other, 3);
  configure(leader);
}

inline const Output& hears(Node& node, NodeId leader, std::vector<Entry> entries, Position prev,
                           std::uint64_t commit, std::uint64_t term = 1) {
  return node.receive(leader, AppendRequest{Term(term), prev, Index(commit), std::move(entries)});
}

}  // namespace kuilt::raft::test
