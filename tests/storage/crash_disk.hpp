// crash_disk.hpp: a disk that can die at any operation and forget as badly as the design allows.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kuilt/detail/overloaded.hpp"
#include "kuilt/detail/rng.hpp"
#include "storage/disk.hpp"
#include "storage/format.hpp"

namespace kuilt::storage {

/// Answers "which of `bound` things happens next?".
using Choose = std::function<std::uint64_t(std::uint64_t bound)>;

inline Choose random_choices(Rng& rng) {
  return [&rng](std::uint64_t bound) { return rng.below(bound); };
}

/// Every sequence of choices, one after the other: `do { use(choose()) } while (next());`
class AllChoices {
 public:
  Choose choose() {
    at_ = 0;
    return [this](std::uint64_t bound) {
      if (at_ == path_.size()) path_.push_back({0, bound});
      return path_[at_++].first;
    };
  }
  bool next() {
    while (!path_.empty() && path_.back().first + 1 == path_.back().second) path_.pop_back();
    if (path_.empty()) return false;
    ++path_.back().first;
    return true;
  }

 private:
  std::vector<std::pair<std::uint64_t, std::uint64_t>> path_;
  std::size_t at_ = 0;
};

/// Files behind a page cache. Copyable: a copy is another world.
class CrashDisk final : public Disk {
 public:
  /// Fails the operation after the next `count`, and all later ones, until `revive`. The one that
  /// fails has reached the page cache: what a power cut then leaves of it is a matter of choice.
  void die_after(std::size_t count) { left_ = count; }
  void revive() { left_.reset(); }
  /// A sync that dies leaves its blocks old, new or garbage on the disk, and the page cache calls
  /// them clean: nobody will write them again, and whoever reads them before the next power cut
  /// finds them new. (So does Linux after a failed fsync.)
  void call_pages_of_a_failed_sync_clean(Choose choose) { on_failed_sync_ = std::move(choose); }
  [[nodiscard]] bool died() const { return left_ == 0 && died_; }
  [[nodiscard]] std::size_t performed() const { return performed_; }

  /// Each unsynced block is old, new or garbage; each unsynced name is there or not.
  void cut_power(const Choose& choose) {
    for (auto& [name, old] : replaced_) {
      if (choose(2) == 1) continue;
      if (old) {
        files_[name] = *old;
      } else {
        files_.erase(name);
      }
    }
    replaced_.clear();
    for (auto& [name, file] : files_) {
      let_go_of_unsynced(name, file, choose);
      for (const auto& [block, kept] : file.called_clean) {
        const std::size_t begin = block * block_bytes;
        if (begin >= file.cached.size()) continue;
        const std::size_t bytes = std::min<std::size_t>(block_bytes, file.cached.size() - begin);
        file.cached.replace(begin, bytes, kept, 0, bytes);
      }
      file.called_clean.clear();
      if (file.synced_bytes && choose(2) == 0) file.cached.resize(*file.synced_bytes);
      file.synced_bytes.reset();
    }
  }

  [[nodiscard]] std::string& contents(const FileName& name) { return files_.at(name).cached; }

  Status perform(const DiskOp& op) override {
    if (left_ == 0) {
      if (!std::exchange(died_, true)) apply(op, false);
      return Error(ErrorCode::io, "the disk died");
    }
    died_ = false;
    if (left_) --*left_;
    ++performed_;
    apply(op, true);
    return Done{};
  }
  Result<std::vector<FileInfo>> list() override {
    std::vector<FileInfo> out;
    for (const auto& [name, file] : files_) out.push_back({name, file.cached.size()});
    return out;
  }
  Result<Bytes> read(const FileName& name, std::uint64_t offset, std::size_t bytes) override {
    const auto found = files_.find(name);
    if (found == files_.end()) return Error(ErrorCode::io, name + ": no such file");
    if (offset >= found->second.cached.size()) return Bytes();
    return Bytes(found->second.cached.substr(offset, bytes));
  }

 private:
  struct File {
    std::string cached;
    std::map<std::uint64_t, std::string> unsynced;      ///< What the disk holds of these blocks.
    std::map<std::uint64_t, std::string> called_clean;  ///< And of these, which no sync will write.
    std::optional<std::size_t> synced_bytes;            ///< Before it grew.
  };

  // From here on the disk holds of each unsynced block what was there, what was written, or
  // garbage.
  void let_go_of_unsynced(const FileName& name, File& file, const Choose& choose) {
    for (auto& [block, old] : file.unsynced) {
      const std::uint64_t choice = choose(3);
      if (choice == 0) file.called_clean[block] = std::move(old);
      if (choice == 2) file.called_clean[block] = garbage(name, block);
    }
    file.unsynced.clear();
  }

  // A creation or removal that dies has not happened; a sync that dies has promised nothing.
  void apply(const DiskOp& op, bool complete) {
    const auto carry_out = Overloaded{
        [&](const CreateZeroed& create) {
          if (!complete) return;
          remember(create.file);
          files_[create.file] = {std::string(create.bytes, '\0'), {}, {}, {}};
        },
        [&](const WriteAt& write) { apply_write(write); },
        [&](const SyncData& sync) {
          File& file = files_.at(sync.file);
          if (complete) file.unsynced.clear();
          if (complete) file.synced_bytes.reset();
          if (!complete && on_failed_sync_) let_go_of_unsynced(sync.file, file, on_failed_sync_);
        },
        [&](const SyncDirectory&) {
          if (complete) replaced_.clear();
        },
        [&](const RemoveFile& remove) {
          if (!complete) return;
          remember(remove.file);
          files_.erase(remove.file);
        },
        [&](const Append& more) { apply_append(more); },
        [&](const RenameFile& rename) {
          if (!complete) return;
          remember(rename.from);
          remember(rename.to);
          files_[rename.to] = std::move(files_.at(rename.from));
          files_.erase(rename.from);
        },
    };
    std::visit(carry_out, op);
  }
  void apply_write(const WriteAt& write) {
    File& file = files_.at(write.file);
    std::uint64_t offset = write.offset;
    for (const Bytes& piece : write.data) {
      KUILT_CHECK(offset + piece.size() <= file.cached.size());
      for (std::uint64_t block = offset / block_bytes; block * block_bytes < offset + piece.size();
           ++block) {
        const auto clean = file.called_clean.extract(block);
        file.unsynced.emplace(block, clean ? clean.mapped() : block_of(file, block));
      }
      file.cached.replace(offset, piece.size(), piece.text());
      offset += piece.size();
    }
  }
  // Blocks that are not on the disk yet are zeros there, or beyond the end of the file.
  void apply_append(const Append& more) {
    File& file = files_.at(more.file);
    const std::uint64_t offset = file.cached.size();
    if (!file.synced_bytes) file.synced_bytes = file.cached.size();
    std::size_t bytes = 0;
    for (const Bytes& piece : more.data) bytes += piece.size();
    file.cached.resize(offset + bytes, '\0');
    apply_write({more.file, offset, more.data});
  }
  void remember(const FileName& name) {
    const auto found = files_.find(name);
    replaced_.emplace(name, found == files_.end() ? std::nullopt : std::optional(found->second));
  }
  static std::string block_of(const File& file, std::uint64_t block) {
    std::string bytes = file.cached.substr(block * block_bytes, block_bytes);
    bytes.resize(block_bytes, '\0');
    return bytes;
  }
  // Noise, or a block that strayed from its place: the worse kind, for it looks sound.
  std::string garbage(const FileName& name, std::uint64_t block) {
    if (noise_.chance(50) && block > 1) {
      return block_of(files_.at(name), noise_.below(block));
    }
    std::string out;
    while (out.size() < block_bytes) {
      out.push_back(static_cast<char>(noise_.below(256)));
    }
    return out;
  }

  std::map<FileName, File> files_;
  std::map<FileName, std::optional<File>> replaced_;  ///< Until the directory is synced.
  std::optional<std::size_t> left_;
  Choose on_failed_sync_;  ///< None: what a failed sync leaves unsynced is written by the next one.
  bool died_ = false;
  std::size_t performed_ = 0;
  Rng noise_{99};
};

}  // namespace kuilt::storage
