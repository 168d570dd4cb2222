#include "bench/stream.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace kuilt::bench {
namespace {

/// All streams read into the same place: with thousands of them it stays in the cache.
std::vector<std::byte>& scratch() {
  static std::vector<std::byte> bytes(std::size_t{256} << 10);
  return bytes;
}

}  // namespace

Stream::Stream(Loop& loop, StreamOwner& owner, Descriptor socket, std::size_t number)
    : loop_(loop), owner_(owner), socket_(std::move(socket)), number_(number) {
  make_non_blocking(socket_);
  loop_.watch(socket_.get(), *this);
}

Stream::~Stream() { loop_.forget(socket_.get()); }

void Stream::send(std::string_view bytes) {
  if (broken_) return;
  const std::size_t sent = unsent_.empty() ? write_some(bytes) : 0;
  unsent_ += bytes.substr(sent);
  want_writable(!unsent_.empty());
}

void Stream::on_writable() {
  unsent_.erase(0, write_some(unsent_));
  want_writable(!unsent_.empty());
}

std::size_t Stream::write_some(std::string_view bytes) {
  const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<std::size_t>(sent);
  if (errno != EAGAIN && errno != EINTR) break_off(std::strerror(errno));
  return 0;
}

// The usual case costs no system call: interest changes only around a full socket.
void Stream::want_writable(bool wanted) {
  if (broken_ || wanted == wants_writable_) return;
  wants_writable_ = wanted;
  loop_.want_writable(socket_.get(), *this, wanted);
}

void Stream::on_readable() {
  if (broken_) return;
  std::vector<std::byte>& buffer = scratch();
  const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (got > 0) {
    owner_.on_bytes(*this, BytesView(buffer.data(), static_cast<std::size_t>(got)));
  } else if (got == 0) {
    break_off("the other side closed it");
  } else if (errno != EAGAIN && errno != EINTR) {
    break_off(std::strerror(errno));
  }
}

void Stream::break_off(const std::string& why) {
  if (std::exchange(broken_, true)) return;
  loop_.forget(socket_.get());
  owner_.on_broken(*this, why);
}

}  // namespace kuilt::bench
