// What a server knows of the members, and what it answers to one that wants to be a member.
#include "server/members.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "server/changes.hpp"
#include "server/joining.hpp"

namespace kuilt::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

raft::Member member(const std::string& name, bool voter = true) {
  return {NodeId::named(name), name, name + ":7401", "ws://" + name + ":7400", voter};
}
raft::SharedConfiguration of(const std::vector<std::string>& names,
                             const std::vector<std::string>& outgoing = {}) {
  auto made = std::make_shared<raft::Configuration>();
  made->cluster = ClusterId::named("cluster");
  made->history = HistoryId::named("history");
  for (const std::string& name : names) made->members.push_back(member(name));
  for (const std::string& name : outgoing) made->outgoing.push_back(member(name));
  std::ranges::sort(made->members, {}, &raft::Member::id);
  std::ranges::sort(made->outgoing, {}, &raft::Member::id);
  return made;
}
Members members_of(const std::string& self, const raft::SharedConfiguration& committed,
                   const raft::SharedConfiguration& told = nullptr, bool was_member = false) {
  return Members({.self = NodeId::named(self),
                  .committed = committed,
                  .in_force = committed,
                  .was_member = was_member,
                  .told = told,
                  .client_urls = {},
                  .own_url = "ws://me:1"});
}
std::vector<std::string> names_of(const std::vector<PeerTarget>& targets) {
  std::vector<std::string> names;
  for (const PeerTarget& one : targets) names.push_back(one.name);
  std::ranges::sort(names);
  return names;
}

TEST(Members, WhoHasYetToAppearInTheLogJoinsAndWhoHasLeftItIsRemoved) {
  Members joins = members_of("d", of({"a", "b"}));
  EXPECT_EQ(joins.standing(), Standing::joining);

  joins.follow(of({"a", "b", "d"}), of({"a", "b"}));
  EXPECT_EQ(joins.standing(), Standing::member);
  joins.follow(of({"a", "b", "d"}), of({"a", "b", "d"}));
  EXPECT_EQ(joins.standing(), Standing::member);

  joins.follow(of({"a", "b"}), of({"a", "b", "d"}));
  EXPECT_EQ(joins.standing(), Standing::member) << "it may yet be undone";
  joins.follow(of({"a", "b"}), of({"a", "b"}));
  EXPECT_EQ(joins.standing(), Standing::removed);
}

TEST(Members, ARestartRemembersThatItWasOne) {
  EXPECT_EQ(members_of("d", of({"a"}), nullptr, true).standing(), Standing::removed);
}

// The log that comes begins with times long gone.
TEST(Members, WhoJoinsReachesThoseThatItWasToldOf) {
  Members joins = members_of("d", of({}), of({"b", "c", "d"}));
  EXPECT_THAT(names_of(joins.targets()), ElementsAre("b", "c"));
  EXPECT_EQ(joins.leader_view(NodeId::named("c")).url, "ws://c:7400");

  joins.follow(of({"a"}), of({"a"}));
  EXPECT_THAT(names_of(joins.targets()), ElementsAre("a", "b", "c"));

  joins.follow(of({"c", "d"}), of({"c", "d"}));
  EXPECT_THAT(names_of(joins.targets()), ElementsAre("c"));
  EXPECT_THAT(joins.endpoints(), ElementsAre("ws://me:1", "ws://c:7400"));
}

TEST(Members, BothHalvesOfAJointConfigurationAreReached) {
  Members one = members_of("a", of({"a", "b"}));

  one.follow(of({"a", "c"}, {"a", "b"}), of({"a", "b"}));

  EXPECT_THAT(names_of(one.targets()), ElementsAre("b", "c"));
}

// --- Who asks to join ---

AskedToJoin asked(const raft::SharedConfiguration& in_force, bool leads = true) {
  AskedToJoin made{.view = {}, .leads = leads, .leader = std::nullopt};
  made.view.in_force = made.view.committed = in_force;
  if (!leads) made.leader = member("a");
  return made;
}
const wire::JoinRequest request{"d", "d:7401", "ws://d:7400"};
const NodeId d = NodeId::named("d");

wire::JoinRefused refused(const JoinVerdict& verdict) {
  const auto* reply = std::get_if<wire::JoinReply>(&verdict);
  const auto* refused = reply ? std::get_if<wire::JoinRefused>(&reply->outcome) : nullptr;
  return refused ? *refused : wire::JoinRefused{ErrorCode::usage, "", ""};
}

TEST(Joins, LeaderAddsWhoAsksAndLetsItVoteOnceItHasCaughtUp) {
  const JoinVerdict verdict = verdict_on(d, request, asked(of({"a", "b"})));

  const auto* change = std::get_if<raft::ChangeMembership>(&verdict);
  ASSERT_NE(change, nullptr);
  EXPECT_TRUE(change->wait_for_learners);
  ASSERT_EQ(change->members.size(), 3U);
  EXPECT_EQ(change->members.back(), member("d"));
}

TEST(Joins, WhoIsAMemberByNowIsToldSoByAnybody) {
  for (const bool leads : {true, false}) {
    const JoinVerdict verdict = verdict_on(d, request, asked(of({"a", "d"}), leads));
    const auto* reply = std::get_if<wire::JoinReply>(&verdict);
    ASSERT_NE(reply, nullptr);
    const auto* accepted = std::get_if<wire::JoinAccepted>(&reply->outcome);
    ASSERT_NE(accepted, nullptr);
    EXPECT_EQ(wire::decode_configuration_record(accepted->record).or_throw(), *of({"a", "d"}));
  }
}

// What is not committed may be undone, and a directory that was bound by it never joins again.
TEST(Joins, WhoIsNotCommittedAsAMemberWaits) {
  AskedToJoin early = asked(of({"a", "d"}));
  early.view.committed = of({"a"});

  EXPECT_EQ(refused(verdict_on(d, request, early)).code, ErrorCode::busy);
}

TEST(Joins, WhoAsksAnotherServerIsSentToTheLeader) {
  const auto sent = refused(verdict_on(d, request, asked(of({"a", "b"}), false)));
  EXPECT_EQ(sent.code, ErrorCode::not_leader);
  EXPECT_EQ(sent.leader, "a:7401");

  AskedToJoin leaderless = asked(of({"a", "b"}), false);
  leaderless.leader.reset();
  EXPECT_EQ(refused(verdict_on(d, request, leaderless)).code, ErrorCode::no_leader);
}

TEST(Joins, ANameThatIsTakenIsRefusedWithTheWayOut) {
  const auto taken = refused(verdict_on(NodeId::named("another"), request, asked(of({"a", "d"}))));

  EXPECT_EQ(taken.code, ErrorCode::name_taken);
  EXPECT_THAT(taken.message, HasSubstr("kuilt members replace d"));
}

// --- Orders ---

TEST(Changes, AreMadeOfNamesAndRefusedByName) {
  const auto after = [](const MembershipChange& change) {
    std::vector<std::string> names;
    const auto members = members_after(change, *of({"a", "b", "c"}));
    if (!members) return std::vector<std::string>{std::string(name_of(members.error().code()))};
    for (const raft::Member& one : *members) {
      names.push_back(one.voter ? one.name : "(" + one.name + ")");
    }
    std::ranges::sort(names);
    return names;
  };

  EXPECT_THAT(after({.promote = {}, .demote = {"b"}, .remove = {"c"}}), ElementsAre("(b)", "a"));
  EXPECT_THAT(after({.promote = {"z"}, .demote = {}, .remove = {}}), ElementsAre("unknown_server"));
  EXPECT_THAT(after({.promote = {"a"}, .demote = {}, .remove = {"a"}}),
              ElementsAre("change_refused"));
}

TEST(Changes, EveryRefusalOfTheCoreIsTold) {
  using raft::ChangeRefusal;
  for (int i = 1; i <= static_cast<int>(ChangeRefusal::majority_silent); ++i) {
    const Status told = told_of(static_cast<ChangeRefusal>(i), "a");
    ASSERT_FALSE(told.has_value());
    EXPECT_EQ(told.error().effect(), Effect::none);
    EXPECT_FALSE(told.error().message().empty());
  }
  EXPECT_TRUE(told_of(ChangeRefusal::none, "a").has_value());
}

TEST(Changes, AreThroughWhenThoseWhomTheyMeantAreWhatTheyWereToBe) {
  const auto before = of({"a", "b"})->members;
  const auto wanted = of({"a", "c"})->members;

  EXPECT_TRUE(outcome_of(before, wanted, wanted).has_value());
  EXPECT_TRUE(outcome_of(before, wanted, of({"a", "c", "e"})->members).has_value())
      << "another one may have joined since";
  EXPECT_EQ(outcome_of(before, wanted, before).error().code(), ErrorCode::change_given_up);
  EXPECT_EQ(outcome_of(before, wanted, of({"a"})->members).error().code(),
            ErrorCode::change_given_up);
}

}  // namespace
}  // namespace kuilt::server
