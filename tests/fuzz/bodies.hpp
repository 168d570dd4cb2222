// bodies.hpp: what each fuzz target does with its input. Ordinary tests run the same over a corpus.
//
// Each asserts that what was decoded encodes and decodes to itself.
#pragma once

#include <cstring>

#include "kuilt/detail/check.hpp"
#include "wire/client_messages.hpp"
#include "wire/entry.hpp"
#include "wire/peer_messages.hpp"

namespace kuilt::wire::fuzz {

inline void client_in(Encoding encoding, const Bytes& input) {
  const Result<ClientMessage> first = wire::decode_client(input, encoding);
  if (!first) return;
  const Result<ClientMessage> second = wire::decode_client(encode(*first, encoding), encoding);
  KUILT_CHECK(second && *second == *first);
}
inline void decode_client_protobuf(const Bytes& input) { client_in(Encoding::protobuf, input); }
inline void decode_client_json(const Bytes& input) { client_in(Encoding::json, input); }

inline void server_in(Encoding encoding, const Bytes& input) {
  const Result<ServerMessage> first = wire::decode_server(input, encoding);
  if (!first) return;
  const Result<ServerMessage> second = wire::decode_server(encode(*first, encoding), encoding);
  KUILT_CHECK(second && *second == *first);
}
inline void decode_server_protobuf(const Bytes& input) { server_in(Encoding::protobuf, input); }
inline void decode_server_json(const Bytes& input) { server_in(Encoding::json, input); }

inline void decode_peer(const Bytes& input) {
  const Result<PeerMessage> first = wire::decode_peer(input);
  if (!first) return;
  const Result<PeerMessage> second = wire::decode_peer(encode(*first));
  KUILT_CHECK(second && *second == *first);
}

inline void decode_configuration_record(const Bytes& input) {
  const Result<raft::Configuration> first = wire::decode_configuration_record(input);
  if (!first) return;
  const auto second = wire::decode_configuration_record(encode_configuration_record(*first));
  KUILT_CHECK(second && *second == *first);
}

/// At the positions of the corpus: a command at (17, 3), a configuration at (1, 1).
inline void admit_stored(const Bytes& input) {
  static_cast<void>(wire::admit_stored({Index(1), Term(1)}, raft::EntryKind::configuration, input));
  const Position at{Index(17), Term(3)};
  static_cast<void>(wire::admit_stored(at, raft::EntryKind::cut, input));
  const Result<raft::Entry> entry = wire::admit_stored(at, raft::EntryKind::command, input);
  if (!entry) return;
  static_cast<void>(log_time_of(*entry));
  const Result<Command> command = decode_command(*entry);
  KUILT_CHECK(command);
  KUILT_CHECK(wire::admit_stored(at, raft::EntryKind::command, encode_command(*command).stored));
  KUILT_CHECK(decode_feed_entry(public_part(*entry)));
}

}  // namespace kuilt::wire::fuzz
