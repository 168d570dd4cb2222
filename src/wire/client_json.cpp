#include "wire/client_json.hpp"

#include <set>
#include <string>
#include <vector>

#include "wire/json_reader.hpp"
#include "wire/json_writer.hpp"
#include "wire/utf8.hpp"

namespace kuilt::wire {
namespace {

constexpr std::size_t depth_max = 16;
constexpr std::size_t values_max = std::size_t{1} << 20;

/// Walks the text before anything is built of it: how deep, how many, where it is broken, and
/// whether a member comes twice, of which the library would keep the last.
class Survey final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return count(); }
  bool boolean(bool) override { return count(); }
  bool number_integer(number_integer_t) override { return count(); }
  bool number_unsigned(number_unsigned_t) override { return count(); }
  bool number_float(number_float_t, const string_t&) override { return count(); }
  bool string(string_t&) override { return count(); }
  bool binary(binary_t&) override { return count(); }
  bool key(string_t& name) override {
    constexpr std::size_t shown_max = 64;
    if (!members_.back().insert(name).second) {
      what_ = "the member \"" +
              std::string(utf8_prefix(std::string_view(name).substr(0, shown_max))) +
              "\" is given twice";
    }
    return count();
  }
  bool start_object(std::size_t) override {
    members_.emplace_back();
    return descend();
  }
  bool end_object() override {
    members_.pop_back();
    return ascend();
  }
  bool start_array(std::size_t) override { return descend(); }
  bool end_array() override { return ascend(); }
  bool parse_error(std::size_t position, const std::string& /*last_token*/,
                   const nlohmann::detail::exception& /*why*/) override {
    what_ = "not JSON at byte " + std::to_string(position);
    return false;
  }
  [[nodiscard]] const std::string& what() const { return what_; }

 private:
  bool count() {
    if (++values_ > values_max) what_ = "more than 1048576 values";
    return what_.empty();
  }
  bool descend() {
    if (++depth_ > depth_max) what_ = "nested more than 16 deep";
    return count();
  }
  bool ascend() {
    --depth_;
    return true;
  }
  std::vector<std::set<std::string>> members_;  ///< Of the objects around this place.
  std::size_t depth_ = 0;
  std::size_t values_ = 0;
  std::string what_;
};

template <class Message>
Bytes encode_frame(const Message& message) {
  std::string out = "{";
  JsonWriter writer(out);
  describe(writer, message);
  return Bytes(std::move(out += '}'));
}

template <class Message>
Result<Message> decode_frame(BytesView frame) {
  JsonFault fault;
  Survey survey;
  if (!nlohmann::json::sax_parse(frame.text(), &survey)) {
    fault.fail("frame", survey.what());
    return fault.error();
  }
  const auto json = nlohmann::json::parse(frame.text(), nullptr, false);
  Message message;
  if (!json.is_object() || json.size() != 1) {
    fault.fail("frame", "not an object with one member, the message");
  } else {
    read_object(json, fault, message);
  }
  if (fault.found()) return fault.error();
  return message;
}

}  // namespace

Bytes encode_json(const ClientMessage& message) { return encode_frame(message); }
Bytes encode_json(const ServerMessage& message) { return encode_frame(message); }
Result<ClientMessage> decode_client_json(BytesView frame) {
  return decode_frame<ClientMessage>(frame);
}
Result<ServerMessage> decode_server_json(BytesView frame) {
  return decode_frame<ServerMessage>(frame);
}

}  // namespace kuilt::wire
