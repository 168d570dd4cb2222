// world.hpp: one run from one seed: servers, clients and everything that goes wrong between them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/client.hpp"
#include "sim/run.hpp"
#include "sim/scene.hpp"
#include "sim/server.hpp"

namespace kuilt::sim {

/// What is to be played: kuilt-sim draws it all from the seed, a user brings the application.
struct Setup {
  Plan plan;
  StateMachines machines;
  MakeProgram make_program;
  /// No log may hold a command for which this says no. Unset: any may be.
  std::function<bool(BytesView command)> may_be_in_a_log;
};

class World {
 public:
  World(std::uint64_t seed, Rng rng, Setup setup, Trace::Listener listener,
        Trace::Listener raft_listener = {});
  Report run();

  [[nodiscard]] const Trace& trace() const { return trace_; }

 private:
  // world.cpp: the phases of a run.
  void found();
  void run_until(Instant end);
  bool run_until(Instant end, const std::function<bool()>& done);
  void heal(bool all);
  void leave_out(Server& server);
  [[nodiscard]] bool majority_is_settled(Index since) const;
  void finish();
  void expect(bool held, std::string_view sentence);
  [[nodiscard]] bool everything_is_settled() const;
  [[nodiscard]] bool rooms_are_settled() const;
  [[nodiscard]] std::string states() const;
  void count_shape();
  Report report();

  // changes.cpp: which servers are members, and how that changes.
  [[nodiscard]] raft::Configuration founders() const;
  void add_spares();
  void schedule_change();
  void change_members();
  [[nodiscard]] std::vector<raft::Member> draw_members(const raft::Configuration& now);
  [[nodiscard]] bool is_member(const Server& server) const;
  [[nodiscard]] bool members_are_settled() const;
  void count_changes();

  // faults.cpp: what goes wrong, and when.
  void schedule_faults();
  void schedule(Fault fault, Duration mean_interval);
  void strike(Fault fault);
  void strike_server(Fault fault, Server& server);
  void kill_then_cut_power(Server& server);
  void partition(bool one_way);
  void isolate(ServerNumber server);
  void cut_for_a_while(ServerNumber from, ServerNumber to, Duration time);
  void tear_peer_link();
  void transfer_lead();
  void hang_disk();
  void fill_disk();
  [[nodiscard]] Server& any_server();
  [[nodiscard]] Client& any_client();
  [[nodiscard]] Duration a_while();

  const std::uint64_t seed_;
  Rng rng_;
  Rng changes_rng_;
  const Setup setup_;
  const Plan& plan_ = setup_.plan;
  Rng transfers_rng_{plan_.transfers_seed};
  Rng troubles_rng_{plan_.troubles_seed};
  Agenda agenda_;
  Trace trace_;
  raft::TraceLines raft_trace_;
  Coverage coverage_;
  PeerNetwork peers_;
  Links links_;
  Oracle oracle_;
  RoomOracle rooms_;
  SnapshotOracle snapshots_;
  Invariants invariants_;
  Scene scene_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<bool> left_out_;  ///< Servers that the first part of the healing leaves out.
};

}  // namespace kuilt::sim
