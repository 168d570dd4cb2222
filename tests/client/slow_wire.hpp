// slow_wire.hpp: a way to a server on which what the server says arrives a little at a time.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

namespace kuilt::testing {

/// Threads: one of its own.
class SlowWire {
 public:
  using tcp = boost::asio::ip::tcp;

  /// To a server on this host; `pause` after each `bytes` on the way back.
  SlowWire(const std::string& port, std::size_t bytes, std::chrono::milliseconds pause)
      : port_(port),
        bytes_(bytes),
        pause_(pause),
        acceptor_(loop_, tcp::endpoint(boost::asio::ip::make_address("127.0.0.1"), 0)) {
    accept();
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~SlowWire() {
    loop_.stop();
    thread_.join();
  }
  [[nodiscard]] std::string url() const {
    return "ws://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
  }

 private:
  using error_code = boost::system::error_code;
  struct Way {
    explicit Way(tcp::socket accepted)
        : near(std::move(accepted)), far(near.get_executor()), timer(near.get_executor()) {}
    tcp::socket near;
    tcp::socket far;
    boost::asio::steady_timer timer;
    std::array<char, 4096> up{};
    std::array<char, 4096> down{};
  };
  using SharedWay = std::shared_ptr<Way>;

  void accept() {
    acceptor_.async_accept([this](error_code ec, tcp::socket socket) {
      if (ec) return;
      const auto way = std::make_shared<Way>(std::move(socket));
      tcp::resolver resolver(loop_);
      boost::asio::connect(way->far, resolver.resolve("127.0.0.1", port_), ec);
      if (!ec) {
        go_up(way);
        go_down(way);
      }
      accept();
    });
  }
  static void end(Way& way) {
    way.near.close();
    way.far.close();
  }
  void go_up(const SharedWay& way) {
    way->near.async_read_some(boost::asio::buffer(way->up), [=, this](error_code ec, auto size) {
      if (ec) return end(*way);
      boost::asio::async_write(way->far, boost::asio::buffer(way->up.data(), size),
                               [=, this](error_code failed, std::size_t) {
                                 if (failed) return end(*way);
                                 go_up(way);
                               });
    });
  }
  void go_down(const SharedWay& way) {
    const auto piece = boost::asio::buffer(way->down.data(), bytes_);
    way->far.async_read_some(piece, [=, this](error_code ec, auto size) {
      if (ec) return end(*way);
      boost::asio::async_write(way->near, boost::asio::buffer(way->down.data(), size),
                               [=, this](error_code failed, std::size_t) {
                                 if (failed) return end(*way);
                                 way->timer.expires_after(pause_);
                                 way->timer.async_wait([=, this](error_code) { go_down(way); });
                               });
    });
  }

  const std::string port_;
  const std::size_t bytes_;
  const std::chrono::milliseconds pause_;
  boost::asio::io_context loop_{1};
  tcp::acceptor acceptor_;
  std::thread thread_;
};

}  // namespace kuilt::testing
