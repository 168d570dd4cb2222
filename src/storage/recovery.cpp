// recovery.cpp: a log that was read is made durable again, and goes on.
//
// The order of the work, and why each step is safe against a power cut: docs/wal-format.md.
#include <utility>

#include "storage/log_scan.hpp"

namespace kuilt::storage {
namespace {

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
      : disk_(disk), scan_(disk, options, identity, rng, sink) {}

  Result<std::unique_ptr<Wal::Impl>> run() {
    if (auto status = scan_.run(); !status) return std::move(status).error();
    if (auto status = make_durable(); !status) return std::move(status).error();
    return std::move(scan_.impl);
  }
  Result<Recovered> report() {
    auto tail = scan_.delivery->finish();
    if (!tail) return std::move(tail).error();
    return Recovered{{}, {}, {}, {}, std::move(*tail), {}, scan_.dropped_bytes, scan_.batches};
  }

 private:
  Status make_durable();
  Status settle_names();
  Status renew_seal();
  Status continue_segment();
  Status continue_in_new_segment();
  Status write_mark();

  Disk& disk_;
  LogScan scan_;
};

Status Recovery::make_durable() {
  if (auto status = settle_names(); !status) return status;
  if (auto status = renew_seal(); !status) return status;
  return scan_.dropped_bytes == 0 &&
                 (!scan_.candidate || scan_.batches_here <= scan_.header.copies ||
                  scan_.candidate->batch.header.kind == BatchKind::mark)
             ? continue_segment()
             : continue_in_new_segment();
}

// The names that are found, and those that are no longer, may be so in memory only: the process
// before was killed between an operation and its sync.
Status Recovery::settle_names() {
  if (scan_.leftover) {
    if (auto status = disk_.perform(RemoveFile{scan_.leftover->name}); !status) return status;
  }
  return disk_.perform(SyncDirectory{});
}

// Until a batch beyond the copies was begun, the seal may be in the page cache only. Once one was,
// of which anything at all tells that is not zero, the seal is durable, and must not be put at risk
// again: without it the copies would no longer be part of the log.
Status Recovery::renew_seal() {
  if (!scan_.previous || scan_.batches_here > scan_.header.copies || scan_.dropped_bytes > 0)
    return Done{};
  const auto& [before, seal] = *scan_.previous;
  ActiveSegment ended = before;
  ended.end = seal.end;
  return perform_all(disk_, scan_.impl->seal(ended, seal.chain));
}

// Everything is vouched for, and zeros follow: no new segment is needed. The mark promises nothing,
// so it may be written again in place; whatever becomes of it, no entry is lost.
Status Recovery::continue_segment() {
  const bool mark = scan_.candidate && scan_.candidate->batch.header.kind == BatchKind::mark;
  if (!mark) {
    scan_.apply_candidate();
    return write_mark();
  }
  const FileName file = scan_.impl->active.file();
  const WriteAt again{file, scan_.candidate->offset, {scan_.candidate->first_block}};
  scan_.apply_candidate();
  scan_.impl->marked = true;
  return perform_all(disk_, {again, SyncData{file}});
}

// The last batch may be in the page cache only, and what follows it is a torn batch. Both stay
// behind in the old segment: the copy in the new one is durable before the seal makes it the log.
Status Recovery::continue_in_new_segment() {
  const bool copy = scan_.candidate && scan_.candidate->batch.header.kind == BatchKind::data &&
                    scan_.batches_here > scan_.header.copies;
  std::optional<DecodedBatch> last;
  if (copy) {
    scan_.impl->active.end = scan_.candidate->offset;
    scan_.impl->chain = scan_.candidate->batch.header.chain;
    last = std::move(scan_.candidate->batch);
    scan_.candidate.reset();
  }
  scan_.apply_candidate();
  const ActiveSegment before = scan_.impl->active;
  const ChainPoint at = scan_.impl->chain;
  const std::uint64_t bytes = batch_header_bytes + (last ? last->header.body_bytes : 0);
  auto status =
      perform_all(disk_, scan_.impl->begin_segment(whole_blocks(bytes) + block_bytes, copy));
  if (!status) return status;
  if (last) {
    const Batch batch = scan_.impl->append_batch(BatchKind::data, last->header.hard,
                                                 last->header.commit, writes_of(*last));
    if (status = perform_all(disk_, batch.ops); !status) return status;
    scan_.impl->done();
  }
  if (status = perform_all(disk_, scan_.impl->seal(before, at)); !status) return status;
  return write_mark();
}

// With the mark on the disk, the seal before it is vouched for, and so is every batch.
Status Recovery::write_mark() {
  const Batch mark = scan_.impl->append_batch(BatchKind::mark, scan_.impl->log.hard(),
                                              scan_.impl->log.commit(), {});
  if (auto status = perform_all(disk_, mark.ops); !status) return status;
  scan_.impl->done();
  return Done{};
}

// A create that was cut short leaves at most a header and a mark.
Status clear_unfinished(Disk& disk) {
  const auto segments = segments_in(disk);
  if (!segments) return Error(segments.error());
  if (segments->empty()) return Done{};
  const FileInfo& file = segments->front();
  FileWindow window(disk, file);
  const auto unused = window.is_zero_from(2 * block_bytes);
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
