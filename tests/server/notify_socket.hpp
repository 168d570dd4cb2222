// notify_socket.hpp: the socket of a service manager, as NOTIFY_SOCKET names it.
#pragma once

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <string>

#include <gtest/gtest.h>

namespace kuilt::server {

class NotifySocket {
 public:
  /// A path; or "@name", a name without a file.
  explicit NotifySocket(const std::string& name)
      : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof address.sun_path - 1);
    if (name.front() == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), size), 0) << name;
    const timeval patience{20, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;
  ~NotifySocket() { ::close(socket_); }

  /// The next message; empty if none comes in time.
  [[nodiscard]] std::string next() const {
    std::array<char, 1024> text{};
    const ssize_t size = ::recv(socket_, text.data(), text.size(), 0);
    return size < 0 ? "" : std::string(text.data(), static_cast<std::size_t>(size));
  }
  /// Reads until this message, or none, comes.
  [[nodiscard]] bool await(const std::string& wanted) const {
    for (std::string one = next(); !one.empty(); one = next()) {
      if (one == wanted) return true;
    }
    return false;
  }

 private:
  int socket_;
};

}  // namespace kuilt::server
