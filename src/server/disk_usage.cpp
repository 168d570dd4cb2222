#include "server/disk_usage.hpp"

#include <filesystem>
#include <system_error>

namespace kuilt::server {

namespace fs = std::filesystem;

std::optional<DiskUsage> disk_usage(const std::string& data) {
  if (data.empty()) return std::nullopt;
  std::error_code failed;
  const fs::space_info space = fs::space(data, failed);
  if (failed) return std::nullopt;
  DiskUsage usage{.log_bytes = 0, .free_bytes = space.available};
  for (fs::directory_iterator file(fs::path(data) / "log", failed), end; !failed && file != end;
       file.increment(failed)) {
    std::error_code gone;  // A file that was renamed meanwhile is not counted.
    const std::uintmax_t size = file->file_size(gone);
    if (!gone) usage.log_bytes += size;
  }
  return usage;
}

std::optional<std::string> DiskWatch::look(std::uint64_t free_bytes) {
  const std::string free = std::to_string(free_bytes >> 20U) + " MiB are free";
  if (!is_low_ && free_bytes < low_bytes) {
    is_low_ = true;
    return "the disk is filling up: " + free +
           "; a server whose log has no room stops by itself (disk_full): make room";
  }
  if (is_low_ && free_bytes >= enough_bytes) {
    is_low_ = false;
    return "the disk has room again: " + free;
  }
  return std::nullopt;
}

}  // namespace kuilt::server
