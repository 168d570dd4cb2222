// Read barriers from the call to their index: asked together, asked again, and refused by name.
#include "tests/client/core_bench.hpp"

namespace kuilt::client {
namespace {

using wire::ReadBarrier;

wire::BarrierAnswer reached(std::uint64_t number, std::uint64_t index) {
  return {number, wire::Reached{Index(index)}};
}
wire::BarrierAnswer refused(std::uint64_t number, ErrorCode code, Duration retry_after) {
  return {number, wire::RefusedOutcome{code, "no", true, retry_after}};
}
std::uint64_t last_number(const Bench& bench, DialId dial) {
  const auto asked = bench.sent<ReadBarrier>(dial);
  EXPECT_FALSE(asked.empty());
  return asked.empty() ? 0 : asked.back().number;
}

TEST(ReadBarriers, AnswerUnderTheirNumberIsTheIndex) {
  Bench bench;
  const DialId dial = bench.admit_last();

  const CallId call = bench.read();
  const std::uint64_t number = last_number(bench, dial);
  bench.hear(dial, reached(number + 1, 3));
  EXPECT_EQ(bench.read_verdict(call), "pending") << "of a question that nobody asked";
  bench.hear(dial, reached(number, 7));

  EXPECT_EQ(bench.read_verdict(call), "index 7");
}

TEST(ReadBarriers, ThoseOfOneTurnShareAQuestionAndLaterOnesDoNot) {
  Bench bench;
  const DialId dial = bench.admit_last();
  std::vector<Input> turn;
  for (std::uint64_t i = 101; i <= 110; ++i) {
    turn.emplace_back(BarrierCall{CallId(i), bench.now + 1s});
  }

  bench.step_all(std::move(turn));
  ASSERT_EQ(bench.sent<ReadBarrier>(dial).size(), 1U);
  const CallId later = bench.read();
  ASSERT_EQ(bench.sent<ReadBarrier>(dial).size(), 2U);
  bench.hear(dial, reached(bench.sent<ReadBarrier>(dial)[0].number, 7));

  for (std::uint64_t i = 101; i <= 110; ++i) EXPECT_EQ(bench.read_verdict(CallId(i)), "index 7");
  EXPECT_EQ(bench.read_verdict(later), "pending") << "it was called after that one was sent";
}

TEST(ReadBarriers, OneThatWaitsForALinkIsAskedThere) {
  Bench bench;
  const CallId call = bench.read();

  const DialId dial = bench.admit_last();
  bench.hear(dial, reached(last_number(bench, dial), 7));

  EXPECT_EQ(bench.read_verdict(call), "index 7");
}

TEST(ReadBarriers, LostLinkMeansToAskTheNextServer) {
  Bench bench;
  const DialId first = bench.admit_last();
  const CallId call = bench.read();

  bench.step(Broken{first, "torn"});
  const DialId second = bench.admit_next();
  bench.hear(second, reached(last_number(bench, second), 7));

  EXPECT_EQ(bench.read_verdict(call), "index 7");
}

TEST(ReadBarriers, UnansweredOneIsAskedAgainUnderAnotherNumber) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.read();
  const std::uint64_t first = last_number(bench, dial);

  bench.pass_alive(3100ms);
  const std::uint64_t second = last_number(bench, dial);
  ASSERT_NE(first, second);
  bench.hear(dial, reached(first, 6));
  EXPECT_EQ(bench.read_verdict(call), "pending");
  bench.hear(dial, reached(second, 7));

  EXPECT_EQ(bench.read_verdict(call), "index 7");
}

TEST(ReadBarriers, RefusalThatTimeHealsIsAskedAgainAfterAWait) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.read();
  const std::uint64_t first = last_number(bench, dial);

  bench.hear(dial, refused(first, ErrorCode::not_leader, 100ms));
  bench.pass(90ms);
  EXPECT_EQ(last_number(bench, dial), first);
  bench.pass(200ms);
  ASSERT_NE(last_number(bench, dial), first);
  bench.hear(dial, reached(last_number(bench, dial), 7));

  EXPECT_EQ(bench.read_verdict(call), "index 7");
}

TEST(ReadBarriers, RefusalThatStaysIsTheEnd) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.read();

  bench.hear(dial, refused(last_number(bench, dial), ErrorCode::not_allowed, 0ms));

  EXPECT_EQ(bench.read_verdict(call), "not_allowed/none");
}

TEST(ReadBarriers, DeadlineNamesTheLastRefusal) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId call = bench.read(50ms);

  bench.hear(dial, refused(last_number(bench, dial), ErrorCode::no_leader, 100ms));
  bench.pass(60ms);

  EXPECT_EQ(bench.read_verdict(call), "no_leader/none");
}

TEST(ReadBarriers, DeadlineSaysWhatWasMissing) {
  Bench nobody;
  const CallId without_server = nobody.read(1s);
  nobody.pass(2s);
  EXPECT_EQ(nobody.read_verdict(without_server), "no_server/none");

  Bench leaderless;
  const DialId dial = leaderless.admit_last();
  leaderless.hear(dial, wire::ServerHeartbeat{at(100), ""});
  const CallId without_leader = leaderless.read(1s);
  leaderless.pass(1100ms);
  EXPECT_EQ(leaderless.read_verdict(without_leader), "no_leader/none");
  EXPECT_TRUE(leaderless.sent<ReadBarrier>(dial).empty()) << "held back until there is a leader";

  Bench silent;
  silent.admit_last();
  const CallId without_answer = silent.read(1s);
  silent.pass_alive(1100ms);
  EXPECT_EQ(silent.read_verdict(without_answer), "timed_out/none");

  const CallId late = silent.read(0s);
  EXPECT_EQ(silent.read_verdict(late), "timed_out/none");
}

TEST(ReadBarriers, ServerThatKnowsNoneIsNotAsked) {
  Bench bench;
  bench.features = wire::feature_rooms;
  const DialId dial = bench.admit_last();

  const CallId call = bench.read();

  EXPECT_EQ(bench.read_verdict(call), "version_unsupported/none");
  EXPECT_TRUE(bench.sent<ReadBarrier>(dial).empty());
}

TEST(ReadBarriers, StopAndCancelEndThem) {
  Bench bench;
  const DialId dial = bench.admit_last();
  const CallId cancelled = bench.read();
  const CallId stopped = bench.read();

  bench.step(CancelCall{cancelled});
  EXPECT_EQ(bench.read_verdict(cancelled), "cancelled/none");
  bench.hear(dial, reached(bench.sent<ReadBarrier>(dial)[0].number, 7));
  bench.step(Stop{});

  EXPECT_EQ(bench.read_verdict(stopped), "stopped/none");
  EXPECT_EQ(bench.read_verdict(bench.read()), "stopped/none");
}

TEST(ReadBarriers, FewQuestionsAreUnderWayHoweverManyCalls) {
  Bench bench;
  const DialId dial = bench.admit_last();
  std::vector<CallId> calls;
  for (int i = 0; i < 200; ++i) calls.push_back(bench.read());
  const std::size_t asked = bench.sent<ReadBarrier>(dial).size();
  EXPECT_EQ(asked, 64U);

  for (std::size_t i = 0; i < asked; ++i) {
    bench.hear(dial, reached(bench.sent<ReadBarrier>(dial)[i].number, 7));
  }
  bench.hear(dial, reached(last_number(bench, dial), 8));

  EXPECT_EQ(bench.read_verdict(calls[0]), "index 7");
  EXPECT_EQ(bench.read_verdict(calls.back()), "index 8") << "all that waited share the next one";
}

TEST(ReadBarriers, TooManyCallsAreBusy) {
  Bench bench;
  std::vector<Input> turn;
  for (std::uint64_t i = 1; i <= 65'537; ++i) {
    turn.emplace_back(BarrierCall{CallId(i), bench.now + 1s});
  }

  bench.step_all(std::move(turn));

  EXPECT_EQ(bench.read_verdict(CallId(65'536)), "pending");
  EXPECT_EQ(bench.read_verdict(CallId(65'537)), "busy/none");
}

}  // namespace
}  // namespace kuilt::client
