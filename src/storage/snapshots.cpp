#include "storage/snapshots.hpp"

#include <algorithm>
#include <utility>

#include "kuilt/detail/check.hpp"
#include "storage/fields.hpp"

namespace kuilt::storage {
namespace {

// A long file is synced on the way, so that the log's own sync never waits behind all of it.
constexpr std::uint64_t unsynced_bytes_max = std::uint64_t{4} << 20;

Error corrupt(const std::string& what) { return Error(ErrorCode::corrupt, what); }

std::string end_of(std::uint64_t pieces, std::uint64_t file_bytes) {
  std::string out;
  put(out, pieces);
  put(out, file_bytes);
  return out;
}
constexpr std::size_t end_bytes = 16;

}  // namespace

// --- Writing ---

std::vector<DiskOp> SnapshotPlan::begin() {
  KUILT_CHECK(offset_ == 0);
  const FileName file = unfinished_snapshot_name(header_.at);
  offset_ = snapshot_header_bytes;
  return {CreateZeroed{file, 0}, Append{file, {Bytes(encode(header_))}}};
}

std::vector<DiskOp> SnapshotPlan::add(SnapshotPart part, BytesView bytes) {
  KUILT_CHECK(part >= part_ && part != SnapshotPart::end);
  std::vector<DiskOp> ops;
  if (part != part_) put_gathered(ops);
  part_ = part;
  while (!bytes.empty()) {
    const std::size_t taken = std::min(bytes.size(), snapshot_piece_bytes_max - gathered_.size());
    gathered_.append(bytes.slice(0, taken).text());
    bytes = bytes.slice(taken, bytes.size() - taken);
    if (gathered_.size() == snapshot_piece_bytes_max) put_gathered(ops);
  }
  return ops;
}

std::vector<DiskOp> SnapshotPlan::finish() {
  std::vector<DiskOp> ops;
  put_gathered(ops);
  const std::uint64_t whole = offset_ + snapshot_piece_header_bytes + end_bytes;
  put_piece(SnapshotPart::end, Bytes(end_of(pieces_, whole)), ops);
  const FileName unfinished = unfinished_snapshot_name(header_.at);
  ops.push_back(SyncData{unfinished});
  ops.push_back(RenameFile{unfinished, snapshot_name(header_.at)});
  ops.emplace_back(SyncDirectory{});
  return ops;
}

std::vector<DiskOp> SnapshotPlan::give_up() const {
  return {RemoveFile{unfinished_snapshot_name(header_.at)}, SyncDirectory{}};
}

void SnapshotPlan::put_gathered(std::vector<DiskOp>& ops) {
  if (gathered_.empty()) return;
  put_piece(part_, Bytes(std::exchange(gathered_, {})), ops);
}

void SnapshotPlan::put_piece(SnapshotPart part, Bytes data, std::vector<DiskOp>& ops) {
  const FileName file = unfinished_snapshot_name(header_.at);
  const SnapshotPiece piece{part, static_cast<std::uint32_t>(data.size()), snapshot_hash(data)};
  Bytes piece_header(encode(piece, header_, offset_));
  offset_ += piece_header.size() + data.size();
  ++pieces_;
  ops.push_back(Append{file, {std::move(piece_header), std::move(data)}});
  if (offset_ - synced_ < unsynced_bytes_max) return;
  synced_ = offset_;
  ops.push_back(SyncData{file});
}

std::vector<DiskOp> plan_cleanup(const std::vector<FileInfo>& files,
                                 const std::vector<FileName>& damaged) {
  std::vector<DiskOp> ops;
  std::size_t kept = 0;
  for (auto file = files.rbegin(); file != files.rend(); ++file) {  // The newest first.
    const bool is_damaged = std::ranges::find(damaged, file->name) != damaged.end();
    const bool is_snapshot = snapshot_position(file->name).has_value();
    if (is_snapshot && !is_damaged && kept < snapshots_kept) {
      ++kept;
    } else if (is_snapshot || is_unfinished_snapshot(file->name)) {
      ops.push_back(RemoveFile{file->name});
    }
  }
  if (!ops.empty()) ops.emplace_back(SyncDirectory{});
  return ops;
}

// --- Reading ---

Result<SnapshotReader> SnapshotReader::open(Disk& disk, const FileInfo& file,
                                            const Identity& identity) {
  SnapshotReader reader(disk, file);
  const auto bytes = reader.read(snapshot_header_bytes);
  if (!bytes) return Error(bytes.error());
  auto header = decode_snapshot_header(*bytes);
  if (!header) return std::move(header).error().within(file.name);
  if (header->cluster != identity.cluster || header->history != identity.history) {
    return Error(ErrorCode::directory_of_another, file.name + " is of cluster " +
                                                      header->cluster.text() + ", history " +
                                                      header->history.text());
  }
  if (header->at != snapshot_position(file.name)) {
    return reader.damaged(corrupt("the file has the name of another cut"));
  }
  reader.header_ = *header;
  return reader;
}

Result<std::optional<SnapshotReader::Piece>> SnapshotReader::next() {
  if (part_ == SnapshotPart::end) return std::optional<Piece>();
  const std::uint64_t offset = offset_;
  const auto bytes = read(snapshot_piece_header_bytes);
  if (!bytes) return Error(bytes.error());
  const auto piece = decode_snapshot_piece(*bytes, header_, offset);
  if (!piece) return damaged(piece.error());
  auto data = read(piece->bytes);
  if (!data) return std::move(data).error();
  if (data->size() != piece->bytes) return damaged(corrupt("a piece is cut short"));
  if (snapshot_hash(*data) != piece->data_hash) return damaged(corrupt("bad checksum of a piece"));
  if (piece->part < part_) return damaged(corrupt("a piece out of its order"));
  part_ = piece->part;
  Piece found{piece->part, *std::move(data)};
  if (found.part != SnapshotPart::end) {
    ++pieces_;
    return std::optional(std::move(found));
  }
  if (Status status = check_end(found); !status) return damaged(status.error());
  return std::optional<Piece>();
}

Status SnapshotReader::check_end(const Piece& piece) const {
  const std::string expected = end_of(pieces_, offset_);
  if (piece.data.text() != expected) return corrupt("the end speaks of another file");
  if (file_.bytes != offset_) return corrupt("bytes behind the end");
  return Done{};
}

Result<Bytes> SnapshotReader::read(std::size_t bytes) {
  if (bytes == 0) return Bytes();
  auto found = disk_->read(file_.name, offset_, bytes);
  if (found) offset_ += found->size();
  return found;
}

Error SnapshotReader::damaged(const Error& why) const {
  return Error(why).within(file_.name + ", near byte " + std::to_string(offset_));
}

namespace {

// The cluster's part, and, if `whole`, the rest is looked through too.
Result<Bytes> state_in(SnapshotReader& reader, const FileName& file, bool whole) {
  std::string state;
  while (true) {
    auto piece = reader.next();
    if (!piece) return std::move(piece).error();
    if (!*piece) break;
    if ((*piece)->part == SnapshotPart::cluster) {
      state.append((*piece)->data.text());
    } else if (!whole) {
      break;
    }
  }
  if (snapshot_hash(state) == reader.header().state_digest) return Bytes(std::move(state));
  return corrupt(file + ": the cluster's part is not the one that the header names");
}

Result<SnapshotFile> check(Disk& disk, const FileInfo& file, const Identity& identity) {
  auto reader = SnapshotReader::open(disk, file, identity);
  if (!reader) return std::move(reader).error();
  auto state = state_in(*reader, file.name, true);
  if (!state) return std::move(state).error();
  return SnapshotFile{file, reader->header(), *std::move(state)};
}

}  // namespace

Result<Bytes> read_snapshot_state(Disk& disk, const FileInfo& file, const Identity& identity) {
  auto reader = SnapshotReader::open(disk, file, identity);
  if (!reader) return std::move(reader).error();
  return state_in(*reader, file.name, false);
}

Result<SnapshotSurvey> survey_snapshots(Disk& disk, const Identity& identity) {
  const auto files = disk.list();
  if (!files) return Error(files.error());
  SnapshotSurvey survey;
  for (auto file = files->rbegin(); file != files->rend(); ++file) {
    if (!snapshot_position(file->name)) continue;
    auto checked = check(disk, *file, identity);
    if (checked) {
      survey.sound.push_back(*std::move(checked));
    } else {
      survey.damaged.push_back({file->name, std::move(checked).error()});
    }
  }
  return survey;
}

}  // namespace kuilt::storage
