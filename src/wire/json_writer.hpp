// json_writer.hpp: messages to JSON, for people and for programs of ten lines.
//
// Every field is written, in the order of the schema. A number that a JavaScript reader would round
// (above 2^53) becomes a string of its decimal digits.
#pragma once

#include <string>

#include "kuilt/detail/check.hpp"
#include "kuilt/detail/overloaded.hpp"
#include "wire/base64.hpp"
#include "wire/client_fields.hpp"
#include "wire/utf8.hpp"

namespace kuilt::wire {

inline constexpr std::uint64_t json_number_max = std::uint64_t{1} << 53;

[[nodiscard]] std::string_view json_name(ObserveVerdict verdict);
[[nodiscard]] inline std::string_view json_name(ErrorCode code) { return name_of(code); }

/// 16 hexadecimal digits: digests are compared, never counted with.
[[nodiscard]] std::string hexadecimal(std::uint64_t value);
/// Text that a person can read in a JSON string: UTF-8 without control characters, but for tabs and
/// line breaks.
[[nodiscard]] bool is_readable(std::string_view text);
/// The text in quotes, with what must be escaped escaped.
void append_quoted(std::string& out, std::string_view text);

/// Visitor: writes the members of one object.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(&out) {}

  template <class T>
  void field(std::uint32_t /*number*/, std::string_view name, const T& value) {
    key(name, std::same_as<T, Duration> ? "_ms" : "");
    put(value);
  }
  template <Scalar T>
  void fixed(std::uint32_t number, std::string_view name, const T& value) {
    field(number, name, value);
  }
  void digest(std::uint32_t number, std::string_view name, std::uint64_t value) {
    field(number, name, hexadecimal(value));
  }
  void name(std::uint32_t number, std::string_view name, std::string_view value) {
    field(number, name, value);
  }
  void prose(std::uint32_t number, std::string_view name, std::string_view value) {
    field(number, name, utf8_prefix(value));
  }
  void internal(std::uint32_t, std::string_view, std::string_view) {}
  void payload(std::uint32_t /*number*/, std::string_view name, BytesView value) {
    const bool readable = is_readable(value.text());
    key(name, readable ? "" : "_base64");
    append_quoted(*out_, readable ? value.text() : std::string_view(to_base64(value)));
  }
  template <std::same_as<std::optional<Bytes>> T>
  void payload(std::uint32_t number, std::string_view name, const T& value) {
    if (value) payload(number, name, value->view());
  }
  // Pre: the parts are of commands, as all that a feed carries is.
  void entries(std::uint32_t number, std::string_view name, const std::vector<Bytes>& value) {
    std::vector<FeedEntry> decoded;
    decoded.reserve(value.size());
    for (const Bytes& part : value) {
      Result<FeedEntry> entry = decode_feed_entry(part);
      KUILT_CHECK(entry);
      decoded.push_back(*std::move(entry));
    }
    field(number, name, decoded);
  }
  template <class... Ts, class... As>
  void one_of(std::string_view /*name*/, const std::variant<Ts...>& value, As... alternatives) {
    (alternative(value, alternatives), ...);
  }
  // "from":"start" is kinder to type than "start":{}.
  template <class... As>
  void one_of(std::string_view name, const ObserveFrom& value, As... /*alternatives*/) {
    key(name, "");
    const auto put_from = Overloaded{
        [&](const FromStart&) { append_quoted(*out_, "start"); },
        [&](const FromNow&) { append_quoted(*out_, "now"); },
        [&](const FromIndex& from) { put(from); },
        [&](const ResumePoint& from) { put(from); },
    };
    std::visit(put_from, value);
  }

 private:
  void key(std::string_view name, std::string_view suffix) {
    if (!first_) *out_ += ',';
    first_ = false;
    out_->append(1, '"').append(name).append(suffix).append("\":");
  }
  template <class T>
  void put(const T& value) {
    if constexpr (std::same_as<T, bool>) {
      *out_ += value ? "true" : "false";
    } else if constexpr (std::is_enum_v<T>) {
      append_quoted(*out_, json_name(value));
    } else if constexpr (std::same_as<T, Duration>) {
      // Rounded up: zero has a meaning of its own ("repeating cannot help").
      put((scalar_of(value) + 999'999) / 1'000'000);
    } else if constexpr (Scalar<T>) {
      put_number(scalar_of(value));
    } else if constexpr (Text<T>) {
      append_quoted(*out_, value);
    } else if constexpr (is_id<T>) {
      append_quoted(*out_, value.is_none() ? std::string() : value.text());
    } else if constexpr (is_list<T>) {
      put_list(value);
    } else {
      put_object(value);
    }
  }
  void put_number(std::uint64_t value) {
    if (value > json_number_max) return append_quoted(*out_, std::to_string(value));
    *out_ += std::to_string(value);
  }
  template <class T>
  void put_list(const std::vector<T>& list) {
    char separator = '[';
    for (const T& item : list) {
      *out_ += std::exchange(separator, ',');
      put(item);
    }
    *out_ += list.empty() ? "[]" : "]";
  }
  template <class M>
  void put_object(const M& message) {
    *out_ += '{';
    JsonWriter members(*out_);
    describe(members, message);
    *out_ += '}';
  }
  template <class Variant, class T>
  void alternative(const Variant& value, Alternative<T> choice) {
    if (const T* held = std::get_if<T>(&value)) field(choice.number, choice.name, *held);
  }

  std::string* out_;
  bool first_ = true;
};

}  // namespace kuilt::wire
