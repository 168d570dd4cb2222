#include "explore/server.hpp"

#include <gtest/gtest.h>

#include "explore/group.hpp"

namespace kuilt::explore {
namespace {

std::shared_ptr<const Setting> three() { return std::make_shared<const Setting>(setting_of(3)); }

// It has granted b its vote in term 1, and the disk does not know yet.
Server voter() {
  Server server(three(), 0, {});
  server.receive(1, raft::VoteRequest{Term(1), false, {}});
  return server;
}

TEST(ExploredServer, WhatThePromiseRestsOnIsDurableBeforeTheMessageLeaves) {
  Server server = voter();
  ASSERT_EQ(server.disk().queue.size(), 1U);
  EXPECT_EQ(server.outbox().waiting(), 1U);

  const Effects effects = server.finish_write();

  ASSERT_EQ(effects.sent.size(), 1U);
  EXPECT_EQ(server.disk().hard, (raft::HardState{Term(1), node_id(1)}));
  EXPECT_FALSE(broken_promise(server.disk(), node_id(0), effects.sent.front()));
}

TEST(ExploredServer, ACrashLosesWhatHadNotReachedTheDisk) {
  Server lost = voter();
  Server kept = voter();

  lost.crash(0);
  kept.crash(1);

  EXPECT_EQ(lost.core().term(), Term(0));
  EXPECT_EQ(kept.core().hard_state(), (raft::HardState{Term(1), node_id(1)}));
  EXPECT_EQ(kept.outbox().waiting(), 0U);
}

TEST(ExploredServer, AVoteIsRefusedWhileALeaderIsHeardAndGrantedAfterASilence) {
  const raft::VoteRequest request{Term(2), false, {}};
  Server server(three(), 0, {});
  server.receive(2, raft::Heartbeat{Term(1), {}, 1});
  Server after_silence = server;

  EXPECT_EQ(server.receive(1, request).refused, raft::Refusal::leader_is_live);
  EXPECT_EQ(after_silence.receive_after_silence(1, request).refused, raft::Refusal::none);
  EXPECT_EQ(after_silence.core().term(), Term(2));
  EXPECT_EQ(after_silence.core().role(), raft::Role::follower);
}

TEST(ExploredServer, ALeaderTimesOutByGivingUp) {
  Server leader(std::make_shared<const Setting>(setting_of(3)), 0, {});
  leader.time_out();
  leader.receive(1, raft::VoteReply{Term(1), true, true});
  leader.finish_write();
  leader.receive(1, raft::VoteReply{Term(1), false, true});
  ASSERT_TRUE(leader.leads());
  // Timers that are due sooner do not add up to it.
  for (int i = 0; i < 10; ++i) leader.beat();
  leader.send_again();
  ASSERT_TRUE(leader.leads());

  leader.time_out();

  EXPECT_FALSE(leader.leads());
}

TEST(ExploredServer, FingerprintsForgetTimeAndNames) {
  const std::vector<NodeId> as_is{node_id(0), node_id(1), node_id(2)};
  const std::vector<NodeId> exchanged{node_id(1), node_id(0), node_id(2)};
  Server early(three(), 0, {});
  Server late = early;
  late.time_out();
  late.receive(1, raft::Heartbeat{Term(1), {}, 1});
  early.receive(1, raft::Heartbeat{Term(1), {}, 1});
  Server other(three(), 1, {});
  other.receive(0, raft::Heartbeat{Term(1), {}, 1});

  EXPECT_EQ(early.fingerprint(as_is), late.fingerprint(as_is));
  EXPECT_NE(early.fingerprint(as_is), other.fingerprint(as_is));
  EXPECT_EQ(early.fingerprint(as_is), other.fingerprint(exchanged));
  EXPECT_NE(early.fingerprint(as_is), voter().fingerprint(as_is));
}

TEST(ExploredServer, WhatIsNoLongerInMemoryIsReadFromItsDisk) {
  auto setting = std::make_shared<Setting>(setting_of(2));
  setting->options.tail_bytes_max = 1;
  Disk disk{.hard = {Term(1), {}}, .entries = {}, .commit = Index(2), .queue = {}};
  for (std::uint64_t i = 1; i <= 2; ++i) {
    disk.entries.push_back({{Index(i), Term(1)}, raft::EntryKind::command, Bytes("x"), {}});
  }
  Server leader(setting, 0, disk);
  EXPECT_EQ(leader.core().first_in_memory(), Index(3));
  leader.time_out();
  leader.receive(1, raft::VoteReply{Term(2), true, true});
  leader.finish_write();
  leader.receive(1, raft::VoteReply{Term(2), false, true});

  const raft::AppendReply from_the_start{Term(2), false, {}, Index(2), {}, BootId(1, 1)};
  leader.receive(1, from_the_start);
  const Effects effects =
      leader.receive(1, raft::AppendReply{Term(2), true, Index(0), {}, {}, BootId(1, 1)});

  ASSERT_FALSE(effects.sent.empty());
  const auto* append = std::get_if<raft::AppendRequest>(&effects.sent.front().message);
  ASSERT_NE(append, nullptr);
  EXPECT_EQ(append->entries, disk.entries);
  EXPECT_EQ(leader.log().size(), 3U);
}

raft::Outgoing to_b(raft::Message message) { return {node_id(1), std::move(message), {}}; }

// Each promise can be seen to be broken.
TEST(Promises, OfAMessageAreComparedWithTheDisk) {
  const Disk empty;
  Disk voted;
  voted.hard = {Term(3), node_id(1)};
  const auto vote = to_b(raft::VoteReply{Term(3), false, true});
  const auto request = to_b(raft::VoteRequest{Term(3), false, {}});
  const auto answer = to_b(raft::AppendReply{Term(3), true, Index(1), {}, {}, {}});

  EXPECT_EQ(broken_promise(empty, node_id(0), vote), "a vote leaves only when it is durable");
  EXPECT_EQ(broken_promise(empty, node_id(0), request),
            "a candidate asks for votes only when its own is durable");
  EXPECT_EQ(broken_promise(voted, node_id(0), answer),
            "what an answer promises is durable when it leaves");
  EXPECT_FALSE(broken_promise(voted, node_id(0), vote));
  EXPECT_FALSE(broken_promise(empty, node_id(0), to_b(raft::VoteReply{Term(3), true, true})));
  // What was promised in an earlier term binds nobody any more.
  voted.hard.term = Term(4);
  EXPECT_FALSE(broken_promise(voted, node_id(0), answer));
}

Facts facts(std::uint64_t term, raft::Role role, std::vector<EntryNumber> log, std::uint64_t commit,
            std::uint64_t term_of_entries) {
  Facts facts;
  facts.view.hard.term = Term(term);
  facts.view.role = role;
  facts.view.last = Index(log.size());
  facts.view.terms = {{Index(1), Term(term_of_entries)}};
  facts.view.commit = Index(commit);
  facts.on_disk = log;
  facts.log = std::move(log);
  return facts;
}

TEST(Promises, OfAGroupAreRememberedThroughAllItsPast) {
  using raft::Role;
  const Facts empty = facts(1, Role::follower, {}, 0, 1);
  const Facts one = facts(1, Role::follower, {7}, 1, 1);
  const Facts other = facts(1, Role::follower, {8}, 1, 1);
  const Facts leader = facts(1, Role::leader, {7}, 1, 1);
  const Facts leader_of_2 = facts(2, Role::leader, {}, 0, 1);
  const Facts counts_old = facts(2, Role::leader, {7}, 1, 1);
  const auto broken = [&](const Facts& before, const Facts& now, const Facts& rest, Past past) {
    const std::vector<const Facts*> group{&now, &rest, &rest};
    return broken_by(before, group, 0, past);
  };
  const Past decided{.decided = {{7, Term(1)}}, .leader_of = {}};

  EXPECT_FALSE(broken(empty, one, one, {}));
  EXPECT_EQ(broken(empty, one, empty, {}), "what is committed is durable on a majority, for ever");
  EXPECT_EQ(broken(empty, other, one, decided), "an index is decided once");
  EXPECT_FALSE(broken(empty, leader, one, {.decided = {}, .leader_of = {0, 1}}));
  EXPECT_EQ(broken(empty, leader, one, {.decided = {}, .leader_of = {0, 2}}),
            "a term has one leader in all its time");
  EXPECT_EQ(broken(empty, leader_of_2, one, decided),
            "a leader has every entry that was decided before its term");
  EXPECT_EQ(broken(empty, counts_old, one, {}),
            "only entries of the own term are committed by counting");
}

TEST(ExploredGroup, TellsWhatIsLostAndWhatComesAgain) {
  Group group(three(), {Disk{}, Disk{}, Disk{}});
  static_cast<void>(group.tell(event_at(0, EventKind::time_out)));

  const auto lost = group.tell(message_to(1, 0, Action::What::lose));
  const auto repeated = group.tell(message_to(2, 0, Action::What::repeat));

  EXPECT_EQ(
      lost,
      (std::vector<std::string>{"a -> b: pre-vote asked for, log ends at 0/t0, term 1 (is lost)"}));
  EXPECT_TRUE(group.on_the_way(0, 1).empty());
  EXPECT_EQ(group.on_the_way(0, 2).size(), 1U);
  EXPECT_NE(repeated.front().find("(will come again)"), std::string::npos);
  EXPECT_FALSE(group.violation());
}

}  // namespace
}  // namespace kuilt::explore
