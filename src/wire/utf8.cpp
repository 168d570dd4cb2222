#include "wire/utf8.hpp"

#include <cstring>

namespace kuilt::wire {
namespace {

bool continues(unsigned char byte) { return (byte & 0xc0U) == 0x80U; }

// What the second byte must lie in, so that no overlong form, surrogate or value above U+10FFFF
// passes (Unicode, table 3-7).
bool second_byte_fits(unsigned char lead, unsigned char second) {
  if (lead == 0xe0U) return second >= 0xa0U;
  if (lead == 0xedU) return second < 0xa0U;
  if (lead == 0xf0U) return second >= 0x90U;
  if (lead == 0xf4U) return second < 0x90U;
  return true;
}

std::size_t size_promised_by(unsigned char lead) {
  if (lead < 0x80U) return 1;
  if (lead >= 0xc2U && lead < 0xe0U) return 2;
  if (lead >= 0xe0U && lead < 0xf0U) return 3;
  if (lead >= 0xf0U && lead < 0xf5U) return 4;
  return 0;
}

// Most text is ASCII: eight bytes at a time cost less than one call per byte.
std::size_t ascii_prefix(std::string_view text) {
  std::size_t size = 0;
  for (; size + 8 <= text.size(); size += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + size, 8);
    if ((word & 0x8080808080808080U) != 0) break;
  }
  return size;
}

}  // namespace

std::size_t utf8_sequence_size(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t size = size_promised_by(byte(0));
  if (size == 0 || size > text.size()) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if (!continues(byte(i))) return 0;
  }
  if (size > 1 && !second_byte_fits(byte(0), byte(1))) return 0;
  return size;
}

std::string_view utf8_prefix(std::string_view text) {
  std::size_t size = ascii_prefix(text);
  while (const std::size_t next = utf8_sequence_size(text.substr(size))) size += next;
  return text.substr(0, size);
}

bool is_utf8(std::string_view text) { return utf8_prefix(text).size() == text.size(); }

}  // namespace kuilt::wire
