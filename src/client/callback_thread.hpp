// callback_thread.hpp: the one thread on which a client calls its application.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "kuilt/pending.hpp"

namespace kuilt::client {

/// Apart from the thread of the links, so that a slow callback never makes a link look silent.
/// Its queue is bounded by what feeds it: credit for entries, pending_bytes_max for calls.
///
/// Threads: any. The thread itself starts with the first callback.
class CallbackThread final : public detail::Callbacks,
                             public std::enable_shared_from_this<CallbackThread> {
 public:
  ~CallbackThread() override;
  void run(const char* name, std::function<void()> callback) override;
  [[nodiscard]] bool here() const override;
  /// Runs what is queued, then no more. Waits for it, unless called from a callback.
  void stop();

 private:
  void work();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<const char*, std::function<void()>>> queue_;
  bool stopping_ = false;
  std::thread::id worker_;  ///< While it works.
  std::thread thread_;
  std::mutex join_mutex_;  ///< Of those who wait for the thread to end.
};

}  // namespace kuilt::client
