#include "wire/snapshot_records.hpp"

#include <utility>

#include "wire/outcome_fields.hpp"
#include "wire/wire_reader.hpp"
#include "wire/wire_writer.hpp"

namespace kuilt::wire {

void describe(auto& visitor, Is<SnapshotHead> auto& head) {
  visitor.field(1, "at", head.at);
  visitor.field(2, "log_time_ns", head.log_time);
  visitor.field(3, "forgotten_through", head.forgotten_through);
  visitor.field(4, "configuration", head.configuration);
}
void describe(auto& visitor, Is<SnapshotSession> auto& session) {
  visitor.field(1, "id", session.id);
  visitor.field(2, "birth", session.birth);
  visitor.name(3, "author", session.author);
  visitor.field(4, "floor", session.floor);
  visitor.field(5, "last_use_ns", session.last_use);
}
void describe(auto& visitor, Is<SnapshotRequest> auto& request) {
  visitor.field(1, "id", request.id);
  visitor.field(2, "at", request.at);
  visitor.digest(3, "digest", request.digest);
}
void describe(auto& visitor, Is<SnapshotRoom> auto& room) {
  visitor.name(1, "name", room.name);
  visitor.digest(2, "digest", room.digest);
}
void describe(auto& visitor, Is<SnapshotRecord> auto& record) {
  visitor.one_of("record", record, Alternative<SnapshotHead>{1, "head"},
                 Alternative<SnapshotSession>{2, "session"},
                 Alternative<SnapshotRequest>{3, "request"}, Alternative<SnapshotRoom>{4, "room"});
}

void append_record(std::string& out, const SnapshotRecord& record) {
  const Bytes encoded = encode_message(record);
  std::uint64_t size = encoded.size();
  for (; size >= 0x80U; size >>= 7) out.push_back(static_cast<char>(size | 0x80U));
  out.push_back(static_cast<char>(size));
  out.append(encoded.text());
}

Result<std::optional<SnapshotRecord>> SnapshotRecords::next() {
  const BytesView rest = bytes_.view().slice(at_, bytes_.size() - at_);
  if (rest.empty()) return std::optional<SnapshotRecord>();
  Cursor in(rest, &bytes_);
  in.begin_field("record");
  const BytesView encoded = in.delimited();
  if (in.failed()) return in.take_error().within("byte " + std::to_string(at_));
  Result<SnapshotRecord> record = decode_message<SnapshotRecord>(encoded, &bytes_);
  if (!record) {
    return std::move(record).error().within("record at byte " + std::to_string(at_));
  }
  at_ = bytes_.size() - in.remaining();
  return std::optional(*std::move(record));
}

}  // namespace kuilt::wire
