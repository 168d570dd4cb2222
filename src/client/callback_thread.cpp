#include "client/callback_thread.hpp"

#include <cstdio>
#include <exception>

namespace kuilt::client {
namespace {

// Nobody could say what state the application is in after a callback that threw.
void call(const char* name, const std::function<void()>& callback) noexcept {
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

}  // namespace

CallbackThread::~CallbackThread() {
  // The thread owns this too, so it has ended, or is the one that runs here.
  if (thread_.joinable()) thread_.detach();
}

void CallbackThread::run(const char* name, std::function<void()> callback) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  queue_.emplace_back(name, std::move(callback));
  if (!thread_.joinable()) thread_ = std::thread([self = shared_from_this()] { self->work(); });
  changed_.notify_one();
}

bool CallbackThread::here() const {
  const std::lock_guard lock(mutex_);
  return worker_ == std::this_thread::get_id();
}

void CallbackThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (here()) return;
  const std::lock_guard lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

void CallbackThread::work() {
  std::unique_lock lock(mutex_);
  worker_ = std::this_thread::get_id();
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) {
      worker_ = {};  // A later thread may get the same id.
      return;
    }
    {
      const auto [name, callback] = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      call(name, callback);
    }
    lock.lock();
  }
}

}  // namespace kuilt::client
