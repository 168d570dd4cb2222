// disk.hpp: disk work as values, so that a test can stop it anywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "kuilt/bytes.hpp"
#include "kuilt/result.hpp"

namespace kuilt::storage {

/// A file of a directory, by name. No path: the log owns one flat directory, the snapshots another.
using FileName = std::string;

/// Makes a file of `bytes` zeros and syncs it, in place of any other of that name. Whole or not at
/// all: whoever finds the name finds the zeros. The name is durable after the next SyncDirectory.
struct CreateZeroed {
  FileName file;
  std::uint64_t bytes = 0;
};
/// Writes `data` at `offset` of an existing file, within its size. Not durable before SyncData.
struct WriteAt {
  FileName file;
  std::uint64_t offset = 0;
  std::vector<Bytes> data;  ///< Written one behind the other (one pwritev).
};
struct SyncData {
  FileName file;
};
struct SyncDirectory {};
struct RemoveFile {
  FileName file;
};
/// Puts `data` behind the end of an existing file, which grows. Not durable before SyncData.
struct Append {
  FileName file;
  std::vector<Bytes> data;
};
/// Gives a file another name, in place of any other of that name. Durable after the next
/// SyncDirectory; until then a crash leaves either name.
struct RenameFile {
  FileName from;
  FileName to;
};
using DiskOp =
    std::variant<CreateZeroed, WriteAt, SyncData, SyncDirectory, RemoveFile, Append, RenameFile>;

struct FileInfo {
  FileName name;
  std::uint64_t bytes = 0;
};

/// What log and snapshots need of a file system.
///
/// Threads: `perform` from one thread, but for the making of a file that nobody uses yet; `read`
/// and `list` from any.
/// Failure: after a failed WriteAt or SyncData on a file, neither is ever called on it again
/// (rule 12): the kernel may have marked the lost pages clean. It may be removed, no more.
class Disk {
 public:
  virtual ~Disk() = default;
  /// Errors: disk_full, io (effect unknown).
  virtual Status perform(const DiskOp& op) = 0;
  /// Names of all files in the directory, sorted.
  virtual Result<std::vector<FileInfo>> list() = 0;
  /// At most `bytes` from `offset`; fewer only at the end of the file.
  virtual Result<Bytes> read(const FileName& file, std::uint64_t offset, std::size_t bytes) = 0;
};

/// Carries out a plan, one operation after the other. Stops at the first that fails.
inline Status perform_all(Disk& disk, const std::vector<DiskOp>& ops) {
  for (const DiskOp& op : ops) {
    if (Status status = disk.perform(op); !status) return status;
  }
  return Done{};
}

}  // namespace kuilt::storage
