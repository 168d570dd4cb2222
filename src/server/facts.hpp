// facts.hpp: what all threads of one server know about it, and never changes while it runs; and
// where what does change is to be asked.
#pragma once

#include <memory>
#include <string>

#include "kuilt/types.hpp"
#include "server/members.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::server {

struct Facts {
  NodeId node;
  BootId boot;
  std::string name;
  ClusterId cluster;
  HistoryId history;
  wire::Limits limits;
  Duration client_heartbeat_interval = std::chrono::seconds(1);
  std::shared_ptr<Members> members;  ///< Never null.
};

using cluster::LeaderView;

}  // namespace kuilt::server
