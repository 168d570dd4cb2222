#include "client/session_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

namespace kuilt::client {
namespace {

using storage::File;

constexpr unsigned mode = 0600;  // Whoever reads it can propose in the session's name.

Result<std::string> read_all(const File& file, const std::string& path) {
  std::string content;
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return storage::system_error("read " + path);
    if (count == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

/// Where a path leads when it is opened, for good.
struct Place {
  File folder;
  std::string name;
};

Result<Place> place_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  const bool here = slash == std::string::npos;
  const std::string folder = here ? "." : path.substr(0, slash + 1);
  Place place{storage::open_file(folder, O_RDONLY | O_DIRECTORY),
              here ? path : path.substr(slash + 1)};
  if (!place.folder.is_open()) {
    return storage::access_error("open the folder of " + path, ErrorCode::session_unwritable);
  }
  struct stat info{};
  const int there = ::fstatat(place.folder.get(), place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW);
  if (place.name.empty() || (there == 0 && !S_ISREG(info.st_mode))) {
    return Error(ErrorCode::session_unwritable,
                 path + " is no regular file: name the file itself, no folder and no link to it");
  }
  return place;
}

Result<File> lock(const Place& place, const std::string& path) {
  File file = storage::open_file_in(place.folder, place.name + ".lock", O_RDWR | O_CREAT, mode);
  if (!file.is_open()) {
    return storage::access_error("open " + path, ErrorCode::session_unwritable);
  }
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return storage::system_error("lock " + path);
    const auto holder = read_all(file, path);
    return Error(ErrorCode::session_locked,
                 path + " is held by process " + (holder && !holder->empty() ? *holder : "?"));
  }
  if (::ftruncate(file.get(), 0) != 0) return storage::system_error("write " + path);
  auto written = storage::write_at(file, path, std::to_string(::getpid()), 0);
  if (!written) return std::move(written).error();
  return file;
}

}  // namespace

Result<std::unique_ptr<SessionFile>> SessionFile::open(std::string path) {
  if (path.empty()) return Error(ErrorCode::invalid_argument, "a session file needs a path");
  auto place = place_of(path);
  if (!place) return std::move(place).error();
  auto locked = lock(*place, path + ".lock");
  if (!locked) return std::move(locked).error();
  return std::unique_ptr<SessionFile>(new SessionFile(std::move(path), std::move(place->folder),
                                                      std::move(place->name), *std::move(locked)));
}

Result<std::optional<Bytes>> SessionFile::load() {
  const File file = storage::open_file_in(folder_, name_, O_RDONLY);
  if (!file.is_open() && errno == ENOENT) return std::optional<Bytes>();
  if (!file.is_open()) {
    return storage::access_error("open " + path_, ErrorCode::session_unwritable);
  }
  auto content = read_all(file, path_);
  if (!content) return std::move(content).error();
  return std::optional(Bytes(*std::move(content)));
}

Status SessionFile::append(BytesView bytes) {
  KUILT_CHECK(file_.is_open());
  if (auto written = storage::write_at(file_, path_, bytes, bytes_); !written) return written;
  if (::fdatasync(file_.get()) != 0) return storage::system_error("sync " + path_);
  bytes_ += bytes.size();
  return Done{};
}

Status SessionFile::replace(BytesView bytes) {
  const std::string unfinished = name_ + ".new";
  File file;
  if (auto written = write_new(unfinished, bytes, file); !written) {
    ::unlinkat(folder_.get(), unfinished.c_str(), 0);
    return written;
  }
  if (::renameat(folder_.get(), unfinished.c_str(), folder_.get(), name_.c_str()) != 0) {
    auto error = storage::access_error("rename " + path_ + ".new", ErrorCode::session_unwritable);
    ::unlinkat(folder_.get(), unfinished.c_str(), 0);
    return error;
  }
  file_ = std::move(file);
  bytes_ = bytes.size();
  if (::fsync(folder_.get()) != 0) return storage::system_error("sync the folder of " + path_);
  return Done{};
}

Status SessionFile::write_new(const std::string& name, BytesView bytes, File& file) const {
  const std::string path = path_ + ".new";  // As errors call it.
  file = storage::open_file_in(folder_, name, O_WRONLY | O_CREAT | O_TRUNC, mode);
  if (!file.is_open()) {
    return storage::access_error("create " + path, ErrorCode::session_unwritable);
  }
  if (auto written = storage::write_at(file, path, bytes, 0); !written) return written;
  if (::fsync(file.get()) != 0) return storage::system_error("sync " + path);
  return Done{};
}

}  // namespace kuilt::client
