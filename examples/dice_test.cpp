// A test of a state machine on a simulated cluster: dice that every server must see fall alike.
// Usage: dice_test [broken]
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "kuilt/testing.hpp"

using namespace kuilt::testing;

struct Dice : kuilt::StateMachine {
  unsigned sum = 0;
  virtual unsigned roll(const kuilt::LogEntry& entry) { return entry.log_time.value() % 6 + 1; }
  kuilt::Bytes apply(const kuilt::LogEntry& entry) override {
    return kuilt::Bytes(std::to_string(sum += roll(entry)));
  }
};
struct BrokenDice final : Dice {  // Each server rolls its own.
  std::random_device random;
  unsigned roll(const kuilt::LogEntry&) override { return random() % 6 + 1; }
};

template <class Machine>
Report play(std::uint64_t seed) {
  int answered = 0;
  Simulation simulation({.seed = seed, .servers = 3, .clients = 2});
  simulation.state_machine([] { return std::make_unique<Machine>(); },
                           [](const Machine& dice) { return std::to_string(dice.sum); });
  simulation.client([&](SimulatedClient& me) {
    for (int i = 0; i < 20; ++i) {
      me.after(std::chrono::milliseconds(me.random(8000)), [&] {
        me.propose("roll").then([&](const kuilt::Result<kuilt::Receipt>&) { ++answered; });
      });
    }
  });
  Report report = simulation.run();
  return report.expect(!report.sound() || answered == 40, "every call has an end");
}

int main(int argc, char** argv) {
  const bool is_broken = argc > 1 && std::string_view(argv[1]) == "broken";
  const Report report = for_seeds(1, 50, is_broken ? play<BrokenDice> : play<Dice>);
  std::printf("%s\n", report.text().c_str());
  return report.sound() ? 0 : 1;
}
