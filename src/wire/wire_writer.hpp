// wire_writer.hpp: messages to bytes, in protobuf's wire format (version 3).
//
// The form is the one that protobuf itself writes: fields in ascending order, zeros left out.
// A frame is measured first and then written into one allocation of just that size.
#pragma once

#include <bit>
#include <cstring>
#include <string>

#include "wire/fields.hpp"
#include "wire/utf8.hpp"

namespace kuilt::wire {

enum class WireType : std::uint8_t { varint = 0, fixed64 = 1, delimited = 2, fixed32 = 5 };

[[nodiscard]] constexpr std::size_t varint_size(std::uint64_t value) {
  return (static_cast<std::size_t>(std::bit_width(value | 1U)) + 6) / 7;
}

/// Where a FieldWriter's output goes when only its size is wanted.
class CountingSink {
 public:
  void varint(std::uint64_t value) { size_ += varint_size(value); }
  void fixed64(std::uint64_t /*value*/) { size_ += 8; }
  void bytes(BytesView bytes) { size_ += bytes.size(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::size_t size_ = 0;
};

/// Writes into memory that a CountingSink has measured.
class BufferSink {
 public:
  explicit BufferSink(char* at) : at_(at) {}
  void varint(std::uint64_t value) {
    for (; value >= 0x80U; value >>= 7) *at_++ = static_cast<char>(value | 0x80U);
    *at_++ = static_cast<char>(value);
  }
  void fixed64(std::uint64_t value) {
    for (int i = 0; i < 8; ++i, value >>= 8) *at_++ = static_cast<char>(value & 0xffU);
  }
  void bytes(BytesView bytes) {
    if (!bytes.empty()) std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  [[nodiscard]] const char* at() const { return at_; }

 private:
  char* at_;
};

template <class M>
[[nodiscard]] std::size_t size_of(const M& message);

/// Visitor: writes each field of a message that is not zero or empty.
template <class Sink>
class FieldWriter {
 public:
  explicit FieldWriter(Sink& sink) : sink_(&sink) {}

  template <class T>
  void field(std::uint32_t number, [[maybe_unused]] std::string_view name, const T& value) {
    if constexpr (Scalar<T>) {
      if (scalar_of(value) == 0) return;
      tag(number, WireType::varint);
      sink_->varint(scalar_of(value));
    } else if constexpr (Text<T> || Blob<T>) {
      if (!value.empty()) delimited(number, value);
    } else if constexpr (is_id<T>) {
      if (!value.is_none()) id(number, value.high(), value.low());
    } else if constexpr (is_octets<T>) {
      delimited(number, BytesView(value));
    } else if constexpr (is_optional<T>) {
      if (value) field(number, name, *value);
    } else if constexpr (is_list<T>) {
      KUILT_CHECK(value.size() <= list_items_max);
      for (const auto& item : value) list_item(number, item);
    } else {
      message(number, value);
    }
  }
  template <Scalar T>
  void fixed(std::uint32_t number, std::string_view /*name*/, const T& value) {
    if (scalar_of(value) == 0) return;
    tag(number, WireType::fixed64);
    sink_->fixed64(scalar_of(value));
  }
  void digest(std::uint32_t number, std::string_view name, std::uint64_t value) {
    fixed(number, name, value);
  }
  void name(std::uint32_t number, std::string_view name, std::string_view value) {
    field(number, name, value);
  }
  // A cut message is better than a frame that its reader must refuse.
  void prose(std::uint32_t number, std::string_view name, std::string_view value) {
    field(number, name, utf8_prefix(value));
  }
  void internal(std::uint32_t number, std::string_view name, std::string_view value) {
    field(number, name, value);
  }
  void payload(std::uint32_t number, std::string_view name, BytesView value) {
    field(number, name, value);
  }
  // Written even if it is empty: that is not the same as absent.
  template <std::same_as<std::optional<Bytes>> T>
  void payload(std::uint32_t number, std::string_view /*name*/, const T& value) {
    if (value) delimited(number, *value);
  }
  void entries(std::uint32_t number, std::string_view name, const std::vector<Bytes>& value) {
    field(number, name, value);
  }
  template <class... Ts, class... As>
  void one_of(std::string_view /*name*/, const std::variant<Ts...>& value, As... alternatives) {
    static_assert(sizeof...(Ts) == sizeof...(As), "each alternative has a number");
    (alternative(value, alternatives), ...);
  }

 private:
  void tag(std::uint32_t number, WireType type) {
    sink_->varint(std::uint64_t{number} << 3 | static_cast<std::uint64_t>(type));
  }
  // Written even if all of it is at its default: its own defaults need not be zero.
  template <class M>
  void message(std::uint32_t number, const M& value) {
    tag(number, WireType::delimited);
    sink_->varint(size_of(value));
    describe(*this, value);
  }
  void delimited(std::uint32_t number, BytesView bytes) {
    tag(number, WireType::delimited);
    sink_->varint(bytes.size());
    sink_->bytes(bytes);
  }
  // Big-endian, so that the bytes read like the id's text.
  void id(std::uint32_t number, std::uint64_t high, std::uint64_t low) {
    std::array<std::byte, 16> bytes{};
    for (std::size_t i = 0; i < 8; ++i) {
      bytes[7 - i] = static_cast<std::byte>(high >> (8 * i) & 0xffU);
      bytes[15 - i] = static_cast<std::byte>(low >> (8 * i) & 0xffU);
    }
    delimited(number, BytesView(bytes));
  }
  template <class T>
  void list_item(std::uint32_t number, const T& item) {
    if constexpr (Text<T> || Blob<T>) {
      delimited(number, item);
    } else {
      message(number, item);
    }
  }
  template <class Variant, class T>
  void alternative(const Variant& value, Alternative<T> choice) {
    if (const T* held = std::get_if<T>(&value)) message(choice.number, *held);
  }

  Sink* sink_;
};

template <class M>
[[nodiscard]] std::size_t size_of(const M& message) {
  CountingSink sink;
  FieldWriter<CountingSink> writer(sink);
  describe(writer, message);
  return sink.size();
}

/// The bytes of one message, in one allocation.
template <class M>
[[nodiscard]] Bytes encode_message(const M& message) {
  const std::size_t size = size_of(message);
  std::string buffer;
  // libstdc++ 12 offers more than was asked for, so the second argument says nothing.
  buffer.resize_and_overwrite(size, [&](char* at, std::size_t /*offered*/) {
    BufferSink sink(at);
    FieldWriter<BufferSink> writer(sink);
    describe(writer, message);
    KUILT_CHECK(sink.at() == at + size);
    return size;
  });
  return Bytes(std::move(buffer));
}

}  // namespace kuilt::wire
