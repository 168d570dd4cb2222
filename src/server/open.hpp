// open.hpp: from a data directory and options to a running node.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "kuilt/server.hpp"
#include "server/node.hpp"

namespace kuilt::server {

/// What the owner of a node hears of it; any thread.
struct NodeEvents {
  std::function<void(const Error&)> on_failed;
  std::function<void(const std::string&)> on_news;  ///< Lines for people.
};

/// Locks and recovers the directory, founds the cluster if it is new (which waits for the other
/// founding servers), and starts the node. Errors: those of ServerCluster::open.
Result<std::unique_ptr<Node>> open_node(ServerOptions options, const NodeEvents& events);

/// A voter of a mesh in this process; `record` is the same for all. Without `options.data` its log
/// is in memory only.
Result<std::unique_ptr<Node>> open_mesh_node(ServerOptions options,
                                             const raft::Configuration& record, NodeId self,
                                             const std::shared_ptr<VoterMesh>& mesh,
                                             const NodeEvents& events);

/// A port that is free now, where the address says 0; other addresses as they are.
Result<std::string> with_real_port(const std::string& address);

}  // namespace kuilt::server
