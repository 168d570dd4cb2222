#include "storage/posix_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace kuilt::storage {

namespace {

// "/a/b", "/a/b/" and "/a/b//" lie in "/a/".
std::string parent_of(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const auto slash = path.find_last_of('/');
  return slash == std::string_view::npos ? "." : std::string(path.substr(0, slash + 1));
}

File open_at(int folder, const std::string& path, int flags, unsigned mode) {
  int descriptor = -1;
  do {
    descriptor = ::openat(folder, path.c_str(), flags | O_CLOEXEC, mode);
  } while (descriptor < 0 && errno == EINTR);
  return File(descriptor);
}

}  // namespace

File::~File() {
  if (is_open()) ::close(descriptor_);
}

Error system_error(const std::string& doing) {
  const int number = errno;
  const bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
  return Error(full ? ErrorCode::disk_full : ErrorCode::io,
               doing + ": " + std::generic_category().message(number));
}

Error access_error(const std::string& doing, ErrorCode when_refused) {
  const int number = errno;
  const bool refused = number == EACCES || number == EPERM || number == EROFS ||
                       number == ENOTDIR || number == EISDIR || number == ENOENT ||
                       number == EEXIST;
  if (!refused) return system_error(doing);
  return Error(when_refused, doing + ": " + std::generic_category().message(number));
}

Error directory_error(const std::string& doing) {
  return access_error(doing, ErrorCode::directory_unwritable);
}

Status write_at(const File& file, const std::string& path, BytesView bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t count =
        ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("write " + path + " at byte " + std::to_string(offset));
    offset += static_cast<std::uint64_t>(count);
    bytes = bytes.slice(static_cast<std::size_t>(count),
                        bytes.size() - static_cast<std::size_t>(count));
  }
  return Done{};
}

File open_file(const std::string& path, int flags, unsigned mode) {
  return open_at(AT_FDCWD, path, flags, mode);
}

File open_file_in(const File& folder, const std::string& name, int flags, unsigned mode) {
  return open_at(folder.get(), name, flags, mode);
}

Status sync_directory(const std::string& path) {
  const File directory = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!directory.is_open()) return directory_error("open directory " + path);
  if (::fsync(directory.get()) != 0) return system_error("sync directory " + path);
  return Done{};
}

Status make_directory(const std::string& path) {
  const bool made = ::mkdir(path.c_str(), 0700) == 0;
  struct stat info{};
  const bool there =
      made || (errno == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode));
  if (!there) return directory_error("make directory " + path);
  // One that is there may have been made by a start that was killed before this sync. Where we may
  // not even look at the parent, we can't have made it.
  Status synced = sync_directory(parent_of(path));
  if (!made && !synced && synced.error().code() == ErrorCode::directory_unwritable) return Done{};
  return synced;
}

}  // namespace kuilt::storage
