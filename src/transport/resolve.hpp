// resolve.hpp: from the name of a host to its addresses, without waiting for it.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/readable_pipe.hpp>

#include "transport/seam.hpp"

namespace kuilt::transport {

/// getaddrinfo, which blocks for as long as it likes and cannot be cancelled.
/// Errors: no_server.
[[nodiscard]] Result<Addresses> look_up(const std::string& host);

/// One lookup, on a thread of its own that nobody waits for. The thread touches neither the event
/// loop nor this object: it leaves its result where both can find it, and closes its end of a pipe.
///
/// Threads: those of the executor. Ownership: when this ends, or its loop, the thread is left to
/// itself and its result is dropped.
class Resolution {
 public:
  using Done = std::function<void(Result<Addresses>)>;

  explicit Resolution(const net::any_io_executor& executor) : pipe_(executor) {}
  /// `done` runs on the executor, unless this is cancelled before.
  /// Errors: no_server (as many names as may be are being looked up), io; `done` never runs.
  Status start(const std::string& host, const Lookup& lookup, Done done);
  void cancel();

 private:
  struct Found {
    std::mutex mutex;
    std::optional<Result<Addresses>> addresses;
    std::array<char, 1> scratch{};
  };
  net::readable_pipe pipe_;
};

}  // namespace kuilt::transport
