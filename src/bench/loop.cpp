#include "bench/loop.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace kuilt::bench {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

void set_no_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

Descriptor::Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Loop::Loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) { KUILT_CHECK(epoll_.is_open()); }

void Loop::watch(int fd, Watcher& watcher) {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &watcher}};
  KUILT_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0);
}

void Loop::want_writable(int fd, Watcher& watcher, bool wanted) {
  const std::uint32_t writable = wanted ? static_cast<std::uint32_t>(EPOLLOUT) : 0U;
  epoll_event event{.events = EPOLLIN | writable, .data = {.ptr = &watcher}};
  KUILT_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
}

void Loop::forget(int fd) { ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

void Loop::turn(Instant deadline) {
  constexpr std::size_t events_max = 1024;
  std::array<epoll_event, events_max> events;
  const Duration left = std::max(deadline - now(), Duration{});
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
  const int count = ::epoll_pwait2(epoll_.get(), events.data(), int{events_max}, &timeout, nullptr);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events.at(static_cast<std::size_t>(i));
    auto* watcher = static_cast<Watcher*>(event.data.ptr);
    if ((event.events & EPOLLOUT) != 0) watcher->on_writable();
    if ((event.events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) watcher->on_readable();
  }
}

Result<Descriptor> connect_to(const std::string& address) {
  const auto colon = address.rfind(':');
  KUILT_CHECK(colon != std::string::npos);
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const auto port = static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1)));
  const sockaddr_in to = loopback(port);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    return Error(ErrorCode::no_server, "connect to " + address + ": " + std::strerror(errno));
  }
  set_no_delay(socket.get());
  return socket;
}

Result<Descriptor> listen_anywhere(std::string& address) {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at = loopback(0);
  socklen_t size = sizeof at;
  auto* raw = reinterpret_cast<sockaddr*>(&at);
  if (::bind(socket.get(), raw, size) != 0 || ::listen(socket.get(), SOMAXCONN) != 0 ||
      ::getsockname(socket.get(), raw, &size) != 0) {
    return Error(ErrorCode::io, Effect::none, "listen: " + std::string(std::strerror(errno)));
  }
  address = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  return socket;
}

Descriptor accept_from(const Descriptor& listener) {
  Descriptor socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (socket.is_open()) set_no_delay(socket.get());
  return socket;
}

void make_non_blocking(const Descriptor& socket) {
  ::fcntl(socket.get(), F_SETFL, ::fcntl(socket.get(), F_GETFL) | O_NONBLOCK);
}

bool write_all(const Descriptor& socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

bool read_all(const Descriptor& socket, char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t got = ::recv(socket.get(), bytes, size, 0);
    if (got <= 0) return false;
    bytes += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

std::size_t raise_open_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace kuilt::bench
