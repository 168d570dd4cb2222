// What `kuilt serve` refuses before it takes part in anything, and where its settings come from.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "tests/cli/process.hpp"
#include "tests/server/notify_socket.hpp"

namespace kuilt::cli {
namespace {

using testing::HasSubstr;

/// Somebody else's listener on a free port.
class TakenPort {
 public:
  TakenPort() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(socket_, raw, size), 0);
    EXPECT_EQ(::listen(socket_, 1), 0);
    EXPECT_EQ(::getsockname(socket_, raw, &size), 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  TakenPort(const TakenPort&) = delete;
  TakenPort& operator=(const TakenPort&) = delete;
  ~TakenPort() { ::close(socket_); }
  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  int socket_;
  std::string address_;
};

/// `kuilt serve` with these flags, in a folder and on ports of its own where they say nothing else.
std::vector<std::string> serve_on(const TemporaryFolder& folder,
                                  const std::vector<std::string>& flags) {
  const std::vector<std::pair<std::string, std::string>> usual = {{"--data", folder / "data"},
                                                                  {"--listen", "127.0.0.1:0"},
                                                                  {"--peer-listen", "127.0.0.1:0"},
                                                                  {"--admin-listen", ""}};
  std::vector<std::string> line = {"serve"};
  line.insert(line.end(), flags.begin(), flags.end());
  for (const auto& [flag, value] : usual) {
    if (std::find(flags.begin(), flags.end(), flag) != flags.end()) continue;
    line.insert(line.end(), {flag, value});
  }
  return line;
}

/// The same, for a process that goes on.
std::vector<std::string> running(std::vector<std::string> line) {
  line.insert(line.begin(), KUILT_BINARY);
  return line;
}

void expect_refused(const Outcome& outcome, const std::string& code, const std::string& says) {
  EXPECT_EQ(outcome.status, 2) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("error " + code));
  EXPECT_THAT(outcome.err, HasSubstr(says));
}

TEST(Serve, SeveralListenersFrontOneServer) {
  const TemporaryFolder folder;
  Process server(running(serve_on(folder, {"--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0"})));
  ASSERT_TRUE(server.await_error("clients are admitted at ws://127.0.0.1:"));
  ASSERT_TRUE(server.await_error("clients are admitted at ws://127.0.0.2:"));
  ASSERT_TRUE(server.await_error("ready: leader"));
  const auto url_at = [&](const std::string& host) {
    const std::size_t begin = server.errors().find("admitted at ws://" + host) + 12;
    return server.errors().substr(begin, server.errors().find('\n', begin) - begin);
  };

  EXPECT_EQ(kuilt({"propose", "-e", url_at("127.0.0.1"), "through the first"}).status, 0);
  const Outcome seen = kuilt({"observe", "-e", url_at("127.0.0.2"), "--count", "1"});

  EXPECT_EQ(seen.status, 0) << seen.err;
  EXPECT_THAT(seen.out, HasSubstr("through the first"));
}

TEST(Serve, ListenersAreAlsoGivenByCommasAVariableOrAList) {
  const TemporaryFolder folder;
  const std::string wanted = R"(listen = ["127.0.0.1:1", "127.0.0.2:2"])";
  write_file(folder / "list.toml", wanted + "\n");
  const std::vector<std::string> print = {"serve", "--print-config"};
  std::vector<std::string> by_flag = print;
  by_flag.insert(by_flag.end(), {"--listen", "127.0.0.1:1,127.0.0.2:2"});
  std::vector<std::string> by_file = print;
  by_file.insert(by_file.end(), {"--config", folder / "list.toml"});

  const Outcome flag = kuilt(by_flag);
  const Outcome variable = kuilt(print, "", {"KUILT_LISTEN=127.0.0.1:1,127.0.0.2:2"});
  const Outcome file = kuilt(by_file);

  EXPECT_THAT(flag.out, HasSubstr(R"(listen = ["127.0.0.1:1,127.0.0.2:2"])")) << flag.err;
  EXPECT_THAT(variable.out, HasSubstr(wanted)) << variable.err;
  EXPECT_THAT(file.out, HasSubstr(wanted)) << file.err;
}

TEST(Serve, WithoutAnAddressForClientsIsRefused) {
  const TemporaryFolder folder;

  expect_refused(kuilt(serve_on(folder, {"--listen", ","})), "invalid_argument",
                 "--listen: \"\" is not HOST:PORT");
}

TEST(Serve, EachOfSeveralListenersIsChecked) {
  const TemporaryFolder folder;

  expect_refused(kuilt(serve_on(folder, {"--listen", "127.0.0.1:0", "--listen", "7400"})),
                 "invalid_argument", "--listen: \"7400\" is not HOST:PORT");
  expect_refused(kuilt(serve_on(folder, {"--listen", "127.0.0.1:0,7400"})), "invalid_argument",
                 "--listen: \"7400\" is not HOST:PORT");
  expect_refused(kuilt(serve_on(folder, {"--listen", "127.0.0.1:0,0.0.0.0:7400"})),
                 "invalid_argument", "--listen 0.0.0.0:7400");
}

TEST(Serve, APortInUseIsNamed) {
  const TemporaryFolder folder;
  const TakenPort taken;

  for (const char* flag : {"--listen", "--admin-listen"}) {
    const Outcome outcome = kuilt(serve_on(folder, {flag, taken.address()}));

    expect_refused(outcome, "address_in_use", taken.address());
  }
}

TEST(Serve, APeerPortInUseIsNamed) {
  const TemporaryFolder folder;
  const TakenPort taken;
  ASSERT_EQ(kuilt({"secret", "new", folder / "secret"}).status, 0);

  const Outcome outcome =
      kuilt(serve_on(folder, {"--found", "a=" + taken.address() + ",b=127.0.0.1:2", "--peer-listen",
                              taken.address(), "--secret-file", folder / "secret"}));

  expect_refused(outcome, "address_in_use", taken.address());
}

TEST(Serve, AFileInPlaceOfTheDirectoryIsRefused) {
  const TemporaryFolder folder;
  write_file(folder / "data", "not a directory");

  expect_refused(kuilt(serve_on(folder, {})), "directory_unwritable", folder / "data");
}

TEST(Serve, EachBadSettingIsNamedWithItsValue) {
  struct Case {
    std::vector<std::string> flags;
    std::string code;
    std::string says;
  };
  const TemporaryFolder folder;
  const std::string three = "a=127.0.0.1:1,b=127.0.0.1:2,c=127.0.0.1:3";
  const std::vector<Case> cases = {
      {{"--found", "a=127.0.0.1:1,a=127.0.0.1:2"}, "invalid_argument", "names \"a\" twice"},
      {{"--found", "b=127.0.0.1:1"}, "invalid_argument", "does not list this server"},
      {{"--found", "a"}, "usage", "\"a\" is not NAME=HOST:PORT"},
      {{"--found", three}, "invalid_argument", "kuilt secret new"},
      {{"--found", three, "--secret-file", folder / "none"}, "invalid_argument", "does not exist"},
      {{"--listen", "127.0.0.1"}, "invalid_argument", "is not HOST:PORT"},
      {{"--listen", "127.0.0.1:99999"}, "invalid_argument", "99999"},
      {{"--listen", "10.0.0.1:7400"}, "invalid_argument", "--insecure-clients"},
      {{"--name", "a b"}, "invalid_argument", "--name"},
      {{"--clients-max", "0"}, "invalid_argument", "--clients-max"},
      {{"--clients-max", "-5"}, "usage", "--clients-max"},
      {{"--election-min-ms", "10"}, "invalid_argument", "election"},
      {{"--config", folder / "none.toml"}, "usage", "none.toml"},
  };
  for (const Case& one : cases) {
    expect_refused(kuilt(serve_on(folder, one.flags)), one.code, one.says);
  }
}

TEST(Serve, ASecretThatOthersCanReadIsRefused) {
  const TemporaryFolder folder;
  ASSERT_EQ(kuilt({"secret", "new", folder / "secret"}).status, 0);
  ASSERT_EQ(::chmod((folder / "secret").c_str(), 0644), 0);

  const Outcome outcome = kuilt(serve_on(
      folder, {"--found", "a=127.0.0.1:1,b=127.0.0.1:2", "--secret-file", folder / "secret"}));

  expect_refused(outcome, "invalid_argument", "chmod 600");
}

TEST(Serve, TheServiceManagerHearsWhenItIsReadyWhoLeadsAndThatItStops) {
  const TemporaryFolder folder;
  const server::NotifySocket manager(folder / "notify");
  Process serving(running(serve_on(folder, {})), {"NOTIFY_SOCKET=" + (folder / "notify")});

  EXPECT_EQ(manager.next(), "READY=1");
  EXPECT_TRUE(manager.await("STATUS=ready: leader a, 1 of 1 linked"));
  serving.signal(SIGTERM);
  EXPECT_TRUE(manager.await("STOPPING=1"));

  EXPECT_EQ(serving.wait().status, 0);
}

TEST(Serve, AServiceManagerThatDoesNotListenIsNamedAndDoesNotStopIt) {
  const TemporaryFolder folder;
  Process serving(running(serve_on(folder, {})), {"NOTIFY_SOCKET=" + (folder / "nobody")});

  EXPECT_TRUE(serving.await_error("NOTIFY_SOCKET=" + (folder / "nobody")));
  EXPECT_TRUE(serving.await_error("ready: leader a"));
  serving.signal(SIGTERM);

  EXPECT_EQ(serving.wait().status, 0);
}

TEST(Config, FlagsComeBeforeEnvironmentBeforeFile) {
  const TemporaryFolder folder;
  write_file(folder / "a.toml", "name = \"file\"\ndata = \"file\"\nlisten = \"127.0.0.1:1\"\n");

  const Outcome outcome =
      kuilt({"serve", "--config", folder / "a.toml", "--name", "flag", "--print-config"}, "",
            {"KUILT_NAME=variable", "KUILT_DATA=variable"});

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("name = \"flag\""));
  EXPECT_THAT(outcome.out, HasSubstr("data = \"variable\""));
  EXPECT_THAT(outcome.out, HasSubstr("listen = [\"127.0.0.1:1\"]"));
}

TEST(Config, WhatIsPrintedCanBeReadBack) {
  const TemporaryFolder folder;
  const std::vector<std::string> flags = {"serve",
                                          "--name",
                                          "b",
                                          "--insecure-clients",
                                          "--allow-origin",
                                          "https://a.example",
                                          "--listen",
                                          "10.0.0.1:7400",
                                          "--listen",
                                          "127.0.0.1:7400",
                                          "--print-config"};
  const Outcome printed = kuilt(flags);
  write_file(folder / "b.toml", printed.out);

  const Outcome again = kuilt({"serve", "--config", folder / "b.toml", "--print-config"});

  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(again.out, printed.out);
  EXPECT_THAT(printed.out, HasSubstr("https://a.example"));
}

TEST(Config, AnUnknownKeyOrAValueOfTheWrongKindIsRefused) {
  const TemporaryFolder folder;
  write_file(folder / "key.toml", "listn = \"127.0.0.1:1\"\n");
  write_file(folder / "value.toml", "clients-max = \"many\"\n");
  write_file(folder / "shape.toml", "name = [[[\n");

  const Outcome key = kuilt({"serve", "--check-config", "--config", folder / "key.toml"});
  const Outcome value = kuilt({"serve", "--check-config", "--config", folder / "value.toml"});
  const Outcome shape = kuilt({"serve", "--check-config", "--config", folder / "shape.toml"});

  expect_refused(key, "usage", "unknown key \"listn\"");
  expect_refused(value, "usage", "many");
  expect_refused(shape, "usage", "line 1: ");
}

}  // namespace
}  // namespace kuilt::cli
