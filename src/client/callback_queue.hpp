// callback_queue.hpp: where a client calls its application.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "kuilt/client.hpp"
#include "kuilt/pending.hpp"

namespace kuilt::client {

/// Calls the application. One that throws ends the process with its name: nobody could say what
/// state the application is in.
void call_application(const char* name, const std::function<void()>& callback) noexcept;

/// Callbacks in their order, one at a time: on a thread of their own, which starts with the first,
/// or inside `poll`. Either way apart from the thread of the links, so that a slow callback never
/// makes a link look silent.
/// Bounded by what feeds it: credit for entries, pending_bytes_max for calls, `waiting` for events.
///
/// Threads: any.
class CallbackQueue final : public detail::Callbacks,
                            public std::enable_shared_from_this<CallbackQueue> {
 public:
  explicit CallbackQueue(Dispatch dispatch) : dispatch_(dispatch) {}
  ~CallbackQueue() override;
  bool run(const char* name, std::function<void()> callback) override;
  [[nodiscard]] bool here() const override;
  /// The thread of the links, where selectors run; none, before it begins and when it has ended.
  void set_links(std::thread::id thread);
  [[nodiscard]] bool on_links() const;

  /// Runs what waits until nothing does or the budget is spent, but one at least; how many. None on
  /// a queue with a thread, inside a callback, or while another thread polls.
  std::size_t poll(Duration budget);
  /// Inside a callback: whether it should end, and come again later if that is possible.
  [[nodiscard]] bool out_of_time() const;
  [[nodiscard]] std::size_t waiting() const;

  /// With a thread: runs what is queued, then no more, and waits for it, unless called from a
  /// callback. Without: what is queued is left to later polls.
  void stop();
  /// Frees what is queued, which will never run.
  void drop();

 private:
  using Clock = std::chrono::steady_clock;
  void work();
  void run_first(std::unique_lock<std::mutex>& lock);

  const Dispatch dispatch_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<const char*, std::function<void()>>> queue_;
  bool stopping_ = false;
  bool dropped_ = false;
  std::thread::id worker_;  ///< Where callbacks run now.
  std::thread::id links_;
  Clock::time_point budget_ends_ = Clock::time_point::max();
  std::thread thread_;
  std::mutex join_mutex_;  ///< Of those who wait for the thread to end.
};

}  // namespace kuilt::client
