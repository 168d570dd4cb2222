// facts.hpp: what all threads of one server know about it, and never changes while it runs.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cluster/leader_notice.hpp"
#include "kuilt/types.hpp"
#include "raft/configuration.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::server {

struct Facts {
  NodeId node;
  BootId boot;
  std::string name;
  raft::Configuration configuration;
  std::vector<std::string> endpoints;  ///< Of all servers, this one first.
  wire::Limits limits;
  Duration client_heartbeat_interval = std::chrono::seconds(1);

  [[nodiscard]] std::vector<std::string> other_endpoints() const {
    return endpoints.empty() ? endpoints
                             : std::vector<std::string>(endpoints.begin() + 1, endpoints.end());
  }
};

using cluster::LeaderView;

}  // namespace kuilt::server
