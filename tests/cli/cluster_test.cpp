// The executable end to end: servers as processes, commands against them.
#include <signal.h>

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/cli/process.hpp"
#include "tests/cli/servers.hpp"

namespace kuilt::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(OneServer, WhatIsProposedIsObserved) {
  Servers servers(1);

  const Outcome proposed = kuilt({"propose", "-e", servers.urls(), "first", "second"});
  const Outcome observed = kuilt({"observe", "-e", servers.urls(), "--count", "2"});
  const Outcome status = kuilt({"status", "--admin", servers.admin()});

  EXPECT_EQ(proposed.status, 0) << proposed.err;
  EXPECT_THAT(proposed.out, StartsWith("committed "));
  EXPECT_THAT(proposed.out, HasSubstr(" term "));
  EXPECT_THAT(proposed.out, HasSubstr(" ms\n"));
  EXPECT_EQ(observed.status, 0) << observed.err;
  EXPECT_THAT(observed.out, HasSubstr("\ttester\tfirst\n"));
  EXPECT_EQ(commands_in(observed.out), (std::vector<std::string>{"first", "second"}));
  EXPECT_THAT(observed.err, HasSubstr("connected to a (ws://"));
  EXPECT_EQ(status.status, 0);
  EXPECT_THAT(status.out, HasSubstr("well: leader a"));
  EXPECT_THAT(status.out, testing::ContainsRegex("[0-9]+ MiB +[0-9.]+ [GT]iB"));
}

TEST(OneServer, LinesOfInputAreCommittedInTheirOrder) {
  Servers servers(1);
  std::string input;
  std::vector<std::string> wanted;
  for (int i = 1; i <= 500; ++i) {
    wanted.push_back("command " + std::to_string(i));
    input += wanted.back() + "\n";
  }

  const Outcome proposed = kuilt({"propose", "-", "-e", servers.urls()}, input);
  const Outcome observed = kuilt({"observe", "-e", servers.urls(), "--count", "500"});

  EXPECT_EQ(proposed.status, 0) << proposed.err;
  EXPECT_EQ(std::count(proposed.out.begin(), proposed.out.end(), '\n'), 500);
  EXPECT_EQ(commands_in(observed.out), wanted);
}

TEST(OneServer, AnyBytesComeBackUnharmed) {
  Servers servers(1);
  const std::string text = "caf\xc3\xa9\tand\\more";
  const std::string bytes = "\x01\xff";
  ASSERT_EQ(kuilt({"propose", "-e", servers.urls(), text, bytes}).status, 0);

  const Outcome lines = kuilt({"observe", "-e", servers.urls(), "--count", "2"});
  const Outcome json = kuilt({"observe", "-e", servers.urls(), "--count", "2", "-o", "json"});

  EXPECT_EQ(commands_in(lines.out),
            (std::vector<std::string>{"caf\xc3\xa9\\tand\\\\more", "\\x01\\xff"}));
  EXPECT_THAT(json.out, HasSubstr("\"command\":\"caf\xc3\xa9\\tand\\\\more\""));
  EXPECT_THAT(json.out, HasSubstr("\"command_base64\":\"Af8=\""));
}

TEST(OneServer, ACommandThatLooksLikeAListIsOneCommand) {
  Servers servers(1);
  const std::vector<std::string> odd = {"[1,2]", "[]", "{}", "%%"};

  std::vector<std::string> words = {"propose", "-e", servers.urls()};
  words.insert(words.end(), odd.begin(), odd.end());
  const Outcome proposed = kuilt(words);
  const Outcome observed = kuilt({"observe", "-e", servers.urls(), "--count", "4"});

  EXPECT_EQ(proposed.status, 0) << proposed.err;
  EXPECT_EQ(commands_in(observed.out), odd);
}

TEST(OneServer, ObserveBeginsAndEndsWhereItIsTold) {
  Servers servers(1);
  const Outcome proposed = kuilt({"propose", "-o", "json", "-e", servers.urls(), "1", "2", "3"});
  ASSERT_EQ(proposed.status, 0) << proposed.err;
  const int last = last_index_in(proposed.out);

  const Outcome middle = kuilt({"observe", "-e", servers.urls(), "--from", std::to_string(last - 1),
                                "--until", std::to_string(last - 1)});
  const Outcome all = kuilt({"observe", "-e", servers.urls(), "--until", std::to_string(last)});
  const Outcome past = kuilt({"observe", "-e", servers.urls(), "--until", "1"});

  EXPECT_EQ(middle.status, 0) << middle.err;
  EXPECT_EQ(commands_in(middle.out), (std::vector<std::string>{"2"}));
  EXPECT_EQ(all.status, 0) << "nothing follows that could end it";
  EXPECT_EQ(commands_in(all.out), (std::vector<std::string>{"1", "2", "3"}));
  EXPECT_EQ(past.status, 0);
  EXPECT_EQ(past.out, "") << "the first entry is not a command";
}

TEST(OneServer, AnObserverOfNowSeesOnlyWhatFollows) {
  Servers servers(1);
  ASSERT_EQ(kuilt({"propose", "-e", servers.urls(), "before"}).status, 0);
  Process observer({KUILT_BINARY, "observe", "--from", "now", "-e", servers.urls()});
  ASSERT_TRUE(observer.await_error("connected to a"));
  // The link is up; whether the feed has begun shows in what comes of it.
  for (int i = 0; i < 20 && !observer.has_output(); ++i) {
    ASSERT_EQ(kuilt({"propose", "-e", servers.urls(), "after"}).status, 0);
  }

  observer.signal(SIGINT);
  const Outcome outcome = observer.wait();

  EXPECT_EQ(outcome.status, 130);
  EXPECT_THAT(outcome.out, HasSubstr("\tafter\n"));
  EXPECT_THAT(outcome.out, testing::Not(HasSubstr("before")));
}

TEST(OneServer, APipeThatNobodyReadsIsACleanEnd) {
  Servers servers(1);
  Process observer({KUILT_BINARY, "observe", "-e", servers.urls()});
  ASSERT_TRUE(observer.await_error("connected to a"));

  observer.close_output();

  EXPECT_EQ(observer.wait().status, 0);
}

TEST(OneServer, ACommandOverTheLimitIsRefusedAndIsNotInTheLog) {
  Servers servers(1);
  const std::string huge(std::size_t{1} << 21, 'x');

  const Outcome outcome =
      kuilt({"propose", "-", "-e", servers.urls()}, "before\n" + huge + "\nafter\n");
  const Outcome observed = kuilt({"observe", "-e", servers.urls(), "--count", "1"});

  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("error command_too_large: line 2: "));
  EXPECT_EQ(commands_in(observed.out), (std::vector<std::string>{"before"}));
}

TEST(OneServer, AKillLosesNothingAndSigtermEndsWithStatus0) {
  Servers servers(1);
  ASSERT_EQ(kuilt({"propose", "-e", servers.urls(), "kept"}).status, 0);

  const auto killed = servers->signal(0, SIGKILL).or_throw();
  servers->start(0).or_throw();
  const Outcome observed = kuilt({"observe", "-e", servers.urls(), "--count", "1"});
  const auto drained = servers->signal(0, SIGTERM).or_throw();

  EXPECT_EQ(killed, 137);
  EXPECT_EQ(commands_in(observed.out), (std::vector<std::string>{"kept"}));
  EXPECT_EQ(drained, 0);
}

TEST(OneServer, ASecondServerOnItsDirectoryIsRefused) {
  Servers servers(1);

  const Outcome outcome =
      kuilt({"serve", "--data", servers->servers().front().data, "--listen", "127.0.0.1:0",
             "--peer-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"});

  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("error directory_locked"));
}

TEST(ThreeServers, AnObserverGoesOnElsewhereWhenItsServerIsKilled) {
  Servers servers(3);
  ASSERT_EQ(kuilt({"propose", "-e", servers.urls(), "one"}).status, 0);
  const std::string leader = servers->servers().at(servers.leader()).name;
  std::string urls = "ws://" + servers->servers().at(servers.leader()).client_address;
  urls += "," + servers.urls();
  Process observer({KUILT_BINARY, "observe", "--count", "2", "-e", urls});
  ASSERT_TRUE(observer.await_output("\tone\n"));

  servers->signal(servers.leader(), SIGKILL).or_throw();
  const Outcome proposed = kuilt({"propose", "-e", servers.urls(), "two"});
  const Outcome observed = observer.wait();

  EXPECT_EQ(proposed.status, 0) << proposed.err;
  EXPECT_EQ(observed.status, 0) << observed.err;
  EXPECT_EQ(commands_in(observed.out), (std::vector<std::string>{"one", "two"}));
  EXPECT_THAT(observed.err, HasSubstr("connected to " + leader));
  EXPECT_THAT(observed.err, HasSubstr(", nothing missed"));
}

TEST(ThreeServers, WithoutAMajorityAProposalWaitsToItsDeadlineAndSaysWhatIsKnown) {
  Servers servers(3);
  Process proposer({KUILT_BINARY, "propose", "-", "--deadline", "1500ms", "-e",
                    "ws://" + servers->servers().at(servers.leader()).client_address});
  proposer.write("kept\n");
  ASSERT_TRUE(proposer.await_output("committed "));

  servers->signal((servers.leader() + 1) % 3, SIGKILL).or_throw();
  servers->signal((servers.leader() + 2) % 3, SIGKILL).or_throw();
  proposer.write("lost?\n");
  const Outcome proposed = proposer.wait();
  const Outcome status = kuilt({"status", "--admin", servers.admin()});

  // It was sent to a leader that may find a majority again: whoever asks must not be told "no".
  EXPECT_EQ(proposed.status, 4) << proposed.err;
  EXPECT_THAT(proposed.err, HasSubstr("error unknown_outcome"));
  EXPECT_EQ(status.status, 8) << status.out;
  EXPECT_THAT(status.out, HasSubstr("degraded: "));
}

TEST(ThreeServers, OneThatMissesALinkIsDegradedThoughItAloneWasAsked) {
  Servers servers(3);
  const LocalServer& leader = servers->servers().at(servers.leader());
  const auto status = [&] { return kuilt({"status", "--admin", leader.admin_address}); };
  ASSERT_TRUE(await([&] { return status().status == 0; }));

  servers->signal((servers.leader() + 1) % 3, SIGKILL).or_throw();

  ASSERT_TRUE(await([&] { return status().status == 8; }));
  EXPECT_THAT(status().out, HasSubstr("but " + leader.name + " has links to 1 of 2 other servers"));
}

TEST(LocalClusterTest, WaitingForALeaderEndsWithTheWordsOfAServerThatEnded) {
  const TemporaryFolder folder;
  auto cluster =
      LocalCluster::prepare(
          {.binary = KUILT_BINARY, .directory = folder.path(), .servers = 1, .extra_flags = {}})
          .or_throw();
  write_file(cluster.servers().front().data, "a file in place of the directory");
  cluster.start_all().or_throw();

  const auto leader = cluster.await_leader(std::chrono::seconds(30));

  ASSERT_FALSE(leader);
  EXPECT_THAT(leader.error().message(),
              HasSubstr("server a ended with status 2: error directory_unwritable"));
}

TEST(LocalClusterTest, ADirectoryKeepsItsNumberOfServers) {
  const TemporaryFolder folder;
  LocalClusterOptions options{
      .binary = KUILT_BINARY, .directory = folder.path(), .servers = 3, .extra_flags = {}};
  const auto first = LocalCluster::prepare(options).or_throw();
  const auto again = LocalCluster::prepare(options).or_throw();
  options.servers = 5;

  const auto other = LocalCluster::prepare(options);

  EXPECT_EQ(first.endpoints(), again.endpoints());
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message(), HasSubstr("holds a cluster of 3 servers, not 5"));
}

}  // namespace
}  // namespace kuilt::cli
