// kuilt transfer, against real servers.
#include <signal.h>

#include <string>

#include <gmock/gmock.h>

#include "tests/cli/process.hpp"
#include "tests/cli/servers.hpp"

namespace kuilt::cli {
namespace {

using testing::HasSubstr;

TEST(Transfer, TheServerThatIsNamedLeadsAndProposalsGoOn) {
  Servers servers(3);
  const std::string before = servers->servers().at(servers.leader()).name;
  const std::string target = servers->servers().at((servers.leader() + 1) % 3).name;

  const Outcome moved = kuilt({"transfer", target, "--admin", servers.admin()});
  const Outcome proposed = kuilt({"propose", "-e", servers.urls(), "after"});

  EXPECT_EQ(moved.status, 0) << moved.err;
  EXPECT_THAT(moved.out, HasSubstr("leader " + target + ", was " + before + ", in "));
  EXPECT_EQ(proposed.status, 0) << proposed.err;
  EXPECT_THAT(kuilt({"status", "--admin", servers.admin()}).out,
              HasSubstr("well: leader " + target));
}

TEST(Transfer, WithoutANameItGoesToAnyOtherAndIsToldAsJson) {
  Servers servers(3);
  const std::string before = servers->servers().at(servers.leader()).name;

  const Outcome moved = kuilt({"transfer", "--admin", servers.admin(), "-o", "json"});

  EXPECT_EQ(moved.status, 0) << moved.err;
  EXPECT_THAT(moved.out, HasSubstr("\"before\":\"" + before + "\",\"took_ms\":"));
  EXPECT_THAT(moved.out, testing::Not(HasSubstr("\"leader\":\"" + before + "\"")));
}

TEST(Transfer, WhoeverCannotTakeOverIsNamedAndNothingChanges) {
  Servers servers(3);
  const std::size_t down = (servers.leader() + 1) % 3;
  const std::string leader = servers->servers().at(servers.leader()).name;
  const std::string follower_admin =
      servers->servers().at((servers.leader() + 2) % 3).admin_address;
  const std::string gone = servers->servers().at(down).name;
  ASSERT_TRUE(servers->signal(down, SIGKILL).has_value());

  const Outcome unknown = kuilt({"transfer", "zed", "--admin", servers.admin()});
  const Outcome elsewhere = kuilt({"transfer", "--admin", follower_admin});
  const auto to_gone = [&] { return kuilt({"transfer", gone, "--admin", servers.admin()}); };

  EXPECT_EQ(unknown.status, 1);
  EXPECT_THAT(unknown.err, HasSubstr("error unknown_server: no server \"zed\" in the cluster; "
                                     "there are: "));
  EXPECT_EQ(elsewhere.status, 1);
  EXPECT_THAT(elsewhere.err, HasSubstr("error not_leader: server " + leader + " leads"));
  // Until the leader misses it, it is told to stand, and does not.
  EXPECT_TRUE(await([&] {
    const Outcome refused = to_gone();
    EXPECT_TRUE(refused.status == 1 || refused.status == 4) << refused.err;
    return refused.err.find(gone + " is not heard by the leader") != std::string::npos;
  }));
  EXPECT_THAT(kuilt({"status", "--admin", servers.admin()}).out, HasSubstr("leader " + leader));
  EXPECT_EQ(kuilt({"propose", "-e", servers.urls(), "after"}).status, 0);
}

TEST(Transfer, WithoutAMajorityThereIsNoLeaderToAsk) {
  Servers servers(3);
  const std::size_t alone = (servers.leader() + 1) % 3;
  for (std::size_t i = 0; i < 3; ++i) {
    if (i == alone) continue;
    ASSERT_TRUE(servers->signal(i, SIGKILL).has_value());
  }
  const auto leaderless = [&] {
    const auto status = servers->status(alone);
    return status.has_value() && status->leader.empty();
  };
  ASSERT_TRUE(await(leaderless));

  const Outcome refused = kuilt({"transfer", "--admin", servers.admin()});

  EXPECT_EQ(refused.status, 3);
  EXPECT_THAT(refused.err, HasSubstr("error no_leader: "));
}

}  // namespace
}  // namespace kuilt::cli
