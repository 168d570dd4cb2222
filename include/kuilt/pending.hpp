// pending.hpp: a result that is not there yet.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "kuilt/result.hpp"

namespace kuilt {
namespace detail {

/// `wait`, such that it can be added to any time: not negative, and at most a year, which is for
/// ever.
[[nodiscard]] constexpr std::chrono::nanoseconds bounded(std::chrono::nanoseconds wait) {
  constexpr std::chrono::nanoseconds wait_max = std::chrono::hours(24 * 365);
  return std::clamp(wait, std::chrono::nanoseconds(0), wait_max);
}

/// Runs the callbacks of one client, one after the other.
class Callbacks {
 public:
  virtual ~Callbacks() = default;
  /// False: it will never run, and was freed.
  virtual bool run(const char* name, std::function<void()> callback) = 0;
  /// Whether the caller is inside one of them.
  [[nodiscard]] virtual bool here() const = 0;
};

template <class T>
class PendingState {
 public:
  PendingState(std::shared_ptr<Callbacks> callbacks, std::function<void()> abandon)
      : callbacks_(std::move(callbacks)), abandon_(std::move(abandon)) {}

  void resolve(Result<T> result) {
    const std::lock_guard lock(mutex_);
    result_.emplace(std::move(result));
    changed_.notify_all();
    hand_over();
  }
  [[nodiscard]] Result<T> get() {
    if (callbacks_->here()) {
      return Error(
          ErrorCode::usage, Effect::unknown,
          "get() inside a callback would hold up the callbacks it may wait for; use then()");
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return result_.has_value(); });
    return *result_;
  }
  [[nodiscard]] std::optional<Result<T>> get_for(std::chrono::nanoseconds timeout) {
    if (callbacks_->here()) timeout = {};
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, bounded(timeout), [this] { return result_.has_value(); });
    return result_;
  }
  void then(std::function<void(Result<T>)> callback) {
    const std::lock_guard lock(mutex_);
    then_ = std::move(callback);
    hand_over();
  }
  void abandon() {
    {
      const std::lock_guard lock(mutex_);
      if (result_ || then_) return;
    }
    if (abandon_) abandon_();
  }

 private:
  void hand_over() {
    if (!result_ || !then_) return;
    // Moved, never copied: what the callback holds is freed on the thread of the callbacks only.
    callbacks_->run("then",
                    [callback = std::exchange(then_, {}), result = *result_] { callback(result); });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Result<T>> result_;
  std::function<void(Result<T>)> then_;
  std::shared_ptr<Callbacks> callbacks_;
  std::function<void()> abandon_;
};

}  // namespace detail

/// What becomes of a call.
///
/// Threads: one at a time. Ownership: move-only, and may outlive its client.
/// Dropping one whose result nobody has seen gives the call up: it is not sent, if it was not; else
/// it may happen all the same. Nothing is ever revoked.
template <class T>
class Pending {
 public:
  explicit Pending(std::shared_ptr<detail::PendingState<T>> state) : state_(std::move(state)) {}
  Pending(Pending&&) noexcept = default;
  Pending& operator=(Pending&& other) noexcept {
    if (this != &other) {
      abandon();
      state_ = std::move(other.state_);
    }
    return *this;
  }
  ~Pending() { abandon(); }

  /// Waits for the result. It stays, and may be asked for again.
  /// Errors: usage (inside a callback; the call itself goes on), and those of the call.
  Result<T> get() { return state_->get(); }
  /// Waits no longer than `timeout`. Nothing, if there is no result by then; the call goes on.
  [[nodiscard]] std::optional<Result<T>> get_for(std::chrono::nanoseconds timeout) {
    return state_->get_for(timeout);
  }
  /// Has `callback` called with the result, on the thread of the client's callbacks, once.
  /// Asked for only after the client was stopped, it is not called.
  void then(std::function<void(Result<T>)> callback) { state_->then(std::move(callback)); }

 private:
  void abandon() noexcept {
    if (state_) state_->abandon();
  }

  std::shared_ptr<detail::PendingState<T>> state_;
};

}  // namespace kuilt
