// log_history.hpp: what is really in the logs of stopped servers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kuilt/result.hpp"

namespace kuilt::process_tests {

/// One log, read back as a server would at its next start.
struct LogHistory {
  std::vector<std::uint64_t> chain;    ///< Hash of everything through index i + 1, at place i.
  std::vector<std::string> commands;   ///< Bodies of command entries, in order.
  std::vector<std::uint64_t> indexes;  ///< Of those.
  std::uint64_t commit = 0;
  std::vector<std::string> repeats;  ///< (session, request) pairs that stand there twice.
};

/// Errors: those of storage::Wal::open.
Result<LogHistory> read_log(const std::string& data_directory);

}  // namespace kuilt::process_tests
