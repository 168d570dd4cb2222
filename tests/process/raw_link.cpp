#include "tests/process/raw_link.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <stdexcept>

namespace kuilt::process_tests {
namespace {

constexpr timeval patience = {.tv_sec = 30, .tv_usec = 0};

void put_big_endian(std::string& out, std::size_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>((value >> (8 * i)) & 0xff);
}

}  // namespace

std::string UpgradeRequest::text() const {
  std::string out = "GET / HTTP/1.1\r\n";
  if (!host.empty()) out += "Host: " + host + "\r\n";
  if (!origin.empty()) out += "Origin: " + origin + "\r\n";
  return out +
         "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
         "Sec-WebSocket-Protocol: kuilt.v1.json\r\n\r\n";
}

std::string frame_head(std::size_t payload_bytes, Opcode opcode) {
  constexpr unsigned char fin = 0x80;
  constexpr unsigned char masked = 0x80;
  std::string out(1, static_cast<char>(fin | static_cast<unsigned char>(opcode)));
  if (payload_bytes < 126) {
    out += static_cast<char>(masked | payload_bytes);
  } else if (payload_bytes < 65536) {
    out += static_cast<char>(masked | 126);
    put_big_endian(out, payload_bytes, 2);
  } else {
    out += static_cast<char>(masked | 127);
    put_big_endian(out, payload_bytes, 8);
  }
  return out + std::string(4, '\0');  // A mask that changes nothing.
}

std::string frame_of(std::string_view payload, Opcode opcode) {
  return frame_head(payload.size(), opcode).append(payload);
}

RawLink::RawLink(const std::string& address)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const auto colon = address.rfind(':');
  sockaddr_in there{};
  there.sin_family = AF_INET;
  there.sin_port = htons(static_cast<std::uint16_t>(std::stoul(address.substr(colon + 1))));
  ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &there.sin_addr);
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&there), sizeof there) != 0) {
    throw std::runtime_error("nobody listens on " + address);
  }
}

RawLink::~RawLink() { ::close(socket_); }

void RawLink::say(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // The other side has heard enough.
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

RawLink::Heard RawLink::listen() {
  std::array<char, 4096> chunk{};
  const ssize_t got = ::recv(socket_, chunk.data(), chunk.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Heard::nothing;
  if (got <= 0) return Heard::end;
  heard_.append(chunk.data(), static_cast<std::size_t>(got));
  return Heard::something;
}

bool RawLink::hears(std::string_view text) {
  while (heard_.find(text) == std::string::npos) {
    if (listen() != Heard::something) return false;
  }
  return true;
}

bool RawLink::hears_the_end() {
  Heard last = Heard::something;
  while (last == Heard::something) last = listen();
  return last == Heard::end;
}

}  // namespace kuilt::process_tests
