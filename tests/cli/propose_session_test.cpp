// `kuilt propose --session`: what a crash of the command, or of the cluster, does not repeat.
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/cli/process.hpp"
#include "tests/cli/servers.hpp"

namespace kuilt::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

/// All commands of the log; the last is "end".
std::vector<std::string> log_of(const Servers& servers) {
  const Outcome end = kuilt({"propose", "end", "-e", servers.urls(), "-o", "json"});
  const std::string last = std::to_string(last_index_in(end.out));
  return commands_in(kuilt({"observe", "-e", servers.urls(), "--until", last}).out);
}

TEST(ProposeSession, ACommandOfUnknownOutcomeIsRepeatedAndHappensOnce) {
  Servers servers(3);
  const TemporaryFolder folder;
  const std::string session = folder.path() + "/mine";
  const std::size_t leader = servers.leader();
  const std::string url = "ws://" + servers->servers().at(leader).client_address;
  for (const std::size_t other : {(leader + 1) % 3, (leader + 2) % 3}) {
    servers->signal(other, SIGKILL).or_throw();
  }
  const Outcome lost =
      kuilt({"propose", "once", "--session", session, "--deadline", "1500ms", "-e", url});
  ASSERT_EQ(lost.status, 4) << lost.err;
  for (const std::size_t other : {(leader + 1) % 3, (leader + 2) % 3}) {
    servers->start(other).or_throw();
  }

  const Outcome again = kuilt({"propose", "once", "--session", session, "-e", servers.urls()});

  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("left by an earlier run: committed "));
  EXPECT_THAT(again.out, HasSubstr("duplicate of "));
  const std::vector<std::string> log = log_of(servers);
  EXPECT_EQ(std::ranges::count(log, "once"), 1);
}

TEST(ProposeSession, WhatAKilledRunLeftIsFinishedBeforeAnythingElse) {
  Servers servers(1);
  const TemporaryFolder folder;
  const std::string session = folder / "mine";
  Process killed({KUILT_BINARY, "propose", "-", "--session", session, "-e", servers.urls()});
  killed.write("seen\n");
  ASSERT_TRUE(killed.await_output("committed"));
  servers->signal(0, SIGSTOP).or_throw();
  killed.write("left\n");
  ASSERT_TRUE(await([&] { return read_file(session).find("left") != std::string::npos; }));
  killed.signal(SIGKILL);
  killed.wait();
  servers->signal(0, SIGCONT).or_throw();

  const Outcome next = kuilt({"propose", "next", "--session", session, "-e", servers.urls()});

  EXPECT_EQ(next.status, 0) << next.err;
  EXPECT_THAT(next.err, HasSubstr("left by an earlier run: committed "));
  EXPECT_THAT(log_of(servers), ElementsAre("seen", "left", "next", "end"));
}

TEST(ProposeSession, WhatAFailedRunDidNotComeToIsLeftForTheNext) {
  Servers servers(1);
  const TemporaryFolder folder;
  const std::vector<std::string> propose_lines = {KUILT_BINARY,    "propose",     "-", "--session",
                                                  folder / "mine", "--in-flight", "1", "-e",
                                                  servers.urls()};
  Process killed(propose_lines);
  killed.write("seen\n");
  ASSERT_TRUE(killed.await_output("committed"));
  servers->signal(0, SIGSTOP).or_throw();
  killed.write("left\n");
  const std::string session = folder / "mine";
  ASSERT_TRUE(await([&] { return read_file(session).find("left") != std::string::npos; }));
  killed.signal(SIGKILL);
  killed.wait();
  servers->signal(0, SIGCONT).or_throw();

  Process failed(propose_lines);
  failed.write(std::string(std::size_t{2} << 20, 'x') + "\nleft\n");
  failed.close_input();
  ASSERT_EQ(failed.wait().status, 1) << "its first command is too large";
  const Outcome next = kuilt({"propose", "left", "--session", session, "-e", servers.urls()});

  EXPECT_EQ(next.status, 0) << next.err;
  EXPECT_THAT(next.out, HasSubstr("duplicate of "));
  EXPECT_THAT(log_of(servers), ElementsAre("seen", "left", "end"));
}

TEST(ProposeSession, WhatHasAnOutcomeIsProposedAnewByTheNextRun) {
  Servers servers(1);
  const TemporaryFolder folder;
  const std::vector<std::string> words = {"propose",       "tick", "--session",
                                          folder / "mine", "-e",   servers.urls()};
  ASSERT_EQ(kuilt(words).status, 0);

  EXPECT_EQ(kuilt(words).status, 0);

  EXPECT_THAT(log_of(servers), ElementsAre("tick", "tick", "end"));
}

TEST(ProposeSession, IsRefusedToASecondProcess) {
  Servers servers(1);
  const TemporaryFolder folder;
  const std::string session = folder / "mine";
  Process first({KUILT_BINARY, "propose", "-", "--session", session, "-e", servers.urls()});
  first.write("held\n");
  ASSERT_TRUE(first.await_output("committed"));

  const Outcome second = kuilt({"propose", "x", "--session", session, "-e", servers.urls()});

  EXPECT_EQ(second.status, 2) << second.err;
  EXPECT_THAT(second.err, HasSubstr("error session_locked"));
}

/// A session is unknown to a log that is older than it: here, that of a server whose data somebody
/// puts back from a copy.
class OlderLog {
 public:
  explicit OlderLog(Servers& servers) : servers_(servers) {
    servers->signal(0, SIGTERM).or_throw();
    fs::copy(data_, folder_ / "copy", fs::copy_options::recursive);
    servers->start(0).or_throw();
    const std::string many = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
    EXPECT_EQ(kuilt({"propose", "-", "-e", servers.urls()}, many).status, 0);
  }
  void put_back() {
    servers_->signal(0, SIGTERM).or_throw();
    fs::remove_all(data_);
    fs::rename(folder_ / "copy", data_);
    servers_->start(0).or_throw();
  }

 private:
  Servers& servers_;
  const TemporaryFolder folder_;
  const std::string data_ = servers_->servers().front().data;
};

TEST(ProposeSession, ThatTheClusterDoesNotKnowAnyMoreEndsWithStatus5AndGoesOnAsAnother) {
  Servers servers(1);
  OlderLog older(servers);
  const TemporaryFolder folder;
  const std::string session = folder / "mine";
  ASSERT_EQ(kuilt({"propose", "kept", "--session", session, "-e", servers.urls()}).status, 0);
  older.put_back();

  const Outcome outcome = kuilt({"propose", "x", "--session", session, "-e", servers.urls()});

  EXPECT_EQ(outcome.status, 5) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("error session_expired"));
  EXPECT_THAT(outcome.err, HasSubstr("goes on under a new session: repeat the command"));
  const Outcome again = kuilt({"propose", "x", "--session", session, "-e", servers.urls()});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(log_of(servers), ElementsAre("x", "end"));
}

TEST(ProposeSession, OfWhichACommandMayBeInALogThatIsNoMoreSaysWhichAndHowToGoOn) {
  Servers servers(1);
  OlderLog older(servers);
  const TemporaryFolder folder;
  const std::string session = folder / "it's mine";
  Process killed({KUILT_BINARY, "propose", "-", "--session", session, "-e", servers.urls()});
  ASSERT_TRUE(await([&] { return fs::exists(session); }));
  servers->signal(0, SIGSTOP).or_throw();
  killed.write("left\n");
  ASSERT_TRUE(await([&] {
    const std::string file = read_file(session);
    const std::size_t at = file.find("left");
    return at != std::string::npos && file.size() > at + 4;  // What follows says that it was sent.
  }));
  killed.signal(SIGKILL);
  killed.wait();
  servers->signal(0, SIGCONT).or_throw();
  older.put_back();

  const Outcome outcome = kuilt({"propose", "next", "--session", session, "-e", servers.urls()});

  EXPECT_EQ(outcome.status, 5) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("left by an earlier run: left: "));
  EXPECT_THAT(outcome.err, HasSubstr("can't say any more:\n  left\n"));
  EXPECT_THAT(outcome.err, HasSubstr("(rm '" + folder.path() + R"(/it'\''s mine')"));
  EXPECT_EQ(outcome.out, "");
  fs::remove(session);
  EXPECT_EQ(kuilt({"propose", "next", "--session", session, "-e", servers.urls()}).status, 0);
  EXPECT_THAT(log_of(servers), ElementsAre("next", "end"));
}

}  // namespace
}  // namespace kuilt::cli
