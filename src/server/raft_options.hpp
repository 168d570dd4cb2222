// raft_options.hpp: the options of the consensus core that follow from a server's.
#pragma once

#include <algorithm>

#include "kuilt/server.hpp"
#include "raft/core.hpp"

namespace kuilt::server {

inline raft::Options raft_options_of(const ServerOptions& options) {
  raft::Options raft;
  raft.heartbeat_interval = options.heartbeat_interval;
  raft.election_timeout_min = options.election_timeout_min;
  raft.election_timeout_max = options.election_timeout_max;
  raft.disk_stall_max = options.disk_stall_max;
  // No flag sets it, so none must be refused for its sake.
  raft.learner_silence_max = std::max(raft.learner_silence_max, raft.election_timeout_max);
  return raft;
}

}  // namespace kuilt::server
