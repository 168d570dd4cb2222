// metered_socket.hpp: what is below the WebSocket: a TCP socket that notes when bytes last moved.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <limits>
#include <memory>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/role.hpp>

namespace kuilt::transport {

namespace net = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using net::ip::tcp;
using Clock = std::chrono::steady_clock;

/// How long an end may take: ours, or the reading of our refusal by a peer.
inline constexpr auto closing_max = std::chrono::seconds(2);
/// In an HTTP refusal: the name of its ErrorCode.
inline constexpr const char* error_header = "Kuilt-Error";

/// Notes when bytes last moved; limits nothing. Beast's own idle timer sees neither a peer that
/// never reads nor (before 1.88) one that only sends pings.
class Meter {
 public:
  [[nodiscard]] Clock::time_point last_read() const { return last_read_; }
  [[nodiscard]] Clock::time_point last_write() const { return last_write_; }

 private:
  friend class beast::rate_policy_access;
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();
  [[nodiscard]] std::size_t available_read_bytes() const noexcept { return unlimited; }
  [[nodiscard]] std::size_t available_write_bytes() const noexcept { return unlimited; }
  void transfer_read_bytes(std::size_t) noexcept { last_read_ = Clock::now(); }
  void transfer_write_bytes(std::size_t) noexcept { last_write_ = Clock::now(); }
  void on_timer() const noexcept {}

  Clock::time_point last_read_ = Clock::now();
  Clock::time_point last_write_ = last_read_;
};

/// A TCP socket with a Meter.
class MeteredSocket : public beast::basic_stream<tcp, net::any_io_executor, Meter> {
 public:
  using basic_stream::basic_stream;
};

// Found by Beast when a WebSocket ends. Its own version drains the socket for as long as the peer
// cares to send; a Seam lingers by itself, for a bounded time.
template <class Handler>
void async_teardown(beast::role_type, MeteredSocket& socket, Handler&& handler) {
  net::post(socket.get_executor(),
            beast::bind_front_handler(std::forward<Handler>(handler), error_code()));
}

/// Reads and drops what the peer still sends, until it closes too. Closing a socket with unread
/// bytes would reset the connection, and the peer might never see our last word.
/// `done` runs when the peer has closed, or the owner has closed `socket`.
template <class Done>
void drain(
    MeteredSocket& socket, Done done,
    std::shared_ptr<std::array<char, 1024>> scratch = std::make_shared<std::array<char, 1024>>()) {
  const auto buffer = net::buffer(*scratch);
  socket.async_read_some(buffer, [&socket, scratch = std::move(scratch), done = std::move(done)](
                                     error_code ec, std::size_t) mutable {
    if (ec) {
      done();
    } else {
      drain(socket, std::move(done), std::move(scratch));
    }
  });
}

inline void say_no_more(MeteredSocket& socket) {
  error_code ignored;
  socket.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

}  // namespace kuilt::transport
