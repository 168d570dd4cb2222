// kuilt members, against real servers.
#include <signal.h>

#include <string>

#include <gmock/gmock.h>

#include "tests/cli/process.hpp"
#include "tests/cli/servers.hpp"

namespace kuilt::cli {
namespace {

using testing::HasSubstr;

std::string name_of(Servers& servers, std::size_t from_leader) {
  return servers->servers().at((servers.leader() + from_leader) % 3).name;
}

TEST(MembersCommand, ListsWhoVotesAndWhereTheyAre) {
  Servers servers(3);

  const Outcome text = kuilt({"members", "--admin", servers.admin()});
  const Outcome json = kuilt({"members", "list", "--admin", servers.admin(), "-o", "json"});

  EXPECT_EQ(text.status, 0) << text.err;
  for (const LocalServer& one : servers->servers()) {
    EXPECT_THAT(text.out, HasSubstr(one.peer_address));
    EXPECT_THAT(json.out, HasSubstr("{\"name\":\"" + one.name + "\",\"standing\":\"voter\""));
  }
  EXPECT_THAT(text.out, HasSubstr("settled: no change is under way"));
}

TEST(MembersCommand, AFollowerIsRemovedStopsAndIsNoLongerMissed) {
  Servers servers(3);
  const std::size_t leaver = (servers.leader() + 1) % 3;

  const Outcome removed =
      kuilt({"members", "remove", name_of(servers, 1), "--admin", servers.admin(), "-o", "json"});

  EXPECT_EQ(removed.status, 0) << removed.err;
  EXPECT_THAT(removed.out, HasSubstr("\"members\":2,\"voters\":2"));
  std::optional<int> status;
  ASSERT_TRUE(await([&] { return (status = servers->ended(leaver)).has_value(); }));
  EXPECT_EQ(status, 2);
  EXPECT_THAT(kuilt({"members", "--admin", servers.admin()}).out,
              testing::Not(HasSubstr(servers->servers().at(leaver).peer_address)));
}

TEST(MembersCommand, TheLeaderIsRemovedOnceAnotherOneLeads) {
  Servers servers(3);
  const std::string leader = name_of(servers, 0);

  const Outcome removed = kuilt({"members", "remove", leader, "--admin", servers.admin()});

  EXPECT_EQ(removed.status, 0) << removed.err;
  EXPECT_THAT(removed.err, HasSubstr("server " + leader + " leads, and hands over first"));
  EXPECT_EQ(kuilt({"propose", "-e", servers.urls(), "after"}).status, 0);
}

TEST(MembersCommand, OnAServerThatDoesNotLeadTheLeaderIsNamed) {
  Servers servers(3);
  const std::string follower = servers->servers().at((servers.leader() + 1) % 3).admin_address;

  const Outcome refused = kuilt({"members", "remove", name_of(servers, 1), "--admin", follower});

  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err, HasSubstr("error not_leader: server " + name_of(servers, 0) +
                                     " leads, and its admin"));
}

}  // namespace
}  // namespace kuilt::cli
