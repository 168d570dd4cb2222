#include "wire/entry.hpp"

#include <memory>
#include <optional>

#include "wire/configuration_record.hpp"
#include "wire/entry_fields.hpp"
#include "wire/hash.hpp"
#include "wire/public_part.hpp"
#include "wire/utf8.hpp"
#include "wire/wire_reader.hpp"
#include "wire/wire_writer.hpp"

namespace kuilt::wire {
namespace {

Error bad(std::string what) { return Error(ErrorCode::bad_frame, std::move(what)); }

// What makes a command unfit for the log, if anything: the same rule before writing and after
// reading.
std::optional<std::string_view> flaw_of(const Command& command) {
  if (command.at.index == Index() || command.at.term == Term()) return "entry without a position";
  if (command.session.is_none()) return "command without a session";
  if (command.request_id == RequestId()) return "command without a request id";
  if (command.room.size() > name_bytes_max) return "room name longer than 1024 bytes";
  if (command.author.size() > name_bytes_max) return "author longer than 1024 bytes";
  if (!is_utf8(command.room) || !is_utf8(command.author)) return "room or author not UTF-8";
  if (command.digest != command_digest(command.room, command.body)) {
    return "digest of another room or body";
  }
  return std::nullopt;
}

Command command_of(const PublicPart& entry, const Origin& origin) {
  return {.at = entry.at,
          .log_time = entry.log_time,
          .log_id = entry.log_id,
          .room = entry.room,
          .author = entry.author,
          .request_id = entry.request_id,
          .body = entry.body,
          .session = origin.session,
          .birth = origin.birth,
          .floor = origin.floor,
          .digest = origin.digest};
}

PublicPart public_part_of(const Command& command) {
  return {.format = entry_format,
          .kind = raft::EntryKind::command,
          .at = command.at,
          .log_time = command.log_time,
          .log_id = command.log_id,
          .room = command.room,
          .author = command.author,
          .request_id = command.request_id,
          .body = command.body,
          .configuration = {}};
}

Result<StoredParts> parts_of(BytesView stored) {
  Result<StoredParts> parts = decode_message<StoredParts>(stored);
  if (parts && parts->entry.empty()) return bad("field entry: missing");
  return parts;
}

Result<Command> command_of(const StoredParts& parts) {
  Result<PublicPart> entry = read_public_part(parts.entry);
  if (!entry) return std::move(entry).error();
  if (entry->kind != raft::EntryKind::command) return bad("field kind: not a command");
  Result<Origin> origin = decode_message<Origin>(parts.origin);
  if (!origin) return std::move(origin).error().within("origin");
  return command_of(*entry, *origin);
}

Result<raft::Entry> admit_command(raft::Entry entry) {
  Result<Command> command = decode_command(entry);
  if (!command) return std::move(command).error();
  if (const auto flaw = flaw_of(*command)) return bad(std::string(*flaw));
  return entry;
}

Result<raft::Entry> admit_configuration(raft::Entry entry, const StoredParts& parts,
                                        const PublicPart& part) {
  if (!parts.origin.empty()) return bad("field origin: only a command has one");
  Result<raft::Configuration> configuration = decode_configuration_record(part.configuration);
  if (!configuration) return std::move(configuration).error().within("configuration");
  entry.configuration = std::make_shared<const raft::Configuration>(*std::move(configuration));
  return entry;
}

Result<raft::Entry> admit_cut(raft::Entry entry, const StoredParts& parts, const PublicPart& part) {
  if (!parts.origin.empty()) return bad("field origin: only a command has one");
  if (!part.body.empty() || !part.configuration.empty()) return bad("a cut with a content");
  return entry;
}

Result<raft::Entry> admit_parts(raft::Entry entry) {
  Result<StoredParts> parts = parts_of(entry.stored);
  if (!parts) return std::move(parts).error();
  Result<PublicPart> part = read_public_part(parts->entry);
  if (!part) return std::move(part).error();
  if (part->at != entry.at) return bad("bytes of another position");
  if (part->kind != entry.kind) return bad("bytes of another kind");
  if (entry.kind == raft::EntryKind::command) return admit_command(std::move(entry));
  if (entry.kind == raft::EntryKind::cut) return admit_cut(std::move(entry), *parts, *part);
  return admit_configuration(std::move(entry), *parts, *part);
}

std::string place_of(Position at) {
  return "entry " + std::to_string(at.index.value()) + " of term " +
         std::to_string(at.term.value());
}

}  // namespace

Result<PublicPart> read_public_part(BytesView bytes) {
  Result<PublicPart> part = decode_message<PublicPart>(bytes);
  if (!part) return part;
  if (part->format != entry_format) {
    return Error(ErrorCode::unsupported_format, "entry format " + std::to_string(part->format) +
                                                    ", this version reads " +
                                                    std::to_string(entry_format));
  }
  return part;
}

raft::Entry encode_command(const Command& command) {
  KUILT_CHECK(!flaw_of(command));
  const StoredWhole whole{
      .entry = public_part_of(command),
      .origin = Origin{command.session, command.birth, command.floor, command.digest}};
  return {command.at, raft::EntryKind::command, encode_message(whole), nullptr};
}

raft::Entry encode_configuration(Position at, LogTime log_time,
                                 raft::SharedConfiguration configuration) {
  KUILT_CHECK(configuration != nullptr);
  const Bytes record = encode_configuration_record(*configuration);
  StoredWhole whole;
  whole.entry.format = entry_format;
  whole.entry.kind = raft::EntryKind::configuration;
  whole.entry.at = at;
  whole.entry.log_time = log_time;
  whole.entry.configuration = record;
  return {at, raft::EntryKind::configuration, encode_message(whole), std::move(configuration)};
}

raft::Entry encode_cut(Position at, LogTime log_time) {
  StoredWhole whole;
  whole.entry.format = entry_format;
  whole.entry.kind = raft::EntryKind::cut;
  whole.entry.at = at;
  whole.entry.log_time = log_time;
  return {at, raft::EntryKind::cut, encode_message(whole), nullptr};
}

raft::Entry no_op(Position at) { return {at, raft::EntryKind::no_op, {}, nullptr}; }

std::uint64_t command_digest(std::string_view room, BytesView body) {
  return hash(body, hash(BytesView(room), 0));
}

std::uint64_t chain(std::uint64_t before, BytesView public_part) {
  return hash(public_part, before);
}

Result<Command> decode_command(const raft::Entry& entry) {
  Result<StoredParts> parts = parts_of(entry.stored);
  if (!parts) return std::move(parts).error();
  return command_of(*parts);
}

LogTime log_time_of(const raft::Entry& entry) {
  if (entry.kind == raft::EntryKind::no_op) return {};
  const Result<StoredParts> parts = parts_of(entry.stored);
  KUILT_CHECK(parts);
  const Result<PublicPart> part = read_public_part(parts->entry);
  KUILT_CHECK(part);
  return part->log_time;
}

Result<raft::Entry> admit_stored(Position at, raft::EntryKind kind, Bytes stored) {
  if (at.index == Index() || at.term == Term()) return bad("entry without a position");
  raft::Entry entry{at, kind, std::move(stored), nullptr};
  switch (kind) {
    case raft::EntryKind::no_op:
      if (!entry.stored.empty()) return bad(place_of(at) + ": a no-op with bytes");
      return entry;
    case raft::EntryKind::configuration:
    case raft::EntryKind::command:
    case raft::EntryKind::cut: {
      Result<raft::Entry> admitted = admit_parts(std::move(entry));
      if (!admitted) return std::move(admitted).error().within(place_of(at));
      return admitted;
    }
  }
  return Error(ErrorCode::unsupported_format, place_of(at) + ": kind " +
                                                  std::to_string(static_cast<unsigned>(kind)) +
                                                  " is of a later version");
}

Bytes public_part(const raft::Entry& entry) {
  KUILT_CHECK(entry.kind == raft::EntryKind::command);
  const Result<StoredParts> parts = parts_of(entry.stored);
  KUILT_CHECK(parts);
  const auto offset = static_cast<std::size_t>(parts->entry.data() - entry.stored.data());
  return entry.stored.slice(offset, parts->entry.size());
}

}  // namespace kuilt::wire
