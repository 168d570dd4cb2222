// fields.hpp: what a message's description is made of.
//
// Each message of proto/kuilt/v1 has one function `describe(visitor, message)` that names its
// fields with their numbers. Writing, reading, and both again for JSON are visitors of that one
// description, so that the encodings can't drift apart. A visitor has:
//
//   field(number, name, member)    a varint, bytes, message or list, as the member's type says
//   fixed(number, name, member)    a 64-bit number in eight bytes
//   digest(number, name, member)   the same, hexadecimal in JSON
//   name(number, name, member)     a string of at most name_bytes_max bytes: a room, a principal
//   prose(number, name, member)    a string for people, which may hold anything (a file's name)
//   internal(number, name, member) a string between servers only
//   payload(number, name, member)  what a client proposed, or an application's answer to it, which
//                                  may be absent: opaque bytes, text in JSON if they are text
//   entries(number, name, member)  public parts of entries
//   one_of(name, member, Alternative<T>{number, name}...)
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "kuilt/bytes.hpp"
#include "kuilt/errors.hpp"
#include "kuilt/types.hpp"

namespace kuilt::wire {

/// Room and principal names: bounded, for every entry carries both.
inline constexpr std::size_t name_bytes_max = 1024;
/// Items of one list in one frame. Bounds what a frame of empty items makes its reader allocate.
inline constexpr std::size_t list_items_max = 65536;

/// `T` is `M`, const or not: one description serves the writer and the reader.
template <class T, class M>
concept Is = std::same_as<std::remove_const_t<T>, M>;

/// One choice of a one_of.
template <class T>
struct Alternative {
  std::uint32_t number;
  std::string_view name;
};

template <class T>
inline constexpr bool is_number = false;
template <class Tag>
inline constexpr bool is_number<Number<Tag>> = true;
template <class T>
inline constexpr bool is_id = false;
template <class Tag>
inline constexpr bool is_id<Id<Tag>> = true;
template <class T>
inline constexpr bool is_list = false;
template <class T>
inline constexpr bool is_list<std::vector<T>> = true;
template <class T>
inline constexpr bool is_octets = false;
template <std::size_t n>
inline constexpr bool is_octets<std::array<std::byte, n>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
concept Scalar = std::integral<T> || std::is_enum_v<T> || is_number<T> || std::same_as<T, Duration>;
template <class T>
concept Text = std::same_as<T, std::string> || std::same_as<T, std::string_view>;
template <class T>
concept Blob = std::same_as<T, Bytes> || std::same_as<T, BytesView>;

/// The number that stands for a scalar in a varint.
template <Scalar T>
[[nodiscard]] constexpr std::uint64_t scalar_of(const T& value) {
  if constexpr (is_number<T>) {
    return value.value();
  } else if constexpr (std::same_as<T, Duration>) {
    // No duration of ours is below zero, but a clock that was misread must not become 584 years.
    return value.count() < 0 ? 0 : static_cast<std::uint64_t>(value.count());
  } else {
    return static_cast<std::uint64_t>(value);
  }
}

/// The enumerator with that number. Enums that travel overload it; found by their type.
[[nodiscard]] inline bool assign_enum(ErrorCode& to, std::uint64_t number) {
  const std::optional<ErrorCode> code = error_code_of(number);
  if (code) to = *code;
  return code.has_value();
}

/// False if no `T` has that number.
template <Scalar T>
[[nodiscard]] bool assign_scalar(T& to, std::uint64_t number) {
  if constexpr (is_number<T>) {
    to = T(number);
  } else if constexpr (std::same_as<T, Duration>) {
    if (number > static_cast<std::uint64_t>(Duration::max().count())) return false;
    to = Duration(static_cast<Duration::rep>(number));
  } else if constexpr (std::is_enum_v<T>) {
    return assign_enum(to, number);
  } else {
    if (number > std::numeric_limits<T>::max()) return false;
    to = static_cast<T>(number);
  }
  return true;
}

}  // namespace kuilt::wire
