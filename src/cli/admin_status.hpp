// admin_status.hpp: what a server says of itself on its admin listener.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kuilt/result.hpp"

namespace kuilt::cli {

/// A member that the server did not send is empty, or 0.
struct AdminStatus {
  std::string name;
  std::string id;
  std::string role;
  std::string leader;  ///< Name; empty if none is known.
  std::uint64_t term = 0;
  std::uint64_t commit = 0;
  std::optional<std::uint64_t> applied;  ///< Of its state machine, if it has one.
  std::uint64_t last = 0;
  std::uint64_t log_bytes = 0;        ///< Of the log's files.
  std::uint64_t disk_free_bytes = 0;  ///< On their disk.
  std::uint64_t clients = 0;
  std::uint64_t voters = 0;
  std::uint64_t members = 0;  ///< Voters and learners.
  std::uint64_t peers_linked = 0;
  bool disk_stalled = false;  ///< Its disk hangs.
  std::string json;           ///< All of it, on one line.
};

/// Asks the admin listener at "host:port".
/// Errors: no_server (it does not answer in time), bad_frame (it answers no JSON object).
Result<AdminStatus> ask_status(const std::string& address);

}  // namespace kuilt::cli
