// open.hpp: from a data directory and options to a running node.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kuilt/server.hpp"
#include "server/node.hpp"

namespace kuilt::server {

/// What the owner of a node hears of it; any thread.
struct NodeEvents {
  std::function<void(const Error&)> on_failed;
  std::function<void(const std::string&)> on_news;  ///< Lines for people.
};

/// Locks and recovers the directory, founds the cluster if it is new (which waits for the other
/// founding servers), and starts the node. `state_machine` is borrowed, and may be null.
/// Errors: those of ServerCluster::open.
Result<std::unique_ptr<Node>> open_node(ServerOptions options, StateMachine* state_machine,
                                        const NodeEvents& events);

/// The voters of a mesh in this process.
struct MeshPlan {
  raft::Configuration record;  ///< As it is in their logs: without addresses, for ports change.
  std::map<std::string, std::string> client_urls;  ///< By name, as of now.
};

/// Looks into the directories of all voters: the cluster that they hold, or a new one. A voter
/// without `data` is new, and its log will be in memory only.
/// Errors: directory_lost, directory_of_another, invalid_argument (as many voters as founded it),
/// and those of recovery.
Result<MeshPlan> plan_mesh(const std::vector<ServerOptions>& voters);

/// A voter of the plan, which `options.name` names.
/// Errors: directory_of_another, and those of recovery.
Result<std::unique_ptr<Node>> open_mesh_node(ServerOptions options, const MeshPlan& plan,
                                             const std::shared_ptr<InProcessMesh>& mesh,
                                             StateMachine* state_machine, const NodeEvents& events);

/// A port that is free now, where the address says 0; other addresses as they are.
Result<std::string> with_real_port(const std::string& address);

}  // namespace kuilt::server
