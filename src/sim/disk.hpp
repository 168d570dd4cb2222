// disk.hpp: a disk in memory that forgets what was never synced, as badly as the design allows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kuilt/detail/rng.hpp"
#include "storage/disk.hpp"

namespace kuilt::sim {

/// Files with a page cache over them. A power cut keeps all synced blocks; of the others each is
/// left as it was, as it was to be, or as garbage, independently. A name that was created or
/// removed since the last SyncDirectory is there or not. A SIGKILL leaves the page cache whole.
///
/// Copyable: a copy answers "what would a power cut leave right now?".
class SimDisk final : public storage::Disk {
 public:
  static constexpr std::size_t block_bytes = 4096;

  explicit SimDisk(Rng rng) : rng_(rng) {}

  Status perform(const storage::DiskOp& op) override;
  Result<std::vector<storage::FileInfo>> list() override;
  Result<Bytes> read(const storage::FileName& file, std::uint64_t offset,
                     std::size_t bytes) override;

  /// The process died while `op` was under way: the page cache holds some prefix of it.
  void interrupt(const storage::DiskOp& op);
  void cut_power();
  /// The mildest power cut: nothing that was not synced survives, and nothing is torn.
  void forget_unsynced();
  /// The operation after the next `count` fails, half done, and so do all later ones, until
  /// `heal()`: a process that is killed while it recovers.
  void fail_after(std::uint64_t count) { operations_left_ = count; }
  void heal() { operations_left_.reset(); }
  [[nodiscard]] bool failed() const { return operations_left_ && *operations_left_ == 0; }
  /// While it is full no file is made or grows.
  void fill(bool full) { full_ = full; }
  [[nodiscard]] bool is_full() const { return full_; }

  [[nodiscard]] std::size_t unsynced_blocks() const;
  [[nodiscard]] std::uint64_t syncs() const { return syncs_; }

 private:
  using Block = std::string;
  struct File {
    std::string cached;
    std::map<std::uint64_t, Block> synced;    ///< Of each block written since: what is on the disk.
    std::optional<std::size_t> synced_bytes;  ///< Of a file that has grown since: its size there.
    bool name_synced = false;
  };

  void create(const storage::CreateZeroed& op);
  Status write(const storage::WriteAt& op, std::size_t blocks_max);
  Status append(const storage::Append& op, std::size_t blocks_max);
  Status rename(const storage::RenameFile& op);
  void write_piece(File& file, std::uint64_t offset, std::string_view data);
  void settle(File& file);
  [[nodiscard]] std::string garbage();

  Rng rng_;
  std::map<storage::FileName, File> files_;
  std::map<storage::FileName, File> removed_;  ///< Until the directory is synced.
  std::optional<std::uint64_t> operations_left_;
  std::uint64_t syncs_ = 0;
  bool full_ = false;
};

}  // namespace kuilt::sim
