#include "storage/posix_disk.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "kuilt/detail/overloaded.hpp"
#include "storage/posix_file.hpp"

namespace kuilt::storage {
namespace {

constexpr std::size_t zeros_bytes = std::size_t{1} << 20;
// A file of zeros is synced in pieces, so that the log's own sync never waits behind all of it.
constexpr std::uint64_t unsynced_zeros_max = std::uint64_t{4} << 20;
// A roll writes to two segments in turn; a sealed one is never written again.
constexpr std::size_t open_files_max = 2;
constexpr std::string_view unfinished_prefix = ".new-";

std::string at_byte(std::uint64_t offset) { return " at byte " + std::to_string(offset); }

// Asks for the room first, so that a full disk is known before anything is written.
Status reserve(const File& file, const std::string& path, std::uint64_t bytes) {
  do {
    errno = ::posix_fallocate(file.get(), 0, static_cast<off_t>(bytes));
  } while (errno == EINTR);
  // Where the file system can't reserve, the zeros will tell.
  if (errno == 0 || errno == EOPNOTSUPP || errno == EINVAL) return Done{};
  return system_error("make " + std::to_string(bytes) + " bytes of " + path);
}

Status write_zeros(const File& file, const std::string& path, std::uint64_t bytes) {
  static const std::string zeros(zeros_bytes, '\0');
  std::uint64_t synced = 0;
  for (std::uint64_t done = 0; done < bytes;) {
    const std::uint64_t piece = std::min<std::uint64_t>(zeros.size(), bytes - done);
    const ssize_t written = ::pwrite(file.get(), zeros.data(), piece, static_cast<off_t>(done));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error("write " + path + at_byte(done));
    done += static_cast<std::uint64_t>(written);
    if (done - synced < unsynced_zeros_max && done < bytes) continue;
    if (::fdatasync(file.get()) != 0) return system_error("sync " + path);
    synced = done;
  }
  if (::fsync(file.get()) != 0) return system_error("sync " + path);
  return Done{};
}

std::vector<iovec> vectors_of(const std::vector<Bytes>& data) {
  std::vector<iovec> vectors;
  vectors.reserve(data.size());
  for (const Bytes& piece : data) {
    if (piece.empty()) continue;
    // iovec serves readv too, hence its pointer to what may change; pwritev only reads.
    vectors.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
  }
  return vectors;
}

// One pwritev as a rule; more when the system takes less at once.
Status write_all(const File& file, const std::string& path, const std::vector<Bytes>& data,
                 std::uint64_t offset) {
  std::vector<iovec> vectors = vectors_of(data);
  for (std::size_t first = 0; first < vectors.size();) {
    const int count = static_cast<int>(std::min<std::size_t>(vectors.size() - first, IOV_MAX));
    const ssize_t result =
        ::pwritev(file.get(), &vectors[first], count, static_cast<off_t>(offset));
    if (result < 0 && errno == EINTR) continue;
    if (result < 0) return system_error("write " + path + at_byte(offset));
    auto written = static_cast<std::size_t>(result);
    offset += written;
    while (first < vectors.size() && written >= vectors[first].iov_len) {
      written -= vectors[first++].iov_len;
    }
    if (written == 0) continue;
    vectors[first].iov_base = static_cast<std::byte*>(vectors[first].iov_base) + written;
    vectors[first].iov_len -= written;
  }
  return Done{};
}

}  // namespace

struct PosixDisk::Impl {
  struct Open {
    FileName name;
    std::shared_ptr<const File> file;
  };
  explicit Impl(std::string path) : directory(std::move(path)) {}

  [[nodiscard]] std::string path_of(const FileName& file) const { return directory + "/" + file; }
  [[nodiscard]] bool is_poisoned(const FileName& file) {
    const std::lock_guard lock(mutex);
    return poisoned.contains(file);
  }
  [[nodiscard]] Error poisoned_error(const FileName& file) const {
    return Error(ErrorCode::io, path_of(file) + ": an earlier write or sync of it failed");
  }
  /// Open for writing, and kept so until others have been used more recently.
  Result<std::shared_ptr<const File>> writable(const FileName& file);
  void forget(const FileName& file) {
    const std::lock_guard lock(mutex);
    std::erase_if(open, [&file](const Open& one) { return one.name == file; });
  }
  Status poison_unless(const FileName& file, Status status) {
    if (status) return status;
    const std::lock_guard lock(mutex);
    poisoned.insert(file);
    return status;
  }

  Status create(const CreateZeroed& op);
  Status write(const WriteAt& op);
  Status sync(const SyncData& op);
  Status remove(const RemoveFile& op);
  Status append(const Append& op);
  Status rename(const RenameFile& op);
  Status remove_unfinished();

  const std::string directory;
  bool read_only = false;
  std::mutex mutex;        ///< Guards both below.
  std::vector<Open> open;  ///< The one used last at the end.
  std::set<FileName> poisoned;
};

Result<std::shared_ptr<const File>> PosixDisk::Impl::writable(const FileName& file) {
  const std::lock_guard lock(mutex);
  if (poisoned.contains(file)) return poisoned_error(file);
  auto found = std::ranges::find(open, file, &Open::name);
  if (found == open.end()) {
    auto opened = std::make_shared<const File>(open_file(path_of(file), O_WRONLY));
    if (!opened->is_open()) return system_error("open " + path_of(file));
    if (open.size() == open_files_max) open.erase(open.begin());
    found = open.insert(open.end(), {file, std::move(opened)});
  }
  std::rotate(found, found + 1, open.end());
  return open.back().file;
}

// The file gets its name only when all its zeros are durable: whoever finds the name finds zeros.
Status PosixDisk::Impl::create(const CreateZeroed& op) {
  if (is_poisoned(op.file)) return poisoned_error(op.file);
  forget(op.file);
  const std::string unfinished = path_of(std::string(unfinished_prefix) + op.file);
  const File file = open_file(unfinished, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (!file.is_open()) return directory_error("create " + unfinished);
  Status status = reserve(file, unfinished, op.bytes);
  if (status) status = write_zeros(file, unfinished, op.bytes);
  if (status && ::rename(unfinished.c_str(), path_of(op.file).c_str()) != 0) {
    status = system_error("rename " + unfinished);
  }
  if (!status) ::unlink(unfinished.c_str());
  return status;
}

Status PosixDisk::Impl::write(const WriteAt& op) {
  const auto file = writable(op.file);
  if (!file) return Error(file.error());
  return poison_unless(op.file, write_all(**file, path_of(op.file), op.data, op.offset));
}

Status PosixDisk::Impl::sync(const SyncData& op) {
  const auto file = writable(op.file);
  if (!file) return Error(file.error());
  const Status status = ::fdatasync((*file)->get()) == 0
                            ? Status(Done{})
                            : Status(system_error("sync " + path_of(op.file)));
  return poison_unless(op.file, status);
}

// A file whose write failed may go: whatever has its name after that is another one.
Status PosixDisk::Impl::remove(const RemoveFile& op) {
  forget(op.file);
  if (::unlink(path_of(op.file).c_str()) != 0) return system_error("remove " + path_of(op.file));
  const std::lock_guard lock(mutex);
  poisoned.erase(op.file);
  return Done{};
}

Status PosixDisk::Impl::append(const Append& op) {
  const auto file = writable(op.file);
  if (!file) return Error(file.error());
  const std::string path = path_of(op.file);
  struct stat info{};
  if (::fstat((*file)->get(), &info) != 0) return system_error("look at " + path);
  const auto end = static_cast<std::uint64_t>(info.st_size);
  return poison_unless(op.file, write_all(**file, path, op.data, end));
}

Status PosixDisk::Impl::rename(const RenameFile& op) {
  for (const FileName& file : {op.from, op.to}) {
    if (is_poisoned(file)) return poisoned_error(file);
    forget(file);
  }
  if (::rename(path_of(op.from).c_str(), path_of(op.to).c_str()) == 0) return Done{};
  return system_error("rename " + path_of(op.from));
}

namespace {

Result<std::vector<FileName>> names_in(const std::string& directory) {
  DIR* const stream = ::opendir(directory.c_str());
  if (stream == nullptr) return directory_error("list " + directory);
  std::vector<FileName> names;
  errno = 0;
  while (const dirent* const found = ::readdir(stream)) names.emplace_back(found->d_name);
  const int failed = errno;
  ::closedir(stream);
  errno = failed;
  if (failed != 0) return system_error("list " + directory);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

Status PosixDisk::Impl::remove_unfinished() {
  const auto names = names_in(directory);
  if (!names) return Error(names.error());
  for (const FileName& name : *names) {
    if (!name.starts_with(unfinished_prefix)) continue;
    if (::unlink(path_of(name).c_str()) != 0) return directory_error("remove " + path_of(name));
  }
  return Done{};
}

PosixDisk::PosixDisk(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PosixDisk::~PosixDisk() = default;

Result<std::unique_ptr<PosixDisk>> PosixDisk::open(const std::string& directory) {
  if (auto status = make_directory(directory); !status) return std::move(status).error();
  auto impl = std::make_unique<Impl>(directory);
  if (auto status = impl->remove_unfinished(); !status) return std::move(status).error();
  return std::unique_ptr<PosixDisk>(new PosixDisk(std::move(impl)));
}

Result<std::unique_ptr<PosixDisk>> PosixDisk::look(const std::string& directory) {
  if (const auto names = names_in(directory); !names) return Error(names.error());
  auto impl = std::make_unique<Impl>(directory);
  impl->read_only = true;
  return std::unique_ptr<PosixDisk>(new PosixDisk(std::move(impl)));
}

Status PosixDisk::perform(const DiskOp& op) {
  if (impl_->read_only) {
    return Error(ErrorCode::usage, impl_->directory + " was opened for reading only");
  }
  const auto carry_out = Overloaded{
      [&](const CreateZeroed& create) { return impl_->create(create); },
      [&](const WriteAt& write) { return impl_->write(write); },
      [&](const SyncData& sync) { return impl_->sync(sync); },
      [&](const SyncDirectory&) { return sync_directory(impl_->directory); },
      [&](const RemoveFile& remove) { return impl_->remove(remove); },
      [&](const Append& more) { return impl_->append(more); },
      [&](const RenameFile& rename) { return impl_->rename(rename); },
  };
  return std::visit(carry_out, op);
}

Result<std::vector<FileInfo>> PosixDisk::list() {
  auto names = names_in(impl_->directory);
  if (!names) return std::move(names).error();
  std::vector<FileInfo> files;
  for (FileName& name : *names) {
    struct stat info{};
    if (::stat(impl_->path_of(name).c_str(), &info) != 0) {
      return system_error("look at " + impl_->path_of(name));
    }
    if (!S_ISREG(info.st_mode) || name.starts_with(unfinished_prefix)) continue;
    files.push_back({std::move(name), static_cast<std::uint64_t>(info.st_size)});
  }
  return files;
}

Result<Bytes> PosixDisk::read(const FileName& file, std::uint64_t offset, std::size_t bytes) {
  if (impl_->is_poisoned(file)) return impl_->poisoned_error(file);
  const std::string path = impl_->path_of(file);
  const File opened = open_file(path, O_RDONLY);
  if (!opened.is_open()) return system_error("open " + path);
  std::string out(bytes, '\0');
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t count =
        ::pread(opened.get(), out.data() + done, bytes - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("read " + path + at_byte(offset + done));
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  out.resize(done);
  return Bytes(std::move(out));
}

}  // namespace kuilt::storage
