// base64.hpp: bytes as text (RFC 4648, section 4, with padding).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kuilt/bytes.hpp"

namespace kuilt::wire {

[[nodiscard]] std::string to_base64(BytesView bytes);
/// Nothing, if it is not exactly what `to_base64` writes for some bytes.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

}  // namespace kuilt::wire
