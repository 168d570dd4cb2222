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

}  // namespace kuilt::server
