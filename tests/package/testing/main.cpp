// A test of a user: their state machine on a simulated cluster, through the library for that alone.
#include <kuilt/testing.hpp>

#include <cstdio>
#include <memory>
#include <string>

struct Total final : kuilt::StateMachine {
  std::size_t bytes = 0;
  kuilt::Bytes apply(const kuilt::LogEntry& entry) override {
    return kuilt::Bytes(std::to_string(bytes += entry.command.size()));
  }
};

int main() {
  const auto report = kuilt::testing::for_seeds(1, 5, [](std::uint64_t seed) {
    kuilt::testing::Simulation simulation({.seed = seed});
    simulation.state_machine([] { return std::make_unique<Total>(); });
    simulation.client([](kuilt::testing::SimulatedClient& me) {
      me.propose("packed and unpacked").then([](const kuilt::Result<kuilt::Receipt>&) {});
    });
    return simulation.run();
  });
  std::printf("%s\n", report.text().c_str());
  for (const auto& entry : report.committed) {
    std::printf("observed: %s\n", std::string(entry.command.text()).c_str());
  }
  return report.sound() ? 0 : 1;
}
