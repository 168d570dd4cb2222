#include "storage/wal.hpp"

#include <algorithm>
#include <utility>

#include "storage/wal_impl.hpp"

namespace kuilt::storage {
namespace {

std::uint64_t batch_bytes_of(std::uint64_t body) { return whole_blocks(batch_header_bytes + body); }

void append(std::vector<DiskOp>& ops, std::vector<DiskOp> more) {
  ops.insert(ops.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

// How many of `writes` one batch takes, and how large its body is.
struct Share {
  std::size_t writes = 0;
  std::uint64_t body = 0;
};
Share share_of(std::span<const raft::Write> writes, std::size_t bytes_max) {
  Share share;
  for (const raft::Write& write : writes) {
    const std::uint64_t bytes = body_bytes_of(write);
    if (share.writes > 0 && share.body + bytes > bytes_max) break;
    ++share.writes;
    share.body += bytes;
  }
  return share;
}

}  // namespace

SegmentId Wal::Impl::draw_id() {
  const std::uint64_t high = rng.next();
  return {high, rng.next()};
}

std::vector<DiskOp> Wal::Impl::begin_segment(std::uint64_t batch_bytes, std::uint32_t copies) {
  const std::uint64_t needed = batch_bytes + 2 * block_bytes;
  const std::uint64_t bytes = std::max(whole_blocks(options.segment_bytes), needed);
  const bool first = active.id.is_none();
  const SegmentHeader header{draw_id(),
                             identity,
                             active.number + 1,
                             next_file && next_file->bytes >= needed ? next_file->bytes : bytes,
                             log.map().base,
                             active.id,
                             first ? 0 : active.end,
                             chain,
                             copies};
  active = {header.number, header.id, header.bytes, block_bytes};
  entered = SegmentRef{active.file(), active.id};

  std::vector<DiskOp> ops;
  // An unfinished preparation might replace the file that is written from here on.
  KUILT_CHECK(!next_file || next_file->ready);
  if (!next_file || next_file->bytes != header.bytes) {
    if (next_file) ops.push_back(RemoveFile{active.file()});
    ops.push_back(CreateZeroed{active.file(), header.bytes});
    ops.push_back(SyncDirectory{});
  }
  next_file.reset();
  ops.push_back(WriteAt{active.file(), 0, {Bytes(encode(header))}});
  ops.push_back(SyncData{active.file()});
  return ops;
}

std::vector<DiskOp> Wal::Impl::seal(const ActiveSegment& before, ChainPoint at) const {
  const Seal seal{before.end, at, active.id};
  const std::uint64_t offset = before.seal_offset();
  return {WriteAt{before.file(), offset, {Bytes(encode(seal, before.id, offset))}},
          SyncData{before.file()}};
}

Batch Wal::Impl::append_batch(BatchKind kind, raft::HardState hard, Index commit,
                              std::span<const raft::Write> writes) {
  KUILT_CHECK(!planned);
  BatchHeader header;
  header.kind = kind;
  header.hard = hard;
  header.commit = commit;
  header.before = log.last();
  header.chain = chain;
  EncodedBatch encoded = encode_batch(header, writes, active.id, active.end);
  KUILT_CHECK(active.has_room(encoded.bytes));
  KUILT_CHECK(!log.complaint_about(header, encoded.records));

  Batch batch;
  batch.through = writes.empty() ? raft::WriteSeq() : writes.back().seq;
  for (const raft::Write& write : writes) batch.entries += write.entries.size();
  batch.bytes = encoded.bytes;
  batch.ops.push_back(WriteAt{active.file(), active.end, std::move(encoded.data)});
  batch.ops.push_back(SyncData{active.file()});

  planned = Planned{header, active.end, std::move(encoded.records), std::exchange(entered, {})};
  active.end += encoded.bytes;
  chain = {chain.sequence + 1, encoded.checksum};
  marked = kind == BatchKind::mark;
  return batch;
}

Batch Wal::Impl::plan_batch(BatchKind kind, raft::HardState hard, Index commit,
                            std::span<const raft::Write> writes) {
  std::uint64_t body = 0;
  for (const raft::Write& write : writes) body += body_bytes_of(write);
  std::vector<DiskOp> ops;
  if (!active.has_room(batch_bytes_of(body))) {
    const ActiveSegment before = active;
    ops = begin_segment(batch_bytes_of(body), 0);
    append(ops, seal(before, chain));
  }
  Batch batch = append_batch(kind, hard, commit, writes);
  append(ops, std::move(batch.ops));
  batch.ops = std::move(ops);
  return batch;
}

void Wal::Impl::done() {
  KUILT_CHECK(planned);
  if (planned->entered) log.enter_segment(std::move(*planned->entered));
  log.apply(planned->header, planned->records, planned->offset);
  planned.reset();
  reader.reset();
}

Wal::Wal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Wal::~Wal() = default;

Wal::Planned Wal::plan(std::span<const raft::Write> writes) {
  KUILT_CHECK(!writes.empty());
  const Share share = share_of(writes, impl_->options.batch_bytes_max);
  const auto taken = writes.first(share.writes);
  // The header speaks for the batch as a whole: the last vote, and the highest commit that the log
  // behind the batch can prove.
  Index commit = impl_->log.commit();
  for (const raft::Write& write : taken) commit = std::max(commit, write.commit);
  return {impl_->plan_batch(BatchKind::data, taken.back().hard, commit, taken), share.writes};
}

Batch Wal::plan_idle_mark() {
  if (impl_->marked) return {};
  return impl_->plan_batch(BatchKind::mark, impl_->log.hard(), impl_->log.commit(), {});
}

bool Wal::would_roll(std::span<const raft::Write> writes) const {
  const Share share = share_of(writes, impl_->options.batch_bytes_max);
  return !impl_->active.has_room(batch_bytes_of(share.body));
}

std::vector<DiskOp> Wal::prepare_next_segment() {
  if (impl_->next_file || impl_->active.end < impl_->active.bytes / 2) return {};
  impl_->next_file = Impl::NextFile{whole_blocks(impl_->options.segment_bytes), false};
  return {CreateZeroed{segment_name(impl_->active.number + 1), impl_->next_file->bytes},
          SyncDirectory{}};
}

void Wal::next_segment_ready() {
  KUILT_CHECK(impl_->next_file);
  impl_->next_file->ready = true;
}

void Wal::next_segment_failed() {
  KUILT_CHECK(impl_->next_file && !impl_->next_file->ready);
  impl_->next_file.reset();
}

bool Wal::next_segment_is_ready() const { return impl_->next_file && impl_->next_file->ready; }

void Wal::done() { impl_->done(); }

std::shared_ptr<const Wal::Reader> Wal::reader() const {
  if (!impl_->reader) impl_->reader = make_reader(impl_->log.map());
  return impl_->reader;
}

}  // namespace kuilt::storage
