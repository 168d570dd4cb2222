// What a client can do wrong, to a server that is a process of its own: it is refused by name, and
// the server goes on serving others.
#include <chrono>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "cli/http_get.hpp"
#include "cli/local_cluster.hpp"
#include "tests/cli/process.hpp"
#include "tests/process/raw_link.hpp"

namespace kuilt::process_tests {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

/// One server that runs.
class Server {
 public:
  explicit Server(std::vector<std::string> flags = {})
      : cluster_(cli::LocalCluster::prepare({.binary = KUILT_BINARY,
                                             .directory = folder_.path(),
                                             .servers = 1,
                                             .extra_flags = std::move(flags)})
                     .or_throw()) {
    cluster_.start_all().or_throw();
    cluster_.await_leader(30s).or_throw();
  }
  [[nodiscard]] const std::string& address() const {
    return cluster_.servers().front().client_address;
  }
  [[nodiscard]] std::string url() const { return "ws://" + address(); }
  [[nodiscard]] std::string id_of(const std::string& what) const {
    const std::string status =
        cli::http_get(cluster_.servers().front().admin_address, "/status", 5s).or_throw();
    return nlohmann::json::parse(status).value(what, "");
  }
  void expect_serves() const {
    const auto outcome = cli::kuilt({"propose", "-e", url(), "well-behaved"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
  }

 private:
  cli::TemporaryFolder folder_;
  cli::LocalCluster cluster_;
};

// ---- What it says once the link is open

enum class Then { link_ends, link_lives };

struct Words {
  const char* name;
  std::vector<std::string> frames;
  std::string answer;  // Part of what the server says to that.
  Then then;
};
void PrintTo(const Words& words, std::ostream* out) { *out << words.name; }

const std::string hello = frame_of(R"({"hello":{"name":"bad"}})");
const std::string other_id = "00000000000000000000000000000007";
// They stand for the ids of the server, and are as long.
const std::string its_cluster(32, 'C');
const std::string its_history(32, 'H');
// RFC 6455, 7.4.1: message too big. The WebSocket layer says it before any frame of ours could.
const std::string too_big = "\x88\x02\x03\xf1";

const std::string close_frame("\x88\x80\0\0\0\0", 6);

std::string observe_from(const std::string& cluster, const std::string& history, int index) {
  return R"({"observe":{"from":{"cluster":")" + cluster + R"(","history":")" + history +
         R"(","index":)" + std::to_string(index) + R"(,"term":1,"digest":"0000000000000000"}}})";
}

std::string proposal_of(std::size_t bytes) {
  return R"({"propose":{"proposals":[{"number":1,"command":")" + std::string(bytes, 'x') +
         R"("}]}})";
}

std::vector<Words> all_words() {
  const std::string cut = proposal_of(10).substr(0, 40);
  return {
      {"NoHelloInTime", {}, "hello_timeout", Then::link_ends},
      {"NotAHello",
       {frame_of(R"({"observe":{"from":"start"}})")},
       "hello_expected",
       Then::link_ends},
      {"HelloOver4KiB",
       {frame_of(R"({"hello":{"token":")" + std::string(5000, 't') + R"("}})")},
       too_big,
       Then::link_ends},
      {"SecondHello", {hello, hello}, "bad_frame", Then::link_ends},
      {"VersionsThatDoNotMeet",
       {frame_of(R"({"hello":{"version_min":7,"version_max":9}})")},
       "version_unsupported",
       Then::link_ends},
      {"AnotherCluster",
       {frame_of(R"({"hello":{"cluster":")" + other_id + R"("}})")},
       "wrong_cluster",
       Then::link_ends},
      {"NotParseable", {hello, frame_of("{")}, "bad_frame", Then::link_ends},
      {"Truncated", {hello, frame_of(cut)}, "bad_frame", Then::link_ends},
      {"UnknownType", {hello, frame_of(R"({"vote":{}})")}, "bad_frame", Then::link_ends},
      {"BinaryFrameOnATextLink",
       {hello, frame_of("\x0a", Opcode::binary)},
       "this link carries text frames",
       Then::link_ends},
      {"FrameTooLong", {hello, frame_head(3 << 20)}, too_big, Then::link_ends},
      {"PlaceInAnotherCluster",
       {hello, frame_of(observe_from(other_id, its_history, 1))},
       "not_this_cluster",
       Then::link_lives},
      {"PlaceInAnotherHistory",
       {hello, frame_of(observe_from(its_cluster, other_id, 1))},
       "history_differs",
       Then::link_lives},
      {"PlaceAheadOfTheServer",
       {hello, frame_of(observe_from(its_cluster, its_history, 1'000'000))},
       R"("verdict":"behind")",
       Then::link_lives},
      {"CommandOverTheLimit",
       {hello, frame_of(proposal_of((1 << 20) + 1))},
       "command_too_large",
       Then::link_lives},
  };
}

class BadWords : public testing::TestWithParam<Words> {
 protected:
  static void SetUpTestSuite() { server = std::make_unique<Server>(); }
  static void TearDownTestSuite() { server.reset(); }
  static void put(std::string& text, const std::string& what, const std::string& value) {
    if (const auto at = text.find(what); at != std::string::npos) {
      text.replace(at, what.size(), value);
    }
  }
  static std::unique_ptr<Server> server;
};
std::unique_ptr<Server> BadWords::server;

TEST_P(BadWords, AreAnsweredByNameAndHarmNobodyElse) {
  RawLink link(server->address());
  link.say(UpgradeRequest{.host = server->address()}.text());
  ASSERT_TRUE(link.hears("HTTP/1.1 101"));

  for (std::string frame : GetParam().frames) {
    put(frame, its_cluster, server->id_of("cluster"));
    put(frame, its_history, server->id_of("history"));
    link.say(frame);
  }

  EXPECT_TRUE(link.hears(GetParam().answer)) << link.heard();
  if (GetParam().then == Then::link_ends) {
    link.say(close_frame);
    EXPECT_TRUE(link.hears_the_end());
  } else {
    link.say(frame_of(proposal_of(10)));
    EXPECT_TRUE(link.hears(R"("committed")")) << link.heard();
  }
  server->expect_serves();
}

INSTANTIATE_TEST_SUITE_P(All, BadWords, testing::ValuesIn(all_words()),
                         [](const auto& words) { return std::string(words.param.name); });

// ---- Where it says that it comes from

class BadClients : public testing::Test {
 protected:
  static std::string answer_to(const Server& server, const UpgradeRequest& request) {
    RawLink link(server.address());
    link.say(request.text());
    EXPECT_TRUE(link.hears("\r\n\r\n"));
    if (link.heard().starts_with("HTTP/1.1 101")) return link.heard();
    EXPECT_TRUE(link.hears_the_end());
    return link.heard();
  }
};

TEST_F(BadClients, AForeignOriginIsRefusedByNameAndAnAllowedOneIsNot) {
  const Server server({"--allow-origin", "https://app.example"});
  const std::string& own = server.address();

  const std::string foreign = answer_to(server, {own, "https://evil.example"});

  EXPECT_THAT(foreign, StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(foreign, HasSubstr("Kuilt-Error: origin_refused"));
  EXPECT_THAT(foreign, HasSubstr("\"https://evil.example\""));
  EXPECT_THAT(foreign, HasSubstr("--allow-origin"));
  for (const std::string& allowed :
       {std::string(), "http://" + own, std::string("https://app.example")}) {
    EXPECT_THAT(answer_to(server, {own, allowed}), StartsWith("HTTP/1.1 101")) << allowed;
  }
  server.expect_serves();
}

TEST_F(BadClients, AForeignHostIsRefusedByNameAndAnAllowedOneIsNot) {
  const Server server({"--allow-host", "kuilt.example"});

  const std::string foreign = answer_to(server, {"evil.example"});

  EXPECT_THAT(foreign, StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(foreign, HasSubstr("Kuilt-Error: not_allowed"));
  EXPECT_THAT(foreign, HasSubstr("\"evil.example\""));
  EXPECT_THAT(foreign, HasSubstr("--allow-host"));
  for (const std::string& allowed : {server.address(), std::string("kuilt.example:7400")}) {
    EXPECT_THAT(answer_to(server, {allowed}), StartsWith("HTTP/1.1 101")) << allowed;
  }
  server.expect_serves();
}

TEST_F(BadClients, OneTooManyIsToldSoAndServedOnceThereIsRoom) {
  const Server server({"--clients-max", "1"});
  auto first = std::make_unique<RawLink>(server.address());
  first->say(UpgradeRequest{.host = server.address()}.text());
  ASSERT_TRUE(first->hears("HTTP/1.1 101"));

  const std::string second = answer_to(server, {server.address()});
  const auto refused =
      cli::kuilt({"propose", "-e", server.url(), "--deadline", "1s", "one too many"});
  first.reset();

  EXPECT_THAT(second, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(second, HasSubstr("Kuilt-Error: too_many_clients"));
  EXPECT_EQ(refused.status, 3) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("no room for another link (at most 1, "));
  server.expect_serves();
}

}  // namespace
}  // namespace kuilt::process_tests
