// disk_usage.hpp: what a server's log takes of its disk, and what is left there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace kuilt::server {

struct DiskUsage {
  std::uint64_t log_bytes = 0;   ///< Of all files of the log, those that are prepared included.
  std::uint64_t free_bytes = 0;  ///< That this user may still write.
};

/// Of a data directory. Nothing for a log in memory (an empty path), and where the system does not
/// say. Reads names and sizes only.
[[nodiscard]] std::optional<DiskUsage> disk_usage(const std::string& data);

}  // namespace kuilt::server
