// pending_orders.hpp: who waits for an order to end, and is told once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "kuilt/result.hpp"

namespace kuilt::server {

/// The orders of one kind, to one node, that have not ended.
///
/// Threads: any. Callbacks run on the caller's, without a lock.
template <class T>
class PendingOrders {
 public:
  using OnEnd = std::function<void(Result<T>)>;

  PendingOrders() = default;
  PendingOrders(const PendingOrders&) = delete;
  PendingOrders& operator=(const PendingOrders&) = delete;
  ~PendingOrders() { close("the server was stopped"); }

  /// Returns the number under which the machine is to be asked. Once closed, `done` hears so at
  /// once.
  std::uint64_t add(OnEnd done) {
    std::string closed;
    std::uint64_t number = 0;
    {
      const std::lock_guard lock(mutex_);
      number = ++last_number_;
      closed = closed_;
      if (closed.empty()) waiting_.emplace(number, std::move(done));
    }
    if (!closed.empty()) done(Error(ErrorCode::stopped, Effect::none, closed));
    return number;
  }

  void end(std::uint64_t number, Result<T> how) {
    OnEnd done;
    {
      const std::lock_guard lock(mutex_);
      auto waiting = waiting_.extract(number);
      if (waiting.empty()) return;
      done = std::move(waiting.mapped());
    }
    done(std::move(how));
  }

  /// Nothing will end any more: whoever waits hears `stopped`.
  void close(const std::string& why) {
    std::map<std::uint64_t, OnEnd> waiting;
    {
      const std::lock_guard lock(mutex_);
      closed_ = why;
      waiting.swap(waiting_);
    }
    for (auto& [number, done] : waiting) done(Error(ErrorCode::stopped, Effect::unknown, why));
  }

 private:
  std::mutex mutex_;
  std::uint64_t last_number_ = 0;
  std::map<std::uint64_t, OnEnd> waiting_;
  std::string closed_;  ///< Why; empty while open.
};

}  // namespace kuilt::server
