// transfers.hpp: who waits for a hand-over of the lead to end, and what is told.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cluster/machine.hpp"
#include "kuilt/result.hpp"
#include "raft/configuration.hpp"
#include "server/pending_orders.hpp"

namespace kuilt::server {

/// Hears how a hand-over ended, once: the name of the server that leads now, or why not.
using TransferDone = std::function<void(Result<std::string>)>;

/// The requests of one node that have not ended.
using Transfers = PendingOrders<std::string>;

/// The member of that name; nothing for an empty one: the leader chooses.
/// Errors: unknown_server (with the names that there are).
[[nodiscard]] Result<std::optional<NodeId>> member_named(const std::string& name,
                                                         const raft::Configuration& configuration);

/// Begins a hand-over and waits for its end, for `patience` at most.
/// Errors: transfer_failed (it may happen yet), and what `done` is told.
[[nodiscard]] Result<std::string> await_transfer(const std::function<void(TransferDone)>& begin,
                                                 Duration patience);

/// The name of the new leader, or the error.
/// Errors: not_leader, busy (another one is under way), unknown_server, not_a_voter, target_behind,
/// transfer_failed.
[[nodiscard]] Result<std::string> told_of(const raft::TransferEnded& ended, const std::string& self,
                                          const raft::Configuration& configuration);

}  // namespace kuilt::server
