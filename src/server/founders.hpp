// founders.hpp: runs Founding over peer links, and waits for its end.
#pragma once

#include <string>

#include "kuilt/server.hpp"
#include "raft/configuration.hpp"
#include "server/founding.hpp"
#include "server/open.hpp"
#include "server/peer_links.hpp"

namespace kuilt::server {

/// Blocks until all servers of `options.found` hold the same record, or this one is told that it
/// can't be part of it. Every few seconds it says whom it waits for.
/// Errors: founding_differs, directory_lost, timed_out (after `options.founding_timeout`).
Result<raft::Configuration> found_together(const ServerOptions& options, NodeId self, BootId boot,
                                           const std::string& client_url, PeerLinks& links,
                                           const NodeEvents& events);

}  // namespace kuilt::server
