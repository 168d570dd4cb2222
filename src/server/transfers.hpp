// transfers.hpp: who waits for a hand-over of the lead to end, and what is told.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "cluster/machine.hpp"
#include "kuilt/result.hpp"
#include "raft/configuration.hpp"

namespace kuilt::server {

/// Hears how a hand-over ended, once: the name of the server that leads now, or why not.
using TransferDone = std::function<void(Result<std::string>)>;

/// The requests of one node that have not ended.
///
/// Threads: any. Callbacks run on the caller's, without a lock.
class Transfers {
 public:
  ~Transfers() { close("the server was stopped"); }

  /// Returns the number under which the machine is to be asked. Once closed, `done` hears so at
  /// once.
  std::uint64_t add(TransferDone done);
  void end(std::uint64_t number, Result<std::string> how);
  /// Nothing will end any more: whoever waits hears `stopped`.
  void close(const std::string& why);

 private:
  std::mutex mutex_;
  std::uint64_t last_number_ = 0;
  std::map<std::uint64_t, TransferDone> waiting_;
  std::string closed_;  ///< Why; empty while open.
};

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
