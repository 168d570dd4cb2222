// pending.hpp: a result that is not there yet.
//
//   auto receipt = client.propose("move").get();                       // wait for it
//   client.propose("move").then([](auto receipt) { ... });             // be called with it
//   auto receipt = co_await client.propose("move");                    // in any coroutine
//   co_await kuilt::async_wait(client.propose("move"), use_awaitable)  // kuilt/asio.hpp
#pragma once

#include <coroutine>
#include <memory>
#include <optional>
#include <utility>

#include "kuilt/detail/chrono.hpp"
#include "kuilt/detail/export.hpp"
#include "kuilt/detail/function.hpp"
#include "kuilt/result.hpp"

namespace kuilt {
namespace detail {

/// `wait`, such that it can be added to any time: not negative, and at most a year, which is for
/// ever.
[[nodiscard]] constexpr std::chrono::nanoseconds bounded(std::chrono::nanoseconds wait) {
  constexpr std::chrono::nanoseconds wait_max = std::chrono::hours(24 * 365);
  if (wait.count() < 0) return {};
  return wait < wait_max ? wait : wait_max;
}

/// Runs the callbacks of one client, one after the other.
class KUILT_API Callbacks {
 public:
  virtual ~Callbacks() = default;
  /// False: it will never run, and was freed.
  virtual bool run(const char* name, std::function<void()> callback) = 0;
  /// Whether the caller is inside one of them, or on the thread of the links: what it waited for
  /// would wait for it.
  [[nodiscard]] virtual bool here() const = 0;
};

/// All of a pending result but the result. Out of line: a header without locks compiles faster.
class KUILT_API PendingCore : public std::enable_shared_from_this<PendingCore> {
 public:
  PendingCore(std::shared_ptr<Callbacks> callbacks, std::function<void()> give_up);
  virtual ~PendingCore();

  [[nodiscard]] bool done() const;
  /// Whether it is done, then or by now. Without a timeout: waits for as long as it takes.
  bool wait(std::optional<std::chrono::nanoseconds> timeout = std::nullopt);
  [[nodiscard]] bool inside_callback() const;
  /// False: `next` will never run.
  bool call_when_done(std::function<void()> next);
  /// False: it is done, and the coroutine need not wait.
  bool resume_when_done(std::coroutine_handle<> waiter);
  /// The waiter is no more.
  void forget_waiter();
  void give_up();
  /// Nobody will ask any more.
  void drop();

 protected:
  /// Pre: the result is there. From now on it does not change, and any thread may read it.
  void finish();

 private:
  struct KUILT_LOCAL Impl;
  bool hand_over(std::function<void()> next);
  void resume_waiter();
  const std::unique_ptr<Impl> impl_;
};

template <class T>
class PendingState final : public PendingCore {
 public:
  using PendingCore::PendingCore;

  void resolve(Result<T> result) {
    result_.emplace(std::move(result));
    finish();
  }
  /// Pre: done().
  [[nodiscard]] const Result<T>& result() const { return *result_; }
  [[nodiscard]] Result<T> get() {
    if (!done() && inside_callback()) {
      return Error(
          ErrorCode::usage, Effect::unknown,
          "get() inside a callback or selector would hold up what it may wait for; use then()");
    }
    wait();
    return *result_;
  }
  [[nodiscard]] std::optional<Result<T>> get_for(std::chrono::nanoseconds timeout) {
    if (inside_callback()) timeout = {};
    if (!wait(timeout)) return std::nullopt;
    return result_;
  }
  bool then(std::function<void(Result<T>)> callback) {
    return call_when_done([this, callback = std::move(callback)] { callback(*result_); });
  }

 private:
  std::optional<Result<T>> result_;
};

/// What `co_await` waits with. It may die before its time, along with its coroutine.
template <class T>
class PendingAwaiter {
 public:
  explicit PendingAwaiter(std::shared_ptr<PendingState<T>> state) : state_(std::move(state)) {}
  PendingAwaiter(const PendingAwaiter&) = delete;
  PendingAwaiter& operator=(const PendingAwaiter&) = delete;
  ~PendingAwaiter() { state_->forget_waiter(); }

  [[nodiscard]] bool await_ready() const { return state_->done(); }
  bool await_suspend(std::coroutine_handle<> waiter) { return state_->resume_when_done(waiter); }
  Result<T> await_resume() { return state_->result(); }

 private:
  std::shared_ptr<PendingState<T>> state_;
};

}  // namespace detail

/// What becomes of a call.
///
/// Threads: one at a time. Ownership: move-only, and may outlive its client.
/// Dropping one whose result nobody has seen or will be called with gives the call up, as `give_up`
/// does. Nothing is ever revoked.
template <class T>
class [[nodiscard]] Pending {
 public:
  explicit Pending(std::shared_ptr<detail::PendingState<T>> state) : state_(std::move(state)) {}
  Pending(Pending&&) noexcept = default;
  Pending& operator=(Pending&& other) noexcept {
    if (this != &other) {
      drop();
      state_ = std::move(other.state_);
    }
    return *this;
  }
  ~Pending() { drop(); }

  /// Waits for the result. It stays, and may be asked for again.
  /// Errors: usage (inside a callback or selector, before it is there; the call itself goes on),
  /// and those of the call.
  Result<T> get() { return state_->get(); }
  /// Waits no longer than `timeout`. Nothing, if there is no result by then; the call goes on.
  [[nodiscard]] std::optional<Result<T>> get_for(std::chrono::nanoseconds timeout) {
    return state_->get_for(timeout);
  }
  /// Has `callback` called with the result where the client's callbacks run, once; each of several,
  /// those set before the result in their order. False: it never will be, for the client was
  /// stopped before; `get` has the result.
  bool then(std::function<void(Result<T>)> callback) { return state_->then(std::move(callback)); }
  /// `co_await pending` gives the result. The coroutine goes on at once if it is there already, and
  /// else where the client's callbacks run: on their thread, or inside `poll`. Destroying the
  /// coroutine there while it waits gives the call up. One coroutine at a time. If the client is
  /// destroyed first, it never goes on: with Dispatch::poll, poll until nothing is due after
  /// `stop`.
  auto operator co_await() { return detail::PendingAwaiter<T>(state_); }
  /// Gives the call up: nothing more is sent. Its result, soon, is `cancelled` if nothing was sent
  /// at all; else its effect is unknown, for it may happen all the same.
  void give_up() { state_->give_up(); }

 private:
  void drop() noexcept {
    if (state_) state_->drop();
  }

  std::shared_ptr<detail::PendingState<T>> state_;
};

}  // namespace kuilt
