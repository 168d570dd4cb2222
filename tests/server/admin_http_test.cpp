// The admin listener, over real sockets.
#include "server/admin_http.hpp"

#include <array>
#include <chrono>
#include <optional>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

namespace kuilt::server {
namespace {

namespace net = boost::asio;
using net::ip::tcp;
using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class AdminHttpTest : public ::testing::Test {
 protected:
  ~AdminHttpTest() override {
    http_.reset();
    io_.restart();
    io_.run_for(5s);
    EXPECT_TRUE(io_.stopped()) << "something is still pending on the event loop";
  }

  void serve(AdminLimits limits = {}) {
    AdminHandlers handlers;
    handlers["/healthz"] = [](const std::string&) { return AdminReply{200, "text/plain", "ok\n"}; };
    handlers["/readyz"] = [](const std::string&) {
      return AdminReply{503, "text/plain", "no leader\n"};
    };
    handlers["/echo"] = [](const std::string& query) {
      return AdminReply{200, "application/json", query};
    };
    AdminOperations operations;
    operations["/act"] = [this](const std::string& query, AdminDone done) {
      orders_.push_back(query);
      if (query == "never") {
        unanswered_ = std::move(done);
      } else {
        std::thread([done = std::move(done)] { done({200, "text/plain", "done\n"}); }).join();
      }
    };
    auto http =
        AdminHttp::open(io_.get_executor(), "127.0.0.1:0", handlers, std::move(limits), operations);
    ASSERT_TRUE(http) << http.error().message();
    http_ = *std::move(http);
  }

  tcp::socket raw() {
    tcp::socket socket(io_);
    socket.connect(tcp::endpoint(net::ip::make_address("127.0.0.1"), http_->port()));
    return socket;
  }
  static void say(tcp::socket& socket, std::string_view text) {
    net::write(socket, net::buffer(text.data(), text.size()));
  }
  /// What arrives until it ends with `end`, or until the server closes.
  std::string hear(tcp::socket& socket, const std::string& end = "never said") {
    std::string heard;
    std::array<char, 4096> chunk{};
    bool over = false;
    std::function<void()> read_some = [&] {
      socket.async_read_some(net::buffer(chunk),
                             [&](const boost::system::error_code& ec, std::size_t size) {
                               heard.append(chunk.data(), size);
                               over = ec || heard.ends_with(end);
                               if (!over) read_some();
                             });
    };
    read_some();
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!over && std::chrono::steady_clock::now() < deadline) {
      io_.restart();
      io_.run_one_for(20ms);
    }
    EXPECT_TRUE(over) << "waited in vain after: " << heard;
    return heard;
  }
  std::string ask(const std::string& first_line, const std::string& headers = "Host: localhost\r\n",
                  const std::string& body = "") {
    tcp::socket socket = raw();
    say(socket, first_line + "\r\n" + headers + "Connection: close\r\n\r\n" + body);
    return hear(socket);
  }
  std::string get(const std::string& target, const std::string& host = "localhost") {
    return ask("GET " + target + " HTTP/1.1", "Host: " + host + "\r\n");
  }

  net::io_context io_;
  std::unique_ptr<AdminHttp> http_;
  std::vector<std::string> orders_;
  AdminDone unanswered_;
};

TEST_F(AdminHttpTest, AHandlerAnswersItsPath) {
  serve();

  EXPECT_THAT(get("/healthz"),
              AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("Content-Type: text/plain\r\n"),
                    HasSubstr("Content-Length: 3\r\n"), EndsWith("\r\n\r\nok\n")));
  EXPECT_THAT(get("/readyz"), AllOf(StartsWith("HTTP/1.1 503"), EndsWith("no leader\n")));
}

TEST_F(AdminHttpTest, TheQueryReachesTheHandlerAsItWasSent) {
  serve();

  EXPECT_THAT(get("/echo?a=1&b=%20"), EndsWith("\r\n\r\na=1&b=%20"));
  EXPECT_THAT(get("/echo?"), EndsWith("\r\n\r\n"));
  EXPECT_THAT(get("/echo"), StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminHttpTest, AnUnknownPathListsTheKnownOnes) {
  serve();

  for (const std::string path : {"/", "/health", "/healthz/", "http://localhost/healthz", "*"}) {
    EXPECT_THAT(get(path), AllOf(StartsWith("HTTP/1.1 404"), HasSubstr("There is no " + path),
                                 HasSubstr("/echo, /healthz, /readyz")));
  }
}

TEST_F(AdminHttpTest, OnlyGetIsServed) {
  serve();

  for (const std::string method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    EXPECT_THAT(ask(method + " /healthz HTTP/1.1"),
                AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("Allow: GET\r\n"),
                      HasSubstr("/echo, /healthz, /readyz")));
  }
}

TEST_F(AdminHttpTest, AnOrderIsCarriedOutAndAnsweredFromAnyThread) {
  serve();

  EXPECT_THAT(ask("POST /act?to=b HTTP/1.1"),
              AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), EndsWith("\r\n\r\ndone\n")));
  EXPECT_THAT(ask("POST /act HTTP/1.1", "Host: localhost\r\nContent-Length: 0\r\n"),
              StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(orders_, ::testing::ElementsAre("to=b", ""));
}

TEST_F(AdminHttpTest, AnOrderIsAPostAndNothingElse) {
  serve();

  for (const std::string method : {"GET", "PUT", "OPTIONS"}) {
    EXPECT_THAT(ask(method + " /act HTTP/1.1"),
                AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("Allow: POST\r\n"),
                      HasSubstr("/readyz, POST /act")));
  }
  EXPECT_TRUE(orders_.empty());
}

TEST_F(AdminHttpTest, AnOrderOfAPageInABrowserIsRefused) {
  serve();
  const std::string host = "Host: localhost\r\n";

  EXPECT_THAT(ask("POST /act HTTP/1.1", host + "Origin: http://evil.example\r\n"),
              AllOf(StartsWith("HTTP/1.1 403"), HasSubstr("page in a browser (Origin)")));
  EXPECT_THAT(ask("POST /act HTTP/1.1", host + "Origin: null\r\n"), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(ask("POST /act HTTP/1.1", host + "Origin: http://localhost\r\n"),
              StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(ask("POST /act HTTP/1.1", host + "Sec-Fetch-Site: cross-site\r\n"),
              AllOf(StartsWith("HTTP/1.1 403"), HasSubstr("(Sec-Fetch-Site)")));
  EXPECT_THAT(ask("POST /act HTTP/1.1", "Host: evil.example\r\n"),
              AllOf(StartsWith("HTTP/1.1 403"), HasSubstr("not a name of this server")));
  EXPECT_TRUE(orders_.empty());
  EXPECT_THAT(ask("POST /act HTTP/1.1", host), StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminHttpTest, AnOrderThatDoesNotEndIsAnsweredInTimeAndOnce) {
  AdminLimits limits;
  limits.operation_timeout = 20ms;
  serve(limits);

  EXPECT_THAT(ask("POST /act?never HTTP/1.1"),
              AllOf(StartsWith("HTTP/1.1 504"), HasSubstr("it may yet")));
  unanswered_({200, "text/plain", "late\n"});
  EXPECT_THAT(get("/healthz"), StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminHttpTest, AnOrderMayEndWhenNobodyIsThereAnyMore) {
  serve();
  tcp::socket client = raw();
  say(client, "POST /act?never HTTP/1.1\r\nHost: localhost\r\n\r\n");
  while (orders_.empty()) io_.run_one();

  http_.reset();
  unanswered_({200, "text/plain", "late\n"});

  EXPECT_EQ(hear(client), "");
}

TEST_F(AdminHttpTest, ABodyIsRefused) {
  serve();

  EXPECT_THAT(ask("GET /healthz HTTP/1.1", "Host: localhost\r\nContent-Length: 3\r\n", "abc"),
              AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("with a body")));
}

TEST_F(AdminHttpTest, OnlyNamesThatAreOursPass) {
  AdminLimits limits;
  limits.allowed_hosts = {"ops.example"};
  serve(limits);

  for (const std::string host : {"localhost:7402", "127.0.0.1", "[::1]:7402", "ops.example:80"}) {
    EXPECT_THAT(get("/healthz", host), StartsWith("HTTP/1.1 200")) << host;
  }
  for (const std::string host : {"evil.example", "localhost.evil.example", "10.0.0.1", ""}) {
    EXPECT_THAT(get("/healthz", host),
                AllOf(StartsWith("HTTP/1.1 403"), HasSubstr("The Host \"" + host + "\"")));
  }
  EXPECT_THAT(ask("GET /healthz HTTP/1.1", ""), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(ask("GET /healthz HTTP/1.1", "Host: localhost\r\nHost: localhost\r\n"),
              StartsWith("HTTP/1.1 403"));
}

TEST_F(AdminHttpTest, AConnectionServesManyRequestsEvenSentAtOnce) {
  serve();
  tcp::socket socket = raw();
  const std::string request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

  say(socket, request);
  EXPECT_THAT(hear(socket, "ok\n"), StartsWith("HTTP/1.1 200"));
  say(socket, request + "GET /echo?done HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(hear(socket, "done"), HasSubstr("ok\nHTTP/1.1 200"));
}

TEST_F(AdminHttpTest, GarbageAndLongHeadersAreAnsweredAndClosed) {
  serve();
  tcp::socket garbage = raw();
  say(garbage, "\x16\x03\x01 no HTTP\r\n\r\n");
  tcp::socket endless = raw();
  say(endless, "GET /healthz HTTP/1.1\r\nX-Long: " + std::string(9'000, 'x') + "\r\n\r\n");

  EXPECT_THAT(hear(garbage), AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("not HTTP")));
  EXPECT_THAT(hear(endless), StartsWith("HTTP/1.1 431"));
}

TEST_F(AdminHttpTest, ASilentConnectionIsClosed) {
  AdminLimits limits;
  limits.request_timeout = 50ms;
  serve(limits);
  tcp::socket silent = raw();
  say(silent, "GET /hea");

  EXPECT_EQ(hear(silent), "");
}

TEST_F(AdminHttpTest, ConnectionsOverTheLimitAreClosedAndPlacesComeFree) {
  AdminLimits limits;
  limits.connections_max = 1;
  serve(limits);
  {
    tcp::socket first = raw();
    say(first, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ASSERT_THAT(hear(first, "ok\n"), StartsWith("HTTP/1.1 200"));
    tcp::socket second = raw();
    EXPECT_EQ(hear(second), "");
  }
  io_.restart();
  io_.run_for(50ms);

  EXPECT_THAT(get("/healthz"), StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminHttpTest, StoppingClosesTheListenerAndEveryConnection) {
  serve();
  tcp::socket idle = raw();
  say(idle, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_THAT(hear(idle, "ok\n"), StartsWith("HTTP/1.1 200"));

  http_->stop();
  EXPECT_EQ(hear(idle), "");

  boost::system::error_code ec;
  tcp::socket late(io_);
  late.connect(tcp::endpoint(net::ip::make_address("127.0.0.1"), http_->port()), ec);
  EXPECT_EQ(ec, net::error::connection_refused);
}

TEST_F(AdminHttpTest, AnAddressInUseIsNamed) {
  serve();

  const auto second = AdminHttp::open(io_.get_executor(), http_->address(), {});

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::address_in_use);
  EXPECT_THAT(second.error().message(), HasSubstr(http_->address()));
}

}  // namespace
}  // namespace kuilt::server
