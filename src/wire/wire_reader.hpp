// wire_reader.hpp: bytes from outside to messages, in protobuf's wire format (version 3).
//
// Total: every input ends in a message or in one Error that names a field and a byte. Nothing is
// allocated but what the input pays for. Unknown fields are skipped; a known one that comes twice
// is refused, for two readers of such a frame could see two different messages.
#pragma once

#include <optional>
#include <string>

#include "kuilt/result.hpp"
#include "wire/utf8.hpp"
#include "wire/wire_writer.hpp"

namespace kuilt::wire {

/// A place in the input, and the first thing that was wrong with it.
class Cursor {
 public:
  /// `owner` holds `bytes`; needed only for messages that keep slices.
  Cursor(BytesView bytes, const Bytes* owner)
      : begin_(bytes.data()), at_(bytes.data()), end_(bytes.data() + bytes.size()), owner_(owner) {}

  [[nodiscard]] bool failed() const { return error_.has_value(); }
  [[nodiscard]] bool at_end() const { return at_ == end_; }
  [[nodiscard]] Error take_error() { return std::move(*error_); }

  /// What follows belongs to this field: for the message of an error.
  void begin_field(std::string_view name) {
    field_ = name;
    field_at_ = at_;
  }
  void fail(std::string_view what, ErrorCode code = ErrorCode::bad_frame);
  /// Something that should have come by the end of this message did not.
  void fail_missing(std::string_view name);

  std::uint64_t varint();
  std::uint64_t fixed64();
  /// A length and that many bytes.
  BytesView delimited();
  void skip(std::uint64_t type);

  /// Narrows the input to `bytes`, which `delimited` returned; the result undoes it.
  [[nodiscard]] const std::byte* enter(BytesView bytes);
  void leave(const std::byte* outer_end) { end_ = outer_end; }

  /// The same bytes as part of the buffer that holds them.
  [[nodiscard]] Bytes kept(BytesView bytes) const;
  [[nodiscard]] std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }

 private:
  const std::byte* begin_;
  const std::byte* at_;
  const std::byte* end_;
  const Bytes* owner_;
  std::string_view field_ = "frame";
  const std::byte* field_at_ = begin_;
  std::optional<Error> error_;
};

/// The error for a value that this version does not know. Overloaded where it means a later format.
template <class T>
[[nodiscard]] constexpr ErrorCode unknown_value_code(const T& /*unknown*/) {
  return ErrorCode::bad_frame;
}

struct Tag {
  std::uint64_t number = 0;
  std::uint64_t type = 0;
};

template <class M>
void read_message(Cursor& in, M& message);

/// Visitor: reads the field that a tag announces, if the message has it.
class FieldReader {
 public:
  /// `seen` has a bit for each field of this message that came before.
  FieldReader(Cursor& in, Tag tag, std::uint64_t& seen) : in_(&in), tag_(tag), seen_(&seen) {}
  [[nodiscard]] bool matched() const { return matched_; }

  template <class T>
  void field(std::uint32_t number, std::string_view name, T& value) {
    if (number != tag_.number) return;
    constexpr WireType type = Scalar<T> ? WireType::varint : WireType::delimited;
    if (!begin(number, name, type, is_list<T>)) return;
    if constexpr (Scalar<T>) {
      scalar(value, in_->varint());
    } else {
      delimited(value, in_->delimited());
    }
  }
  template <Scalar T>
  void fixed(std::uint32_t number, std::string_view name, T& value) {
    if (number != tag_.number) return;
    if (begin(number, name, WireType::fixed64, false)) scalar(value, in_->fixed64());
  }
  void digest(std::uint32_t number, std::string_view name, std::uint64_t& value) {
    fixed(number, name, value);
  }
  template <Text T>
  void name(std::uint32_t number, std::string_view name, T& value) {
    field(number, name, value);
    if (number == tag_.number && value.size() > name_bytes_max) in_->fail("longer than 1024 bytes");
  }
  void prose(std::uint32_t number, std::string_view name, std::string& value) {
    field(number, name, value);
  }
  void internal(std::uint32_t number, std::string_view name_of_field, std::string& value) {
    name(number, name_of_field, value);
  }
  template <class T>
  void payload(std::uint32_t number, std::string_view name, T& value) {
    field(number, name, value);
  }
  void entries(std::uint32_t number, std::string_view name, std::vector<Bytes>& value) {
    field(number, name, value);
  }
  template <class... Ts, class... As>
  void one_of(std::string_view /*name*/, std::variant<Ts...>& value, As... alternatives) {
    static_assert(sizeof...(Ts) == sizeof...(As), "each alternative has a number");
    (alternative(value, alternatives), ...);
  }

 private:
  // Bit 0 of `seen` stands for the one_of of a message: only one of its alternatives may come.
  [[nodiscard]] bool begin(std::uint32_t seen_bit, std::string_view name, WireType type,
                           bool may_repeat) {
    matched_ = true;
    in_->begin_field(name);
    const std::uint64_t bit = std::uint64_t{1} << seen_bit;
    if ((*seen_ & bit) != 0 && !may_repeat) in_->fail("given twice");
    if (tag_.type != static_cast<std::uint64_t>(type)) in_->fail("of another wire type");
    *seen_ |= bit;
    return !in_->failed();
  }
  template <Scalar T>
  void scalar(T& value, std::uint64_t number) {
    if (!in_->failed() && !assign_scalar(value, number)) {
      in_->fail("no such value: " + std::to_string(number), unknown_value_code(value));
    }
  }
  template <class T>
  void delimited(T& value, BytesView bytes) {
    if (in_->failed()) return;
    if constexpr (Text<T>) {
      value = bytes.text();
      if (!is_utf8(bytes.text())) in_->fail("not UTF-8");
    } else if constexpr (std::same_as<T, Bytes>) {
      value = in_->kept(bytes);
    } else if constexpr (std::same_as<T, BytesView>) {
      value = bytes;
    } else if constexpr (is_id<T>) {
      id(value, bytes);
    } else if constexpr (is_octets<T>) {
      if (bytes.size() != value.size()) return in_->fail("of another length");
      std::memcpy(value.data(), bytes.data(), bytes.size());
    } else if constexpr (is_optional<T>) {
      delimited(value.emplace(), bytes);
    } else if constexpr (is_list<T>) {
      if (value.size() == list_items_max) return in_->fail("more than 65536 items");
      delimited(value.emplace_back(), bytes);
    } else {
      nested(value, bytes);
    }
  }
  template <class T>
  void id(T& value, BytesView bytes) {
    if (bytes.size() != 16) return in_->fail("not 16 bytes");
    std::uint64_t halves[2] = {0, 0};
    for (std::size_t i = 0; i < 16; ++i) {
      halves[i / 8] = halves[i / 8] << 8 | std::to_integer<std::uint64_t>(bytes[i]);
    }
    value = T(halves[0], halves[1]);
  }
  template <class M>
  void nested(M& value, BytesView bytes) {
    const std::byte* outer_end = in_->enter(bytes);
    read_message(*in_, value);
    in_->leave(outer_end);
  }
  template <class Variant, class T>
  void alternative(Variant& value, Alternative<T> choice) {
    if (choice.number != tag_.number) return;
    if (!begin(0, choice.name, WireType::delimited, false)) return;
    const BytesView bytes = in_->delimited();
    if (!in_->failed()) nested(value.template emplace<T>(), bytes);
  }

  Cursor* in_;
  Tag tag_;
  std::uint64_t* seen_;
  bool matched_ = false;
};

/// Visitor: what is absent in protobuf is zero, whatever our types begin with.
class FieldClearer {
 public:
  template <class T>
  void field(std::uint32_t /*number*/, std::string_view /*name*/, T& value) {
    if constexpr (Scalar<T>) {
      value = T{};
    } else if constexpr (requires { describe(*this, value); }) {
      describe(*this, value);
    }
  }
  template <Scalar T>
  void fixed(std::uint32_t /*number*/, std::string_view /*name*/, T& value) {
    value = T{};
  }
  void digest(std::uint32_t /*number*/, std::string_view /*name*/, std::uint64_t& value) {
    value = 0;
  }
  void name(std::uint32_t, std::string_view, const auto&) {}
  void prose(std::uint32_t, std::string_view, const auto&) {}
  void internal(std::uint32_t, std::string_view, const auto&) {}
  void payload(std::uint32_t, std::string_view, const auto&) {}
  void entries(std::uint32_t, std::string_view, const auto&) {}
  void one_of(std::string_view, const auto&, auto...) {}
};

/// Visitor: enums, nonces and choices have no default, so they must have come.
class FieldRequirer {
 public:
  FieldRequirer(Cursor& in, std::uint64_t seen) : in_(&in), seen_(seen) {}

  template <class T>
  void field(std::uint32_t number, std::string_view name, const T& /*value*/) {
    if constexpr (std::is_enum_v<T> || is_octets<T>) require(number, name);
  }
  void fixed(std::uint32_t, std::string_view, const auto&) {}
  void digest(std::uint32_t, std::string_view, const auto&) {}
  void name(std::uint32_t, std::string_view, const auto&) {}
  void prose(std::uint32_t, std::string_view, const auto&) {}
  void internal(std::uint32_t, std::string_view, const auto&) {}
  void payload(std::uint32_t, std::string_view, const auto&) {}
  void entries(std::uint32_t, std::string_view, const auto&) {}
  void one_of(std::string_view name, const auto&, auto...) { require(0, name); }

 private:
  void require(std::uint32_t bit, std::string_view name) {
    if ((seen_ >> bit & 1U) == 0 && !in_->failed()) in_->fail_missing(name);
  }
  Cursor* in_;
  std::uint64_t seen_;
};

template <class T>
inline constexpr bool is_variant = false;
template <class... Ts>
inline constexpr bool is_variant<std::variant<Ts...>> = true;

/// Reads to the end of the input. A frame (described by a variant itself) holds nothing but one
/// message of a known type.
template <class M>
void read_message(Cursor& in, M& message) {
  std::uint64_t seen = 0;
  FieldClearer clearer;
  describe(clearer, message);
  while (!in.failed() && !in.at_end()) {
    in.begin_field("tag");
    const std::uint64_t key = in.varint();
    const Tag tag{key >> 3, key & 7U};
    if (tag.number == 0 || tag.number > 0x1fffffffU) in.fail("no such field number");
    if (in.failed()) return;
    FieldReader reader(in, tag, seen);
    describe(reader, message);
    if (reader.matched()) continue;
    if constexpr (is_variant<M>) {
      in.fail("unknown message type " + std::to_string(tag.number));
    } else {
      in.skip(tag.type);
    }
  }
  FieldRequirer requirer(in, seen);
  describe(requirer, message);
}

/// Reads one whole message. `owner` as for Cursor.
template <class M>
[[nodiscard]] Result<M> decode_message(BytesView bytes, const Bytes* owner = nullptr) {
  Cursor in(bytes, owner);
  M message{};
  read_message(in, message);
  if (in.failed()) return in.take_error();
  return message;
}

}  // namespace kuilt::wire
