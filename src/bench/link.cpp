#include "bench/link.hpp"

#include <optional>
#include <string>
#include <utility>

namespace kuilt::bench {
namespace {

constexpr unsigned opcode_binary = 2;
constexpr unsigned opcode_close = 8;
constexpr unsigned opcode_ping = 9;
constexpr unsigned opcode_pong = 10;

/// One frame of a server: unmasked, never in fragments.
struct FrameView {
  unsigned opcode = 0;
  BytesView payload;
  std::size_t size = 0;  ///< Header included.
};

std::uint64_t big_endian(BytesView bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    value = value << 8U | std::to_integer<std::uint64_t>(bytes.data()[i]);
  }
  return value;
}

/// The first frame in `bytes`, if all of it is there (RFC 6455 5.2).
std::optional<FrameView> first_frame(BytesView bytes) {
  if (bytes.size() < 2) return std::nullopt;
  const auto first = std::to_integer<unsigned>(bytes.data()[0]);
  std::uint64_t length = std::to_integer<unsigned>(bytes.data()[1]);
  std::size_t header = 2;
  if (length >= 126) {
    const std::size_t width = length == 126 ? 2 : 8;
    if (bytes.size() < header + width) return std::nullopt;
    length = big_endian(bytes.slice(header, width));
    header += width;
  }
  if (bytes.size() - header < length) return std::nullopt;
  return FrameView{first & 15U, bytes.slice(header, length), header + length};
}

/// Header of a client's frame, with a mask of zero.
std::string frame_header(unsigned opcode, std::size_t size) {
  constexpr unsigned masked = 0x80;
  constexpr unsigned last_fragment = 0x80;
  std::string out(1, static_cast<char>(last_fragment | opcode));
  const std::size_t width = size < 126 ? 0 : size <= 0xffff ? 2 : 8;
  const std::size_t marker = width == 0 ? size : width == 2 ? 126 : 127;
  out += static_cast<char>(masked | marker);
  for (std::size_t i = width; i > 0; --i) out += static_cast<char>(size >> (8 * (i - 1)));
  return out.append(4, '\0');
}

std::string client_frame(unsigned opcode, BytesView payload) {
  std::string frame = frame_header(opcode, payload.size());
  frame += payload.text();
  return frame;
}

Status upgrade(const Descriptor& socket, const std::string& address) {
  const std::string request = "GET / HTTP/1.1\r\nHost: " + address +
                              "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "Sec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Protocol: kuilt.v1\r\n\r\n";
  const bool sent = write_all(socket, request);
  std::string response;
  char byte = 0;
  while (sent && !response.ends_with("\r\n\r\n") && read_all(socket, &byte, 1)) {
    response += byte;
  }
  if (response.starts_with("HTTP/1.1 101 ")) return Done{};
  return Error(ErrorCode::no_server,
               "the upgrade was refused: " + response.substr(0, response.find('\r')));
}

Result<wire::Welcome> greet(const Descriptor& socket, const std::string& name) {
  wire::Hello hello;
  hello.name = name;
  const Bytes bytes = wire::encode(wire::ClientMessage(hello), wire::Encoding::protobuf);
  const Error gone(ErrorCode::no_server, "no welcome came");
  if (!write_all(socket, client_frame(opcode_binary, bytes))) return gone;
  std::string buffer;
  std::optional<FrameView> answer;
  while (!(answer = first_frame(BytesView(buffer)))) {
    char byte = 0;
    if (!read_all(socket, &byte, 1)) return gone;
    buffer += byte;
  }
  auto message = wire::decode_server(Bytes::copy_of(answer->payload), wire::Encoding::protobuf);
  if (!message) return std::move(message).error();
  if (const auto* welcome = std::get_if<wire::Welcome>(&*message)) return *welcome;
  const auto* goodbye = std::get_if<wire::Goodbye>(&*message);
  return goodbye == nullptr ? gone : Error(goodbye->code, goodbye->message);
}

}  // namespace

Link::Link(Loop& loop, LinkOwner& owner, Descriptor socket, std::size_t number,
           wire::Welcome welcome)
    : owner_(owner),
      stream_(loop, *this, std::move(socket), number),
      welcome_(std::move(welcome)) {}

Result<std::unique_ptr<Link>> Link::open(Loop& loop, LinkOwner& owner, const std::string& address,
                                         const std::string& name, std::size_t number) {
  auto socket = connect_to(address);
  if (!socket) return std::move(socket).error();
  if (Status status = upgrade(*socket, address); !status) return std::move(status).error();
  auto welcome = greet(*socket, name);
  if (!welcome) return std::move(welcome).error();
  return std::unique_ptr<Link>(
      new Link(loop, owner, *std::move(socket), number, *std::move(welcome)));
}

void Link::send(const wire::ClientMessage& message) {
  const Bytes bytes = wire::encode(message, wire::Encoding::protobuf);
  stream_.send(client_frame(opcode_binary, bytes));
}

void Link::on_bytes(Stream&, BytesView bytes) {
  if (unread_.empty()) {
    const std::size_t taken = take_frames(bytes);
    unread_ = bytes.slice(taken, bytes.size() - taken).text();
  } else {
    unread_ += bytes.text();
    unread_.erase(0, take_frames(BytesView(unread_)));
  }
}

void Link::on_broken(Stream&, const std::string& why) { owner_.on_broken(*this, why); }

std::size_t Link::take_frames(BytesView bytes) {
  std::size_t taken = 0;
  while (const auto frame = first_frame(bytes.slice(taken, bytes.size() - taken))) {
    taken += frame->size;
    take_frame(frame->opcode, frame->payload);
  }
  return taken;
}

void Link::take_frame(unsigned opcode, BytesView payload) {
  if (opcode == opcode_binary) {
    owner_.on_message(*this, payload);
  } else if (opcode == opcode_ping) {
    stream_.send(client_frame(opcode_pong, payload));
  } else if (opcode == opcode_close) {
    owner_.on_broken(*this, "the server closed it");
  }
}

}  // namespace kuilt::bench
