// raw_link.hpp: bytes to and from a server, with no library in between that would refuse to send
// them.
#pragma once

#include <string>
#include <string_view>

namespace kuilt::process_tests {

/// The request with which a client of kuilt.v1.json opens a link; an empty header is left out.
struct UpgradeRequest {
  std::string host;
  std::string origin = {};

  [[nodiscard]] std::string text() const;
};

/// A masked WebSocket frame (RFC 6455, 5.2), as clients send them.
enum class Opcode : unsigned char { text = 1, binary = 2 };
[[nodiscard]] std::string frame_of(std::string_view payload, Opcode opcode = Opcode::text);
/// Only its head: it announces so many bytes.
[[nodiscard]] std::string frame_head(std::size_t payload_bytes, Opcode opcode = Opcode::text);

/// A TCP connection. Every wait is bounded.
class RawLink {
 public:
  explicit RawLink(const std::string& address);
  ~RawLink();
  RawLink(const RawLink&) = delete;
  RawLink& operator=(const RawLink&) = delete;

  void say(std::string_view bytes);
  /// Waits until `text` has been heard. False: the other side ended the connection before.
  [[nodiscard]] bool hears(std::string_view text);
  /// Waits for the other side to end the connection. False: it did not.
  [[nodiscard]] bool hears_the_end();
  [[nodiscard]] const std::string& heard() const { return heard_; }

 private:
  enum class Heard { something, end, nothing };
  Heard listen();

  int socket_ = -1;
  std::string heard_;
};

}  // namespace kuilt::process_tests
