// Who gets in, who is refused and by what, and what a listener leaves behind.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <thread>

#include "tests/transport/ends.hpp"
#include "transport/acceptor.hpp"

namespace kuilt::transport::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// An upgrade request as a browser would send it, with every line open to change.
struct Ask {
  std::string first_line = "GET / HTTP/1.1";
  std::string host = "127.0.0.1";
  std::string origin;
  std::string subprotocol = "kuilt.v1";
  std::string more;
  bool upgrade = true;

  [[nodiscard]] std::string text() const {
    std::string out = first_line + "\r\n";
    if (!host.empty()) out += "Host: " + host + "\r\n";
    if (!origin.empty()) out += "Origin: " + origin + "\r\n";
    if (!subprotocol.empty()) out += "Sec-WebSocket-Protocol: " + subprotocol + "\r\n";
    if (upgrade) {
      out +=
          "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    }
    return out + more + "\r\n";
  }
};

class ListenerTest : public Loopback {
 protected:
  /// The HTTP answer: headers alone if it is 101, all of it otherwise.
  std::string answer_to(const std::string& request) {
    tcp::socket socket = raw();
    say(socket, request);
    return hear(socket, [](const std::string& heard) {
      return heard.starts_with("HTTP/1.1 101") && heard.ends_with("\r\n\r\n");
    });
  }
  std::string answer_to(const Ask& ask) { return answer_to(ask.text()); }
};

const auto admitted = StartsWith("HTTP/1.1 101");

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// ---- HTTP

TEST_F(ListenerTest, AnUpgradeWithAKnownSubprotocolIsAdmitted) {
  serve();

  EXPECT_THAT(answer_to(Ask{}), AllOf(admitted, HasSubstr("Sec-WebSocket-Protocol: kuilt.v1")));
}

TEST_F(ListenerTest, ThoseThatWaitAreAcceptedInOneTurnOfTheLoop) {
  serve();
  std::vector<tcp::socket> waiting;
  for (int i = 0; i < 20; ++i) waiting.push_back(raw());
  ASSERT_EQ(listener_->links(), 0U);

  io_.restart();
  io_.run_one();

  EXPECT_EQ(listener_->links(), 20U);
}

TEST_F(ListenerTest, TheListenersPreferenceDecidesBetweenSubprotocols) {
  AcceptRules two = rules();
  two.subprotocols = {"kuilt.v1", "kuilt.v1.json"};
  serve(two, {});
  Ask both;
  both.subprotocol = "kuilt.v1.json, kuilt.v1";
  Ask json;
  json.subprotocol = "kuilt.v1.json";

  EXPECT_THAT(answer_to(both), HasSubstr("Sec-WebSocket-Protocol: kuilt.v1\r\n"));
  EXPECT_THAT(answer_to(json), HasSubstr("Sec-WebSocket-Protocol: kuilt.v1.json\r\n"));
}

TEST_F(ListenerTest, AnUnknownSubprotocolIsRefusedNamingBothSides) {
  serve();
  Ask ask;
  ask.subprotocol = "chat, superchat";

  EXPECT_THAT(answer_to(ask),
              AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("Kuilt-Error: wrong_subprotocol"),
                    HasSubstr("chat, superchat"), HasSubstr("speaks kuilt.v1.")));
}

TEST_F(ListenerTest, NoSubprotocolIsRefusedToo) {
  serve();
  Ask ask;
  ask.subprotocol = "";

  EXPECT_THAT(answer_to(ask), HasSubstr("Kuilt-Error: wrong_subprotocol"));
}

TEST_F(ListenerTest, APlainGetIsToldWhatThisIs) {
  serve();
  Ask ask;
  ask.upgrade = false;

  EXPECT_THAT(answer_to(ask), AllOf(StartsWith("HTTP/1.1 426"), HasSubstr("Upgrade: websocket"),
                                    HasSubstr("kuilt observe")));
}

TEST_F(ListenerTest, AnotherMethodIsRefused) {
  serve();
  Ask ask;
  ask.first_line = "POST / HTTP/1.1";

  EXPECT_THAT(answer_to(ask), AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("Allow: GET")));
}

TEST_F(ListenerTest, ABodyIsRefused) {
  serve();
  Ask ask;
  ask.more = "Content-Length: 3\r\n";

  EXPECT_THAT(answer_to(ask.text() + "abc"),
              AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("has a body")));
}

TEST_F(ListenerTest, BytesAfterTheHeadersAreRefused) {
  serve();

  EXPECT_THAT(answer_to(Ask{}.text() + "\x82"), HasSubstr("bytes after its headers"));
}

TEST_F(ListenerTest, HeadersOverTheLimitAreRefused) {
  serve();
  Ask ask;
  ask.more = "X-Long: " + std::string(7 * 1024, 'x') + "\r\n";
  EXPECT_THAT(answer_to(ask), admitted);

  ask.more = "X-Long: " + std::string(8 * 1024, 'x') + "\r\n";
  EXPECT_THAT(answer_to(ask), AllOf(StartsWith("HTTP/1.1 431"), HasSubstr("8192 bytes")));
}

TEST_F(ListenerTest, GarbageInsteadOfHttpIsAnsweredAndClosed) {
  serve();

  EXPECT_THAT(answer_to("\x16\x03\x01 this is no HTTP\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("not HTTP")));
  EXPECT_TRUE(accepted_.empty());
}

TEST_F(ListenerTest, GarbageInsteadOfFramesIsABadFrame) {
  serve();
  tcp::socket socket = raw();
  say(socket, Ask{}.text());
  (void)hear(socket, [](const std::string& heard) { return heard.ends_with("\r\n\r\n"); });

  say(socket, std::string(64, '\xff'));
  run_until([&] { return !accepted_.empty() && accepted_.back()->closed; });

  EXPECT_EQ(accepted_.back()->code(), ErrorCode::bad_frame);
}

TEST_F(ListenerTest, AFrameThatIsNotMaskedIsABadFrame) {
  serve();
  tcp::socket socket = raw();
  say(socket, Ask{}.text());
  (void)hear(socket, [](const std::string& heard) { return heard.ends_with("\r\n\r\n"); });

  say(socket, std::string("\x82\x02hi", 4));
  run_until([&] { return !accepted_.empty() && accepted_.back()->closed; });

  EXPECT_EQ(accepted_.back()->code(), ErrorCode::bad_frame);
  EXPECT_TRUE(accepted_.back()->frames.empty());
}

TEST_F(ListenerTest, AMaskedFrameBySomeoneElsesHandIsDelivered) {
  serve();
  tcp::socket socket = raw();
  say(socket, Ask{}.text());
  (void)hear(socket, [](const std::string& heard) { return heard.ends_with("\r\n\r\n"); });

  say(socket, std::string("\x82\x82\0\0\0\0hi", 8));
  run_until([&] { return !accepted_.empty() && !accepted_.back()->frames.empty(); });

  EXPECT_EQ(accepted_.back()->frames.front(), "hi");
}

TEST_F(ListenerTest, ALengthWithTheTopBitSetEndsTheLinkAndNothingElse) {
  serve();
  tcp::socket socket = raw();
  say(socket, Ask{}.text());
  (void)hear(socket, [](const std::string& heard) { return heard.ends_with("\r\n\r\n"); });

  say(socket, std::string("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0hi", 16));
  run_until([&] { return !accepted_.empty() && accepted_.back()->closed; });

  EXPECT_THAT(*accepted_.back()->code(),
              ::testing::AnyOf(ErrorCode::bad_frame, ErrorCode::frame_too_large));
  EXPECT_THAT(answer_to(Ask{}), admitted);
}

// ---- Host

struct HostCase {
  std::string host;
  bool allowed;
};
class HostTest : public ListenerTest, public ::testing::WithParamInterface<HostCase> {};

TEST_P(HostTest, OnlyNamesThatAreOursPass) {
  AcceptRules named = rules();
  named.allowed_hosts = {"kuilt.example", "exact.example:7400"};
  serve(named, {});
  Ask ask;
  ask.host = GetParam().host;

  const std::string answer = answer_to(ask);

  if (GetParam().allowed) {
    EXPECT_THAT(answer, admitted);
  } else {
    EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 403"), HasSubstr("Kuilt-Error: not_allowed"),
                              HasSubstr("\"" + GetParam().host + "\""), HasSubstr("--allow-host")));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, HostTest,
    ::testing::Values(HostCase{"127.0.0.1:1234", true}, HostCase{"localhost", true},
                      HostCase{"LOCALHOST:80", true}, HostCase{"[::1]:7400", true},
                      HostCase{"kuilt.example", true}, HostCase{"Kuilt.Example:9999", true},
                      HostCase{"exact.example:7400", true}, HostCase{"exact.example:7401", false},
                      HostCase{"evil.example", false}, HostCase{"localhost.evil.example", false},
                      HostCase{"127.0.0.1.evil.example:7400", false},
                      HostCase{"kuilt.example.evil", false}, HostCase{"10.0.0.1", false},
                      HostCase{"[::2]", false}, HostCase{"[::1", true}));

TEST_F(ListenerTest, AnyHostPassesWhereEveryLinkProvesItself) {
  AcceptRules proven = rules();
  proven.any_host = true;
  serve(proven, {});
  Ask ask;
  ask.host = "another.example";

  EXPECT_THAT(answer_to(ask), admitted);
}

TEST_F(ListenerTest, ARequestWithoutHostIsRefused) {
  serve();
  Ask ask;
  ask.host = "";

  EXPECT_THAT(answer_to(ask), AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("0 Host headers")));
}

TEST_F(ListenerTest, TwoHostsAreRefused) {
  serve();
  Ask ask;
  ask.more = "Host: localhost\r\n";

  EXPECT_THAT(answer_to(ask), AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("2 Host headers")));
}

// ---- Origin

struct OriginCase {
  std::string host;
  std::string origin;
  bool allowed;
};
class OriginTest : public ListenerTest, public ::testing::WithParamInterface<OriginCase> {};

TEST_P(OriginTest, SameOriginOrExactlyAllowed) {
  AcceptRules picky = rules();
  picky.allowed_hosts = {"kuilt.example"};
  picky.allowed_origins = {"https://app.example", "null"};
  serve(picky, {});
  Ask ask;
  ask.host = GetParam().host;
  ask.origin = GetParam().origin;

  const std::string answer = answer_to(ask);

  if (GetParam().allowed) {
    EXPECT_THAT(answer, admitted);
  } else {
    EXPECT_THAT(answer,
                AllOf(StartsWith("HTTP/1.1 403"), HasSubstr("Kuilt-Error: origin_refused"),
                      HasSubstr("\"" + GetParam().origin + "\""), HasSubstr("--allow-origin")));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, OriginTest,
    ::testing::Values(OriginCase{"127.0.0.1:7400", "", true},
                      OriginCase{"127.0.0.1:7400", "http://127.0.0.1:7400", true},
                      OriginCase{"kuilt.example", "https://kuilt.example", true},
                      OriginCase{"kuilt.example:443", "https://kuilt.example", true},
                      OriginCase{"kuilt.example", "http://kuilt.example:80", true},
                      OriginCase{"127.0.0.1:7400", "https://app.example", true},
                      OriginCase{"127.0.0.1:7400", "http://127.0.0.1:3000", false},
                      OriginCase{"127.0.0.1:7400", "http://app.example", false},
                      OriginCase{"127.0.0.1:7400", "https://app.example:8443", false},
                      OriginCase{"127.0.0.1:7400", "https://app.example.evil", false},
                      OriginCase{"127.0.0.1:7400", "https://evil.example", false},
                      OriginCase{"127.0.0.1:7400", "ftp://127.0.0.1:7400", false},
                      OriginCase{"127.0.0.1:7400", "127.0.0.1:7400", false},
                      OriginCase{"127.0.0.1:7400", "null", false}));

TEST_F(ListenerTest, AnAbsentOriginIsRefusedWhereOneIsRequired) {
  AcceptRules strict = rules();
  strict.origin_required = true;
  serve(strict, {});
  Ask from_a_page;
  from_a_page.origin = "http://127.0.0.1";

  EXPECT_THAT(answer_to(Ask{}), AllOf(StartsWith("HTTP/1.1 403"), HasSubstr("has no Origin")));
  EXPECT_THAT(answer_to(from_a_page), admitted);
}

TEST_F(ListenerTest, TwoOriginsAreRefused) {
  serve();
  Ask ask;
  ask.origin = "http://127.0.0.1";
  ask.more = "Origin: http://127.0.0.1\r\n";

  EXPECT_THAT(answer_to(ask), HasSubstr("Kuilt-Error: origin_refused"));
}

// ---- How many

TEST_F(ListenerTest, OneLinkTooManyGets503AndTheNextFreePlaceIsGiven) {
  AcceptRules few = rules();
  few.links_max = 2;
  serve(few, {});
  const auto first = link();
  const auto second = link();
  EXPECT_EQ(listener_->links(), 2U);

  EXPECT_THAT(answer_to(Ask{}), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After: "),
                                      HasSubstr("Kuilt-Error: too_many_clients")));
  first->seam->close(1000, "makes room");
  run_until([&] { return listener_->links() == 1; });

  EXPECT_THAT(answer_to(Ask{}), admitted);
}

TEST_F(ListenerTest, OneAddressHasItsOwnLimit) {
  AcceptRules few = rules();
  few.links_per_address_max = 1;
  serve(few, {});
  const auto first = link();

  EXPECT_THAT(answer_to(Ask{}), StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(listener_->links(), 1U);
}

TEST_F(ListenerTest, TwoHundredLinksLeaveNoDescriptorBehind) {
  serve();
  (void)answer_to(Ask{});  // Whatever is opened once and for all, is.
  run_until([&] { return listener_->links() == 0; });
  const std::size_t before = open_descriptors();

  for (int i = 0; i < 200; ++i) {
    const auto client = link();
    if (i % 3 == 0) client->seam->close(1000, "in order");
    if (i % 3 == 1) client->seam->abort();
    if (i % 3 == 2) accepted_.back()->seam->close(1001, "from the other side");
  }
  run_until([&] {
    return std::all_of(dialed_.begin(), dialed_.end(),
                       [](const auto& end) { return end->closed.has_value(); });
  });
  run_until([&] { return listener_->links() == 0; });

  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(ListenerTest, WithoutDescriptorsAcceptingPausesAndGoesOn) {
  serve();
  tcp::socket patient(io_, tcp::v4());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none_left = before;
  none_left.rlim_cur = static_cast<rlim_t>(patient.native_handle()) + 1;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none_left), 0);

  patient.connect(tcp::endpoint(net::ip::make_address("127.0.0.1"), listener_->port()));
  say(patient, Ask{}.text());
  io_.restart();
  io_.run_for(250ms);
  const bool accepted_without = !accepted_.empty();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  run_until([&] { return !accepted_.empty(); });

  EXPECT_FALSE(accepted_without);
}

// ---- Stopping

TEST_F(ListenerTest, AStoppedListenerRefusesAtOnceAndOpenSeamsLiveOn) {
  serve();
  const auto client = link();

  listener_->stop();
  listener_->stop();
  const auto refused = try_dial();
  ASSERT_TRUE(client->seam->send(frame_of("still open")));
  run_until([&] { return !accepted_.back()->frames.empty(); });

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::no_server);
}

TEST_F(ListenerTest, StoppingEndsWhoHasNotAskedYet) {
  serve();
  tcp::socket silent = raw();
  say(silent, "GET / HT");
  run_until([&] { return listener_->links() == 1; });

  listener_->stop();

  EXPECT_EQ(hear_all(silent), "");
  EXPECT_EQ(listener_->links(), 0U);
  EXPECT_TRUE(accepted_.empty());
}

TEST_F(ListenerTest, SeamsRunOnTheExecutorsThatWereChosen) {
  net::io_context shard;
  auto work = net::make_work_guard(shard);
  std::thread thread([&] { shard.run(); });
  std::atomic<int> right{0};
  auto listener = listen(
      io_.get_executor(), "127.0.0.1:0", rules(), {},
      [&] { return net::any_io_executor(shard.get_executor()); },
      [&](const std::shared_ptr<Seam>& seam) {
        right += std::this_thread::get_id() == thread.get_id();
        seam->admit();
        SeamEvents events;
        events.on_frame = [seam = std::weak_ptr(seam)](const Bytes& frame) {
          if (const auto open = seam.lock()) (void)open->send({frame});
        };
        seam->start(std::move(events));
      });
  ASSERT_TRUE(listener);

  std::vector<std::shared_ptr<End>> clients;
  for (int i = 0; i < 10; ++i) {
    auto seam = try_dial_url((*listener)->address());
    ASSERT_TRUE(seam);
    clients.push_back(watch(*seam));
    ASSERT_TRUE(clients.back()->seam->send(frame_of("hello")));
  }
  run_until([&] {
    return std::all_of(clients.begin(), clients.end(),
                       [](const auto& end) { return end->frames.size() == 1; });
  });
  (*listener)->stop();
  for (const auto& client : clients) client->seam->close(1000, "");
  work.reset();
  run_until([&] {
    return std::all_of(clients.begin(), clients.end(),
                       [](const auto& end) { return end->closed.has_value(); });
  });
  thread.join();  // The shard has nothing left to do.

  EXPECT_EQ(right, 10);
}

TEST_F(ListenerTest, SeveralAddressesShareTheirRulesAndOneCountOfLinks) {
  AcceptRules two = rules();
  two.links_max = 2;
  serve(two, {}, {"127.0.0.1:0", "127.0.0.2:0"});
  ASSERT_EQ(listener_->addresses().size(), 2U);
  ASSERT_NE(listener_->addresses()[0], listener_->addresses()[1]);

  const auto first = try_dial_url(listener_->addresses()[0]);
  const auto second = try_dial_url(listener_->addresses()[1]);
  const auto third = try_dial_url(listener_->addresses()[0]);

  ASSERT_TRUE(first);
  ASSERT_TRUE(second);
  (*first)->abort();  // Nobody starts them, so nobody would hear that the other side has gone.
  (*second)->abort();
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code(), ErrorCode::too_many_clients);
  EXPECT_EQ(listener_->links(), 2U);
}

TEST_F(ListenerTest, StoppingClosesAllAddresses) {
  serve(rules(), {}, {"127.0.0.1:0", "127.0.0.1:0"});

  listener_->stop();

  for (const std::string& address : listener_->addresses()) {
    EXPECT_FALSE(try_dial_url(address)) << address;
  }
}

// ---- Errors of listen and dial

TEST_F(ListenerTest, WhenOneOfSeveralAddressesIsInUseNoneIsListenedOn) {
  serve();
  const std::string taken = listener_->address();
  std::string free;
  {
    const tcp::acceptor gone = open_acceptor(io_.get_executor(), "127.0.0.1:0").or_throw();
    free = "127.0.0.1:" + std::to_string(gone.local_endpoint().port());
  }

  const auto both = listen(io_.get_executor(), std::vector{free, taken}, rules(), {}, {}, {});

  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().code(), ErrorCode::address_in_use);
  EXPECT_THAT(both.error().message(), HasSubstr(taken));
  EXPECT_FALSE(try_dial_url(free));
}

TEST_F(ListenerTest, AnAddressInUseIsNamed) {
  serve();

  const auto second = listen(io_.get_executor(), listener_->address(), rules(), {}, {}, {});

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::address_in_use);
  EXPECT_THAT(second.error().message(), HasSubstr(listener_->address()));
}

TEST_F(ListenerTest, AnAddressThatIsNoneIsNamed) {
  for (const std::string address : {"7400", "127.0.0.1", "127.0.0.1:70000", ":7400", "::1:7400",
                                    "127.0.0.1:", "[127.0.0.1:1", "10.255.255.254:1"}) {
    const auto listener = listen(io_.get_executor(), address, rules(), {}, {}, {});

    ASSERT_FALSE(listener) << address;
    EXPECT_EQ(listener.error().code(), ErrorCode::invalid_argument) << address;
    EXPECT_THAT(listener.error().message(), HasSubstr(address));
  }
}

TEST_F(ListenerTest, Ipv6Works) {
  serve(rules(), {}, {"[::1]:0"});
  ASSERT_THAT(listener_->address(), StartsWith("[::1]:"));

  const auto client = link();

  ASSERT_TRUE(client->seam->send(frame_of("six")));
  run_until([&] { return !accepted_.back()->frames.empty(); });
  EXPECT_THAT(accepted_.back()->seam->remote(), StartsWith("[::1]:"));
}

TEST_F(ListenerTest, AHostNameIsResolved) {
  serve(rules(), {}, {"localhost:0"});

  const auto seam = try_dial_url("ws://localhost:" + std::to_string(listener_->port()) + "/");

  ASSERT_TRUE(seam) << seam.error().message();
  (*seam)->abort();
}

/// A lookup that ends when the test says so, and finds nothing.
struct StuckLookup {
  Lookup lookup() {
    return [waits = opened.get_future().share()](const std::string&) -> Result<Addresses> {
      waits.wait();
      return Error(ErrorCode::no_server, "found nothing");
    };
  }
  std::promise<void> opened;
};

TEST_F(ListenerTest, AHostThatNeverResolvesDelaysNeitherTheOthersNorTheEnd) {
  serve(rules(), {}, {"localhost:0"});
  StuckLookup stuck;
  const Lookup lookup = stuck.lookup();
  std::optional<Error> failed;
  dial(
      io_.get_executor(), "ws://never:1", {"kuilt.v1"}, {}, 500ms,
      [&](const Result<std::shared_ptr<Seam>>& outcome) { failed = outcome.error(); }, lookup);
  {
    net::io_context loop;
    dial(loop.get_executor(), "ws://never:1", {"kuilt.v1"}, {}, 1h, [](const auto&) {}, lookup);
    loop.poll();
  }  // Ends without the lookup.

  const auto seam = try_dial_url("ws://localhost:" + std::to_string(listener_->port()));
  ASSERT_TRUE(seam) << seam.error().message();
  (*seam)->abort();
  run_until([&] { return failed.has_value(); });

  EXPECT_THAT(failed->message(), HasSubstr("no answer in time"));
  stuck.opened.set_value();
}

TEST_F(ListenerTest, WhatALookupSaysReachesTheDialer) {
  StuckLookup stuck;
  std::optional<Error> failed;
  dial(
      io_.get_executor(), "ws://never:1", {"kuilt.v1"}, {}, 10s,
      [&](const Result<std::shared_ptr<Seam>>& outcome) { failed = outcome.error(); },
      stuck.lookup());

  stuck.opened.set_value();
  run_until([&] { return failed.has_value(); });

  EXPECT_EQ(failed->code(), ErrorCode::no_server);
  EXPECT_THAT(failed->message(), HasSubstr("ws://never:1: found nothing"));
}

TEST_F(ListenerTest, MoreNamesThanMayBeLookedUpAtOnceAreRefused) {
  StuckLookup stuck;
  const Lookup lookup = stuck.lookup();
  std::vector<Error> failed;
  const auto dial_one = [&] {
    dial(
        io_.get_executor(), "ws://never:1", {"kuilt.v1"}, {}, 10s,
        [&](const Result<std::shared_ptr<Seam>>& outcome) { failed.push_back(outcome.error()); },
        lookup);
  };

  for (int i = 0; i < 70; ++i) dial_one();
  run_until([&] { return !failed.empty(); });
  EXPECT_THAT(failed.front().message(), HasSubstr("64 names are being looked up"));
  stuck.opened.set_value();
  run_until([&] { return failed.size() == 70; });

  // Their places are free again, at the latest when their threads have ended.
  run_until([&] {
    dial_one();
    const std::size_t before = failed.size();
    run_until([&] { return failed.size() > before; });
    return failed.back().message().find("found nothing") != std::string::npos;
  });
}

TEST_F(ListenerTest, DialingNobodySaysSo) {
  serve();
  listener_->stop();

  const auto seam = try_dial();

  ASSERT_FALSE(seam);
  EXPECT_EQ(seam.error().code(), ErrorCode::no_server);
  EXPECT_THAT(seam.error().message(), HasSubstr(listener_->address()));
}

TEST_F(ListenerTest, DialingBeyondTheTimeoutSaysSo) {
  tcp::acceptor mute(io_, tcp::endpoint(net::ip::make_address("127.0.0.1"), 0));
  const std::string url = "127.0.0.1:" + std::to_string(mute.local_endpoint().port());

  const auto seam = try_dial_url(url, {}, {"kuilt.v1"}, 50ms);

  ASSERT_FALSE(seam);
  EXPECT_EQ(seam.error().code(), ErrorCode::no_server);
  EXPECT_THAT(seam.error().message(), HasSubstr("no answer in time"));
}

TEST_F(ListenerTest, DialingAUrlThatIsNoneSaysSo) {
  for (const std::string url : {"http://127.0.0.1:1", "ws://127.0.0.1", "wss://127.0.0.1:1",
                                "ws://127.0.0.1:1/?token=secret", "ws://user@127.0.0.1:1"}) {
    const auto seam = try_dial_url(url);

    ASSERT_FALSE(seam) << url;
    EXPECT_EQ(seam.error().code(), ErrorCode::invalid_argument) << url;
  }
}

TEST_F(ListenerTest, ARefusalReachesTheDialerAsAnErrorWithTheServersWords) {
  AcceptRules full = rules();
  full.links_max = 0;
  serve(full, {});
  const auto too_many = try_dial();
  AcceptRules strict = rules();
  strict.origin_required = true;
  serve(strict, {});
  const auto no_origin = try_dial();
  serve();
  const auto wrong = try_dial({}, {"chat"});

  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().code(), ErrorCode::too_many_clients);
  EXPECT_THAT(too_many.error().message(), HasSubstr("HTTP 503: This server has no room"));
  ASSERT_FALSE(no_origin);
  EXPECT_EQ(no_origin.error().code(), ErrorCode::origin_refused);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code(), ErrorCode::wrong_subprotocol);
}

TEST_F(ListenerTest, AServerThatChoosesWhatWasNotOfferedIsRefused) {
  AcceptRules none;
  serve(none, {});  // Speaks no subprotocol, and so agrees on none.

  const auto seam = try_dial();

  ASSERT_FALSE(seam);
  EXPECT_EQ(seam.error().code(), ErrorCode::wrong_subprotocol);
}

TEST_F(ListenerTest, AServerThatIsNoneIsNoServer) {
  tcp::acceptor acceptor(io_, tcp::endpoint(net::ip::make_address("127.0.0.1"), 0));
  acceptor.async_accept([](const boost::system::error_code&, tcp::socket socket) {
    say(socket, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
  });

  const auto seam = try_dial_url("127.0.0.1:" + std::to_string(acceptor.local_endpoint().port()));

  ASSERT_FALSE(seam);
  EXPECT_EQ(seam.error().code(), ErrorCode::no_server);
}

}  // namespace
}  // namespace kuilt::transport::testing
