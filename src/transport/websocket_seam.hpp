// websocket_seam.hpp: the Seam, over Beast. Who includes this pays for compiling Beast.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "transport/links.hpp"
#include "transport/metered_socket.hpp"
#include "transport/seam.hpp"

namespace kuilt::transport {

namespace websocket = boost::beast::websocket;

/// Who is at the other end.
struct Peer {
  std::string remote;
  std::string subprotocol;
  LinkTicket ticket;
};

class WebSocketSeam final : public Seam, public std::enable_shared_from_this<WebSocketSeam> {
 public:
  WebSocketSeam(MeteredSocket socket, SeamLimits limits, Peer peer);

  // The opening handshakes, by upgrade.cpp and dial.cpp. `opened()` starts the clocks.
  using Stream = websocket::stream<MeteredSocket, false>;
  [[nodiscard]] Stream& stream() { return stream_; }
  void agree_on(std::string subprotocol) { peer_.subprotocol = std::move(subprotocol); }
  void opened() {
    opened_at_ = Clock::now();
    watch();
  }

  void start(SeamEvents events) override;
  void admit() override;
  [[nodiscard]] bool send(Frame frame) override;
  [[nodiscard]] std::size_t queued() const override { return queued_bytes_; }
  [[nodiscard]] Clock::time_point last_read() const override {
    return stream_.next_layer().rate_policy().last_read();
  }
  void pause_reading(bool paused) override;
  void close(std::uint16_t code, const std::string& reason) override;
  void abort() override;
  [[nodiscard]] net::any_io_executor executor() const override { return executor_; }
  [[nodiscard]] const std::string& remote() const override { return peer_.remote; }
  [[nodiscard]] const std::string& subprotocol() const override { return peer_.subprotocol; }

 private:
  void read();
  void on_read(error_code ec);
  void on_read_failed(error_code ec);
  void deliver();
  void write();
  void on_written(error_code ec);
  void begin_close(std::uint16_t code, Error reason);
  void shake_hands();
  void linger();
  void drop(Error reason);
  void finish();

  [[nodiscard]] Clock::time_point next_check() const;
  [[nodiscard]] Clock::time_point write_due() const;
  [[nodiscard]] Clock::time_point last_sign_of_life() const;
  void watch();
  void check(Clock::time_point now);
  void ping(Clock::time_point now);
  void blame(Error reason) {
    if (!reason_) reason_ = std::move(reason);
  }

  Stream stream_;
  const net::any_io_executor executor_ = stream_.get_executor();
  net::steady_timer watch_;
  const SeamLimits limits_;
  Peer peer_;
  SeamEvents events_;

  beast::flat_buffer incoming_;
  bool reading_ = false;
  bool paused_ = true;  // Until start().
  bool held_ = false;   // A frame came in while paused.
  bool admitted_ = false;

  std::deque<Frame> outbox_;  // The first one is being written if `writing_`.
  std::vector<net::const_buffer> slices_;
  std::size_t queued_bytes_ = 0;
  bool writing_ = false;

  // Each stage includes those before it.
  bool closing_ = false;    // No new frames, in or out.
  bool shaking_ = false;    // Our close frame is on its way.
  bool lingering_ = false;  // Both sides have said that they are done, or are past talking.
  bool finished_ = false;   // The socket is closed.
  std::optional<Error> reason_;
  websocket::close_reason farewell_;

  Clock::time_point opened_at_ = Clock::now();
  Clock::time_point write_began_at_{};
  Clock::time_point resumed_at_{};
  Clock::time_point pinged_at_{};
  bool ping_under_way_ = false;
  Clock::time_point close_by_ = Clock::time_point::max();
  Clock::time_point watch_at_ = Clock::time_point::max();
};

}  // namespace kuilt::transport
