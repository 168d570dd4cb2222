#include "storage/log_state.hpp"

#include <algorithm>

namespace kuilt::storage {
namespace {

// Long enough that the map is small, short enough that a read scans little before its first entry.
constexpr std::uint64_t extent_bytes_max = std::uint64_t{64} << 10;

// The records of one batch touch; the next batch starts on the next block.
bool follows(const Extent& extent, const Placed& placed) {
  const std::uint64_t next_batch = whole_blocks(extent.end) + batch_header_bytes;
  return placed.offset == extent.end || placed.offset == next_batch;
}

}  // namespace

void ExtentList::append(const Extent& extent) {
  if (open_.size() == chunk_extents) {
    auto chunks = std::make_shared<Chunks>(*full_);
    chunks->push_back(std::make_shared<const Chunk>(std::move(open_)));
    full_ = std::move(chunks);
    open_ = {};
  }
  open_.push_back(extent);
}

void ExtentList::truncate_after(Index last) {
  while (!open_.empty() && open_.back().first > last) {
    open_.pop_back();
    if (!open_.empty() || full_->empty()) continue;
    open_ = *full_->back();
    full_ = std::make_shared<const Chunks>(full_->begin(), full_->end() - 1);
  }
  if (open_.empty()) return;
  open_.back().last = std::min(open_.back().last, last);
  open_.back().closed = true;
}

const Extent& ExtentList::find(Index index) const {
  const Chunk* chunk = &open_;
  if (open_.empty() || index < open_.front().first) {
    const auto after = std::upper_bound(
        full_->begin(), full_->end(), index,
        [](Index i, const std::shared_ptr<const Chunk>& c) { return i < c->front().first; });
    KUILT_CHECK(after != full_->begin());
    chunk = std::prev(after)->get();
  }
  const auto after = std::upper_bound(chunk->begin(), chunk->end(), index,
                                      [](Index i, const Extent& e) { return i < e.first; });
  KUILT_CHECK(after != chunk->begin() && index <= std::prev(after)->last);
  return *std::prev(after);
}

Term LogMap::term_at(Index index) const {
  KUILT_CHECK(base.index < index && index <= last);
  const auto after =
      std::upper_bound(terms->begin(), terms->end(), index,
                       [](Index i, const raft::TermRange& range) { return i < range.first; });
  KUILT_CHECK(after != terms->begin());
  return std::prev(after)->term;
}

LogState::LogState(Position base) : commit_(base.index), recent_{{base, 0}} {
  map_.base = base;
  map_.last = base.index;
  map_.segments = std::make_shared<const std::vector<SegmentRef>>();
  map_.terms = std::make_shared<const std::vector<raft::TermRange>>();
}

std::optional<std::string> LogState::complaint_about(const BatchHeader& header,
                                                     std::span<const Placed> records) const {
  if (header.before != last()) return "the batch follows another entry than the last";
  if (header.hard.term < hard_.term) return "the term of the hard state goes back";
  // Entries of this batch, above those of the log that it leaves in place.
  std::vector<Position> fresh;
  Index kept = last().at.index;
  for (const Placed& placed : records) {
    const Position at = fresh.empty() ? recent_at(kept) : fresh.back();
    const Position next = placed.what.at;
    if (placed.type == RecordType::truncation) {
      if (next.index < commit_) return "a committed entry is truncated";
      if (next.index > at.index) return "a truncation beyond the end of the log";
      while (!fresh.empty() && fresh.back().index > next.index) fresh.pop_back();
      if (fresh.empty()) kept = std::min(kept, next.index);
      continue;
    }
    if (next.index != at.index.next()) return "a gap between two entries";
    if (next.term < at.term) return "the term of an entry is below that of the entry before it";
    if (next.term > header.hard.term) return "an entry of a later term than the hard state";
    fresh.push_back(next);
  }
  return std::nullopt;
}

void LogState::apply(const BatchHeader& header, std::span<const Placed> records,
                     std::uint64_t offset) {
  if (records.empty()) pass_over(offset);
  for (const Placed& placed : records) {
    if (placed.type == RecordType::truncation) {
      truncate_after(placed.what.at.index);
    } else {
      append(placed);
    }
  }
  hard_ = header.hard;
  commit_ = std::max(commit_, std::min(header.commit, map_.last));
  while (recent_.front().at.index < commit_) recent_.pop_front();
}

void LogState::enter_segment(SegmentRef segment) {
  auto segments = std::make_shared<std::vector<SegmentRef>>(*map_.segments);
  segments->push_back(std::move(segment));
  map_.segments = std::move(segments);
}

// A batch without records, such as a mark, does not break an extent.
void LogState::pass_over(std::uint64_t offset) {
  Extent* extent = map_.extents.last();
  if (extent == nullptr || extent->closed || extent->segment + 1 != map_.segments->size()) return;
  if (whole_blocks(extent->end) == offset) extent->end = offset + batch_header_bytes;
}

void LogState::truncate_after(Index last) {
  KUILT_CHECK(last >= commit_ && last <= map_.last);
  while (recent_.back().at.index > last) recent_.pop_back();
  map_.last = last;
  map_.extents.truncate_after(last);
  auto terms = *map_.terms;
  while (!terms.empty() && terms.back().first > last) terms.pop_back();
  map_.terms = std::make_shared<const std::vector<raft::TermRange>>(std::move(terms));
}

void LogState::append(const Placed& placed) {
  const Position at = placed.what.at;
  if (map_.terms->empty() || map_.terms->back().term != at.term) {
    auto terms = *map_.terms;
    terms.push_back({at.index, at.term});
    map_.terms = std::make_shared<const std::vector<raft::TermRange>>(std::move(terms));
  }
  const auto segment = static_cast<std::uint32_t>(map_.segments->size() - 1);
  Extent* extent = map_.extents.last();
  if (extent != nullptr && extent->segment == segment && !extent->closed &&
      follows(*extent, placed) && placed.end() - extent->offset <= extent_bytes_max) {
    extent->last = at.index;
    extent->end = placed.end();
  } else {
    map_.extents.append({at.index, at.index, segment, placed.offset, placed.end(), false});
  }
  map_.last = at.index;
  recent_.push_back(placed.what);
}

}  // namespace kuilt::storage
