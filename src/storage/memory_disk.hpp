// memory_disk.hpp: a directory in memory, for voters that share one process, and for tests.
#pragma once

#include <map>
#include <string>

#include "storage/disk.hpp"

namespace kuilt::storage {

/// Keeps what it is told, and loses it with the process. Copyable: a copy is a snapshot.
class MemoryDisk final : public Disk {
 public:
  Status perform(const DiskOp& op) override;
  Result<std::vector<FileInfo>> list() override;
  Result<Bytes> read(const FileName& file, std::uint64_t offset, std::size_t bytes) override;

  /// The bytes of a file, for tests that damage it. Null if there is none.
  [[nodiscard]] std::string* contents(const FileName& file);

 private:
  std::map<FileName, std::string> files_;
};

}  // namespace kuilt::storage
