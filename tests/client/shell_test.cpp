// What a client's shell holds, and for how long. Every wait has a bound.
#include "client/client_shell.hpp"

#include <gtest/gtest.h>

#include "tests/await.hpp"
#include "tests/client/tiny_server.hpp"

namespace kuilt::testing {
namespace {

constexpr auto patience = 20s;  // Far more than anything here takes.

/// A client of one server that has committed one entry.
struct Shells : ::testing::Test {
  Shells() {
    core.endpoints = {server.url()};
    shell = std::make_shared<detail::ClientShell>(core, ClientOptions{}, 1, SessionId(1, 1));
    shell->start();
    EXPECT_TRUE(shell->propose("move", {})->get_for(patience).value());
  }
  ~Shells() override { shell->stop(); }

  TinyLog log;
  TinyServer server{log};
  client::ClientOptions core;
  std::shared_ptr<detail::ClientShell> shell;
};

TEST_F(Shells, ADroppedObserverFreesWhatItHeld) {
  auto seen = shell->observe(from_start, "").or_throw();
  ASSERT_TRUE(seen->next(std::chrono::steady_clock::now() + patience));
  const std::weak_ptr<detail::Subscription> held = seen;

  seen->leave();
  seen.reset();

  EXPECT_TRUE(comes_true([&] { return held.expired(); }));
}

TEST_F(Shells, AnObserverOutlivesTheLeavingOfAnEarlierOne) {
  for (int round = 0; round < 50; ++round) {
    auto seen = shell->observe(from_start, "").or_throw();
    EXPECT_TRUE(seen->next(std::chrono::steady_clock::now() + patience)) << "round " << round;
    seen->leave();
  }
}

}  // namespace
}  // namespace kuilt::testing
