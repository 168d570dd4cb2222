#include "client/subscription.hpp"

namespace kuilt::detail {
namespace {

// A message to the thread of the links per so many bytes, rather than per entry. Well below half
// of the credit: else the server would wait for credit that nobody asks for.
constexpr std::uint64_t told_at_once = std::uint64_t{64} << 10;

}  // namespace

void Subscription::deliver(LogEntry entry, std::uint64_t bytes) {
  push({CommittedEntry{std::move(entry)}, bytes, std::nullopt});
}

void Subscription::advance(ResumeToken token) {
  push({CommittedAdvance{token.position}, 0, token});
}

void Subscription::push(Item item) {
  const std::lock_guard lock(mutex_);
  if (left_ || ended_) return;  // Whoever has heard of the end looks for no more.
  // An Advance costs no credit: one that nobody has taken yet makes way for the next.
  if (item.token && !items_.empty() && items_.back().token) items_.pop_back();
  items_.push_back(std::move(item));
  changed_.notify_one();
}

bool Subscription::wants_taker() {
  const std::lock_guard lock(mutex_);
  return !items_.empty() && !std::exchange(taker_sent_, true);
}

void Subscription::end(Error error) {
  const std::lock_guard lock(mutex_);
  if (!ended_) ended_.emplace(std::move(error));
  changed_.notify_all();
}

std::optional<Committed> Subscription::next(
    std::optional<std::chrono::steady_clock::time_point> deadline) {
  std::unique_lock lock(mutex_);
  const auto ready = [this] { return !items_.empty() || ended_; };
  // A selector runs there: whatever it waited for would wait for it.
  const bool waits_in_vain = !ready() && on_links_();
  would_wait_for_itself_ = waits_in_vain && !deadline;
  if (waits_in_vain) return std::nullopt;
  if (deadline) {
    changed_.wait_until(lock, *deadline, ready);
  } else {
    changed_.wait(lock, ready);
  }
  if (items_.empty()) {
    taker_sent_ = false;
    return std::nullopt;
  }
  Item item = std::move(items_.front());
  items_.pop_front();
  if (item.token) token_ = item.token;
  untold_ += item.bytes;
  const std::uint64_t told = untold_ >= told_at_once ? std::exchange(untold_, 0) : 0;
  lock.unlock();
  if (told > 0) on_taken_(told);
  return std::move(item.piece);
}

std::optional<Error> Subscription::error() const {
  const std::lock_guard lock(mutex_);
  if (!items_.empty()) return std::nullopt;
  if (would_wait_for_itself_ && !ended_) {
    return Error(ErrorCode::usage, Effect::none,
                 "next() inside a selector would hold up what it may wait for; use next_for()");
  }
  return ended_;
}

std::optional<ResumeToken> Subscription::token() const {
  const std::lock_guard lock(mutex_);
  return token_;
}

void Subscription::leave() {
  end(Error(ErrorCode::stopped, Effect::none, "the observer was dropped"));
  std::deque<Item> dropped;  // Whatever it held is freed after the lock.
  {
    const std::lock_guard lock(mutex_);
    left_ = true;
    dropped.swap(items_);
  }
  on_left_();
}

}  // namespace kuilt::detail
