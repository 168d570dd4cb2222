#include "kuilt/raft_storage.hpp"

#include <algorithm>
#include <mutex>

namespace kuilt {

struct InMemoryRaftStorage::Impl {
  std::mutex mutex;
  std::vector<LogEntry> entries;
  std::optional<ResumeToken> through;
};

InMemoryRaftStorage::InMemoryRaftStorage() : impl_(std::make_unique<Impl>()) {}
InMemoryRaftStorage::~InMemoryRaftStorage() = default;

Result<std::optional<ResumeToken>> InMemoryRaftStorage::load() {
  const std::lock_guard lock(impl_->mutex);
  return impl_->through;
}

Status InMemoryRaftStorage::append(std::span<const LogEntry> entries, const ResumeToken& through) {
  const std::lock_guard lock(impl_->mutex);
  impl_->entries.insert(impl_->entries.end(), entries.begin(), entries.end());
  impl_->through = through;
  return Done{};
}

Result<std::vector<LogEntry>> InMemoryRaftStorage::read(Index after, std::size_t bytes_max) {
  const std::lock_guard lock(impl_->mutex);
  const auto is_before = [](Index index, const LogEntry& entry) { return index < entry.index; };
  auto next = std::upper_bound(impl_->entries.begin(), impl_->entries.end(), after, is_before);
  std::vector<LogEntry> found;
  for (std::size_t bytes = 0; next != impl_->entries.end(); ++next) {
    bytes += next->command.size();
    if (!found.empty() && bytes > bytes_max) break;
    found.push_back(*next);
  }
  return found;
}

}  // namespace kuilt
