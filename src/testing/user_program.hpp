// user_program.hpp: a user's code in a simulated client.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "kuilt/testing.hpp"
#include "sim/client.hpp"

namespace kuilt::testing {

/// What stands behind one SimulatedClient. Callbacks are events of the simulation, each of its own,
/// so that none runs inside another, nor inside the client's core.
class SimulatedClient::Impl final : public sim::Program {
 public:
  using Start = std::function<void(SimulatedClient&)>;
  Impl(sim::Client& client, Rng rng, Start start);
  ~Impl() override;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // What the user calls.
  [[nodiscard]] std::size_t number() const { return client_.number(); }
  [[nodiscard]] unsigned starts() const { return starts_; }
  [[nodiscard]] Duration now() const { return client_.scene().now().time_since_epoch(); }
  [[nodiscard]] std::uint64_t random(std::uint64_t bound) { return rng_.below(bound); }
  [[nodiscard]] bool ending() const { return ending_; }
  void after(Duration delay, std::function<void()> callback);
  void expect(bool holds, const std::string& sentence);
  Pending<Receipt> propose(BytesView command, const ProposeOptions& options);
  Status on_committed(const From& from, std::function<void(const Committed&)> callback,
                      const RoomName& room, std::function<void(const Error&)> on_end);

  // sim::Program.
  void started() override;
  void died() override;
  void resolved(const client::Resolved& resolved) override;
  void delivered(const client::Delivered& delivered) override;
  void advanced(const client::Advanced& advanced) override;
  void observe_ended(const client::ObserveEnded& ended) override;
  void faults_are_over() override {}
  void finish() override { ending_ = true; }
  [[nodiscard]] bool has_pending() const override { return due_ > 0; }
  [[nodiscard]] bool is_finished() const override { return true; }
  [[nodiscard]] std::string state() const override;

 private:
  /// From one start of the process to its death: what belongs to it is worth nothing afterwards.
  class Life;
  struct Observed {
    std::function<void(const Committed&)> on_piece;
    std::function<void(const Error&)> on_end;
  };
  using State = detail::PendingState<Receipt>;

  void call_after(Duration delay, const char* name, std::function<void()> callback);
  void complain(const std::string& sentence);
  Pending<Receipt> refused(Error error);

  sim::Client& client_;
  Rng rng_;
  const Start start_;
  SimulatedClient facade_;
  unsigned starts_ = 0;
  bool ending_ = false;
  std::size_t due_ = 0;  // Callbacks and timers to come.
  std::shared_ptr<Life> life_;
  std::map<client::CallId, std::shared_ptr<State>> calls_;
  std::map<RoomName, std::shared_ptr<const Observed>> observed_;
};

}  // namespace kuilt::testing
