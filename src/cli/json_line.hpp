// json_line.hpp: one JSON object on one line, as `-o json` prints it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kuilt/bytes.hpp"

namespace kuilt::cli {

/// Members stand in the order in which they were added. What is not UTF-8 is replaced (U+FFFD).
class JsonLine {
 public:
  JsonLine& add(std::string_view name, std::string_view value);
  JsonLine& add(std::string_view name, const char* value) {
    return add(name, std::string_view(value));
  }
  JsonLine& add(std::string_view name, std::uint64_t value);
  JsonLine& add(std::string_view name, bool value);
  /// Text as it is, other bytes as base64 under "NAME_base64" (docs/protocol.md).
  JsonLine& add_bytes(std::string_view name, BytesView value);
  [[nodiscard]] std::string text() const { return members_ + "}"; }

 private:
  void begin(std::string_view name);
  std::string members_ = "{";
};

/// A string as JSON writes it, in quotes.
[[nodiscard]] std::string json_quoted(std::string_view text);

}  // namespace kuilt::cli
