// joiners.hpp: a server that asks to be a member, until it is one.
#pragma once

#include <string>

#include "kuilt/server.hpp"
#include "raft/configuration.hpp"
#include "server/open.hpp"
#include "server/peer_links.hpp"

namespace kuilt::server {

/// Blocks until a member answers that this server is one too, and returns who the members are.
/// Every few seconds it says what it waits for. `self` must be durable: whoever is asked keeps it.
/// Errors: name_taken, change_refused, timed_out (after `options.founding_timeout`).
Result<raft::Configuration> join(const ServerOptions& options, NodeId self, BootId boot,
                                 const wire::JoinRequest& request, PeerLinks& links,
                                 const NodeEvents& events);

}  // namespace kuilt::server
