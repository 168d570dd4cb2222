#include "kuilt/pending.hpp"

#include <condition_variable>
#include <mutex>
#include <vector>

namespace kuilt::detail {

struct PendingCore::Impl {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::vector<std::function<void()>> next;
  std::coroutine_handle<> waiter;
  std::shared_ptr<Callbacks> callbacks;
  std::function<void()> give_up;
};

PendingCore::PendingCore(std::shared_ptr<Callbacks> callbacks, std::function<void()> give_up)
    : impl_(std::make_unique<Impl>()) {
  impl_->callbacks = std::move(callbacks);
  impl_->give_up = std::move(give_up);
}
PendingCore::~PendingCore() = default;

bool PendingCore::done() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->done;
}

bool PendingCore::wait(std::optional<std::chrono::nanoseconds> timeout) {
  std::unique_lock lock(impl_->mutex);
  const auto done = [this] { return impl_->done; };
  if (timeout) return impl_->changed.wait_for(lock, bounded(*timeout), done);
  impl_->changed.wait(lock, done);
  return true;
}

bool PendingCore::inside_callback() const { return impl_->callbacks->here(); }

// What is handed over, or turns out not to be wanted, is freed outside the lock: it may own the
// very Pending that leads here.
void PendingCore::finish() {
  std::vector<std::function<void()>> next;
  bool awaited = false;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->done = true;
    impl_->changed.notify_all();
    next = std::exchange(impl_->next, {});
    awaited = static_cast<bool>(impl_->waiter);
  }
  for (auto& one : next) hand_over(std::move(one));
  if (awaited) {
    impl_->callbacks->run("co_await", [self = shared_from_this()] { self->resume_waiter(); });
  }
}

bool PendingCore::call_when_done(std::function<void()> next) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (!impl_->done) {
      impl_->next.push_back(std::move(next));
      return true;
    }
  }
  return hand_over(std::move(next));
}

// Moved, never copied: what the callback holds is freed where the callbacks run, and only there.
bool PendingCore::hand_over(std::function<void()> next) {
  return impl_->callbacks->run("then",
                               [self = shared_from_this(), next = std::move(next)] { next(); });
}

bool PendingCore::resume_when_done(std::coroutine_handle<> waiter) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->done) return false;
  impl_->waiter = waiter;
  return true;
}

void PendingCore::forget_waiter() {
  const std::lock_guard lock(impl_->mutex);
  impl_->waiter = {};
}

void PendingCore::resume_waiter() {
  std::coroutine_handle<> waiter;
  {
    const std::lock_guard lock(impl_->mutex);
    waiter = std::exchange(impl_->waiter, {});
  }
  if (waiter) waiter.resume();
}

void PendingCore::give_up() {
  if (!done() && impl_->give_up) impl_->give_up();
}

void PendingCore::drop() {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->done || !impl_->next.empty() || impl_->waiter) return;
  }
  if (impl_->give_up) impl_->give_up();
}

}  // namespace kuilt::detail
