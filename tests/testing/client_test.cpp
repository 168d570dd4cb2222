// Client code in the simulator: what it may do, what is said of it, and that a seed replays.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <coroutine>
#include <cstdlib>
#include <exception>

#include "kuilt/testing.hpp"
#include "tests/testing/sample_machines.hpp"

namespace kuilt::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

Report run_of(SimulationOptions options, std::function<void(SimulatedClient&)> program) {
  Simulation simulation(std::move(options));
  simulation.client(std::move(program));
  return simulation.run();
}

/// Client code as a template, so that it runs in both worlds.
template <class Client>
void add_one(Client& client, int& acknowledged) {
  client.propose("+1").then([&acknowledged](const Result<Receipt>& done) {
    if (done) ++acknowledged;
  });
}
template <class Client>
Status count_entries(Client& client, int& seen) {
  const auto take = [&seen](const Committed& piece) {
    if (std::holds_alternative<Committed::Entry>(piece)) ++seen;
  };
  return client.on_committed(from_start, take, {.room = ""}, [](const Error&) {});
}
// That it compiles for the real client is all there is to show of it here.
[[maybe_unused]] constexpr auto add_one_for_real = &add_one<ClusterClient>;
[[maybe_unused]] constexpr auto count_entries_for_real = &count_entries<ClusterClient>;

/// A coroutine that nobody waits for.
struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};
Detached add_three(SimulatedClient& me, std::vector<std::uint64_t>& places) {
  for (int i = 0; i < 3; ++i) {
    const Result<Receipt> done = co_await me.propose("+1");
    places.push_back(done ? done->index.value() : 0);
  }
}

TEST(Clients, WhatWasAcknowledgedIsCommittedOnce) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    int acknowledged = 0;
    Report report = run_of({.seed = seed}, [&](SimulatedClient& me) {
      for (int i = 1; i <= 20; ++i) {
        me.after(milliseconds(i * 300), [&] { add_one(me, acknowledged); });
      }
    });

    const int committed = static_cast<int>(report.committed.size());
    report.expect(acknowledged > 0, "somebody is served");
    report.expect(committed >= acknowledged && committed <= 40, "each is committed once at most");
    ASSERT_TRUE(report.sound()) << report.text();
  }
}

// The bug that plain proposals invite: an unknown outcome is no refusal.
TEST(Clients, ARetryOfAnUnknownOutcomeIsFoundToRepeat) {
  const auto play = [](std::uint64_t seed) {
    int wanted = 0;
    const auto again = std::make_shared<std::function<void(SimulatedClient&)>>();
    *again = [weak = std::weak_ptr(again)](SimulatedClient& me) {
      me.propose("+1", {.deadline = milliseconds(600)}).then([&me, weak](const auto& done) {
        if (const auto retry = weak.lock(); retry && !done) (*retry)(me);
      });
    };
    Report report = run_of({.seed = seed}, [&](SimulatedClient& me) {
      for (int i = 1; i <= 20; ++i) me.after(milliseconds(i * 300), [&, again] { (*again)(me); });
      wanted += 20;
    });
    const auto committed = static_cast<int>(report.committed.size());
    return report.expect(committed == wanted, "every command is there once");
  };

  const Report report = for_seeds(1, 50, play);

  EXPECT_EQ(report.violation, "every command is there once");
  EXPECT_THAT(report.text(), HasSubstr("KUILT_SEED=" + std::to_string(report.seed)));
}

TEST(Clients, EachSeesWhatAllProposeInOneOrder) {
  std::map<std::size_t, std::vector<std::string>> seen;
  const Report report = run_of({.seed = 3, .clients = 3}, [&](SimulatedClient& me) {
    const auto take = [&seen, &me](const Committed& piece) {
      if (const auto* one = std::get_if<Committed::Entry>(&piece)) {
        seen[me.number()].push_back(one->entry.author + std::string(one->entry.command.text()));
      }
    };
    me.expect(me.on_committed(from_start, take).has_value(), "it observes");
    me.expect(!me.on_committed(from_start, take).has_value(), "it observes a room once");
    me.after(seconds(1), [&me] { me.propose("x").then([](const auto&) {}); });
  });

  ASSERT_TRUE(report.sound()) << report.text();
  EXPECT_EQ(seen.at(0).size(), 3U);
  EXPECT_EQ(seen.at(0), seen.at(1));
  EXPECT_EQ(seen.at(0), seen.at(2));
  EXPECT_EQ(report.committed.size(), 3U);
}

TEST(Clients, ACoroutineGoesOnWithEachResult) {
  std::vector<std::uint64_t> places;
  int seen = 0;
  const Report report = run_of({.clients = 1, .faults = Faults::none()}, [&](SimulatedClient& me) {
    me.expect(count_entries(me, seen).has_value(), "it observes");
    add_three(me, places);
  });

  ASSERT_TRUE(report.sound()) << report.text();
  ASSERT_EQ(places.size(), 3U);
  EXPECT_LT(places.at(0), places.at(1));
  EXPECT_LT(places.at(1), places.at(2));
  EXPECT_EQ(seen, 3);
}

TEST(Clients, AResultIsWhatApplyReturned) {
  std::string result;
  Simulation simulation({.seed = 1, .clients = 1, .faults = Faults::none()});
  simulation.state_machine([] { return std::make_unique<Scores>(); });
  simulation.client([&](SimulatedClient& me) {
    me.propose("ann").then([&](const Result<Receipt>& done) {
      result = done && done->result ? done->result->text() : "nothing";
    });
  });

  const Report report = simulation.run();

  ASSERT_TRUE(report.sound()) << report.text();
  EXPECT_EQ(result, "ann has 1");
}

TEST(Clients, WhatIsDroppedIsGivenUp) {
  const Report report = run_of({.clients = 1, .faults = Faults::none()}, [](SimulatedClient& me) {
    {
      const auto dropped = me.propose("never");
    }
    me.propose("kept").then([](const auto&) {});
  });

  ASSERT_TRUE(report.sound()) << report.text();
  ASSERT_EQ(report.committed.size(), 1U);
  EXPECT_EQ(report.committed.front().command.text(), "kept");
}

TEST(Clients, AResultMayOutliveTheRun) {
  std::vector<Pending<Receipt>> kept;
  const Report report = run_of({.clients = 1, .faults = Faults::none()},
                               [&](SimulatedClient& me) { kept.push_back(me.propose("x")); });

  ASSERT_TRUE(report.sound()) << report.text();
  EXPECT_EQ(report.committed.size(), 1U);
  EXPECT_FALSE(kept.front().then([](const auto&) {})) << "there is nobody left to call it";
}

TEST(Clients, OneThatWouldWaitIsTold) {
  std::string said;
  const Report report = run_of({.clients = 1, .faults = Faults::none()}, [&](SimulatedClient& me) {
    said = me.propose("x").get().error().message();
  });

  ASSERT_TRUE(report.sound()) << report.text();
  EXPECT_THAT(said, HasSubstr("use then()"));
}

TEST(Clients, BadArgumentsAreNamed) {
  std::string room;
  std::string index;
  const Report report = run_of({.clients = 1, .faults = Faults::none()}, [&](SimulatedClient& me) {
    me.propose("x", {.room = std::string(200, 'r')}).then([&](const Result<Receipt>& done) {
      room = done.error().message();
    });
    index = me.on_committed(from_index(1000), [](const Committed&) {}).error().message();
  });

  ASSERT_TRUE(report.sound()) << report.text();
  EXPECT_THAT(room, HasSubstr("200 bytes, the limit is 128"));
  EXPECT_THAT(index, HasSubstr("1000 is beyond the last one"));
}

TEST(Clients, ACallbackThatThrowsIsNamed) {
  const Report report = run_of({.clients = 1, .faults = Faults::none()}, [](SimulatedClient& me) {
    me.after(seconds(1), [] { throw std::runtime_error("out of luck"); });
  });

  EXPECT_EQ(report.violation, "client 0: a callback threw in after: out of luck");
}

TEST(Clients, AnExpectationThatFailsEndsTheRun) {
  const Report report = run_of({.clients = 1, .faults = Faults::none()}, [](SimulatedClient& me) {
    me.after(seconds(2), [&me] { me.expect(false, "two seconds is enough"); });
  });

  EXPECT_EQ(report.violation, "client 0: two seconds is enough");
  EXPECT_EQ(report.ended_at, seconds(2));
  EXPECT_FALSE(report.last_events.empty());
}

TEST(Clients, OneThatNeverEndsIsToldHow) {
  const std::function<void(SimulatedClient&)> for_ever = [&](SimulatedClient& me) {
    me.after(milliseconds(500), [&] { for_ever(me); });
  };
  const SimulationOptions options{.clients = 1, .duration = seconds(1), .faults = Faults::none()};

  EXPECT_THAT(run_of(options, for_ever).violation.value_or(""), HasSubstr("once ending() is true"));

  const std::function<void(SimulatedClient&)> until_the_end = [&](SimulatedClient& me) {
    if (!me.ending()) me.after(milliseconds(500), [&] { until_the_end(me); });
  };
  EXPECT_EQ(run_of(options, until_the_end).violation, std::nullopt);
}

TEST(Clients, ACrashedOneStartsAgainAndHearsNothingOld) {
  Faults crashes = Faults::none();
  crashes.client_crashes = true;
  unsigned starts = 0;
  std::uint64_t killed = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const Report report =
        run_of({.seed = seed, .clients = 1, .faults = crashes}, [&](SimulatedClient& me) {
          starts = std::max(starts, me.starts());
          for (int i = 0; i < 20; ++i) {
            me.after(milliseconds(i * 100), [&me, life = me.starts()] {
              me.propose("x").then([&me, life](const auto&) {
                me.expect(me.starts() == life, "nobody hears of an earlier life");
              });
            });
          }
        });
    ASSERT_TRUE(report.sound()) << report.text();
    killed += report.counters.contains("kills") ? report.counters.at("kills") : 0;
  }
  EXPECT_GT(starts, 1U);
  EXPECT_EQ(killed, 0U) << "servers were to be left alone";
}

TEST(Seeds, OneSeedGivesOneRun) {
  const auto program = [](SimulatedClient& me) {
    for (int i = 0; i < 20; ++i) {
      me.after(milliseconds(me.random(9000)), [&me] { me.propose("x").then([](const auto&) {}); });
    }
  };

  const Report once = run_of({.seed = 5}, program);
  const Report again = run_of({.seed = 5}, program);
  const Report other = run_of({.seed = 6}, program);

  EXPECT_EQ(once.trace_hash, again.trace_hash);
  EXPECT_EQ(once.counters, again.counters);
  EXPECT_NE(once.trace_hash, other.trace_hash);
}

TEST(Seeds, ClientCodeThatDependsOnMoreThanTheSeedIsFound) {
  int runs = 0;
  const Report report = for_seeds(1, 3, [&](std::uint64_t seed) {
    ++runs;
    return run_of({.seed = seed, .clients = 1}, [runs](SimulatedClient& me) {
      me.propose(std::to_string(runs)).then([](const auto&) {});
    });
  });

  EXPECT_THAT(report.violation.value_or(""), HasSubstr("the same seed gave another run"));
}

TEST(Seeds, TheEnvironmentPicksOne) {
  std::vector<std::uint64_t> ran;
  const auto run = [&](std::uint64_t seed) {
    ran.push_back(seed);
    return run_of({.seed = seed, .duration = seconds(1)}, [](SimulatedClient&) {});
  };

  ::setenv("KUILT_SEED", "77", 1);
  const Report report = for_seeds(1, 200, run);
  ::setenv("KUILT_SEED", "7x", 1);
  const Report refused = for_seeds(1, 200, run);
  ::unsetenv("KUILT_SEED");

  EXPECT_TRUE(report.sound()) << report.text();
  EXPECT_EQ(ran, std::vector<std::uint64_t>{77});
  EXPECT_EQ(refused.violation, "KUILT_SEED is \"7x\": it must be one seed");
}

TEST(Options, EachBoundIsNamed) {
  const auto complaint = [](SimulationOptions options) {
    return run_of(std::move(options), [](SimulatedClient&) {}).violation.value_or("");
  };

  EXPECT_EQ(complaint({.servers = 0}), "the option servers is 0, it must be from 1 to 7");
  EXPECT_EQ(complaint({.clients = 101}), "the option clients is 101, it must be from 1 to 100");
  EXPECT_THAT(complaint({.duration = seconds(0)}), HasSubstr("the option duration is 0 ns"));
  EXPECT_THAT(complaint({.command_bytes_max = 0}), HasSubstr("command_bytes_max is 0"));
  Faults never;
  never.frequency_percent = 0;
  EXPECT_THAT(complaint({.faults = never}), HasSubstr("use Faults::none()"));
}

TEST(Options, ARunHappensOnce) {
  Simulation simulation({.duration = seconds(1)});
  EXPECT_TRUE(simulation.run().sound());

  EXPECT_THAT(simulation.run().violation.value_or(""), HasSubstr("a simulation runs once"));
}

TEST(Options, LargeCommandsGoThrough) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Report report =
        run_of({.seed = seed, .clients = 1, .command_bytes_max = 1 << 16}, [](SimulatedClient& me) {
          me.propose(std::string(1 << 16, 'x'), {.deadline = seconds(60)})
              .then([&me](const Result<Receipt>& done) {
                me.expect(done.has_value(), done ? "" : done.error().message());
              });
          me.propose(std::string((1 << 16) + 100, 'x')).then([&me](const Result<Receipt>& done) {
            me.expect(!done && done.error().code() == ErrorCode::command_too_large,
                      "a command that is too large is refused");
          });
        });
    ASSERT_TRUE(report.sound()) << report.text();
  }
}

}  // namespace
}  // namespace kuilt::testing
