// What a Seam promises its owner, between two real sockets.
#include <algorithm>
#include <thread>

#include "tests/transport/ends.hpp"

namespace kuilt::transport::testing {
namespace {

class SeamTest : public Loopback {
 protected:
  std::shared_ptr<End> client_;
  std::shared_ptr<End> server_;

  void open(SeamLimits server_limits = {}, SeamLimits client_limits = {}) {
    serve(rules(), server_limits);
    client_ = link(client_limits);
    server_ = accepted_.back();
  }
};

std::string noise(std::size_t size) {
  std::string out(size, '\0');
  std::uint32_t state = 1;
  for (char& c : out) {
    state = state * 1664525U + 1013904223U;
    c = static_cast<char>(state >> 24U);
  }
  return out;
}

TEST_F(SeamTest, FramesArriveWholeAndInOrder) {
  echo_ = true;
  open();

  for (int i = 0; i < 100; ++i) ASSERT_TRUE(client_->seam->send(frame_of(std::to_string(i))));
  run_until([&] { return client_->frames.size() == 100; });

  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(client_->frames[i], std::to_string(i));
}

TEST_F(SeamTest, SlicesGoOutAsOneMessage) {
  echo_ = true;
  open();
  const std::string data = noise(3'000'000);
  const Bytes whole(data);

  ASSERT_TRUE(client_->seam->send(
      {whole.slice(0, 1), whole.slice(1, 1'999'999), Bytes(), whole.slice(2'000'000, 1'000'000)}));
  run_until([&] { return !client_->frames.empty(); });

  EXPECT_TRUE(client_->frames.front() == data);
  EXPECT_EQ(server_->frames.size(), 1U);
}

TEST_F(SeamTest, AnEmptyFrameIsAFrame) {
  open();

  ASSERT_TRUE(client_->seam->send({}));
  run_until([&] { return !server_->frames.empty(); });

  EXPECT_EQ(server_->frames.front(), "");
}

TEST_F(SeamTest, TheAgreedSubprotocolAndTheRemoteAreKnownToBothEnds) {
  open();

  EXPECT_EQ(client_->seam->subprotocol(), "kuilt.v1");
  EXPECT_EQ(server_->seam->subprotocol(), "kuilt.v1");
  EXPECT_EQ(client_->seam->remote(), listener_->address());
  EXPECT_TRUE(server_->seam->remote().starts_with("127.0.0.1:"));
}

TEST_F(SeamTest, DrainedIsToldWhenTheQueueIsEmpty) {
  open();

  ASSERT_TRUE(client_->seam->send(frame_of("one")));
  ASSERT_TRUE(client_->seam->send(frame_of("two")));
  EXPECT_EQ(client_->seam->queued(), 6U);
  EXPECT_EQ(client_->drained, 0);
  run_until([&] { return client_->drained > 0; });

  EXPECT_EQ(client_->seam->queued(), 0U);
}

// ---- Limits

TEST_F(SeamTest, AFrameAtTheLimitPasses) {
  SeamLimits limits;
  limits.frame_bytes_max = 10'000;
  open(limits);

  ASSERT_TRUE(client_->seam->send(frame_of(noise(10'000))));
  run_until([&] { return !server_->frames.empty(); });

  EXPECT_EQ(server_->frames.front().size(), 10'000U);
}

TEST_F(SeamTest, AFrameOverTheLimitClosesTheLinkWithCode1009) {
  SeamLimits limits;
  limits.frame_bytes_max = 10'000;
  open(limits);

  ASSERT_TRUE(client_->seam->send(frame_of(noise(10'001))));
  run_until([&] { return client_->closed && server_->closed; });

  EXPECT_EQ(server_->code(), ErrorCode::frame_too_large);
  EXPECT_THAT(server_->closed->message(), ::testing::HasSubstr("10000 bytes"));
  EXPECT_THAT(client_->closed->message(), ::testing::HasSubstr("1009"));
  EXPECT_TRUE(server_->frames.empty());
}

TEST_F(SeamTest, TheSmallLimitHoldsUntilAdmission) {
  admit_ = false;
  open();

  ASSERT_TRUE(client_->seam->send(frame_of(noise(4096))));
  run_until([&] { return server_->frames.size() == 1; });
  ASSERT_TRUE(client_->seam->send(frame_of(noise(4097))));
  run_until([&] { return server_->closed.has_value(); });

  EXPECT_EQ(server_->code(), ErrorCode::frame_too_large);
  EXPECT_THAT(server_->closed->message(), ::testing::HasSubstr("before admission"));
}

TEST_F(SeamTest, AdmissionLiftsTheSmallLimit) {
  admit_ = false;
  open();

  server_->seam->admit();
  ASSERT_TRUE(client_->seam->send(frame_of(noise(4097))));
  run_until([&] { return server_->frames.size() == 1; });

  EXPECT_FALSE(server_->closed);
}

TEST_F(SeamTest, WhoIsNotAdmittedInTimeIsClosedAndToldWhy) {
  admit_ = false;
  SeamLimits limits;
  limits.admission_timeout = 50ms;
  open(limits);

  run_until([&] { return client_->closed && server_->closed; });

  EXPECT_EQ(server_->code(), ErrorCode::hello_timeout);
  EXPECT_THAT(client_->closed->message(), ::testing::HasSubstr("1008"));
  EXPECT_THAT(client_->closed->message(), ::testing::HasSubstr("hello_timeout"));
}

TEST_F(SeamTest, WhoIsAdmittedInTimeStays) {
  SeamLimits limits;
  limits.admission_timeout = 50ms;
  open(limits);

  io_.restart();
  io_.run_for(150ms);

  EXPECT_FALSE(server_->closed);
}

TEST_F(SeamTest, AFullOutboxRefusesAFrameWholeAndStaysUsable) {
  SeamLimits limits;
  limits.outbox_bytes_max = 1'000'000;
  open({}, limits);

  EXPECT_TRUE(client_->seam->send(frame_of(noise(900'000))));
  EXPECT_FALSE(client_->seam->send(frame_of(noise(200'000))));
  EXPECT_EQ(client_->seam->queued(), 900'000U);
  run_until([&] { return client_->drained == 1; });
  EXPECT_TRUE(client_->seam->send(frame_of(noise(200'000))));
  run_until([&] { return server_->frames.size() == 2; });

  EXPECT_EQ(server_->frames[1].size(), 200'000U);
}

TEST_F(SeamTest, EmptyFramesFillTheOutboxToo) {
  SeamLimits limits;
  limits.outbox_bytes_max = 1'000;
  open({}, limits);

  int sent = 0;
  while (sent < 1'000 && client_->seam->send({})) ++sent;

  EXPECT_LT(sent, 100);
  EXPECT_GT(sent, 0);
}

// ---- Peers that are slow, silent or of another kind

TEST_F(SeamTest, APeerThatTalksButNeverReadsIsDroppedAsASlowReader) {
  SeamLimits limits;
  limits.write_timeout = 200ms;
  limits.outbox_bytes_max = std::size_t{64} << 20;
  limits.ping_interval = 100ms;
  open(limits);
  client_->seam->pause_reading(true);

  for (int i = 0; i < 15; ++i) ASSERT_TRUE(server_->seam->send(frame_of(noise(4'000'000))));
  run_until([&] {
    if (client_->seam && client_->seam->queued() == 0) (void)client_->seam->send(frame_of("hi"));
    return server_->closed.has_value();
  });

  EXPECT_EQ(server_->code(), ErrorCode::slow_reader);
  EXPECT_GT(server_->frames.size(), 0U);
}

TEST_F(SeamTest, APeerThatTalksWhileAWriteIsStuckIsPingedOnce) {
  SeamLimits limits;
  limits.outbox_bytes_max = std::size_t{64} << 20;
  limits.ping_interval = 1500ms;  // And dropped after as much again: a busy machine has a second.
  open(limits);
  client_->seam->pause_reading(true);
  for (int i = 0; i < 15; ++i) ASSERT_TRUE(server_->seam->send(frame_of(noise(4'000'000))));

  for (int i = 0; i < 3; ++i) {  // Each time, silence for long enough to be pinged.
    io_.restart();
    io_.run_for(2000ms);
    ASSERT_FALSE(server_->closed) << server_->closed->message();
    ASSERT_TRUE(client_->seam->send(frame_of("hi")));
  }
  const std::weak_ptr<Seam> seam = server_->seam;
  server_->seam->abort();
  run_until([&] { return server_->closed.has_value(); });

  // A second ping would have taken the place of the first, which then holds its Seam for ever.
  run_until([&] { return seam.expired(); }, 2s);
}

TEST_F(SeamTest, APeerThatReadsSlowlyButReadsIsKept) {
  SeamLimits limits;
  limits.write_timeout = 800ms;
  limits.outbox_bytes_max = std::size_t{64} << 20;
  open(limits);
  client_->seam->pause_reading(true);

  for (int i = 0; i < 15; ++i) ASSERT_TRUE(server_->seam->send(frame_of(noise(4'000'000))));
  while (!server_->closed && client_->frames.size() < 15 && !HasFailure()) {
    const std::size_t before = client_->frames.size();
    io_.restart();
    io_.run_for(100ms);
    client_->seam->pause_reading(false);
    run_until([&] { return client_->frames.size() > before || server_->closed; });
    if (client_->seam) client_->seam->pause_reading(true);
  }

  EXPECT_EQ(client_->frames.size(), 15U);
  EXPECT_FALSE(server_->closed);
}

TEST_F(SeamTest, AnIdlePeerThatAnswersPingsStays) {
  SeamLimits limits;
  limits.ping_interval = 200ms;  // Both ends share this thread, which may have to wait for a core.
  open(limits);

  io_.restart();
  io_.run_for(900ms);

  EXPECT_FALSE(server_->closed);
}

TEST_F(SeamTest, HalfAFrameMovesTheTimeOfTheLastRead) {
  open();
  tcp::socket socket = raw();
  say(socket,
      "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Protocol: kuilt.v1\r\n\r\n");
  run_until([&] { return accepted_.size() == 2; });
  const std::shared_ptr<End> end = accepted_.back();
  const auto before = end->seam->last_read();

  say(socket, "\x82\x85");  // Five bytes would follow, and their mask.
  run_until([&] { return end->seam->last_read() > before; });

  EXPECT_TRUE(end->frames.empty());
}

TEST_F(SeamTest, OurOwnPauseIsNotBlamedOnThePeer) {
  SeamLimits limits;
  limits.ping_interval = 50ms;
  open(limits);

  // The process stands still, as under SIGSTOP or on a full machine. Then all is due at once.
  std::this_thread::sleep_for(3 * limits.ping_interval);
  io_.restart();
  io_.poll();
  ASSERT_FALSE(server_->closed || client_->closed);
  ASSERT_TRUE(client_->seam->send(frame_of("still here")));
  run_until([&] { return server_->frames.size() == 1 || server_->closed; });

  EXPECT_FALSE(server_->closed);
}

TEST_F(SeamTest, ASilentPeerIsPingedThenDropped) {
  SeamLimits limits;
  limits.ping_interval = 60ms;
  open(limits);
  client_->seam->pause_reading(true);  // Answers no ping: Beast answers from its read.
  ASSERT_TRUE(server_->seam->send(frame_of("uses up the read that is under way")));

  run_until([&] { return server_->closed.has_value(); });

  EXPECT_EQ(server_->code(), ErrorCode::timed_out);
}

TEST_F(SeamTest, WhoWePauseIsNotCalledSilent) {
  SeamLimits limits;
  limits.ping_interval = 30ms;
  open(limits);

  server_->seam->pause_reading(true);
  io_.restart();
  io_.run_for(200ms);
  EXPECT_FALSE(server_->closed);
  server_->seam->pause_reading(false);
  ASSERT_TRUE(client_->seam->send(frame_of("still here")));
  run_until([&] { return !server_->frames.empty(); });

  EXPECT_FALSE(server_->closed);
}

TEST_F(SeamTest, APausedSeamDeliversNothingUntilItReadsOn) {
  open();

  server_->seam->pause_reading(true);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(client_->seam->send(frame_of(std::to_string(i))));
  io_.restart();
  io_.run_for(100ms);
  EXPECT_TRUE(server_->frames.empty());
  server_->seam->pause_reading(false);
  run_until([&] { return server_->frames.size() == 5; });

  EXPECT_THAT(server_->frames, ::testing::ElementsAre("0", "1", "2", "3", "4"));
}

TEST_F(SeamTest, ATextFrameOnABinarySeamIsABadFrame) {
  SeamLimits text;
  text.text = true;
  open({}, text);

  ASSERT_TRUE(client_->seam->send(frame_of("text")));
  run_until([&] { return client_->closed && server_->closed; });

  EXPECT_EQ(server_->code(), ErrorCode::bad_frame);
  EXPECT_THAT(client_->closed->message(), ::testing::HasSubstr("1003"));
  EXPECT_TRUE(server_->frames.empty());
}

TEST_F(SeamTest, ABinaryFrameOnATextSeamIsABadFrame) {
  AcceptRules text = rules();
  text.text_subprotocol = "kuilt.v1";
  serve(text, {});
  client_ = link();
  server_ = accepted_.back();

  ASSERT_TRUE(client_->seam->send(frame_of("binary")));
  run_until([&] { return server_->closed.has_value(); });

  EXPECT_EQ(server_->code(), ErrorCode::bad_frame);
}

TEST_F(SeamTest, TextFramesPassOnATextSeam) {
  echo_ = true;
  AcceptRules text = rules();
  text.text_subprotocol = "kuilt.v1";
  serve(text, {});
  SeamLimits limits;
  limits.text = true;
  client_ = link(limits);

  ASSERT_TRUE(client_->seam->send(frame_of("{\"hello\": \"wörld\"}")));
  run_until([&] { return !client_->frames.empty(); });

  EXPECT_EQ(client_->frames.front(), "{\"hello\": \"wörld\"}");
}

// ---- The end of a link

TEST_F(SeamTest, CloseFlushesTheQueueThenTellsThePeerWhy) {
  open();

  for (int i = 0; i < 50; ++i) ASSERT_TRUE(client_->seam->send(frame_of(noise(20'000))));
  client_->seam->close(1001, "going away, says the test");
  EXPECT_FALSE(client_->seam->send(frame_of("too late")));
  client_->seam->close(1008, "may be repeated, and changes nothing");
  run_until([&] { return client_->closed && server_->closed; });

  EXPECT_EQ(server_->frames.size(), 50U);
  EXPECT_EQ(server_->code(), ErrorCode::stopped);
  EXPECT_THAT(server_->closed->message(),
              ::testing::HasSubstr("code 1001, going away, says the test"));
  EXPECT_EQ(client_->code(), ErrorCode::stopped);
  EXPECT_EQ(client_->times_closed + server_->times_closed, 2);
}

TEST_F(SeamTest, BothEndsMayCloseAtOnce) {
  open();

  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(client_->seam->send(frame_of(noise(100'000))));
    ASSERT_TRUE(server_->seam->send(frame_of(noise(100'000))));
  }
  client_->seam->close(1000, "client");
  server_->seam->close(1000, "server");
  run_until([&] { return client_->closed && server_->closed; });

  EXPECT_EQ(client_->times_closed + server_->times_closed, 2);
}

TEST_F(SeamTest, AReasonThatIsTooLongIsCutBetweenCharacters) {
  open();
  std::string reason = "x";
  while (reason.size() < 300) reason += "ü";

  server_->seam->close(1008, reason);
  run_until([&] { return client_->closed.has_value(); });

  EXPECT_EQ(client_->code(), ErrorCode::stopped) << client_->closed->message();
  EXPECT_THAT(client_->closed->message(), ::testing::EndsWith("ü"));
}

TEST_F(SeamTest, ClosingIsBoundedWhenThePeerNeitherReadsNorCloses) {
  SeamLimits limits;
  limits.outbox_bytes_max = std::size_t{64} << 20;
  open(limits);
  client_->seam->pause_reading(true);
  for (int i = 0; i < 15; ++i) ASSERT_TRUE(server_->seam->send(frame_of(noise(4'000'000))));
  const auto before = std::chrono::steady_clock::now();

  server_->seam->close(1000, "enough");
  run_until([&] { return server_->closed.has_value(); });

  EXPECT_LT(std::chrono::steady_clock::now() - before, 4s);
  EXPECT_EQ(server_->code(), ErrorCode::stopped);
}

TEST_F(SeamTest, APausedSeamCanCloseAndLeavesNoFrameBehind) {
  open();
  server_->seam->pause_reading(true);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(client_->seam->send(frame_of(noise(1000))));
  io_.restart();
  io_.run_for(50ms);

  server_->seam->close(1013, "later");
  run_until([&] { return client_->closed && server_->closed; });

  EXPECT_TRUE(server_->frames.empty());
  EXPECT_THAT(client_->closed->message(), ::testing::HasSubstr("1013"));
}

TEST_F(SeamTest, AbortInTheMiddleOfAWriteEndsBothSidesOnce) {
  SeamLimits limits;
  limits.outbox_bytes_max = std::size_t{64} << 20;
  open(limits);
  client_->seam->pause_reading(true);
  for (int i = 0; i < 15; ++i) ASSERT_TRUE(server_->seam->send(frame_of(noise(4'000'000))));
  io_.restart();
  io_.run_for(50ms);
  ASSERT_GT(server_->seam->queued(), 0U);

  const auto seam = server_->seam;
  seam->abort();
  seam->abort();
  EXPECT_FALSE(seam->send(frame_of("too late")));
  run_until([&] { return server_->closed.has_value(); });
  client_->seam->pause_reading(false);
  run_until([&] { return client_->closed.has_value(); });

  EXPECT_EQ(server_->code(), ErrorCode::stopped);
  EXPECT_EQ(client_->code(), ErrorCode::io);
  EXPECT_EQ(client_->times_closed + server_->times_closed, 2);
  EXPECT_EQ(listener_->links(), 0U);
}

TEST_F(SeamTest, EventsNeverComeFromInsideACall) {
  open();
  bool inside = false;
  int events_inside = 0;
  auto seam = try_dial();
  ASSERT_TRUE(seam);
  SeamEvents events;
  events.on_frame = [&](const Bytes&) { events_inside += inside; };
  events.on_drained = [&] { events_inside += inside; };
  events.on_closed = [&](const Error&) { events_inside += inside; };

  inside = true;
  (*seam)->start(std::move(events));
  (void)(*seam)->send(frame_of("x"));
  (*seam)->close(1000, "");
  (*seam)->abort();
  inside = false;
  io_.restart();
  io_.run_for(50ms);

  EXPECT_EQ(events_inside, 0);
}

TEST_F(SeamTest, ASeamThatEndedBeforeStartStillTellsIt) {
  serve();
  auto seam = try_dial();
  ASSERT_TRUE(seam);
  (*seam)->abort();
  io_.restart();
  io_.run_for(20ms);

  auto end = watch(*seam);
  run_until([&] { return end->closed.has_value(); });

  EXPECT_EQ(end->code(), ErrorCode::stopped);
}

}  // namespace
}  // namespace kuilt::transport::testing
