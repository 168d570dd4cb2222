// The load itself: a client that a server would give up measures nothing.
#include "bench/proposers.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <future>
#include <string>
#include <vector>

#include "wire/client_messages.hpp"

namespace kuilt::bench {
namespace {

/// A server's side of the handshake, on a socket that blocks for five seconds at most.
class OneClient {
 public:
  explicit OneClient(const Descriptor& listener) : socket_(accept_from(listener)) {
    const timeval patience{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }

  bool welcome() {
    std::string request;
    for (char byte = 0; !request.ends_with("\r\n\r\n"); request += byte) {
      if (!read_all(socket_, &byte, 1)) return false;
    }
    const Bytes message =
        wire::encode(wire::ServerMessage(wire::Welcome{}), wire::Encoding::protobuf);
    std::string frame = {'\x82', static_cast<char>(message.size())};
    frame += message.text();
    return write_all(socket_, "HTTP/1.1 101 Switching Protocols\r\n\r\n") && read_frame() == 2 &&
           write_all(socket_, frame);
  }
  bool ping() { return write_all(socket_, std::string("\x89\x00", 2)); }
  /// Opcode of the next frame, which is small and masked; 0 if none came in time.
  unsigned read_frame() {
    std::array<char, 2> header{};
    if (!read_all(socket_, header.data(), header.size())) return 0;
    std::string rest(4 + (static_cast<unsigned char>(header[1]) & 0x7fU), '\0');
    if (!read_all(socket_, rest.data(), rest.size())) return 0;
    return static_cast<unsigned char>(header[0]) & 0x0fU;
  }

 private:
  Descriptor socket_;
};

TEST(Proposers, LinksThatAreOpenAnswerPingsWhileOthersAreBeingOpened) {
  std::string address;
  const auto listener = listen_anywhere(address);
  ASSERT_TRUE(listener);
  auto server = std::async(std::launch::async, [&] {
    constexpr unsigned pong = 10;
    OneClient first(*listener);
    if (!first.welcome() || !first.ping()) return false;
    OneClient second(*listener);
    if (!second.welcome()) return false;
    OneClient third(*listener);
    return first.read_frame() == pong && third.welcome();
  });

  Loop loop;
  const auto load =
      Proposers::open(loop, {.addresses = {address}, .clients = 3, .command_bytes = 1});

  EXPECT_TRUE(load) << load.error().message();
  EXPECT_TRUE(server.get()) << "the first client answers while the third one waits";
}

}  // namespace
}  // namespace kuilt::bench
