// program.hpp: what runs in a simulated client.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "client/client_core.hpp"
#include "kuilt/detail/rng.hpp"

namespace kuilt::sim {

class Client;

/// An application over one client: kuilt-sim's own, drawn from the seed, or a user's. The object
/// outlives crashes of its client; what it keeps beyond `died` is what it had on its own disk.
class Program {
 public:
  virtual ~Program() = default;

  virtual void started() = 0;
  /// Nothing that was under way will be heard of any more.
  virtual void died() = 0;
  virtual void resolved(const client::Resolved& resolved) = 0;
  /// A read barrier has ended. Who asks for none hears of none.
  virtual void read_resolved(const client::BarrierResolved& /*resolved*/) {}
  virtual void delivered(const client::Delivered& delivered) = 0;
  virtual void advanced(const client::Advanced& advanced) = 0;
  virtual void observe_ended(const client::ObserveEnded& ended) = 0;

  /// Nothing goes wrong any more, though perhaps some servers are still down.
  virtual void faults_are_over() = 0;
  /// All servers are there: time to come to an end.
  virtual void finish() = 0;
  /// Whether it waits for outcomes, beyond those of the calls that its client has under way.
  [[nodiscard]] virtual bool has_pending() const = 0;
  [[nodiscard]] virtual bool is_finished() const = 0;
  /// For people, when a run does not end.
  [[nodiscard]] virtual std::string state() const = 0;
};
using MakeProgram = std::function<std::unique_ptr<Program>(Client& client, Rng rng)>;

}  // namespace kuilt::sim
