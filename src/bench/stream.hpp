// stream.hpp: a socket on a Loop: what is written goes out at once or as soon as it can.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "bench/loop.hpp"
#include "kuilt/bytes.hpp"

namespace kuilt::bench {

class Stream;

class StreamOwner {
 public:
  virtual ~StreamOwner() = default;
  /// `bytes` are gone after this call.
  virtual void on_bytes(Stream& stream, BytesView bytes) = 0;
  virtual void on_broken(Stream& stream, const std::string& why) = 0;
};

/// Threads: its Loop's. Ownership: borrows the Loop and the owner. Its queue has no bound of its
/// own: whoever sends has a window.
class Stream final : public Watcher {
 public:
  Stream(Loop& loop, StreamOwner& owner, Descriptor socket, std::size_t number);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() override;

  void send(std::string_view bytes);
  /// The owner's number for it.
  [[nodiscard]] std::size_t number() const { return number_; }

  void on_readable() override;
  void on_writable() override;

 private:
  /// How many bytes the kernel took.
  std::size_t write_some(std::string_view bytes);
  void want_writable(bool wanted);
  void break_off(const std::string& why);

  Loop& loop_;
  StreamOwner& owner_;
  Descriptor socket_;
  const std::size_t number_;
  std::string unsent_;
  bool wants_writable_ = false;
  bool broken_ = false;
};

}  // namespace kuilt::bench
