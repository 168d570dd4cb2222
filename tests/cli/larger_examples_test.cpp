// The larger examples do what they say, together and badly used.
#include <chrono>
#include <csignal>
#include <string>
#include <variant>
#include <vector>

#include <gmock/gmock.h>

#include "kuilt/client.hpp"
#include "kuilt/server.hpp"
#include "tests/cli/process.hpp"

namespace kuilt::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::vector<std::string> example(const std::string& name, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), KUILT_EXAMPLE_DIR "/example_" + name);
  return arguments;
}

ServerCluster running(std::size_t voters) {
  auto cluster = ServerCluster::in_process({.voters = voters, .directory = ""}).or_throw();
  cluster.start().or_throw();
  return cluster;
}

TEST(LargerExamples, WhatIsSaidInARoomIsReadThereByAllAndByThoseWhoComeLate) {
  const auto cluster = running(3);
  const auto urls = cluster.endpoints().urls();
  Process ada(example("chat", {"ada", "kitchen", urls[0]}));
  Process elsewhere(example("chat", {"eve", "cellar", urls[1]}));

  ada.write("hello\n");
  ASSERT_TRUE(ada.await_output("ada: hello\n"));
  Process bob(example("chat", {"bob", "kitchen", urls[2], urls[0]}));
  ASSERT_TRUE(bob.await_output("ada: hello\n"));
  bob.write("hello, ada\n");
  ASSERT_TRUE(ada.await_output("bob: hello, ada\n"));
  elsewhere.write("nobody here\n");

  for (Process* process : {&ada, &bob, &elsewhere}) process->close_input();
  EXPECT_EQ(ada.wait().out, "ada: hello\nbob: hello, ada\n");
  EXPECT_EQ(bob.wait().out, "ada: hello\nbob: hello, ada\n");
  const Outcome alone = elsewhere.wait();
  EXPECT_EQ(alone.status, 0) << alone.err;
  EXPECT_EQ(alone.out, "eve: nobody here\n");
}

TEST(LargerExamples, AGameAnswersWithItsBoardAndRefusesIllegalMoves) {
  const TemporaryFolder folder;
  Process game(example("tictactoe", {"serve", "127.0.0.1:0", folder / "data"}));
  const std::string where = game.next_line().value_or("");
  ASSERT_THAT(where, StartsWith("the game is at "));
  const std::string url = where.substr(std::string("the game is at ").size());
  Process x(example("tictactoe", {"x", url}));
  Process o(example("tictactoe", {"o", url}));

  const auto moves = [](Process& player, const std::string& square, const std::string& answer) {
    player.write(square + "\n");
    EXPECT_TRUE(player.await_output(answer)) << player.output();
  };
  moves(o, "5", "no: it is the turn of x\n");
  moves(x, "ten", "no: say a square, 1 to 9\n");
  moves(x, "1", "x..\n...\n...\nthe turn of o\n");
  ASSERT_TRUE(o.await_output("x takes 1\n"));
  moves(o, "1", "no: that square is taken\n");
  moves(o, "5", "x..\n.o.\n...\nthe turn of x\n");
  moves(x, "2", "xx.\n.o.\n...\nthe turn of o\n");
  moves(o, "9", "xx.\n.o.\n..o\nthe turn of x\n");
  moves(x, "3", "xxx\n.o.\n..o\nx has won\n");
  moves(o, "4", "no: the game is over\n");

  game.signal(SIGTERM);
  EXPECT_EQ(game.wait().status, 0);
}

TEST(LargerExamples, AGameThatIsRestartedGoesOnWhereItWas) {
  const TemporaryFolder folder;
  const auto play_one = [&](const std::string& player, const std::string& square) {
    Process game(example("tictactoe", {"serve", "127.0.0.1:0", folder / "data"}));
    const std::string where = game.next_line().value_or("");
    Process process(example("tictactoe", {player, where.substr(where.find("ws://"))}));
    process.write(square + "\n");
    process.close_input();
    const std::string out = process.wait().out;
    game.signal(SIGKILL);
    game.wait();
    return out;
  };

  EXPECT_EQ(play_one("x", "1"), "x..\n...\n...\nthe turn of o\n");
  EXPECT_THAT(play_one("o", "9"), HasSubstr("x..\n...\n..o\nthe turn of x\n"));
}

TEST(LargerExamples, AdditionsOfACounterThatIsKilledCountOnce) {
  const auto cluster = running(1);
  const std::string url = cluster.endpoints().urls().front();
  const TemporaryFolder folder;
  auto watcher = ClusterClient::connect(cluster.endpoints()).or_throw();
  auto seen = watcher.observe(from_start, {.room = "counter"}).or_throw();
  Process killed(example("counter", {folder / "mine", "200", url}));
  while (true) {  // Until the first addition is in the log: all of them are recorded by then.
    const auto piece = seen.next_for(std::chrono::seconds(30));
    ASSERT_TRUE(piece.has_value());
    if (std::holds_alternative<Committed::Entry>(*piece)) break;
  }
  killed.signal(SIGKILL);
  killed.wait();

  const Outcome again = Process(example("counter", {folder / "mine", "5", url})).wait();
  const Outcome other = Process(example("counter", {folder / "other", "2", url})).wait();

  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("the counter is at 205\n"));
  EXPECT_EQ(other.out, "the counter is at 207\n") << other.err;
}

TEST(LargerExamples, SayHowTheyAreUsedToThoseWhoDoNotKnow) {
  const std::string nowhere = "ws://127.0.0.1:1";
  const std::vector<std::vector<std::string>> wrong = {
      example("chat", {}),
      example("chat", {"ada", "kitchen"}),
      example("tictactoe", {}),
      example("tictactoe", {"z", nowhere}),
      example("tictactoe", {"x"}),
      example("counter", {}),
      example("counter", {"file", "0", nowhere}),
      example("counter", {"file", "1001", nowhere}),
      example("counter", {"file", "one", nowhere}),
  };
  for (const auto& line : wrong) {
    const Outcome outcome = Process(line).wait();

    EXPECT_EQ(outcome.status, 2) << testing::PrintToString(line);
    EXPECT_THAT(outcome.err, StartsWith("usage: ")) << testing::PrintToString(line);
  }
}

TEST(LargerExamples, SayWhatIsWrongWithAnAddress) {
  for (const auto& line :
       {example("chat", {"ada", "kitchen", "here"}), example("tictactoe", {"x", "here"}),
        example("counter", {"file", "1", "here"})}) {
    const Outcome outcome = Process(line).wait();

    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.err, HasSubstr("invalid_argument")) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("here"));
  }
}

}  // namespace
}  // namespace kuilt::cli
