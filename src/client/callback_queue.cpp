#include "client/callback_queue.hpp"

#include <cstdio>
#include <exception>

namespace kuilt::client {

void call_application(const char* name, const std::function<void()>& callback) noexcept {
  try {
    callback();
  } catch (const std::exception& thrown) {
    std::fprintf(stderr, "kuilt: the callback \"%s\" threw: %s\n", name, thrown.what());
    std::terminate();
  } catch (...) {
    std::fprintf(stderr, "kuilt: the callback \"%s\" threw\n", name);
    std::terminate();
  }
}

CallbackQueue::~CallbackQueue() {
  // The thread owns this too, so it has ended, or is the one that runs here.
  if (thread_.joinable()) thread_.detach();
}

bool CallbackQueue::run(const char* name, std::function<void()> callback) {
  const std::lock_guard lock(mutex_);
  if (dropped_ || (stopping_ && dispatch_ == Dispatch::thread)) return false;
  queue_.emplace_back(name, std::move(callback));
  if (dispatch_ == Dispatch::poll) return true;
  if (!thread_.joinable()) thread_ = std::thread([self = shared_from_this()] { self->work(); });
  changed_.notify_one();
  return true;
}

bool CallbackQueue::here() const {
  const std::lock_guard lock(mutex_);
  const auto thread = std::this_thread::get_id();
  return worker_ == thread || links_ == thread;
}

void CallbackQueue::set_links(std::thread::id thread) {
  const std::lock_guard lock(mutex_);
  links_ = thread;
}

bool CallbackQueue::on_links() const {
  const std::lock_guard lock(mutex_);
  return links_ == std::this_thread::get_id();
}

std::size_t CallbackQueue::poll(Duration budget) {
  std::unique_lock lock(mutex_);
  if (dispatch_ != Dispatch::poll || worker_ != std::thread::id()) return 0;
  worker_ = std::this_thread::get_id();
  budget_ends_ = Clock::now() + detail::bounded(budget);
  std::size_t count = 0;
  do {
    if (queue_.empty()) break;
    run_first(lock);
    ++count;
  } while (Clock::now() < budget_ends_);
  worker_ = {};
  changed_.notify_all();
  return count;
}

bool CallbackQueue::out_of_time() const {
  const std::lock_guard lock(mutex_);
  return dropped_ || (dispatch_ == Dispatch::poll && Clock::now() >= budget_ends_);
}

std::size_t CallbackQueue::waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

void CallbackQueue::stop() {
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    if (worker_ == std::this_thread::get_id()) return;
    if (dispatch_ == Dispatch::poll) {
      changed_.wait(lock, [this] { return worker_ == std::thread::id(); });
      return;
    }
  }
  const std::lock_guard lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

void CallbackQueue::drop() {
  decltype(queue_) unwanted;  // Freed outside the lock: it may own what leads back here.
  const std::lock_guard lock(mutex_);
  dropped_ = true;
  unwanted.swap(queue_);
}

void CallbackQueue::work() {
  std::unique_lock lock(mutex_);
  worker_ = std::this_thread::get_id();
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) {
      worker_ = {};  // A later thread may get the same id.
      return;
    }
    run_first(lock);
  }
}

void CallbackQueue::run_first(std::unique_lock<std::mutex>& lock) {
  {
    const auto [name, callback] = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    call_application(name, callback);
  }
  lock.lock();
}

}  // namespace kuilt::client
