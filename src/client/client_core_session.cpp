#include "client/client_core_session.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "kuilt/detail/overloaded.hpp"
#include "wire/hash.hpp"
#include "wire/wire_reader.hpp"
#include "wire/wire_writer.hpp"

namespace kuilt::client {

// The bodies of records, described as the messages of the wire are.

void describe(auto& visitor, wire::Is<SessionBegins> auto& m) {
  visitor.field(1, "session", m.key.session);
  visitor.field(2, "birth", m.key.birth);
  visitor.field(3, "cluster", m.cluster);
  visitor.field(4, "history", m.history);
  visitor.field(5, "last", m.last);
}
void describe(auto& visitor, wire::Is<CommandRecorded> auto& m) {
  visitor.field(1, "id", m.id);
  visitor.name(2, "room", m.room);
  visitor.payload(3, "command", m.command);
  visitor.field(4, "submitted", m.submitted);
}
void describe(auto& visitor, wire::Is<CommandSubmitted> auto& m) { visitor.field(1, "id", m.id); }
void describe(auto& visitor, wire::Is<CommandAcknowledged> auto& m) {
  visitor.field(1, "id", m.id);
}
void describe(auto& visitor, wire::Is<CommandWithdrawn> auto& m) { visitor.field(1, "id", m.id); }
void describe(auto& visitor, wire::Is<SessionRecord> auto& record) {
  visitor.one_of("record", record, wire::Alternative<SessionBegins>{1, "begins"},
                 wire::Alternative<CommandRecorded>{2, "recorded"},
                 wire::Alternative<CommandSubmitted>{3, "submitted"},
                 wire::Alternative<CommandAcknowledged>{4, "acknowledged"},
                 wire::Alternative<CommandWithdrawn>{5, "withdrawn"});
}

namespace {

constexpr std::string_view file_kind = "kuiltse";
constexpr char file_format = '1';
constexpr std::size_t file_header_bytes = 8;
/// Length of the body, check of the length, checksum of the body.
constexpr std::size_t record_header_bytes = 16;

/// As many as the cluster's session window is by default: a farther id would have to wait there.
constexpr std::uint64_t unfinished_ids_max = 1024;
/// There is one above it, for what counts to the next.
constexpr RequestId request_id_max{~std::uint64_t{0} - 1};
constexpr std::size_t unfinished_bytes_max = std::size_t{16} << 20;
constexpr std::size_t bytes_per_command = 64;

std::size_t cost(std::size_t room, std::size_t command) {
  return room + command + bytes_per_command;
}
std::string text(RequestId id) { return std::to_string(id.value()); }

Error corrupt(std::size_t at, const std::string& what) {
  return Error(ErrorCode::corrupt, Effect::none, "byte " + std::to_string(at) + ": " + what);
}

/// A record is valid in its own file and place only, whatever a crash leaves in a new block.
std::uint64_t seed_of(SessionId session, std::size_t at) { return session.low() ^ at; }

std::uint64_t little_endian(BytesView bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  }
  return value;
}
void put(std::string& out, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i)
    out.push_back(static_cast<char>(value >> (8 * i) & 0xffU));
}

void append_record(std::string& out, SessionId session, std::size_t at,
                   const SessionRecord& record) {
  const Bytes body = wire::encode_message(record);
  const std::uint64_t seed = seed_of(session, at);
  std::string length;
  put(length, body.size(), 4);
  out += length;
  put(out, wire::hash(length, seed), 4);
  put(out, wire::hash(body, seed), 8);
  out += body.text();
}

/// The body of the record at `at`, if it is whole.
std::optional<BytesView> whole_record(BytesView file, std::size_t at, SessionId session) {
  if (file.size() - at < record_header_bytes) return std::nullopt;
  const std::uint64_t seed = seed_of(session, at);
  const BytesView length_bytes = file.slice(at, 4);
  const std::uint64_t check = wire::hash(length_bytes, seed) & 0xffff'ffffU;
  if (little_endian(file.slice(at + 4, 4)) != check) return std::nullopt;
  const std::uint64_t length = little_endian(length_bytes);
  const std::size_t begin = at + record_header_bytes;
  if (length > file.size() - begin) return std::nullopt;
  const BytesView body = file.slice(begin, length);
  if (little_endian(file.slice(at + 8, 8)) != wire::hash(body, seed)) return std::nullopt;
  return body;
}

/// A record is written only when the one before it is durable: so nothing whole follows a torn one.
/// The check of the length keeps this cheap whatever the torn bytes are.
bool is_torn(BytesView file, std::size_t at, SessionId session) {
  for (std::size_t later = at + 1; later < file.size(); ++later) {
    if (whole_record(file, later, session)) return false;
  }
  return true;
}

Result<SessionRecord> decode_record(std::size_t at, BytesView body) {
  const Bytes kept = Bytes::copy_of(body);
  auto record = wire::decode_message<SessionRecord>(kept, &kept);
  if (!record) return corrupt(at, record.error().message());
  return record;
}

Result<DurableSessionState> read_begin(BytesView file) {
  const std::size_t at = file_header_bytes;
  if (file.size() <= at) return corrupt(file.size(), "the file ends before its first record");
  const auto body = whole_record(file, at, SessionId());
  if (!body) return corrupt(at, "the first record is damaged");
  const auto record = decode_record(at, *body);
  if (!record) return record.error();
  const auto* begins = std::get_if<SessionBegins>(&*record);
  if (begins == nullptr || begins->key.session.is_none() || begins->cluster.is_none()) {
    return corrupt(at, "the first record does not begin a session");
  }
  return DurableSessionState(*begins);
}

}  // namespace

RequestId DurableSessionState::floor() const {
  if (unfinished_.empty()) return begins_.last;
  return RequestId(unfinished_.begin()->first.value() - 1);
}

Status DurableSessionState::may_record(RequestId id, const RoomName& room,
                                       BytesView command) const {
  if (id == RequestId(0) || id > request_id_max) {
    return Error(
        ErrorCode::invalid_argument,
        "request id " + text(id) + ": the first is 1, and the last " + text(request_id_max));
  }
  if (room.size() > wire::room_bytes_max || !wire::is_utf8(room)) {
    return Error(ErrorCode::invalid_argument,
                 "a room's name is UTF-8 of at most " + std::to_string(wire::room_bytes_max) +
                     " bytes, and this one of " + std::to_string(room.size()) + " is not");
  }
  if (unfinished_.contains(id)) {
    return Error(ErrorCode::request_id_reused,
                 "request id " + text(id) + " belongs to another command, which is unfinished");
  }
  if (id <= begins_.last) {
    return Error(ErrorCode::below_floor, Effect::unknown,
                 "request id " + text(id) + " was acknowledged or passed over: the last one is " +
                     text(begins_.last));
  }
  // With nothing unfinished the floor will be right below it, wherever it is.
  if (!unfinished_.empty() && id.value() - floor().value() > unfinished_ids_max) {
    return Error(ErrorCode::window_full, "request id " + text(id) + " is " +
                                             std::to_string(unfinished_ids_max) +
                                             " or more above the first unfinished one, " +
                                             text(floor().next()) + ": acknowledge that one first");
  }
  if (unfinished_bytes_ + cost(room.size(), command.size()) > unfinished_bytes_max) {
    return Error(ErrorCode::busy, Effect::none,
                 std::to_string(unfinished_bytes_) + " bytes of commands are unfinished; the " +
                     "limit is " + std::to_string(unfinished_bytes_max) +
                     ": acknowledge outcomes first");
  }
  return Done{};
}

Status DurableSessionState::may_submit(RequestId id) const {
  if (unfinished_.contains(id)) return Done{};
  if (id > begins_.last || id == RequestId(0)) {
    return Error(ErrorCode::invalid_argument, "request id " + text(id) + " was never recorded");
  }
  return Error(ErrorCode::below_floor, Effect::unknown,
               "request id " + text(id) + " was acknowledged before");
}

Status DurableSessionState::take(const SessionRecord& record) {
  const auto wrong = [](std::string what) { return Error(ErrorCode::corrupt, std::move(what)); };
  const auto mark = [&](RequestId id, bool submitted) -> Status {
    const auto found = unfinished_.find(id);
    if (found == unfinished_.end()) return wrong("unknown request id " + text(id));
    found->second.submitted = submitted;
    return Done{};
  };
  const auto on_record = Overloaded{
      [&](const SessionBegins&) -> Status { return wrong("a second session begins"); },
      [&](const CommandRecorded& one) -> Status {
        const bool fresh =
            unfinished_.try_emplace(one.id, Unfinished{one.room, one.command, one.submitted})
                .second;
        if (!fresh || one.id == RequestId(0)) return wrong("request id " + text(one.id) + " again");
        unfinished_bytes_ += cost(one.room.size(), one.command.size());
        begins_.last = std::max(begins_.last, one.id);
        return Done{};
      },
      [&](const CommandSubmitted& one) -> Status { return mark(one.id, true); },
      [&](const CommandWithdrawn& one) -> Status { return mark(one.id, false); },
      [&](const CommandAcknowledged& one) -> Status {
        const auto found = unfinished_.find(one.id);
        if (found == unfinished_.end()) return wrong("unknown request id " + text(one.id));
        unfinished_bytes_ -= cost(found->second.room.size(), found->second.command.size());
        unfinished_.erase(found);
        return Done{};
      },
  };
  return std::visit(on_record, record);
}

std::string session_file(const DurableSessionState& state) {
  std::string out(file_kind);
  out += file_format;
  append_record(out, SessionId(), out.size(), state.begins());
  for (const auto& [id, command] : state.unfinished()) {
    append_record(out, state.begins().key.session, out.size(),
                  CommandRecorded{id, command.room, command.command, command.submitted});
  }
  return out;
}

std::string session_record(SessionId session, std::size_t file_bytes, const SessionRecord& record) {
  std::string out;
  append_record(out, session, file_bytes, record);
  return out;
}

Result<SessionFileContent> read_session_file(BytesView file) {
  if (!file.text().starts_with(file_kind)) {
    return corrupt(0, "no session file: it does not begin with \"kuiltse\"");
  }
  if (file.size() > file_kind.size() && file.text()[file_kind.size()] != file_format) {
    return Error(ErrorCode::unsupported_format, "format " +
                                                    std::string(1, file.text()[file_kind.size()]) +
                                                    ", and this program reads " + file_format);
  }
  auto state = read_begin(file);
  if (!state) return std::move(state).error();
  const SessionId session = state->begins().key.session;
  std::size_t at = file_header_bytes;
  at += record_header_bytes + whole_record(file, at, SessionId())->size();
  while (at < file.size()) {
    const auto body = whole_record(file, at, session);
    if (!body) {
      if (is_torn(file, at, session)) break;
      return corrupt(at, "a record is damaged, and whole ones follow it");
    }
    const auto record = decode_record(at, *body);
    if (!record) return record.error();
    if (auto follows = state->take(*record); !follows) {
      return corrupt(at, "a record that does not follow: " + follows.error().message());
    }
    at += record_header_bytes + body->size();
  }
  return SessionFileContent{*std::move(state), file.size() - at};
}

}  // namespace kuilt::client
