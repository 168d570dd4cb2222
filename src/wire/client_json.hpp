// client_json.hpp: the conversation with clients as JSON (subprotocol kuilt.v1.json).
#pragma once

#include "wire/client_messages.hpp"

namespace kuilt::wire {

[[nodiscard]] Bytes encode_json(const ClientMessage& message);
[[nodiscard]] Bytes encode_json(const ServerMessage& message);
/// Errors: bad_frame.
[[nodiscard]] Result<ClientMessage> decode_client_json(BytesView frame);
[[nodiscard]] Result<ServerMessage> decode_server_json(BytesView frame);

}  // namespace kuilt::wire
