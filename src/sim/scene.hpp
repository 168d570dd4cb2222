// scene.hpp: what all actors of one run share.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "raft/trace.hpp"
#include "sim/agenda.hpp"
#include "sim/coverage.hpp"
#include "sim/invariants.hpp"
#include "sim/links.hpp"
#include "sim/network.hpp"
#include "sim/oracle.hpp"
#include "sim/plan.hpp"
#include "sim/room_oracle.hpp"
#include "sim/snapshot_oracle.hpp"
#include "sim/state_machine.hpp"
#include "sim/trace.hpp"

namespace kuilt::sim {

struct Scene {
  const Plan& plan;
  const StateMachines& machines;
  Agenda& agenda;
  Trace& trace;
  PeerNetwork& peers;
  Links& links;
  Oracle& oracle;
  RoomOracle& rooms;
  SnapshotOracle& snapshots;
  Invariants& invariants;
  Coverage& coverage;
  bool healed = false;
  raft::TraceLines* raft_trace = nullptr;  ///< Null if nobody reads it.

  [[nodiscard]] Instant now() const { return agenda.now(); }
  void note(std::string_view sentence, std::initializer_list<std::uint64_t> numbers) {
    trace.note(agenda.now(), sentence, numbers);
  }
};

[[nodiscard]] inline std::string name_of_server(ServerNumber number) {
  return "s" + std::to_string(number);
}
[[nodiscard]] inline std::string endpoint_of_server(ServerNumber number) {
  return "ws://" + name_of_server(number);
}

}  // namespace kuilt::sim
