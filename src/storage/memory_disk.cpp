#include "storage/memory_disk.hpp"

#include <algorithm>

#include "kuilt/detail/overloaded.hpp"

namespace kuilt::storage {
namespace {

Error no_file(const FileName& file) { return Error(ErrorCode::io, file + ": no such file"); }

}  // namespace

std::string* MemoryDisk::contents(const FileName& file) {
  const auto found = files_.find(file);
  return found == files_.end() ? nullptr : &found->second;
}

Status MemoryDisk::perform(const DiskOp& op) {
  const auto carry_out = Overloaded{
      [&](const CreateZeroed& create) -> Status {
        files_[create.file] = std::string(create.bytes, '\0');
        return Done{};
      },
      [&](const WriteAt& write) -> Status {
        std::string* const file = contents(write.file);
        if (file == nullptr) return no_file(write.file);
        std::uint64_t offset = write.offset;
        for (const Bytes& piece : write.data) {
          KUILT_CHECK(offset + piece.size() <= file->size());
          file->replace(offset, piece.size(), piece.text());
          offset += piece.size();
        }
        return Done{};
      },
      [&](const SyncData& sync) -> Status {
        return contents(sync.file) != nullptr ? Status(Done{}) : Status(no_file(sync.file));
      },
      [&](const SyncDirectory&) -> Status { return Done{}; },
      [&](const RemoveFile& remove) -> Status {
        return files_.erase(remove.file) > 0 ? Status(Done{}) : Status(no_file(remove.file));
      },
      [&](const Append& more) -> Status {
        std::string* const file = contents(more.file);
        if (file == nullptr) return no_file(more.file);
        for (const Bytes& piece : more.data) file->append(piece.text());
        return Done{};
      },
      [&](const RenameFile& rename) -> Status {
        auto file = files_.extract(rename.from);
        if (file.empty()) return no_file(rename.from);
        files_.insert_or_assign(rename.to, std::move(file.mapped()));
        return Done{};
      },
  };
  return std::visit(carry_out, op);
}

Result<std::vector<FileInfo>> MemoryDisk::list() {
  std::vector<FileInfo> files;
  files.reserve(files_.size());
  for (const auto& [name, contents] : files_) files.push_back({name, contents.size()});
  return files;
}

Result<Bytes> MemoryDisk::read(const FileName& file, std::uint64_t offset, std::size_t bytes) {
  const std::string* const found = contents(file);
  if (found == nullptr) return no_file(file);
  if (offset >= found->size()) return Bytes();
  return Bytes(found->substr(offset, bytes));
}

}  // namespace kuilt::storage
