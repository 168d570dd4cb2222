// Links over WebSocket that the application holds. Every wait has a bound.
#include <gmock/gmock.h>

#include <atomic>
#include <future>

#include "tests/client/log_seam.hpp"

namespace kuilt::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto patience = 20s;  // Far more than anything here takes.

/// What a Seam has told.
struct Heard {
  SeamEvents events() {
    return {.on_frame = [this](const Bytes&) { ++frames; },
            .on_torn =
                [this](const Error& why) {
                  const std::lock_guard lock(mutex);
                  reasons.push_back(why.message());
                }};
  }
  std::size_t torn() {
    const std::lock_guard lock(mutex);
    return reasons.size();
  }
  std::atomic<int> frames = 0;
  std::mutex mutex;
  std::vector<std::string> reasons;
};

struct Looms : ::testing::Test {
  std::shared_ptr<Seam> weave() { return loom.weave({.url = server.url()}, patience).or_throw(); }
  static Bytes hello() {
    return wire::encode(wire::ClientMessage(wire::Hello{}), wire::Encoding::protobuf);
  }

  TinyLog log;
  TinyServer server{log, Manners{.server = voter_a}};
  WebSocketLoom loom;
};

TEST_F(Looms, ANodeFollowsALogOverABareLink) {
  SeamRaftTransport transport(weave());
  InMemoryRaftStorage storage;
  auto node = RaftNode::start({{voter_a}, {NodeId::named("me")}}, transport, storage).or_throw();
  auto client = cluster_client_with_node(node);

  ASSERT_TRUE(client.propose("one").get_for(patience).value());
  ASSERT_TRUE(client.propose("two").get_for(patience).value());

  EXPECT_TRUE(comes_true([&] { return stored_in(storage).size() == 2; }));
  EXPECT_THAT(stored_in(storage), ElementsAre("one", "two"));
}

TEST_F(Looms, WhatIsWrongWithALinkIsNamed) {
  EXPECT_EQ(loom.weave({.url = "ws://127.0.0.1:1"}, patience).error().code(), ErrorCode::no_server);
  EXPECT_EQ(loom.weave({.url = "nonsense"}, patience).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(loom.weave({.url = server.url()}, 0s).error().code(), ErrorCode::no_server);
}

TEST_F(Looms, CarryFramesBothWaysUntilTheServerIsGone) {
  const auto seam = weave();
  Heard heard;
  seam->start(heard.events());
  EXPECT_TRUE(seam->send(hello()));
  EXPECT_TRUE(comes_true([&] { return heard.frames == 1; }));

  server.kill();

  EXPECT_TRUE(comes_true([&] { return heard.torn() == 1; }));
  EXPECT_FALSE(seam->send(hello()));
  seam->close();
  seam->close();
  EXPECT_EQ(heard.torn(), 1U);
}

TEST_F(Looms, TearTheirLinksWhenTheyAreDestroyedAndSaySo) {
  Heard heard;
  std::shared_ptr<Seam> started;
  std::shared_ptr<Seam> idle;
  {
    WebSocketLoom short_lived;
    started = short_lived.weave({.url = server.url()}, patience).or_throw();
    idle = short_lived.weave({.url = server.url()}, patience).or_throw();
    started->start(heard.events());
    EXPECT_TRUE(started->send(hello()));
  }

  ASSERT_EQ(heard.torn(), 1U);
  EXPECT_THAT(heard.reasons.front(), HasSubstr("the loom was destroyed"));
  EXPECT_FALSE(started->send(hello()));
  EXPECT_FALSE(idle->send(hello()));
  Heard late;
  idle->start(late.events());
  EXPECT_EQ(late.torn(), 1U);
  idle->close();
}

TEST_F(Looms, RefuseToWaitForALinkInsideAnEventOfAnother) {
  const auto seam = weave();
  std::promise<ErrorCode> refusal;
  seam->start({.on_frame =
                   [&](const Bytes&) {
                     refusal.set_value(loom.weave({.url = server.url()}, 1s).error().code());
                   },
               .on_torn = [](const Error&) {}});

  EXPECT_TRUE(seam->send(hello()));

  EXPECT_EQ(refusal.get_future().get(), ErrorCode::usage);
}

TEST_F(Looms, RefuseMoreThanTheyMayKeepToBeSent) {
  const auto seam = weave();
  Heard heard;
  seam->start(heard.events());

  EXPECT_FALSE(seam->send(Bytes(std::string((16U << 20U) + 1, 'x'))));
}

}  // namespace
}  // namespace kuilt::testing
