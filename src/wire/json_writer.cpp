#include "wire/json_writer.hpp"

#include <algorithm>

namespace kuilt::wire {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20U; }

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
  }
  out += "\\u00";
  out += c < 0x10 ? '0' : '1';
  out += "0123456789abcdef"[static_cast<unsigned char>(c) & 15U];
}

}  // namespace

std::string_view json_name(ObserveVerdict verdict) {
  switch (verdict) {
    case ObserveVerdict::resumed: return "resumed";
    case ObserveVerdict::snapshot_follows: return "snapshot_follows";
    case ObserveVerdict::begins_at: return "begins_at";
    case ObserveVerdict::history_differs: return "history_differs";
    case ObserveVerdict::not_this_cluster: return "not_this_cluster";
    case ObserveVerdict::behind: return "behind";
    case ObserveVerdict::compacted: return "compacted";
    case ObserveVerdict::refused: return "refused";
  }
  KUILT_FAIL("a verdict outside its enum");
}

std::string hexadecimal(std::uint64_t value) { return Id<void>(0, value).text().substr(16); }

bool is_readable(std::string_view text) {
  const auto disturbs = [](char c) { return is_control(c) && c != '\n' && c != '\r' && c != '\t'; };
  return is_utf8(text) && std::ranges::none_of(text, disturbs);
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const auto plain = static_cast<std::size_t>(
        std::ranges::find_if(text, [](char c) { return c == '"' || c == '\\' || is_control(c); }) -
        text.begin());
    out.append(text.substr(0, plain));
    if (plain == text.size()) break;
    append_escaped(out, text[plain]);
    text.remove_prefix(plain + 1);
  }
  out += '"';
}

}  // namespace kuilt::wire
