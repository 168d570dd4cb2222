#include "sim/disk.hpp"

#include <algorithm>
#include <limits>

#include "kuilt/detail/overloaded.hpp"

namespace kuilt::sim {
namespace {

constexpr std::size_t everything = std::numeric_limits<std::size_t>::max();

Error no_such_file(const storage::FileName& file) {
  return Error(ErrorCode::io, "no such file: " + file);
}

}  // namespace

Status SimDisk::perform(const storage::DiskOp& op) {
  if (operations_left_) {
    if (*operations_left_ == 0) return Error(ErrorCode::io, "the process is being killed");
    if (--*operations_left_ == 0) {
      interrupt(op);
      return Error(ErrorCode::io, "the process is being killed");
    }
  }
  if (full_ && (std::holds_alternative<storage::CreateZeroed>(op) ||
                std::holds_alternative<storage::Append>(op))) {
    return Error(ErrorCode::disk_full, "no space is left");
  }
  const auto on_op = Overloaded{
      [&](const storage::CreateZeroed& create_op) -> Status {
        create(create_op);
        return Done{};
      },
      [&](const storage::WriteAt& write_op) -> Status { return write(write_op, everything); },
      [&](const storage::SyncData& sync) -> Status {
        const auto file = files_.find(sync.file);
        if (file == files_.end()) return no_such_file(sync.file);
        file->second.synced.clear();
        file->second.synced_bytes.reset();
        ++syncs_;
        return Done{};
      },
      [&](const storage::SyncDirectory&) -> Status {
        for (auto& [name, file] : files_) file.name_synced = true;
        removed_.clear();
        return Done{};
      },
      [&](const storage::RemoveFile& remove) -> Status {
        auto file = files_.extract(remove.file);
        if (file.empty()) return no_such_file(remove.file);
        if (file.mapped().name_synced) removed_.insert(std::move(file));
        return Done{};
      },
      [&](const storage::Append& more) { return append(more, everything); },
      [&](const storage::RenameFile& rename_op) { return rename(rename_op); },
  };
  return std::visit(on_op, op);
}

Result<std::vector<storage::FileInfo>> SimDisk::list() {
  std::vector<storage::FileInfo> found;
  for (const auto& [name, file] : files_) found.push_back({name, file.cached.size()});
  return found;
}

Result<Bytes> SimDisk::read(const storage::FileName& name, std::uint64_t offset,
                            std::size_t bytes) {
  const auto file = files_.find(name);
  if (file == files_.end()) return no_such_file(name);
  const std::string& cached = file->second.cached;
  const auto from = std::min<std::size_t>(offset, cached.size());
  return Bytes::copy_of(std::string_view(cached).substr(from, bytes));
}

void SimDisk::interrupt(const storage::DiskOp& op) {
  const auto on_op = Overloaded{
      [&](const storage::CreateZeroed& create_op) {
        const auto blocks = create_op.bytes / block_bytes + 1;
        if (rng_.chance(50)) create({create_op.file, rng_.below(blocks) * block_bytes});
      },
      [&](const storage::WriteAt& write_op) {
        std::size_t bytes = 0;
        for (const Bytes& piece : write_op.data) bytes += piece.size();
        const Status ignored = write(write_op, rng_.below(bytes / block_bytes + 2));
        (void)ignored;  // A missing file is the planner's bug, and shows when it is performed.
      },
      [](const storage::SyncData&) {},  // A power cut decides block by block.
      [](const storage::SyncDirectory&) {},
      [&](const storage::RemoveFile& remove) {
        if (files_.contains(remove.file) && rng_.chance(50)) {
          const Status ignored = perform(remove);
          (void)ignored;
        }
      },
      [&](const storage::Append& more) {
        std::size_t bytes = 0;
        for (const Bytes& piece : more.data) bytes += piece.size();
        const Status ignored = append(more, rng_.below(bytes / block_bytes + 2));
        (void)ignored;
      },
      [&](const storage::RenameFile& rename_op) {
        if (!rng_.chance(50)) return;
        const Status ignored = rename(rename_op);
        (void)ignored;
      },
  };
  const auto left = std::exchange(operations_left_, std::nullopt);
  std::visit(on_op, op);
  operations_left_ = left;
}

void SimDisk::cut_power() {
  for (auto& [name, file] : removed_) {
    if (rng_.chance(50)) files_.insert_or_assign(name, file);
  }
  removed_.clear();
  std::erase_if(files_, [&](auto& named) { return !named.second.name_synced && rng_.chance(50); });
  for (auto& [name, file] : files_) {
    settle(file);
    file.name_synced = true;
  }
}

void SimDisk::forget_unsynced() {
  for (auto& [name, file] : removed_) files_.insert_or_assign(name, file);
  removed_.clear();
  std::erase_if(files_, [](const auto& named) { return !named.second.name_synced; });
  for (auto& [name, file] : files_) {
    for (const auto& [block, content] : file.synced) {
      file.cached.replace(block * block_bytes, content.size(), content);
    }
    file.synced.clear();
    if (file.synced_bytes) file.cached.resize(*file.synced_bytes);
    file.synced_bytes.reset();
  }
}

std::size_t SimDisk::unsynced_blocks() const {
  std::size_t count = 0;
  for (const auto& [name, file] : files_) count += file.synced.size();
  return count;
}

void SimDisk::create(const storage::CreateZeroed& op) {
  files_.insert_or_assign(op.file, File{std::string(op.bytes, '\0'), {}, {}, false});
}

// What it grows by is zeros until the disk has the blocks, or not there at all.
Status SimDisk::append(const storage::Append& op, std::size_t blocks_max) {
  const auto found = files_.find(op.file);
  if (found == files_.end()) return no_such_file(op.file);
  File& file = found->second;
  if (!file.synced_bytes) file.synced_bytes = file.cached.size();
  storage::WriteAt written{op.file, file.cached.size(), op.data};
  std::size_t bytes = 0;
  for (const Bytes& piece : op.data) bytes += piece.size();
  if (blocks_max <= everything / block_bytes) bytes = std::min(bytes, blocks_max * block_bytes);
  file.cached.resize(file.cached.size() + bytes, '\0');
  return write(written, blocks_max);
}

Status SimDisk::rename(const storage::RenameFile& op) {
  auto file = files_.extract(op.from);
  if (file.empty()) return no_such_file(op.from);
  if (file.mapped().name_synced) removed_.insert_or_assign(op.from, file.mapped());
  const auto replaced = files_.find(op.to);
  if (replaced != files_.end() && replaced->second.name_synced) {
    removed_.insert_or_assign(op.to, replaced->second);
  }
  file.mapped().name_synced = false;
  files_.insert_or_assign(op.to, std::move(file.mapped()));
  return Done{};
}

Status SimDisk::write(const storage::WriteAt& op, std::size_t blocks_max) {
  const auto found = files_.find(op.file);
  if (found == files_.end()) return no_such_file(op.file);
  std::size_t room = blocks_max > everything / block_bytes ? everything : blocks_max * block_bytes;
  std::uint64_t offset = op.offset;
  for (const Bytes& piece : op.data) {
    const std::string_view data = piece.text().substr(0, room);
    const std::size_t size = found->second.cached.size();
    if (offset > size || data.size() > size - offset) {
      return Error(ErrorCode::io, "a write beyond the end of " + op.file);
    }
    write_piece(found->second, offset, data);
    offset += data.size();
    room -= data.size();
  }
  return Done{};
}

void SimDisk::write_piece(File& file, std::uint64_t offset, std::string_view data) {
  if (data.empty()) return;
  const std::uint64_t last = (offset + data.size() - 1) / block_bytes;
  for (std::uint64_t block = offset / block_bytes; block <= last; ++block) {
    if (!file.synced.contains(block)) {
      file.synced.emplace(block, file.cached.substr(block * block_bytes, block_bytes));
    }
  }
  file.cached.replace(offset, data.size(), data);
}

void SimDisk::settle(File& file) {
  for (const auto& [block, content] : file.synced) {
    const std::uint64_t fate = rng_.below(5);
    if (fate < 2) {
      file.cached.replace(block * block_bytes, content.size(), content);
    } else if (fate == 2) {
      file.cached.replace(block * block_bytes, content.size(), garbage(), 0, content.size());
    }  // Else: as it was to be.
  }
  file.synced.clear();
  if (file.synced_bytes && rng_.chance(50)) {
    const std::size_t grown = file.cached.size() - *file.synced_bytes;
    file.cached.resize(*file.synced_bytes + rng_.below(grown + 1));
  }
  file.synced_bytes.reset();
}

std::string SimDisk::garbage() {
  std::string bytes;
  bytes.reserve(block_bytes);
  while (bytes.size() < block_bytes) {
    const std::uint64_t noise = rng_.next();
    bytes.append(reinterpret_cast<const char*>(&noise), sizeof noise);
  }
  return bytes;
}

}  // namespace kuilt::sim
