#include "tests/raft/fixture.hpp"

namespace kuilt::raft::test {
namespace {

TEST(Election, SingleVoterLeadsAndCommitsItsNoOpOnceTheDiskIsDone) {
  Node node(boot(a, voters({a})));

  node.time_out();
  EXPECT_EQ(node.core().role(), Role::candidate);
  EXPECT_EQ(node.out().write->hard, (HardState{Term(1), a}));

  node.written();
  EXPECT_EQ(node.core().role(), Role::leader);
  EXPECT_EQ(node.core().last(), at(1, 1));
  EXPECT_EQ(node.core().commit_index(), Index(0));

  node.written();
  EXPECT_EQ(node.core().commit_index(), Index(1));
}

}  // namespace
}  // namespace kuilt::raft::test
