// loop.hpp: one thread, thousands of sockets. The load generator and the limits beside it share it,
// so that neither has a cheaper way to the kernel than the other.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "kuilt/result.hpp"
#include "kuilt/types.hpp"

namespace kuilt::bench {

[[nodiscard]] inline Instant now() {
  return Instant(std::chrono::steady_clock::now().time_since_epoch());
}

/// A file descriptor that is closed once.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// What waits on a Loop. It must outlive the Loop's last turn.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void on_readable() = 0;
  virtual void on_writable() {}
};

/// Level-triggered epoll. Threads: one.
class Loop {
 public:
  Loop();
  void watch(int fd, Watcher& watcher);
  /// Whether `on_writable` is wanted too.
  void want_writable(int fd, Watcher& watcher, bool wanted);
  void forget(int fd);
  /// One turn: waits for news until `deadline` at most, and passes it on.
  void turn(Instant deadline);

 private:
  Descriptor epoll_;
};

/// Connects to "127.0.0.1:port", with TCP_NODELAY. Reads and writes block for 10 s at most.
/// Errors: no_server.
[[nodiscard]] Result<Descriptor> connect_to(const std::string& address);
/// Listens on a free port of 127.0.0.1, which `address` then names.
[[nodiscard]] Result<Descriptor> listen_anywhere(std::string& address);
[[nodiscard]] Descriptor accept_from(const Descriptor& listener);
void make_non_blocking(const Descriptor& socket);
/// Writes all or fails; for blocking descriptors.
[[nodiscard]] bool write_all(const Descriptor& socket, std::string_view bytes);
[[nodiscard]] bool read_all(const Descriptor& socket, char* bytes, std::size_t size);
/// Lets this process open as many files as the system allows; returns how many.
std::size_t raise_open_files();

}  // namespace kuilt::bench
