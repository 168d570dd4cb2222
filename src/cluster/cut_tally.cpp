#include "cluster/cut_tally.hpp"

#include <algorithm>

namespace kuilt::cluster {

void CutTally::append(const raft::Entry& entry) {
  last_ = entry.at.index;
  bytes_ += entry.cost();
  if (entry.kind == raft::EntryKind::cut) cuts_.push_back({entry.at.index, bytes_});
}

void CutTally::truncate_after(Index last) {
  last_ = std::min(last_, last);
  while (cuts_.size() > 1 && cuts_.back().index > last) cuts_.pop_back();
}

void CutTally::release(Index commit) {
  while (cuts_.size() > 1 && cuts_[1].index <= commit) cuts_.pop_front();
}

bool CutTally::is_due(const CutPolicy& policy) const {
  const std::uint64_t entries = last_.value() - cuts_.back().index.value();
  const std::uint64_t bytes = bytes_ - cuts_.back().bytes_before;
  return (policy.entries > 0 && entries >= policy.entries) ||
         (policy.bytes > 0 && bytes >= policy.bytes);
}

}  // namespace kuilt::cluster
