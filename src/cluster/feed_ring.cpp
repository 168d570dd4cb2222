#include "cluster/feed_ring.hpp"

#include <algorithm>
#include <utility>

#include "kuilt/detail/check.hpp"
#include "wire/entry.hpp"

namespace kuilt::cluster {

CommittedTerms::CommittedTerms(Position base, std::vector<raft::TermRange> ranges, Position through)
    : base_(base), ranges_(std::move(ranges)), through_(through) {
  // Ranges that begin beyond the commit index belong to a tail that may yet be truncated.
  std::erase_if(ranges_, [&](const raft::TermRange& r) { return r.first > through.index; });
  KUILT_CHECK(base.index <= through.index && at(through.index) == through);
}

void CommittedTerms::extend(Position at) {
  KUILT_CHECK(at.index == through_.index.next() && at.term >= through_.term);
  if (ranges_.empty() || ranges_.back().term != at.term) ranges_.push_back({at.index, at.term});
  through_ = at;
}

Position CommittedTerms::at(Index index) const {
  KUILT_CHECK(base_.index <= index && index <= through_.index);
  if (index == base_.index) return base_;
  const auto later = std::ranges::upper_bound(ranges_, index, {}, &raft::TermRange::first);
  KUILT_CHECK(later != ranges_.begin());
  return {index, std::prev(later)->term};
}

FeedRing::FeedRing(std::size_t bytes_max, RoomDigests digests)
    : bytes_max_(bytes_max), digests_(std::move(digests)), base_(digests_.through().index) {}

FeedRing::RoomSlot FeedRing::open(std::string_view name) {
  const RoomSlot slot = slot_of(name);
  ++rooms_[slot].learners;
  return slot;
}

void FeedRing::close(RoomSlot slot) {
  KUILT_CHECK(rooms_[slot].learners > 0);
  --rooms_[slot].learners;
  forget_if_unused(slot);
}

void FeedRing::append(const CommittedBatch& batch) {
  KUILT_CHECK(batch.prev == digests_.through() && !batch.entries.empty());
  KUILT_CHECK(batch.through == batch.entries.back().at);
  for (const raft::Entry& entry : batch.entries) append(entry);
  batch_ends_.push_back(batch.through.index);
  shrink();
}

std::uint64_t FeedRing::digest_at(RoomSlot slot, Index index) const {
  KUILT_CHECK(base_ <= index && index <= digests_.through().index);
  const Room& room = rooms_[slot];
  const std::size_t next = first_after(room, index);
  return next == 0 ? room.digest_before : room.entries[next - 1].digest;
}

FeedSpan FeedRing::measure(RoomSlot slot, Index after, std::size_t bytes_max) const {
  KUILT_CHECK(base_ <= after);
  const Room& room = rooms_[slot];
  const std::size_t first = first_after(room, after);
  FeedSpan span{.through = digests_.through().index, .first = first};
  for (std::size_t i = first; i < room.entries.size(); ++i) {
    const std::size_t size = room.entries[i].public_part.size();
    const bool fits = span.bytes + size <= bytes_max || (span.entries == 0 && bytes_max > 0);
    if (!fits) {
      span.through = Index(room.entries[i].index.value() - 1);
      break;
    }
    span.bytes += size;
    ++span.entries;
  }
  const std::size_t end = first + span.entries;
  span.digest = end == 0 ? room.digest_before : room.entries[end - 1].digest;
  return span;
}

std::vector<Bytes> FeedRing::collect(RoomSlot slot, const FeedSpan& span) const {
  std::vector<Bytes> parts;
  parts.reserve(span.entries);
  for (std::size_t i = 0; i < span.entries; ++i) {
    parts.push_back(rooms_[slot].entries[span.first + i].public_part);
  }
  return parts;
}

bool FeedRing::is_within_batch(Index index) const {
  return base_ < index && !std::ranges::binary_search(batch_ends_, index);
}

FeedRing::RoomSlot FeedRing::slot_of(std::string_view name) {
  if (const auto found = slots_.find(name); found != slots_.end()) return found->second;
  if (free_rooms_.empty()) {
    free_rooms_.push_back(static_cast<RoomSlot>(rooms_.size()));
    rooms_.emplace_back();
  }
  const RoomSlot slot = free_rooms_.back();
  free_rooms_.pop_back();
  rooms_[slot] = Room{RoomName(name), ++rooms_opened_, 0, digests_.digest(name), {}};
  slots_.emplace(RoomName(name), slot);
  return slot;
}

std::size_t FeedRing::first_after(const Room& room, Index index) const {
  // Most learners stand at the end.
  if (room.entries.empty() || room.entries.back().index <= index) return room.entries.size();
  const auto next = std::ranges::upper_bound(room.entries, index, {}, &Visible::index);
  return static_cast<std::size_t>(next - room.entries.begin());
}

void FeedRing::append(const raft::Entry& entry) {
  Kept kept{std::nullopt, entry.cost()};
  switch (entry.kind) {
    case raft::EntryKind::no_op:
    case raft::EntryKind::configuration:
    case raft::EntryKind::cut: digests_.pass(entry.at); break;
    case raft::EntryKind::command: {
      const Result<wire::Command> command = wire::decode_command(entry);
      KUILT_CHECK(command.has_value());  // Every entry was checked when its bytes came in.
      kept.room = slot_of(command->room);
      Bytes part = wire::public_part(entry);
      const std::uint64_t digest = digests_.extend(entry.at, command->room, part);
      rooms_[*kept.room].entries.push_back({entry.at.index, std::move(part), digest});
      break;
    }
  }
  bytes_ += kept.cost;
  kept_.push_back(kept);
}

void FeedRing::shrink() {
  while (bytes_ > bytes_max_) {
    const Kept oldest = kept_.front();
    kept_.pop_front();
    bytes_ -= oldest.cost;
    base_ = base_.next();
    if (!oldest.room) continue;
    Room& room = rooms_[*oldest.room];
    KUILT_CHECK(room.entries.front().index == base_);
    room.digest_before = room.entries.front().digest;
    room.entries.pop_front();
    forget_if_unused(*oldest.room);
  }
  while (!batch_ends_.empty() && batch_ends_.front() <= base_) batch_ends_.pop_front();
}

void FeedRing::forget_if_unused(RoomSlot slot) {
  Room& room = rooms_[slot];
  if (room.learners > 0 || !room.entries.empty()) return;
  slots_.erase(room.name);
  room = Room{};
  free_rooms_.push_back(slot);
}

}  // namespace kuilt::cluster
