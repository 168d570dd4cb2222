// fields.hpp: little-endian fields, written one behind the other and read back in the same order.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>

#include "kuilt/bytes.hpp"
#include "kuilt/types.hpp"

namespace kuilt::storage {

template <std::unsigned_integral T>
void put(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xffU));
  }
}
template <class Tag>
void put(std::string& out, Id<Tag> id) {
  put(out, id.high());
  put(out, id.low());
}
inline void put(std::string& out, Position at) {
  put(out, at.index.value());
  put(out, at.term.value());
}

/// Pre of every call: that many bytes are left.
class Fields {
 public:
  explicit Fields(BytesView bytes) : rest_(bytes) {}

  std::uint8_t u8() { return take<std::uint8_t>(); }
  std::uint16_t u16() { return take<std::uint16_t>(); }
  std::uint32_t u32() { return take<std::uint32_t>(); }
  std::uint64_t u64() { return take<std::uint64_t>(); }
  template <class IdType>
  IdType id() {
    const std::uint64_t high = u64();
    return IdType(high, u64());
  }
  Position position() {
    const Index index(u64());
    return {index, Term(u64())};
  }

 private:
  template <class T>
  T take() {
    std::uint64_t value = 0;
    const BytesView field = rest_.slice(0, sizeof(T));
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value |= static_cast<std::uint64_t>(field[i]) << (8 * i);
    }
    rest_ = rest_.slice(sizeof(T), rest_.size() - sizeof(T));
    return static_cast<T>(value);
  }

  BytesView rest_;
};

}  // namespace kuilt::storage
