#include "cluster/feed_reads.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "kuilt/detail/check.hpp"
#include "wire/entry.hpp"

namespace kuilt::cluster {
namespace {

std::string text_of(Position at) {
  return "(" + std::to_string(at.index.value()) + ", " + std::to_string(at.term.value()) + ")";
}

}  // namespace

Result<LoadedRun> LoadedRun::admit(const FeedLoad& asked, const CommittedTerms& terms,
                                   const std::vector<raft::Entry>& entries) {
  if (entries.empty()) {
    return Error(ErrorCode::io, "nothing was read at index " + std::to_string(asked.first.value()));
  }
  LoadedRun run;
  run.first_ = asked.first;
  run.items_.reserve(entries.size());
  for (Index expected = asked.first; const raft::Entry& entry : entries) {
    if (expected > asked.last) {
      return Error(ErrorCode::corrupt, "entry " + text_of(entry.at) + " was read, but only " +
                                           std::to_string(asked.last.value()) +
                                           " and before asked");
    }
    if (entry.at != terms.at(expected)) {
      return Error(ErrorCode::corrupt, "entry " + text_of(entry.at) + " was read where " +
                                           text_of(terms.at(expected)) + " is committed");
    }
    Result<Item> item = item_of(entry);
    if (!item) return std::move(item).error().within("entry " + text_of(entry.at));
    run.items_.push_back(*std::move(item));
    run.bytes_ += entry.cost();
    expected = expected.next();
  }
  return run;
}

Result<LoadedRun::Item> LoadedRun::item_of(const raft::Entry& entry) {
  switch (entry.kind) {
    case raft::EntryKind::no_op:
    case raft::EntryKind::configuration:
    case raft::EntryKind::cut: return Item{};
    case raft::EntryKind::command: break;
  }
  const Result<wire::Command> command = wire::decode_command(entry);
  if (!command) return Error(ErrorCode::corrupt, command.error().message());
  if (command->at != entry.at) {
    return Error(ErrorCode::corrupt, "its bytes are those of " + text_of(command->at));
  }
  return Item{true, command->room, wire::public_part(entry)};
}

FeedSpan LoadedRun::measure(std::string_view room, Index after, std::uint64_t digest,
                            std::size_t bytes_max) const {
  KUILT_CHECK(contains(after.next()));
  FeedSpan span{.through = last(), .digest = digest, .first = offset_of(after.next())};
  for (std::size_t i = span.first; i < items_.size(); ++i) {
    if (!items_[i].is_visible_in(room)) continue;
    const std::size_t size = items_[i].public_part.size();
    const bool fits = span.bytes + size <= bytes_max || (span.entries == 0 && bytes_max > 0);
    if (!fits) {
      span.through = Index(first_.value() + i - 1);
      break;
    }
    span.bytes += size;
    span.digest = wire::chain(span.digest, items_[i].public_part);
    ++span.entries;
  }
  return span;
}

std::vector<Bytes> LoadedRun::collect(std::string_view room, const FeedSpan& span) const {
  std::vector<Bytes> parts;
  parts.reserve(span.entries);
  for (std::size_t i = span.first; parts.size() < span.entries; ++i) {
    if (items_[i].is_visible_in(room)) parts.push_back(items_[i].public_part);
  }
  return parts;
}

RoomDigests::Checkpoint LoadedRun::advance(std::string_view room, RoomDigests::Checkpoint after,
                                           Index through) const {
  KUILT_CHECK(contains(after.index.next()));
  const Index end = std::min(through, last());
  std::uint64_t digest = after.digest;
  for (std::size_t i = offset_of(after.index.next()); i <= offset_of(end); ++i) {
    if (items_[i].is_visible_in(room)) digest = wire::chain(digest, items_[i].public_part);
  }
  return {end, digest};
}

const LoadedRun* FeedReads::find(Index index) const {
  const auto found =
      std::ranges::find_if(runs_, [&](const LoadedRun& run) { return run.contains(index); });
  return found == runs_.end() ? nullptr : &*found;
}

std::uint64_t FeedReads::request(Index first, Index last, std::vector<FeedLoad>& loads) {
  KUILT_CHECK(first <= last);
  for (const auto& [number, load] : in_flight_) {
    if (load.first <= first && first <= load.last) return number;
  }
  if (in_flight_.size() >= limits_.loads_in_flight_max) return 0;
  const Index end(std::min(last.value(), first.value() + limits_.load_entries_max - 1));
  const FeedLoad load{++last_number_, first, end, limits_.load_bytes_max};
  in_flight_.emplace(load.number, load);
  loads.push_back(load);
  return load.number;
}

FeedLoad FeedReads::take(std::uint64_t number) {
  const auto found = in_flight_.find(number);
  KUILT_CHECK(found != in_flight_.end());
  const FeedLoad load = found->second;
  in_flight_.erase(found);
  return load;
}

void FeedReads::keep(LoadedRun run) {
  bytes_ += run.bytes();
  runs_.push_front(std::move(run));
  // The newest stays even if it is too large alone: whoever waits for it must get past it.
  while (bytes_ > limits_.loaded_bytes_max && runs_.size() > 1) {
    bytes_ -= runs_.back().bytes();
    runs_.pop_back();
  }
}

}  // namespace kuilt::cluster
