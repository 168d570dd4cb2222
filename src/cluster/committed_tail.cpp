// committed_tail.cpp: ring, then file.
#include "cluster/committed_tail.hpp"

#include <algorithm>
#include <utility>

#include "kuilt/detail/check.hpp"

namespace kuilt::cluster {

void CommittedTail::keep(std::size_t bytes_max) {
  bytes_max_ = bytes_max;
  shrink();
}

void CommittedTail::append(const CommittedBatch& batch) {
  KUILT_CHECK(batch.prev == through());
  for (const raft::Entry& entry : batch.entries) {
    terms_.extend(entry.at);
    if (bytes_max_ == 0) continue;
    bytes_ += entry.cost();
    ring_.push_back(entry);
  }
  if (bytes_max_ == 0) ring_base_ = batch.through.index;
  shrink();
}

void CommittedTail::shrink() {
  while (bytes_ > bytes_max_) {
    bytes_ -= ring_.front().cost();
    ring_base_ = ring_.front().at.index;
    ring_.pop_front();
  }
}

CommittedTail::Next CommittedTail::next(Index after, std::size_t bytes_max) const {
  KUILT_CHECK(base().index <= after && after <= through().index);
  if (after == through().index) return Nothing{};
  if (after < ring_base_) {
    return InFile{after.next(),
                  Index(std::min(ring_base_.value(), after.value() + file_entries_max))};
  }
  std::vector<raft::Entry> entries;
  std::size_t bytes = 0;
  for (std::size_t i = after.value() - ring_base_.value(); i < ring_.size(); ++i) {
    bytes += ring_[i].cost();
    if (bytes > bytes_max && !entries.empty()) break;
    entries.push_back(ring_[i]);
  }
  return entries;
}

std::vector<raft::Entry> CommittedTail::admit(Index first, std::vector<raft::Entry> read) const {
  Index expected = first;
  const auto differs = [&](const raft::Entry& entry) {
    const bool is_committed = expected <= through().index && entry.at == terms_.at(expected);
    expected = expected.next();
    return !is_committed;
  };
  read.erase(std::ranges::find_if(read, differs), read.end());
  return read;
}

}  // namespace kuilt::cluster
