// entry_fields.hpp: the messages of proto/kuilt/v1/entry.proto, described.
#pragma once

#include "raft/messages.hpp"
#include "wire/fields.hpp"

namespace kuilt::raft {

// Beside the enum, so that wire::assign_scalar finds it by its argument's namespace.
[[nodiscard]] inline bool assign_enum(EntryKind& to, std::uint64_t number) {
  if (number < static_cast<std::uint64_t>(EntryKind::no_op) ||
      number > static_cast<std::uint64_t>(EntryKind::cut)) {
    return false;
  }
  to = static_cast<EntryKind>(number);
  return true;
}
/// A kind that this version does not know stops it: skipping the entry would fork the state.
[[nodiscard]] constexpr ErrorCode unknown_value_code(const EntryKind& /*unknown*/) {
  return ErrorCode::unsupported_format;
}

}  // namespace kuilt::raft

namespace kuilt::wire {

/// Entry: the public part. Borrows.
struct PublicPart {
  std::uint32_t format = 0;
  raft::EntryKind kind{};
  Position at;
  LogTime log_time;
  std::uint64_t log_id = 0;
  std::string_view room;
  std::string_view author;
  RequestId request_id;
  BytesView body;
  BytesView configuration;
};
void describe(auto& visitor, Is<PublicPart> auto& entry) {
  visitor.field(1, "format", entry.format);
  visitor.field(2, "kind", entry.kind);
  visitor.fixed(3, "index", entry.at.index);
  visitor.fixed(4, "term", entry.at.term);
  visitor.fixed(5, "log_time_ns", entry.log_time);
  visitor.field(6, "log_id", entry.log_id);
  visitor.name(7, "room", entry.room);
  visitor.name(8, "author", entry.author);
  visitor.field(9, "request_id", entry.request_id);
  visitor.payload(10, "body", entry.body);
  visitor.field(11, "configuration", entry.configuration);
}

/// Origin: for servers only.
struct Origin {
  SessionId session;
  Index birth;
  RequestId floor;
  std::uint64_t digest = 0;
  friend bool operator==(const Origin&, const Origin&) = default;
};
void describe(auto& visitor, Is<Origin> auto& origin) {
  visitor.field(1, "session", origin.session);
  visitor.field(2, "birth", origin.birth);
  visitor.field(3, "floor", origin.floor);
  visitor.digest(4, "digest", origin.digest);
}

/// StoredEntry, still in two parts.
struct StoredParts {
  BytesView entry;
  BytesView origin;
};
void describe(auto& visitor, Is<StoredParts> auto& parts) {
  visitor.field(1, "entry", parts.entry);
  visitor.field(2, "origin", parts.origin);
}

/// StoredEntry, to be written.
struct StoredWhole {
  PublicPart entry;
  std::optional<Origin> origin;  ///< Of a command only.
};
void describe(auto& visitor, Is<StoredWhole> auto& stored) {
  visitor.field(1, "entry", stored.entry);
  visitor.field(2, "origin", stored.origin);
}

}  // namespace kuilt::wire

namespace kuilt::raft {

void describe(auto& visitor, wire::Is<Member> auto& member) {
  visitor.field(1, "id", member.id);
  visitor.name(2, "name", member.name);
  visitor.field(3, "peer_url", member.peer_url);
  visitor.field(4, "client_url", member.client_url);
  visitor.field(5, "voter", member.voter);
}
void describe(auto& visitor, wire::Is<Parameters> auto& parameters) {
  visitor.field(1, "command_bytes_max", parameters.command_bytes_max);
  visitor.field(2, "session_window", parameters.session_window);
  visitor.field(3, "sessions_max", parameters.sessions_max);
  visitor.field(4, "sessions_per_principal_max", parameters.sessions_per_principal_max);
  visitor.field(5, "session_expiry", parameters.session_expiry);
}
void describe(auto& visitor, wire::Is<Configuration> auto& configuration) {
  visitor.field(1, "cluster", configuration.cluster);
  visitor.field(2, "history", configuration.history);
  visitor.field(3, "members", configuration.members);
  visitor.field(4, "parameters", configuration.parameters);
  visitor.field(5, "outgoing", configuration.outgoing);
  visitor.field(7, "wanted", configuration.wanted);
}

}  // namespace kuilt::raft
