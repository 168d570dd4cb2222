// one_way_proxy.hpp: between one client and one server; can keep back what the server says.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <string>
#include <thread>

namespace kuilt::cli {

/// Takes one connection to 127.0.0.1, from its construction on.
///
/// Threads: one of its own.
class OneWayProxy {
 public:
  explicit OneWayProxy(int server_port) : server_port_(server_port) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = local(0);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  OneWayProxy(const OneWayProxy&) = delete;
  OneWayProxy& operator=(const OneWayProxy&) = delete;
  ~OneWayProxy() {
    ending_ = true;
    thread_.join();
    ::close(listener_);
  }

  [[nodiscard]] std::string url() const { return "ws://127.0.0.1:" + std::to_string(port_); }
  /// From now on the client hears nothing; what it says goes on to the server.
  void keep_back() { keeps_back_ = true; }

 private:
  static constexpr int look_every_ms = 10;

  static sockaddr_in local(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  static bool readable(int socket) {
    pollfd one{socket, POLLIN, 0};
    return ::poll(&one, 1, look_every_ms) > 0;
  }
  /// False when `from` has ended.
  static bool pass_on(int from, int to) {
    std::array<char, 4096> buffer;
    const ssize_t count = ::recv(from, buffer.data(), buffer.size(), 0);
    if (count <= 0) return false;
    return ::send(to, buffer.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL) == count;
  }
  void run() {
    while (!ending_ && !readable(listener_)) {
    }
    if (ending_) return;
    const int client = ::accept(listener_, nullptr, nullptr);
    const int server = ::socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address = local(server_port_);
    EXPECT_EQ(::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    bool open = true;
    while (!ending_ && open) {
      if (readable(client)) open = pass_on(client, server);
      if (open && !keeps_back_ && readable(server) && !keeps_back_) open = pass_on(server, client);
    }
    ::close(client);
    ::close(server);
  }

  const int server_port_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> keeps_back_ = false;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

}  // namespace kuilt::cli
