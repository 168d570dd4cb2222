#include "storage/raft_storage.hpp"

#include <string>

namespace kuilt::storage {

void InMemoryRaftStorage::submit(std::vector<raft::Write> writes) {
  if (writes.empty()) return;
  for (raft::Write& write : writes) {
    if (write.truncate_after) {
      KUILT_CHECK(base_.index <= *write.truncate_after && *write.truncate_after <= last());
      entries_.resize(write.truncate_after->value() - base_.index.value());
    }
    for (raft::Entry& entry : write.entries) {
      KUILT_CHECK(entry.at.index == last().next());
      entries_.push_back(std::move(entry));
    }
  }
  written_(writes.back().seq);
}

Result<std::vector<raft::Entry>> InMemoryRaftStorage::read(Index first, Index last,
                                                           std::size_t bytes_max) {
  if (first <= base_.index) {
    return Error(ErrorCode::compacted,
                 "the log begins after index " + std::to_string(base_.index.value()));
  }
  if (last > this->last() || first > last) {
    return Error(ErrorCode::invalid_argument,
                 "the log ends at index " + std::to_string(this->last().value()));
  }
  std::vector<raft::Entry> out;
  std::size_t bytes = 0;
  for (Index index = first; index <= last; index = index.next()) {
    const raft::Entry& entry = entries_[index.value() - base_.index.value() - 1];
    bytes += entry.stored.size();
    if (!out.empty() && bytes > bytes_max) break;
    out.push_back(entry);
  }
  return out;
}

}  // namespace kuilt::storage
