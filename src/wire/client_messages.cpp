#include "wire/client_messages.hpp"

#include "wire/client_fields.hpp"
#include "wire/client_json.hpp"
#include "wire/entry.hpp"
#include "wire/public_part.hpp"
#include "wire/wire_reader.hpp"
#include "wire/wire_writer.hpp"

namespace kuilt::wire {
namespace {

constexpr std::string_view protobuf_subprotocol = "kuilt.v1";
constexpr std::string_view json_subprotocol = "kuilt.v1.json";

template <class Message>
Bytes encode_as(const Message& message, Encoding encoding) {
  switch (encoding) {
    case Encoding::protobuf: return encode_message(message);
    case Encoding::json: return encode_json(message);
  }
  KUILT_FAIL("an encoding outside its enum");
}

// Who proposes is what the link proved, whatever the frame says.
void forget_authors(ClientMessage& message) {
  if (auto* propose = std::get_if<Propose>(&message)) {
    for (Proposal& proposal : propose->proposals) proposal.author.clear();
  }
}

}  // namespace

std::string_view subprotocol_of(Encoding encoding) {
  switch (encoding) {
    case Encoding::protobuf: return protobuf_subprotocol;
    case Encoding::json: return json_subprotocol;
  }
  KUILT_FAIL("an encoding outside its enum");
}

std::optional<Encoding> encoding_of(std::string_view subprotocol) {
  if (subprotocol == protobuf_subprotocol) return Encoding::protobuf;
  if (subprotocol == json_subprotocol) return Encoding::json;
  return std::nullopt;
}

std::size_t client_frame_bytes_max(std::size_t command_bytes_max) {
  // JSON escapes a byte of text with two at most, and base64 takes four for three.
  constexpr std::size_t overhead = std::size_t{64} << 10;
  return 2 * command_bytes_max + overhead;
}

Bytes encode(const ClientMessage& message, Encoding encoding) {
  return encode_as(message, encoding);
}
Bytes encode(const ServerMessage& message, Encoding encoding) {
  return encode_as(message, encoding);
}

Result<ClientMessage> decode_client(const Bytes& frame, Encoding encoding) {
  if (encoding == Encoding::json) return decode_client_json(frame);
  Result<ClientMessage> message = decode_message<ClientMessage>(frame, &frame);
  if (message) forget_authors(*message);
  return message;
}

Result<ServerMessage> decode_server(const Bytes& frame, Encoding encoding) {
  if (encoding == Encoding::json) return decode_server_json(frame);
  return decode_message<ServerMessage>(frame, &frame);
}

Result<FeedEntry> decode_feed_entry(const Bytes& public_part) {
  const Result<PublicPart> part = read_public_part(public_part);
  if (!part) return part.error();
  if (part->kind != raft::EntryKind::command) {
    return Error(ErrorCode::bad_frame, "field kind: not a command");
  }
  FeedEntry entry{.at = part->at,
                  .log_time = part->log_time,
                  .room = std::string(part->room),
                  .author = std::string(part->author),
                  .request_id = part->request_id,
                  .command = {},
                  .log_id = part->log_id};
  if (!part->body.empty()) {
    const auto offset = static_cast<std::size_t>(part->body.data() - public_part.data());
    entry.command = public_part.slice(offset, part->body.size());
  }
  return entry;
}

Bytes encode_feed_entry(const FeedEntry& entry) {
  return encode_message(PublicPart{.format = entry_format,
                                   .kind = raft::EntryKind::command,
                                   .at = entry.at,
                                   .log_time = entry.log_time,
                                   .log_id = entry.log_id,
                                   .room = entry.room,
                                   .author = entry.author,
                                   .request_id = entry.request_id,
                                   .body = entry.command,
                                   .configuration = {}});
}

}  // namespace kuilt::wire
