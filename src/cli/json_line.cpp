#include "cli/json_line.hpp"

#include <nlohmann/json.hpp>

#include "cli/output.hpp"
#include "wire/base64.hpp"

namespace kuilt::cli {

std::string json_quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void JsonLine::begin(std::string_view name) {
  if (members_.size() > 1) members_ += ',';
  members_ += json_quoted(name) + ':';
}

JsonLine& JsonLine::add(std::string_view name, std::string_view value) {
  begin(name);
  members_ += json_quoted(value);
  return *this;
}

JsonLine& JsonLine::add(std::string_view name, std::uint64_t value) {
  begin(name);
  members_ += std::to_string(value);
  return *this;
}

JsonLine& JsonLine::add(std::string_view name, bool value) {
  begin(name);
  members_ += value ? "true" : "false";
  return *this;
}

JsonLine& JsonLine::add_bytes(std::string_view name, BytesView value) {
  if (is_text(value.text())) return add(name, value.text());
  return add(std::string(name) + "_base64", wire::to_base64(value));
}

}  // namespace kuilt::cli
