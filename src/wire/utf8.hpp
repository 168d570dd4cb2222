// utf8.hpp: whether bytes are text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kuilt::wire {

/// Length of the well-formed UTF-8 sequence at the start of `text` (RFC 3629); 0 if there is none.
[[nodiscard]] std::size_t utf8_sequence_size(std::string_view text);
/// The longest part of `text`, from its start, that is UTF-8.
[[nodiscard]] std::string_view utf8_prefix(std::string_view text);
[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace kuilt::wire
