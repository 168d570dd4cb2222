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

/// Says once that a disk is filling up, and once that it has room again.
class DiskWatch {
 public:
  /// A line for people, when there is news. Between the two limits there is none: a disk that stays
  /// near one of them is told once.
  [[nodiscard]] std::optional<std::string> look(std::uint64_t free_bytes);

  static constexpr std::uint64_t low_bytes = std::uint64_t{1} << 30;
  static constexpr std::uint64_t enough_bytes = std::uint64_t{3} << 29;

 private:
  bool is_low_ = false;
};

}  // namespace kuilt::server
