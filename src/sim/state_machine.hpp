// state_machine.hpp: the application whose state the simulated servers keep.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "kuilt/detail/rng.hpp"
#include "kuilt/state_machine.hpp"
#include "wire/entry.hpp"

namespace kuilt::sim {

/// Makes a state machine for each start of a server, and one for the oracle, which never restarts
/// and is never asked to admit anything.
struct StateMachines {
  std::function<std::unique_ptr<kuilt::StateMachine>()> make;  ///< Unset: servers have none.
  /// The state as text, equal for equal states. Unset: only results are compared.
  std::function<std::string(const kuilt::StateMachine&)> show;
};

/// What kuilt-sim's own says to a command before it enters the log. Some it never admits, on no
/// server; some it admits at times.
enum class Admittance : std::uint8_t { always, at_times, never };
[[nodiscard]] inline Admittance admittance_of(BytesView command) {
  const auto first = command.empty() ? std::byte{} : command.front();
  const unsigned kind = std::to_integer<unsigned>(first) % 7;
  if (kind == 3) return Admittance::never;
  return kind == 5 ? Admittance::at_times : Admittance::always;
}

/// kuilt-sim's own. Its state is a digest of all commands so far, and so is each result: a command
/// that was left out, applied twice or at another place shows in all that follow.
class DigestMachine final : public kuilt::StateMachine {
 public:
  /// So many freezes fail, in one of three ways.
  explicit DigestMachine(Rng rng, std::uint64_t trouble_percent = 0)
      : rng_(rng), trouble_percent_(trouble_percent) {}

  Bytes apply(const LogEntry& entry) override {
    state_ = wire::chain(state_, entry.command);
    return Bytes(std::to_string(state_));
  }
  Status admit(const std::string& /*author*/, BytesView command) override {
    const Admittance admittance = admittance_of(command);
    const bool refuses = admittance == Admittance::never ||
                         (admittance == Admittance::at_times && rng_.chance(refusal_percent));
    if (refuses) return Error(ErrorCode::not_admitted, "not this");
    return Done{};
  }
  [[nodiscard]] std::string text() const { return std::to_string(state_); }
  SnapshotWriter freeze() override {
    const bool fails = rng_.chance(trouble_percent_);
    const std::uint64_t how = rng_.below(3);
    if (fails && how == 0) throw std::runtime_error("cannot freeze");
    return [frozen = std::to_string(state_), fails, how](SnapshotSink& sink) -> Status {
      if (fails && how == 1) throw std::runtime_error("cannot write");
      if (fails) return Error(ErrorCode::io, "will not write");
      return sink.write(frozen);
    };
  }
  Status restore(SnapshotSource& source) override {
    const auto frozen = source.read(max_digits);
    if (!frozen) return Error(frozen.error());
    state_ = std::stoull(std::string(frozen->text()));
    return Done{};
  }

 private:
  static constexpr std::size_t max_digits = 20;
  static constexpr std::uint64_t refusal_percent = 40;  // Of what is admitted at times.

  Rng rng_;
  std::uint64_t trouble_percent_;
  std::uint64_t state_ = 0;
};

}  // namespace kuilt::sim
