#include "storage/log_scan.hpp"

#include <algorithm>

namespace kuilt::storage {
namespace {

// Smaller batches are copied out of the piece, so that a few kept entries do not pin all of it.
constexpr std::size_t copied_batch_bytes_max = std::size_t{64} << 10;

}  // namespace

Status Delivery::take(const DecodedBatch& batch) {
  auto entry = batch.entries.begin();
  for (const Placed& placed : batch.records) {
    last_ = placed.what.at.index;
    if (placed.type == RecordType::entry) {
      waiting_.push_back(*entry++);
    } else {
      while (!waiting_.empty() && waiting_.back().at.index > last_) waiting_.pop_back();
    }
  }
  commit_ = std::max(commit_, std::min(batch.header.commit, last_));
  return release();
}

Result<std::vector<raft::Entry>> Delivery::finish() {
  for (raft::Entry& entry : waiting_) {
    if (auto status = sink_(entry, false); !status) return std::move(status).error();
    kept_.push_back(std::move(entry));
  }
  return std::vector<raft::Entry>(std::make_move_iterator(kept_.begin()),
                                  std::make_move_iterator(kept_.end()));
}

Status Delivery::release() {
  while (!waiting_.empty() && waiting_.front().at.index <= commit_) {
    if (auto status = sink_(waiting_.front(), true); !status) return status;
    kept_bytes_ += waiting_.front().cost();
    kept_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  while (kept_bytes_ > tail_bytes_max_) {
    kept_bytes_ -= kept_.front().cost();
    kept_.pop_front();
  }
  return Done{};
}

Error LogScan::damaged(const FileName& file, std::uint64_t offset,
                       const std::string& reason) const {
  const Index last = candidate && !candidate->batch.records.empty()
                         ? candidate->batch.records.back().what.at.index
                         : (impl ? impl->log.last().at.index : Index());
  return Error(ErrorCode::corrupt, file + ", offset " + std::to_string(offset) + ", after index " +
                                       std::to_string(last.value()) + ": " + reason);
}

Status LogScan::run() {
  auto files = segments_in(disk_);
  if (!files) return std::move(files).error();
  if (files->empty()) return Error(ErrorCode::corrupt, "the directory holds no segment of a log");
  for (auto file = files->begin();; ++file) {
    if (file == files->end()) {
      return damaged(segment_name(impl->active.number + 1), 0,
                     "missing, and the segment before it is sealed in its favour");
    }
    if (auto status = enter(*file); !status) return status;
    FileWindow window(disk_, *file);
    const auto seal = read_seal(window);
    if (!seal) return Error(seal.error());
    const std::uint64_t limit = *seal ? (*seal)->end : impl->active.seal_offset();
    if (auto status = read_batches(window, limit); !status) return status;
    segments.back().sealed = seal->has_value();
    if (!*seal) {
      if (auto status = classify_end(window); !status) return status;
      // Copies are synced before the seal that makes them part of the log is written.
      if (previous && batches_here < header.copies) {
        return damaged(file->name, impl->active.end,
                       broken_ + ": this is the copy that the seal before it vouches for");
      }
      if (files->end() - file > 2) {
        return damaged(file->name, impl->active.seal_offset(),
                       "not sealed, and more than one segment follows");
      }
      return file + 1 == files->end() ? Status(Done{}) : check_leftover(file[1]);
    }
    if (impl->active.end != (*seal)->end || impl->chain != (*seal)->chain) {
      return damaged(file->name, impl->active.end,
                     broken_.empty() ? "the seal names another last batch" : broken_);
    }
    apply_candidate();
    previous = {impl->active, **seal};
  }
}

Status LogScan::enter(const FileInfo& file) {
  // Not through a window: that would read its first piece a second time.
  auto block = disk_.read(file.name, 0, block_bytes);
  if (!block) return std::move(block).error();
  auto found = decode_segment_header(*block);
  if (!found) {
    if (found.error().code() == ErrorCode::corrupt) {
      return damaged(file.name, 0, found.error().message());
    }
    return std::move(found).error().within(file.name);
  }
  if (auto status = check_header(*found, file); !status) return status;
  if (!impl) {
    impl = std::make_unique<Wal::Impl>(options_, identity_, found->base, rng_);
    delivery.emplace(sink_, options_.tail_bytes_max, found->base.index);
  }
  header = *found;
  impl->active = {found->number, found->id, found->bytes, block_bytes};
  impl->chain = found->start;
  impl->log.enter_segment({file.name, found->id});
  batches_here = 0;
  segments.push_back({.file = file});
  return Done{};
}

Status LogScan::check_header(const SegmentHeader& found, const FileInfo& file) const {
  if (found.identity != identity_) {
    return Error(ErrorCode::directory_of_another,
                 file.name + " belongs to node " + found.identity.node.text() + " of cluster " +
                     found.identity.cluster.text() + ", history " + found.identity.history.text());
  }
  if (found.number != *segment_number(file.name)) {
    return damaged(file.name, 0,
                   "this is segment " + std::to_string(found.number) + " under another name");
  }
  if (found.bytes != file.bytes) {
    return damaged(file.name, 0,
                   "the file has " + std::to_string(file.bytes) + " bytes instead of " +
                       std::to_string(found.bytes));
  }
  if (!previous) {
    return found.previous.is_none()
               ? Status(Done{})
               : Status(damaged(file.name, 0, "the segments before it are missing"));
  }
  const auto& [before, seal] = *previous;
  if (found.number != before.number + 1) {
    return damaged(segment_name(before.number + 1), 0, "missing, and a later segment is there");
  }
  const bool linked = found.id == seal.next && found.previous == before.id &&
                      found.previous_end == seal.end && found.start == seal.chain;
  return linked ? Status(Done{})
                : Status(damaged(file.name, 0, "not the segment that the one before it names"));
}

Result<std::optional<Seal>> LogScan::read_seal(FileWindow& window) const {
  const std::uint64_t offset = impl->active.seal_offset();
  auto block = window.get(offset, block_bytes);
  if (!block) return std::move(block).error();
  return decode_seal(*block, impl->active.id, offset);
}

Status LogScan::read_batches(FileWindow& window, std::uint64_t limit) {
  while (impl->active.end < limit) {
    auto batch = read_batch(window, limit);
    if (!batch) {
      if (batch.error().code() != ErrorCode::corrupt) {
        return std::move(batch).error().within(window.file().name);
      }
      broken_ = batch.error().message();
      return Done{};
    }
    auto block = window.get(impl->active.end, block_bytes);
    if (!block) return std::move(block).error();
    if (auto status = accept(std::move(*batch), Bytes::copy_of(*block)); !status) return status;
  }
  return Done{};
}

Result<DecodedBatch> LogScan::read_batch(FileWindow& window, std::uint64_t limit) const {
  const std::uint64_t offset = impl->active.end;
  const auto block = window.get(offset, block_bytes);
  if (!block) return Error(block.error());
  const auto front = decode_batch_header(*block, impl->active.id, offset);
  if (!front) return Error(ErrorCode::corrupt, "bad checksum of a batch header");
  const std::uint64_t bytes = batch_header_bytes + front->header.body_bytes;
  if (whole_blocks(bytes) > limit - offset) {
    return Error(ErrorCode::corrupt, "a batch reaches beyond the end of its segment");
  }
  const auto whole = window.get(offset, bytes);
  if (!whole) return Error(whole.error());
  return decode_batch(bytes <= copied_batch_bytes_max ? Bytes::copy_of(*whole) : *whole,
                      impl->active.id, offset);
}

Status LogScan::accept(DecodedBatch batch, Bytes first_block) {
  apply_candidate();
  const std::uint64_t offset = impl->active.end;
  const FileName file = impl->active.file();
  if (batch.header.chain != impl->chain) {
    return damaged(file, offset, "the batch does not follow the one before it");
  }
  if (const auto complaint = impl->log.complaint_about(batch.header, batch.records)) {
    return damaged(file, offset, *complaint);
  }
  if (auto status = delivery->take(batch); !status) return status;
  impl->active.end += whole_blocks(batch_header_bytes + batch.header.body_bytes);
  impl->chain = {batch.header.chain.sequence + 1, batch.checksum};
  ++batches;
  ++batches_here;
  ScannedSegment& segment = segments.back();
  segment.end = impl->active.end;
  segment.batches = batches_here;
  if (!batch.records.empty()) segment.last = batch.records.back().what.at.index;
  candidate = {std::move(batch), offset, std::move(first_block)};
  return Done{};
}

void LogScan::apply_candidate() {
  if (!candidate) return;
  const DecodedBatch& batch = candidate->batch;
  impl->log.apply(batch.header, batch.records, candidate->offset);
  candidate.reset();
}

// Behind the last sound batch of the active segment: nothing, or the torn batch that a crash left.
Status LogScan::classify_end(FileWindow& window) {
  const std::uint64_t end = impl->active.end;
  for (std::uint64_t offset = end; offset < impl->active.seal_offset(); offset += block_bytes) {
    const auto block = window.get(offset, block_bytes);
    if (!block) return Error(block.error());
    if (all_zero(*block)) continue;
    dropped_bytes = offset + block_bytes - end;
    if (offset == end || !decode_batch_header(*block, impl->active.id, offset)) continue;
    return damaged(window.file().name, end,
                   broken_ + ", and a later batch is at offset " + std::to_string(offset));
  }
  return Done{};
}

// A segment behind one that is not sealed: a roll or a recovery was cut short, or the seal is
// damaged. It must hold nothing that anybody could rely on.
Status LogScan::check_leftover(const FileInfo& file) {
  FileWindow window(disk_, file);
  if (*segment_number(file.name) != impl->active.number + 1) {
    return damaged(segment_name(impl->active.number + 1), 0,
                   "missing, and a later segment is there");
  }
  leftover = file;
  auto block = window.get(0, static_cast<std::size_t>(std::min(block_bytes, file.bytes)));
  if (!block) return std::move(block).error();
  const auto found = decode_segment_header(*block);
  if (!found) {
    if (found.error().code() != ErrorCode::corrupt) {
      return Error(found.error()).within(file.name);
    }
    const auto zero = window.is_zero_from(block_bytes);
    if (!zero) return Error(zero.error());
    return *zero ? Status(Done{})
                 : Status(damaged(file.name, 0, found.error().message() + ", and data follows"));
  }
  if (found->identity != identity_) return check_header(*found, file);
  const bool at_end = found->previous_end == impl->active.end && found->start == impl->chain;
  const bool before_last = candidate && found->previous_end == candidate->offset &&
                           found->start == candidate->batch.header.chain;
  if (found->previous != impl->active.id || !(at_end || before_last)) {
    return damaged(impl->active.file(), impl->active.end,
                   "the next segment continues another end of this one" +
                       (broken_.empty() ? "" : " (" + broken_ + ")"));
  }
  for (std::uint64_t offset = block_bytes; offset + block_bytes <= file.bytes;
       offset += block_bytes) {
    const auto next = window.get(offset, block_bytes);
    if (!next) return Error(next.error());
    const auto batch = decode_batch_header(*next, found->id, offset);
    if (batch && batch->header.chain.sequence >= found->start.sequence + found->copies) {
      return damaged(impl->active.file(), impl->active.seal_offset(),
                     "the seal is damaged: the next segment is in use");
    }
  }
  return Done{};
}

}  // namespace kuilt::storage
