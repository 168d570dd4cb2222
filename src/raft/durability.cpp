#include "raft/durability.hpp"

#include <algorithm>

#include "kuilt/detail/check.hpp"

namespace kuilt::raft {

WriteSeq Durability::order(Index last, Instant now) {
  ordered_ = ordered_.next();
  unfinished_.push_back({ordered_, last, now, 0});
  return ordered_;
}

void Durability::extend_newest(Index last, std::size_t bytes) {
  KUILT_CHECK(!unfinished_.empty() && unfinished_.back().last <= last);
  unfinished_.back().last = last;
  unfinished_.back().bytes += bytes;
  unfinished_bytes_ += bytes;
}

void Durability::truncate_after(Index last) {
  index_ = std::min(index_, last);
  for (Unfinished& write : unfinished_) write.last = std::min(write.last, last);
}

void Durability::finish(WriteSeq seq) {
  KUILT_CHECK(seq <= ordered_);
  while (!unfinished_.empty() && unfinished_.front().seq <= seq) {
    index_ = std::max(index_, unfinished_.front().last);
    unfinished_bytes_ -= unfinished_.front().bytes;
    unfinished_.pop_front();
  }
  finished_ = std::max(finished_, seq);
}

WriteSeq Durability::write_of(Index index) const {
  if (index <= index_) return WriteSeq(0);
  const auto write = std::lower_bound(
      unfinished_.begin(), unfinished_.end(), index,
      [](const Unfinished& unfinished, Index wanted) { return unfinished.last < wanted; });
  KUILT_CHECK(write != unfinished_.end());
  return write->seq;
}

Duration Durability::age(Instant now) const {
  return unfinished_.empty() ? Duration(0) : now - unfinished_.front().since;
}

}  // namespace kuilt::raft
