// mailbox.hpp: how values travel between threads: in batches, with one wake per batch.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "server/clock.hpp"

namespace kuilt::server {

/// A queue that one thread empties whole and any thread fills. Its bound is that of what is put in:
/// every producer has a window of its own (rule 13).
template <class T>
class Mailbox {
 public:
  /// True if it was empty: the consumer may be asleep.
  bool put(T item) {
    const std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
    return items_.size() == 1;
  }
  std::vector<T> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(items_, {});
  }

 protected:
  std::mutex mutex_;
  std::vector<T> items_;
};

/// A mailbox whose consumer sleeps on it. Once closed it takes nothing more: a server that stopped
/// by itself would otherwise gather what the others go on sending.
template <class T>
class BlockingMailbox : public Mailbox<T> {
 public:
  void put(T item) {
    const std::lock_guard lock(this->mutex_);
    if (closed_) return;
    this->items_.push_back(std::move(item));
    if (this->items_.size() == 1) wake_.notify_one();
  }
  /// All there is; waits for the first until `deadline` or `close()`, and may then be empty.
  std::vector<T> wait(Instant deadline) {
    std::unique_lock lock(this->mutex_);
    const Instant latest = server::now() + std::chrono::hours(1);  // Far, and free of overflow.
    wake_.wait_until(lock, to_steady(std::min(deadline, latest)),
                     [this] { return closed_ || !this->items_.empty(); });
    return std::exchange(this->items_, {});
  }
  void close() {
    const std::lock_guard lock(this->mutex_);
    closed_ = true;
    wake_.notify_all();
  }
  [[nodiscard]] bool closed() {
    const std::lock_guard lock(this->mutex_);
    return closed_;
  }

 private:
  std::condition_variable wake_;
  bool closed_ = false;
};

/// A mailbox whose consumer is a function on an event loop. `consume` runs on the loop, with all
/// that has gathered; several puts before it runs cost one wake.
///
/// Ownership: shared with the wake that is on its way, so that a late one finds it alive; `stop()`
/// makes it deaf.
template <class T>
class LoopMailbox : public std::enable_shared_from_this<LoopMailbox<T>> {
 public:
  using Consume = std::function<void(std::vector<T>)>;
  explicit LoopMailbox(boost::asio::io_context& loop) : loop_(loop) {}

  void on_items(Consume consume) { consume_ = std::move(consume); }
  void put(T item) {
    if (!items_.put(std::move(item))) return;
    boost::asio::post(loop_, [self = this->shared_from_this()] { self->deliver(); });
  }
  /// Call on the loop, or when it has stopped.
  void stop() { consume_ = nullptr; }

 private:
  void deliver() {
    std::vector<T> items = items_.take();
    if (consume_) consume_(std::move(items));
  }

  boost::asio::io_context& loop_;
  Mailbox<T> items_;
  Consume consume_;
};

}  // namespace kuilt::server
