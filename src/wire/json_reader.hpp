// json_reader.hpp: JSON from outside to messages.
//
// What is absent keeps the value that the type begins with, so that people write only what they
// mean; unknown members are skipped. Included by client_json.cpp only: it costs the JSON library.
#pragma once

#include <charconv>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "wire/json_writer.hpp"

namespace kuilt::wire {

/// The first thing that was wrong, with the path to it.
class JsonFault {
 public:
  void fail(std::string_view field, std::string_view what) {
    if (found()) return;
    path_ = field;
    what_ = what;
  }
  /// What went wrong was inside `field`.
  void within(std::string_view field) {
    if (found()) path_.insert(0, ".").insert(0, field);
  }
  [[nodiscard]] bool found() const { return !what_.empty(); }
  [[nodiscard]] Error error() const {
    return Error(ErrorCode::bad_frame, "field " + path_ + ": " + what_);
  }

 private:
  std::string path_;
  std::string what_;
};

template <class M>
void read_object(const nlohmann::json& object, JsonFault& fault, M& message);

/// Visitor: reads the members of one object.
class JsonReader {
 public:
  using Json = nlohmann::json;
  JsonReader(const Json& object, JsonFault& fault) : object_(&object), fault_(&fault) {}

  template <class T>
  void field(std::uint32_t /*number*/, std::string_view name, T& value) {
    const std::string key = std::string(name) + (std::same_as<T, Duration> ? "_ms" : "");
    if (const Json* member = find(key)) {
      get(*member, key, value);
    } else if (std::is_enum_v<T>) {
      fault_->fail(key, "missing");
    }
  }
  template <Scalar T>
  void fixed(std::uint32_t number, std::string_view name, T& value) {
    field(number, name, value);
  }
  void digest(std::uint32_t number, std::string_view name, std::uint64_t& value) {
    std::string text = hexadecimal(value);
    field(number, name, text);
    const auto id = SessionId::parse(std::string(16, '0') + text);
    if (!id) return fault_->fail(name, "not 16 hexadecimal digits");
    value = id->low();
  }
  void name(std::uint32_t number, std::string_view name, std::string& value) {
    field(number, name, value);
    if (value.size() > name_bytes_max) fault_->fail(name, "longer than 1024 bytes");
  }
  void prose(std::uint32_t number, std::string_view name, std::string& value) {
    field(number, name, value);
  }
  void internal(std::uint32_t, std::string_view, std::string&) {}
  void payload(std::uint32_t number, std::string_view name, Bytes& value);
  void payload(std::uint32_t number, std::string_view name, std::optional<Bytes>& value) {
    const bool absent = find(name) == nullptr && find(std::string(name) + "_base64") == nullptr;
    if (!absent) payload(number, name, value.emplace());
  }
  void entries(std::uint32_t number, std::string_view name, std::vector<Bytes>& value) {
    std::vector<FeedEntry> decoded;
    field(number, name, decoded);
    value.reserve(decoded.size());
    for (const FeedEntry& entry : decoded) value.push_back(encode_feed_entry(entry));
  }
  template <class... Ts, class... As>
  void one_of(std::string_view name, std::variant<Ts...>& value, As... alternatives) {
    const std::size_t given =
        (std::size_t{0} + ... + std::size_t{find(alternatives.name) != nullptr});
    if (given != 1) return fault_->fail(name, "exactly one of its kinds must be given");
    (alternative(value, alternatives), ...);
  }
  template <class... As>
  void one_of(std::string_view name, ObserveFrom& value, As... /*alternatives*/);

 private:
  [[nodiscard]] const Json* find(std::string_view key) const {
    const auto member = object_->find(key);
    return member == object_->end() ? nullptr : &*member;
  }
  template <class T>
  void get(const Json& json, std::string_view name, T& value) {
    if constexpr (std::same_as<T, bool>) {
      if (!json.is_boolean()) return fault_->fail(name, "not true or false");
      value = json.get<bool>();
    } else if constexpr (std::is_enum_v<T>) {
      get_enum(json, name, value);
    } else if constexpr (Scalar<T>) {
      get_number(json, name, value);
    } else if constexpr (Text<T>) {
      if (!json.is_string()) return fault_->fail(name, "not a string");
      value = json.get_ref<const std::string&>();
    } else if constexpr (is_id<T>) {
      get_id(json, name, value);
    } else if constexpr (is_list<T>) {
      get_list(json, name, value);
    } else {
      if (!json.is_object()) return fault_->fail(name, "not an object");
      read_object(json, *fault_, value);
      fault_->within(name);
    }
  }
  template <Scalar T>
  void get_number(const Json& json, std::string_view name, T& value);
  template <class T>
  void get_enum(const Json& json, std::string_view name, T& value);
  template <class T>
  void get_id(const Json& json, std::string_view name, T& value);
  template <class T>
  void get_list(const Json& json, std::string_view name, std::vector<T>& value);
  template <class Variant, class T>
  void alternative(Variant& value, Alternative<T> choice) {
    if (const Json* member = find(choice.name))
      get(*member, choice.name, value.template emplace<T>());
  }

  const Json* object_;
  JsonFault* fault_;
};

template <class M>
void read_object(const nlohmann::json& object, JsonFault& fault, M& message) {
  JsonReader reader(object, fault);
  describe(reader, message);
}

/// A whole number: as one, up to 2^53, or as a string of decimal digits.
[[nodiscard]] inline std::optional<std::uint64_t> whole_number(const nlohmann::json& json) {
  if (json.is_number_unsigned()) {
    const auto number = json.get<std::uint64_t>();
    return number <= json_number_max ? std::optional(number) : std::nullopt;
  }
  if (!json.is_string()) return std::nullopt;
  const auto& text = json.get_ref<const std::string&>();
  std::uint64_t number = 0;
  const auto [end, trouble] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (trouble != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

template <Scalar T>
void JsonReader::get_number(const Json& json, std::string_view name, T& value) {
  std::optional<std::uint64_t> number = whole_number(json);
  if (!number) {
    return fault_->fail(name, "not a whole number from 0 to 2^53, or a string of digits");
  }
  if constexpr (std::same_as<T, Duration>) {
    constexpr std::uint64_t nanoseconds = 1'000'000;
    if (*number > static_cast<std::uint64_t>(Duration::max().count()) / nanoseconds) {
      return fault_->fail(name, "too long");
    }
    *number *= nanoseconds;
  }
  if (!assign_scalar(value, *number)) fault_->fail(name, "out of range");
}

template <class T>
void JsonReader::get_enum(const Json& json, std::string_view name, T& value) {
  if (!json.is_string()) return fault_->fail(name, "not a string");
  const auto& text = json.get_ref<const std::string&>();
  for (std::uint64_t number = 0; number <= 0xffU; ++number) {
    if (assign_enum(value, number) && json_name(value) == text) return;
  }
  fault_->fail(name, "no such value");
}

template <class T>
void JsonReader::get_id(const Json& json, std::string_view name, T& value) {
  if (!json.is_string()) return fault_->fail(name, "not a string");
  const auto& text = json.get_ref<const std::string&>();
  const std::optional<T> id = text.empty() ? T() : T::parse(text);
  if (!id) return fault_->fail(name, "not 32 hexadecimal digits in lower case");
  value = *id;
}

template <class T>
void JsonReader::get_list(const Json& json, std::string_view name, std::vector<T>& value) {
  if (!json.is_array()) return fault_->fail(name, "not an array");
  if (json.size() > list_items_max) return fault_->fail(name, "more than 65536 items");
  for (const Json& item : json) {
    if (fault_->found()) return;
    const std::string item_name = std::string(name) + "[" + std::to_string(value.size()) + "]";
    get(item, item_name, value.emplace_back());
  }
}

inline void JsonReader::payload(std::uint32_t /*number*/, std::string_view name, Bytes& value) {
  const std::string base64_name = std::string(name) + "_base64";
  const Json* text = find(name);
  const Json* base64 = find(base64_name);
  // Required: a misspelled name would commit an empty command.
  if ((text == nullptr) == (base64 == nullptr)) {
    return fault_->fail(name, "either it or " + base64_name + " must be given");
  }
  std::string given;
  get(text != nullptr ? *text : *base64, name, given);
  if (base64 != nullptr) {
    std::optional<std::string> decoded = from_base64(given);
    if (!decoded) return fault_->fail(base64_name, "not base64 with padding");
    given = *std::move(decoded);
  }
  value = Bytes(std::move(given));
}

template <class... As>
void JsonReader::one_of(std::string_view name, ObserveFrom& value, As... /*alternatives*/) {
  const Json* from = find(name);
  if (from == nullptr) return fault_->fail(name, "missing");
  if (*from == "start") {
    value = FromStart{};
  } else if (*from == "now") {
    value = FromNow{};
  } else if (from->is_object() && from->contains("cluster")) {
    get(*from, name, value.emplace<ResumePoint>());
  } else if (from->is_object() && from->contains("index")) {
    get(*from, name, value.emplace<FromIndex>());
  } else {
    fault_->fail(name, "not \"start\", \"now\", an index or a position to resume at");
  }
}

}  // namespace kuilt::wire
