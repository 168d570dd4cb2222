// subscription.hpp: what is between the thread of the links and one observer.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "client/committed_source.hpp"

namespace kuilt::detail {

/// A queue that credit bounds: entries by their bytes, and between two of them stands one Advance.
///
/// Threads: any.
class Subscription final : public CommittedSource {
 public:
  /// `on_taken` is told, now and then, how many bytes the application has taken; `on_left` that it
  /// wants no more. `on_links` says whether it runs on the thread that delivers.
  Subscription(std::function<void(std::uint64_t)> on_taken, std::function<void()> on_left,
               std::function<bool()> on_links)
      : on_taken_(std::move(on_taken)),
        on_left_(std::move(on_left)),
        on_links_(std::move(on_links)) {}

  void deliver(LogEntry entry, std::uint64_t bytes);
  void advance(ResumeToken token);
  void end(Error error);

  std::optional<Committed> next(
      std::optional<std::chrono::steady_clock::time_point> deadline) override;
  [[nodiscard]] std::optional<Error> error() const override;
  [[nodiscard]] std::optional<ResumeToken> token() const override;
  void leave() override;
  /// Whether somebody has to be sent to take what is there: once, until `next` has found nothing.
  [[nodiscard]] bool wants_taker();

 private:
  struct Item {
    Committed piece;
    std::uint64_t bytes = 0;
    std::optional<ResumeToken> token;
  };
  void push(Item item);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;
  std::optional<Error> ended_;
  bool would_wait_for_itself_ = false;  ///< The last `next` would have: it did not wait.
  std::optional<ResumeToken> token_;
  bool taker_sent_ = false;
  bool left_ = false;
  std::uint64_t untold_ = 0;
  std::function<void(std::uint64_t)> on_taken_;
  std::function<void()> on_left_;
  std::function<bool()> on_links_;
};

}  // namespace kuilt::detail
