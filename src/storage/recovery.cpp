// recovery.cpp: from the bytes of a directory to a log, and the log made durable again.
//
// The order of the work, and why each step is safe against a power cut: docs/wal-format.md.
#include <algorithm>
#include <deque>
#include <utility>

#include "kuilt/detail/overloaded.hpp"
#include "storage/wal_impl.hpp"

namespace kuilt::storage {
namespace {

constexpr std::size_t piece_bytes = std::size_t{4} << 20;
// Smaller batches are copied out of the piece, so that a few kept entries do not pin all of it.
constexpr std::size_t copied_batch_bytes_max = std::size_t{64} << 10;

bool all_zero(BytesView bytes) {
  return bytes.empty() || (bytes[0] == std::byte{0} &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

Status perform_all(Disk& disk, const std::vector<DiskOp>& ops) {
  for (const DiskOp& op : ops) {
    if (auto status = disk.perform(op); !status) return status;
  }
  return Done{};
}

/// One file, read front to back in large pieces.
class Window {
 public:
  Window(Disk& disk, FileInfo file) : disk_(disk), file_(std::move(file)) {}

  /// Exactly `bytes` from `offset`.
  Result<Bytes> get(std::uint64_t offset, std::size_t bytes) {
    if (offset < offset_ || offset + bytes > offset_ + piece_.size()) {
      auto piece = disk_.read(file_.name, offset, std::max(bytes, piece_bytes));
      if (!piece) return std::move(piece).error();
      piece_ = std::move(*piece);
      offset_ = offset;
    }
    if (piece_.size() - (offset - offset_) < bytes) {
      return Error(ErrorCode::corrupt,
                   file_.name + " ends before byte " + std::to_string(offset + bytes));
    }
    return piece_.slice(offset - offset_, bytes);
  }
  [[nodiscard]] const FileInfo& file() const { return file_; }

 private:
  Disk& disk_;
  FileInfo file_;
  std::uint64_t offset_ = 0;
  Bytes piece_;
};

/// The segments of the directory, by number.
Result<std::vector<FileInfo>> segments_in(Disk& disk) {
  auto files = disk.list();
  if (!files) return std::move(files).error();
  std::vector<FileInfo> segments;
  for (FileInfo& file : *files) {
    if (segment_number(file.name)) segments.push_back(std::move(file));
  }
  return segments;
}

Result<bool> is_zero_from(Window& window, std::uint64_t offset) {
  for (; offset < window.file().bytes; offset += block_bytes) {
    const std::uint64_t bytes = std::min(block_bytes, window.file().bytes - offset);
    const auto block = window.get(offset, bytes);
    if (!block) return Error(block.error());
    if (!all_zero(*block)) return false;
  }
  return true;
}

/// Hands entries to the sink once nobody can take them back, and keeps the end of the log.
class Delivery {
 public:
  Delivery(const Wal::EntrySink& sink, std::size_t tail_bytes_max, Index base)
      : sink_(sink), tail_bytes_max_(tail_bytes_max), last_(base), commit_(base) {}

  Status take(const DecodedBatch& batch) {
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

  /// The uncommitted end of the log goes to the sink too. Returns the tail.
  Result<std::vector<raft::Entry>> finish() {
    for (raft::Entry& entry : waiting_) {
      if (auto status = sink_(entry, false); !status) return std::move(status).error();
      kept_.push_back(std::move(entry));
    }
    return std::vector<raft::Entry>(std::make_move_iterator(kept_.begin()),
                                    std::make_move_iterator(kept_.end()));
  }

 private:
  Status release() {
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

  const Wal::EntrySink& sink_;
  std::size_t tail_bytes_max_;
  Index last_;
  Index commit_;
  std::deque<raft::Entry> waiting_;  ///< Above `commit_`: a later batch may truncate them.
  std::deque<raft::Entry> kept_;
  std::size_t kept_bytes_ = 0;
};

std::vector<raft::Write> writes_of(const DecodedBatch& batch) {
  std::vector<raft::Write> writes(1);
  auto entry = batch.entries.begin();
  for (const Placed& placed : batch.records) {
    if (placed.type == RecordType::entry) {
      writes.back().entries.push_back(*entry++);
    } else {
      writes.emplace_back().truncate_after = placed.what.at.index;
    }
  }
  return writes;
}

class Recovery {
 public:
  Recovery(Disk& disk, const WalOptions& options, const Identity& identity, Rng rng,
           const Wal::EntrySink& sink)
      : disk_(disk), options_(options), identity_(identity), rng_(rng), sink_(sink) {}

  Result<std::unique_ptr<Wal::Impl>> run() {
    if (auto status = read_chain(); !status) return std::move(status).error();
    if (auto status = make_durable(); !status) return std::move(status).error();
    return std::move(impl_);
  }
  Result<Recovered> report() {
    auto tail = delivery_->finish();
    if (!tail) return std::move(tail).error();
    return Recovered{{}, {}, {}, {}, std::move(*tail), {}, dropped_bytes_, batches_};
  }

 private:
  struct Candidate {
    DecodedBatch batch;
    std::uint64_t offset = 0;
    Bytes first_block;
  };

  // Reading.
  Status read_chain();
  Status enter(const FileInfo& file);
  Status check_header(const SegmentHeader& header, const FileInfo& file) const;
  Result<std::optional<Seal>> read_seal(Window& window) const;
  Status read_batches(Window& window, std::uint64_t limit);
  Result<DecodedBatch> read_batch(Window& window, std::uint64_t limit) const;
  Status accept(DecodedBatch batch, Bytes first_block);
  Status classify_end(Window& window);
  Status check_leftover(const FileInfo& file);
  void apply_candidate();

  // Making durable.
  Status make_durable();
  Status settle_names();
  Status renew_seal();
  Status continue_segment();
  Status continue_in_new_segment();
  Status write_mark();

  [[nodiscard]] Error damaged(const FileName& file, std::uint64_t offset,
                              const std::string& reason) const;
  /// The chain of trust goes on in front of the candidate.
  [[nodiscard]] ChainPoint before_candidate() const { return candidate_->batch.header.chain; }

  Disk& disk_;
  const WalOptions& options_;
  const Identity& identity_;
  Rng rng_;
  const Wal::EntrySink& sink_;

  std::unique_ptr<Wal::Impl> impl_;  ///< Its log holds every batch but the candidate.
  std::optional<Delivery> delivery_;
  SegmentHeader header_;                                    ///< Of the active segment.
  std::optional<std::pair<ActiveSegment, Seal>> previous_;  ///< The sealed one before it.
  std::optional<Candidate> candidate_;  ///< The last sound batch: nothing behind it vouches for it.
  std::optional<FileInfo> leftover_;    ///< Begun in favour of the active one, and never sealed to.
  std::string broken_;                  ///< Why the batch behind the candidate is not sound.
  std::uint64_t dropped_bytes_ = 0;
  std::size_t batches_ = 0;
  std::size_t batches_here_ = 0;  ///< In the active segment.
};

Error Recovery::damaged(const FileName& file, std::uint64_t offset,
                        const std::string& reason) const {
  const Index last = candidate_ && !candidate_->batch.records.empty()
                         ? candidate_->batch.records.back().what.at.index
                         : (impl_ ? impl_->log.last().at.index : Index());
  return Error(ErrorCode::corrupt, file + ", offset " + std::to_string(offset) + ", after index " +
                                       std::to_string(last.value()) + ": " + reason);
}

Status Recovery::read_chain() {
  auto files = segments_in(disk_);
  if (!files) return std::move(files).error();
  if (files->empty()) return Error(ErrorCode::corrupt, "the directory holds no segment of a log");
  for (auto file = files->begin();; ++file) {
    if (file == files->end()) {
      return damaged(segment_name(impl_->active.number + 1), 0,
                     "missing, and the segment before it is sealed in its favour");
    }
    if (auto status = enter(*file); !status) return status;
    Window window(disk_, *file);
    const auto seal = read_seal(window);
    if (!seal) return Error(seal.error());
    const std::uint64_t limit = *seal ? (*seal)->end : impl_->active.seal_offset();
    if (auto status = read_batches(window, limit); !status) return status;
    if (!*seal) {
      if (auto status = classify_end(window); !status) return status;
      // Copies are synced before the seal that makes them part of the log is written.
      if (previous_ && batches_here_ < header_.copies) {
        return damaged(file->name, impl_->active.end,
                       broken_ + ": this is the copy that the seal before it vouches for");
      }
      if (files->end() - file > 2) {
        return damaged(file->name, impl_->active.seal_offset(),
                       "not sealed, and more than one segment follows");
      }
      return file + 1 == files->end() ? Status(Done{}) : check_leftover(file[1]);
    }
    if (impl_->active.end != (*seal)->end || impl_->chain != (*seal)->chain) {
      return damaged(file->name, impl_->active.end,
                     broken_.empty() ? "the seal names another last batch" : broken_);
    }
    apply_candidate();
    previous_ = {impl_->active, **seal};
  }
}

Status Recovery::enter(const FileInfo& file) {
  // Not through a window: that would read its first piece a second time.
  auto block = disk_.read(file.name, 0, block_bytes);
  if (!block) return std::move(block).error();
  auto header = decode_segment_header(*block);
  if (!header) {
    if (header.error().code() == ErrorCode::corrupt) {
      return damaged(file.name, 0, header.error().message());
    }
    return std::move(header).error().within(file.name);
  }
  if (auto status = check_header(*header, file); !status) return status;
  if (!impl_) {
    impl_ = std::make_unique<Wal::Impl>(options_, identity_, header->base, rng_);
    delivery_.emplace(sink_, options_.tail_bytes_max, header->base.index);
  }
  header_ = *header;
  impl_->active = {header->number, header->id, header->bytes, block_bytes};
  impl_->chain = header->start;
  impl_->log.enter_segment({file.name, header->id});
  batches_here_ = 0;
  return Done{};
}

Status Recovery::check_header(const SegmentHeader& header, const FileInfo& file) const {
  if (header.identity != identity_) {
    return Error(ErrorCode::directory_of_another,
                 file.name + " belongs to node " + header.identity.node.text() + " of cluster " +
                     header.identity.cluster.text() + ", history " +
                     header.identity.history.text());
  }
  if (header.number != *segment_number(file.name)) {
    return damaged(file.name, 0,
                   "this is segment " + std::to_string(header.number) + " under another name");
  }
  if (header.bytes != file.bytes) {
    return damaged(file.name, 0,
                   "the file has " + std::to_string(file.bytes) + " bytes instead of " +
                       std::to_string(header.bytes));
  }
  if (!previous_) {
    return header.previous.is_none()
               ? Status(Done{})
               : Status(damaged(file.name, 0, "the segments before it are missing"));
  }
  const auto& [before, seal] = *previous_;
  if (header.number != before.number + 1) {
    return damaged(segment_name(before.number + 1), 0, "missing, and a later segment is there");
  }
  const bool linked = header.id == seal.next && header.previous == before.id &&
                      header.previous_end == seal.end && header.start == seal.chain;
  return linked ? Status(Done{})
                : Status(damaged(file.name, 0, "not the segment that the one before it names"));
}

Result<std::optional<Seal>> Recovery::read_seal(Window& window) const {
  const std::uint64_t offset = impl_->active.seal_offset();
  auto block = window.get(offset, block_bytes);
  if (!block) return std::move(block).error();
  return decode_seal(*block, impl_->active.id, offset);
}

Status Recovery::read_batches(Window& window, std::uint64_t limit) {
  while (impl_->active.end < limit) {
    auto batch = read_batch(window, limit);
    if (!batch) {
      if (batch.error().code() != ErrorCode::corrupt) {
        return std::move(batch).error().within(window.file().name);
      }
      broken_ = batch.error().message();
      return Done{};
    }
    auto block = window.get(impl_->active.end, block_bytes);
    if (!block) return std::move(block).error();
    if (auto status = accept(std::move(*batch), Bytes::copy_of(*block)); !status) return status;
  }
  return Done{};
}

Result<DecodedBatch> Recovery::read_batch(Window& window, std::uint64_t limit) const {
  const std::uint64_t offset = impl_->active.end;
  const auto block = window.get(offset, block_bytes);
  if (!block) return Error(block.error());
  const auto front = decode_batch_header(*block, impl_->active.id, offset);
  if (!front) return Error(ErrorCode::corrupt, "bad checksum of a batch header");
  const std::uint64_t bytes = batch_header_bytes + front->header.body_bytes;
  if (whole_blocks(bytes) > limit - offset) {
    return Error(ErrorCode::corrupt, "a batch reaches beyond the end of its segment");
  }
  const auto whole = window.get(offset, bytes);
  if (!whole) return Error(whole.error());
  return decode_batch(bytes <= copied_batch_bytes_max ? Bytes::copy_of(*whole) : *whole,
                      impl_->active.id, offset);
}

Status Recovery::accept(DecodedBatch batch, Bytes first_block) {
  apply_candidate();
  const std::uint64_t offset = impl_->active.end;
  const FileName file = impl_->active.file();
  if (batch.header.chain != impl_->chain) {
    return damaged(file, offset, "the batch does not follow the one before it");
  }
  if (const auto complaint = impl_->log.complaint_about(batch.header, batch.records)) {
    return damaged(file, offset, *complaint);
  }
  if (auto status = delivery_->take(batch); !status) return status;
  impl_->active.end += whole_blocks(batch_header_bytes + batch.header.body_bytes);
  impl_->chain = {batch.header.chain.sequence + 1, batch.checksum};
  ++batches_;
  ++batches_here_;
  candidate_ = {std::move(batch), offset, std::move(first_block)};
  return Done{};
}

void Recovery::apply_candidate() {
  if (!candidate_) return;
  const DecodedBatch& batch = candidate_->batch;
  impl_->log.apply(batch.header, batch.records, candidate_->offset);
  candidate_.reset();
}

// Behind the last sound batch of the active segment: nothing, or the torn batch that a crash left.
Status Recovery::classify_end(Window& window) {
  const std::uint64_t end = impl_->active.end;
  for (std::uint64_t offset = end; offset < impl_->active.seal_offset(); offset += block_bytes) {
    const auto block = window.get(offset, block_bytes);
    if (!block) return Error(block.error());
    if (all_zero(*block)) continue;
    dropped_bytes_ = offset + block_bytes - end;
    if (offset == end || !decode_batch_header(*block, impl_->active.id, offset)) continue;
    return damaged(window.file().name, end,
                   broken_ + ", and a later batch is at offset " + std::to_string(offset));
  }
  return Done{};
}

// A segment behind one that is not sealed: a roll or a recovery was cut short, or the seal is
// damaged. It must hold nothing that anybody could rely on.
Status Recovery::check_leftover(const FileInfo& file) {
  Window window(disk_, file);
  if (*segment_number(file.name) != impl_->active.number + 1) {
    return damaged(segment_name(impl_->active.number + 1), 0,
                   "missing, and a later segment is there");
  }
  leftover_ = file;
  auto block = window.get(0, static_cast<std::size_t>(std::min(block_bytes, file.bytes)));
  if (!block) return std::move(block).error();
  const auto header = decode_segment_header(*block);
  if (!header) {
    if (header.error().code() != ErrorCode::corrupt) {
      return Error(header.error()).within(file.name);
    }
    const auto zero = is_zero_from(window, block_bytes);
    if (!zero) return Error(zero.error());
    return *zero ? Status(Done{})
                 : Status(damaged(file.name, 0, header.error().message() + ", and data follows"));
  }
  if (header->identity != identity_) return check_header(*header, file);
  const bool at_end = header->previous_end == impl_->active.end && header->start == impl_->chain;
  const bool before_last = candidate_ && header->previous_end == candidate_->offset &&
                           header->start == before_candidate();
  if (header->previous != impl_->active.id || !(at_end || before_last)) {
    return damaged(impl_->active.file(), impl_->active.end,
                   "the next segment continues another end of this one" +
                       (broken_.empty() ? "" : " (" + broken_ + ")"));
  }
  for (std::uint64_t offset = block_bytes; offset + block_bytes <= file.bytes;
       offset += block_bytes) {
    const auto next = window.get(offset, block_bytes);
    if (!next) return Error(next.error());
    const auto batch = decode_batch_header(*next, header->id, offset);
    if (batch && batch->header.chain.sequence >= header->start.sequence + header->copies) {
      return damaged(impl_->active.file(), impl_->active.seal_offset(),
                     "the seal is damaged: the next segment is in use");
    }
  }
  return Done{};
}

Status Recovery::make_durable() {
  if (auto status = settle_names(); !status) return status;
  if (auto status = renew_seal(); !status) return status;
  return dropped_bytes_ == 0 && (!candidate_ || batches_here_ <= header_.copies ||
                                 candidate_->batch.header.kind == BatchKind::mark)
             ? continue_segment()
             : continue_in_new_segment();
}

// The names that are found, and those that are no longer, may be so in memory only: the process
// before was killed between an operation and its sync.
Status Recovery::settle_names() {
  std::vector<DiskOp> ops;
  if (leftover_) ops.push_back(RemoveFile{leftover_->name});
  ops.push_back(SyncDirectory{});
  return perform_all(disk_, ops);
}

// Until a batch beyond the copies was begun, the seal may be in the page cache only. Once one was,
// of which anything at all tells that is not zero, the seal is durable, and must not be put at risk
// again: without it the copies would no longer be part of the log.
Status Recovery::renew_seal() {
  if (!previous_ || batches_here_ > header_.copies || dropped_bytes_ > 0) return Done{};
  const auto& [before, seal] = *previous_;
  ActiveSegment ended = before;
  ended.end = seal.end;
  return perform_all(disk_, impl_->seal(ended, seal.chain));
}

// Everything is vouched for, and zeros follow: no new segment is needed. The mark promises nothing,
// so it may be written again in place; whatever becomes of it, no entry is lost.
Status Recovery::continue_segment() {
  const bool mark = candidate_ && candidate_->batch.header.kind == BatchKind::mark;
  if (!mark) {
    apply_candidate();
    return write_mark();
  }
  const FileName file = impl_->active.file();
  const WriteAt again{file, candidate_->offset, {candidate_->first_block}};
  apply_candidate();
  impl_->marked = true;
  return perform_all(disk_, {again, SyncData{file}});
}

// The last batch may be in the page cache only, and what follows it is a torn batch. Both stay
// behind in the old segment: the copy in the new one is durable before the seal makes it the log.
Status Recovery::continue_in_new_segment() {
  const bool copy = candidate_ && candidate_->batch.header.kind == BatchKind::data &&
                    batches_here_ > header_.copies;
  std::optional<DecodedBatch> last;
  if (copy) {
    impl_->active.end = candidate_->offset;
    impl_->chain = before_candidate();
    last = std::move(candidate_->batch);
    candidate_.reset();
  }
  apply_candidate();
  const ActiveSegment before = impl_->active;
  const ChainPoint at = impl_->chain;
  const std::uint64_t bytes = batch_header_bytes + (last ? last->header.body_bytes : 0);
  auto status = perform_all(disk_, impl_->begin_segment(whole_blocks(bytes) + block_bytes, copy));
  if (!status) return status;
  if (last) {
    const Batch batch = impl_->append_batch(BatchKind::data, last->header.hard, last->header.commit,
                                            writes_of(*last));
    if (status = perform_all(disk_, batch.ops); !status) return status;
    impl_->done();
  }
  if (status = perform_all(disk_, impl_->seal(before, at)); !status) return status;
  return write_mark();
}

// With the mark on the disk, the seal before it is vouched for, and so is every batch.
Status Recovery::write_mark() {
  const Batch mark =
      impl_->append_batch(BatchKind::mark, impl_->log.hard(), impl_->log.commit(), {});
  if (auto status = perform_all(disk_, mark.ops); !status) return status;
  impl_->done();
  return Done{};
}

// A create that was cut short leaves at most a header and a mark.
Status clear_unfinished(Disk& disk) {
  const auto segments = segments_in(disk);
  if (!segments) return Error(segments.error());
  if (segments->empty()) return Done{};
  const FileInfo& file = segments->front();
  Window window(disk, file);
  const auto unused = is_zero_from(window, 2 * block_bytes);
  if (!unused) return Error(unused.error());
  if (segments->size() > 1 || segment_number(file.name) != 1 || !*unused) {
    return Error(ErrorCode::invalid_argument, "the directory already holds a log");
  }
  return perform_all(disk, {RemoveFile{file.name}, SyncDirectory{}});
}

}  // namespace

Result<std::optional<Identity>> Wal::owner(Disk& disk) {
  const auto segments = segments_in(disk);
  if (!segments) return Error(segments.error());
  if (segments->empty()) return std::optional<Identity>();
  const auto block = disk.read(segments->front().name, 0, block_bytes);
  if (!block) return Error(block.error());
  const auto header = decode_segment_header(*block);
  if (header) return std::optional(header->identity);
  if (header.error().code() == ErrorCode::corrupt) return std::optional<Identity>();
  return Error(header.error()).within(segments->front().name);
}

// The first segment goes last: until then the directory tells whose log this was.
Status Wal::remove(Disk& disk) {
  const auto segments = segments_in(disk);
  if (!segments) return Error(segments.error());
  for (auto file = segments->rbegin(); file != segments->rend(); ++file) {
    if (auto status = disk.perform(RemoveFile{file->name}); !status) return status;
  }
  return disk.perform(SyncDirectory{});
}

Result<std::unique_ptr<Wal>> Wal::create(Disk& disk, const WalOptions& options,
                                         const Identity& identity, Position base, Rng rng) {
  if (auto status = clear_unfinished(disk); !status) {
    return std::move(status).error().within("create log");
  }
  auto impl = std::make_unique<Impl>(options, identity, base, rng);
  std::vector<DiskOp> ops = impl->begin_segment(block_bytes, 0);
  const Batch mark = impl->append_batch(BatchKind::mark, {}, base.index, {});
  ops.insert(ops.end(), mark.ops.begin(), mark.ops.end());
  if (auto status = perform_all(disk, ops); !status) {
    return std::move(status).error().within("create log");
  }
  impl->done();
  return std::unique_ptr<Wal>(new Wal(std::move(impl)));
}

Result<Wal::Opened> Wal::open(Disk& disk, const WalOptions& options, const Identity& identity,
                              Rng rng, const EntrySink& sink) {
  Recovery recovery(disk, options, identity, rng, sink);
  auto impl = recovery.run();
  if (!impl) return std::move(impl).error().within("open log");
  auto recovered = recovery.report();
  if (!recovered) return std::move(recovered).error().within("open log");
  const LogState& log = (*impl)->log;
  recovered->hard = log.hard();
  recovered->base = log.map().base;
  recovered->terms = *log.map().terms;
  recovered->last = log.map().last;
  recovered->commit = log.commit();
  return Opened{std::unique_ptr<Wal>(new Wal(std::move(*impl))), std::move(*recovered)};
}

}  // namespace kuilt::storage
