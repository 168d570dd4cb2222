// What a core does, in the words of the specification. That whole traces hold is tests/sim's part.
#include "raft/trace.hpp"

#include <set>

#include "tests/raft/fixture.hpp"

namespace kuilt::raft::test {
namespace {

using testing::ElementsAre;

// A core with a tracer beside it.
class Traced {
 public:
  explicit Traced(Boot boot) : node_(std::move(boot)), tracer_(node_.core()) {}

  std::vector<Transition> step(const Input& input) {
    const Output& out = node_.step(input);
    return tracer_.stepped(node_.core(), input, out);
  }
  std::vector<Transition> receive(NodeId from, Message message) {
    return step(Received{from, std::move(message)});
  }
  std::vector<Transition> time_out() {
    node_.hold_up(node_.options().election_timeout_max);
    return step(Tick{});
  }
  /// The disk is done with everything that was ordered.
  std::vector<Transition> written() {
    const Output& out = node_.written();
    return tracer_.stepped(node_.core(), Written{}, out);
  }
  void lead() {
    time_out();
    receive(b, VoteReply{core().term().next(), true, true});
    written();
    receive(b, VoteReply{core().term(), false, true});
    written();
  }
  [[nodiscard]] const Core& core() const { return node_.core(); }
  Node& node() { return node_; }

 private:
  Node node_;
  Tracer tracer_;
};

std::vector<std::string> names(const std::vector<Transition>& transitions) {
  std::vector<std::string> names;
  for (const Transition& transition : transitions) names.emplace_back(name_of(transition.action));
  return names;
}

std::string name_of_node(NodeId id) {
  const std::vector<NodeId> ids{a, b, c, d, e};
  const auto found = std::ranges::find(ids, id) - ids.begin();
  return std::string(1, static_cast<char>('a' + found));
}

TEST(Trace, ElectionIsToldStepByStep) {
  Traced server(boot(a, voters({a, b, c})));

  EXPECT_THAT(names(server.time_out()),
              ElementsAre("StartPreVote", "RequestPreVote", "RequestPreVote"));
  EXPECT_THAT(names(server.receive(b, VoteReply{Term(1), true, true})),
              ElementsAre("HandlePreVoteResponse", "Timeout", "RequestVote", "RequestVote"));
  EXPECT_THAT(names(server.written()), ElementsAre());
  EXPECT_THAT(names(server.receive(b, VoteReply{Term(1), false, true})),
              ElementsAre("HandleRequestVoteResponse", "BecomeLeader", "ClientRequest", "Heartbeat",
                          "Heartbeat", "AppendEntries", "AppendEntries"));
}

TEST(Trace, LonelyServerStandsAndWins) {
  Traced server(boot(a, voters({a})));

  EXPECT_THAT(names(server.time_out()), ElementsAre("StartPreVote", "Timeout"));
  EXPECT_THAT(names(server.written()), ElementsAre("BecomeLeader", "ClientRequest"));
  EXPECT_THAT(names(server.written()), ElementsAre("Persist", "AdvanceCommitIndex"));
}

TEST(Trace, VoteIsGivenAfterUpdateTerm) {
  Traced server(boot(a, voters({a, b, c})));

  const auto told = server.receive(b, VoteRequest{Term(3), false, {}});

  ASSERT_THAT(names(told), ElementsAre("UpdateTerm", "HandleRequestVoteRequest"));
  EXPECT_EQ(told[0].after->hard, (HardState{Term(3), NodeId()}));
  EXPECT_EQ(told[1].after->hard, (HardState{Term(3), b}));
  ASSERT_TRUE(told[1].reply.has_value());
  EXPECT_EQ(std::get<VoteReply>(*told[1].reply), (VoteReply{Term(3), false, true}));
}

TEST(Trace, PreVoteEntersNoTerm) {
  Traced server(boot(a, voters({a, b, c})));

  const auto told = server.receive(b, VoteRequest{Term(3), true, {}});

  ASSERT_THAT(names(told), ElementsAre("HandlePreVoteRequest"));
  EXPECT_EQ(told[0].after->hard, HardState());
}

TEST(Trace, FollowerTakesEntriesInOneAction) {
  Traced server(boot(a, voters({a, b, c})));

  const auto told = server.receive(b, AppendRequest{Term(1), {}, Index(1), entries({1, 1})});

  ASSERT_THAT(names(told), ElementsAre("UpdateTerm", "HandleAppendEntriesRequest"));
  EXPECT_EQ(told[1].after->last, at(2, 1));
  EXPECT_EQ(told[1].after->commit, Index(1));
  EXPECT_THAT(names(server.written()), ElementsAre("Persist"));
}

TEST(Trace, LeaderCommitsInAnActionOfItsOwn) {
  Traced server(boot(a, voters({a, b, c})));
  server.lead();

  const auto told = server.receive(b, server.node().accepted(b, 1));

  EXPECT_THAT(names(told), ElementsAre("HandleAppendEntriesResponse", "AdvanceCommitIndex",
                                       "Heartbeat", "Heartbeat"));
}

TEST(Trace, ResponseOfAnEarlierTermIsDropped) {
  Traced server(boot(a, voters({a, b, c}), {Term(5), NodeId()}));

  const auto told = server.receive(b, AppendReply{Term(4), true, Index(9), {}, {}, boot_of(b)});

  EXPECT_THAT(names(told), ElementsAre("DropStaleResponse"));
}

TEST(Trace, RequestOfAnEarlierTermIsAnswered) {
  Traced server(boot(a, voters({a, b, c}), {Term(5), NodeId()}));

  const auto told = server.receive(b, AppendRequest{Term(4), {}, {}, {}});

  ASSERT_THAT(names(told), ElementsAre("HandleAppendEntriesRequest"));
  EXPECT_TRUE(told[0].reply.has_value());
}

TEST(Trace, RefusalSaysWhy) {
  Traced server(boot(a, voters({a, b, c})));
  server.receive(b, Heartbeat{Term(1), {}, 1});

  const auto told = server.receive(c, VoteRequest{Term(2), true, {}});

  ASSERT_THAT(names(told), ElementsAre("RefuseMessage"));
  EXPECT_EQ(told[0].why, "leader_is_live");
}

TEST(Trace, LeaderThatHearsNobodyStepsDown) {
  Traced server(boot(a, voters({a, b, c})));
  server.lead();

  const auto told = server.time_out();

  ASSERT_THAT(names(told), ElementsAre("StepDown"));
  EXPECT_EQ(told[0].after->role, Role::follower);
}

TEST(Trace, OrderToStandLeadsToATimeout) {
  Traced server(boot(a, voters({a, b, c})));
  server.receive(b, Heartbeat{Term(1), {}, 1});
  server.written();

  const auto told = server.receive(b, TimeoutNow{Term(1), {}});

  EXPECT_THAT(names(told),
              ElementsAre("HandleTimeoutNow", "Timeout", "RequestVote", "RequestVote"));
}

TEST(Trace, ReadIsToldFromItsBeginningToItsEnd) {
  Traced server(boot(a, voters({a})));
  server.time_out();
  server.written();
  server.written();

  const auto told = server.step(Read{ReadId(7)});

  ASSERT_THAT(names(told), ElementsAre("ReadIndex", "FinishRead"));
  EXPECT_EQ(told[1].read, ReadId(7));
  EXPECT_EQ(told[1].index, Index(1));
}

TEST(Trace, ChangeOfMembersIsToldWhereItIsAppended) {
  Traced server(boot(a, voters({a})));
  server.time_out();
  server.written();
  server.written();
  auto next = std::make_shared<Configuration>(*voters({a}, {b}));
  const Entry entry{at(2, 1), EntryKind::configuration, Bytes("x"), next};

  const auto told = server.step(Propose{{entry}});

  ASSERT_GE(told.size(), 2U);
  EXPECT_EQ(told[0].action, Action::client_request);
  EXPECT_EQ(told[1].action, Action::change_configuration);
  EXPECT_EQ(told[1].configuration, server.core().configuration());
}

TEST(Trace, StepThatDoesMoreThanItsActionsSayIsUnexplained) {
  Traced server(boot(a, voters({a, b, c})));
  // The tracer is not told of this one.
  server.node().receive(b, AppendRequest{Term(1), {}, Index(1), entries({1})});

  const auto told = server.step(PeerLost{b});

  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.back().action, Action::unexplained);
}

TEST(Trace, EveryActionHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Action::unexplained); ++i) {
    names.insert(name_of(static_cast<Action>(i)));
  }

  EXPECT_EQ(names.size(), static_cast<std::size_t>(Action::unexplained) + 1);
}

TEST(TraceLines, LineHasTheVariablesOfTheSpecification) {
  std::vector<std::string> lines;
  TraceLines trace([&](const std::string& line) { lines.push_back(line); }, name_of_node);
  Node node(boot(a, voters({a, b}), {Term(2), b}, {1, 2}));

  trace.booted(Instant(3ms), node.core());
  const Input input = Received{b, AppendRequest{Term(2), at(2, 2), Index(3), entries({2}, 2)}};
  const Output out = node.step(input);
  trace.stepped(Instant(4ms), node.core(), input, out);

  EXPECT_THAT(
      lines,
      ElementsAre(
          R"({"n":1,"at":3000,"server":"a","action":"Restart","baseTerm":0,"baseIndex":0,)"
          R"("log":[{"from":1,"term":1},{"from":2,"term":2}],)"
          R"("committedConfiguration":{"voters":["a","b"]},"configuration":{"voters":["a","b"]},)"
          R"("after":{"state":"Follower","currentTerm":2,"votedFor":"b","lastLogTerm":2,)"
          R"("lastLogIndex":2,"commitIndex":0,"durableIndex":2}})",
          R"({"n":2,"at":4000,"server":"a","action":"HandleAppendEntriesRequest","peer":"b",)"
          R"("message":{"mtype":"AppendEntriesRequest","mterm":2,"mprevLogIndex":2,)"
          R"("mprevLogTerm":2,"mentries":[{"term":2,"value":"command"}],"mcommitIndex":3},)"
          R"("reply":{"mtype":"AppendEntriesResponse","mterm":2,"msuccess":true,"mmatchIndex":3},)"
          R"("after":{"state":"Follower","currentTerm":2,"votedFor":"b","lastLogTerm":2,)"
          R"("lastLogIndex":3,"commitIndex":3,"durableIndex":2}})"));
}

}  // namespace
}  // namespace kuilt::raft::test
