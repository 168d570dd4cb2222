// state_machine.hpp: the application whose state the simulated servers keep.
#pragma once

#include <cstdint>
#include <string>

#include "kuilt/bytes.hpp"
#include "kuilt/types.hpp"
#include "wire/entry.hpp"

namespace kuilt::sim {

/// Its state is a digest of all commands so far, and so is each result: a command that was left
/// out, applied twice or at another place shows in all that follow.
class StateMachine {
 public:
  Bytes apply(BytesView command) {
    state_ = wire::chain(state_, command);
    return Bytes(std::to_string(state_));
  }

 private:
  std::uint64_t state_ = 0;
};

/// What it says to a command before it enters the log. Some it never admits, on no server; some it
/// admits at times.
enum class Admittance : std::uint8_t { always, at_times, never };
[[nodiscard]] inline Admittance admittance_of(std::uint64_t proposal) {
  if (proposal % 7 == 3) return Admittance::never;
  return proposal % 7 == 5 ? Admittance::at_times : Admittance::always;
}

}  // namespace kuilt::sim
