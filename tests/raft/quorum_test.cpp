// Majorities of one configuration and of two at once, against their definition.
#include "raft/quorum.hpp"

#include <bit>
#include <cstdint>

#include "tests/raft/fixture.hpp"

namespace kuilt::raft::test {
namespace {

// Sets of up to seven servers, as bits.
using Set = std::uint32_t;

bool holds(Set set, std::size_t i) { return (set >> i & 1U) != 0; }

bool carried(Set voters, Set outgoing, Set agreeing, std::size_t servers) {
  Tally tally;
  for (std::size_t i = 0; i < servers; ++i) {
    tally.count(holds(voters, i), holds(outgoing, i), holds(agreeing, i));
  }
  return tally.carried();
}

// More of them agree than do not.
bool is_majority(Set agreeing, Set voters) {
  return std::popcount(agreeing & voters) > std::popcount(~agreeing & voters);
}

TEST(Quorum, NeedsAMajorityOfEachHalfForAllConfigurationsOfSevenServers) {
  const Set all = 1U << 7;
  for (Set voters = 1; voters < all; ++voters) {
    for (Set outgoing = 0; outgoing < all; ++outgoing) {
      for (Set agreeing = 0; agreeing < all; ++agreeing) {
        const bool one_half = is_majority(agreeing, voters);
        const bool other_half = outgoing == 0 || is_majority(agreeing, outgoing);
        if (carried(voters, outgoing, agreeing, 7) != (one_half && other_half)) {
          FAIL() << voters << " after " << outgoing << ", agreeing " << agreeing;
        }
      }
    }
  }
}

TEST(Quorum, AnyTwoThatDecideHaveAServerInCommonBeforeDuringAndAfterAChange) {
  const Set all = 1U << 4;
  const auto meet = [&](Set voters, Set outgoing, Set other_voters, Set other_outgoing) {
    for (Set one = 0; one < all; ++one) {
      if (!carried(voters, outgoing, one, 4)) continue;
      for (Set other = 0; other < all; ++other) {
        if (carried(other_voters, other_outgoing, other, 4) && (one & other) == 0) return false;
      }
    }
    return true;
  };
  for (Set before = 1; before < all; ++before) {
    for (Set after = 1; after < all; ++after) {
      ASSERT_TRUE(meet(before, 0, after, before)) << before << " -> " << after;
      ASSERT_TRUE(meet(after, before, after, before)) << before << " -> " << after;
      ASSERT_TRUE(meet(after, before, after, 0)) << before << " -> " << after;
    }
  }
}

TEST(Quorum, WhereNobodyVotesNothingIsCarried) {
  EXPECT_FALSE(carried(0, 0, 0, 3));
  EXPECT_FALSE(carried(0, 0, 7, 3));
}

// The core's own arithmetic, by the messages that decide: every joint configuration of four servers
// beside the leader, and every set of them that vouches.
TEST(Quorum, LeaderCommitsByBothHalvesForAllConfigurationsOfFiveServers) {
  const std::vector<NodeId> ids{a, b, c, d, e};
  const auto members_of = [&](Set set) {
    std::vector<NodeId> members;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (holds(set, i)) members.push_back(ids[i]);
    }
    return voters(members)->members;
  };
  for (Set after = 1; after < 32; ++after) {
    for (Set before = 1; before < 32; before += 2) {  // The leader is a voter before.
      auto joint = std::make_shared<Configuration>();
      joint->members = members_of(after);
      joint->outgoing = members_of(before);
      for (Set vouching = 0; vouching < 32; ++vouching) {
        Node leader(boot(a, joint, {Term(1), NodeId()}, {1}, {}, 1));
        leader.lead(ids);
        ASSERT_EQ(leader.core().role(), Role::leader);
        if (holds(vouching, 0)) leader.written();
        for (std::size_t i = 1; i < ids.size(); ++i) {
          if (holds(vouching, i)) leader.acknowledge(ids[i], 2);
        }
        const bool decided = is_majority(vouching, before) && is_majority(vouching, after);
        ASSERT_EQ(leader.core().commit_index(), Index(decided ? 2 : 1))
            << before << " -> " << after << ", vouching " << vouching;
      }
    }
  }
}

}  // namespace
}  // namespace kuilt::raft::test
