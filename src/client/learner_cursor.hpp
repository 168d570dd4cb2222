// learner_cursor.hpp: one observer of what a learner has stored.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "client/callback_queue.hpp"
#include "client/committed_source.hpp"
#include "client/learner_log.hpp"

namespace kuilt::detail {

/// A place in the log, and the little that was read ahead: however slow its observer is, nobody
/// waits for it.
///
/// Threads: as a CommittedSource; what is not of one is for any thread.
class LearnerCursor final : public CommittedSource,
                            public std::enable_shared_from_this<LearnerCursor> {
 public:
  /// With `on_piece`, pieces are handed to it through `queue` instead of being waited for.
  struct Push {
    std::shared_ptr<client::CallbackQueue> queue;
    std::function<void(const Committed&)> on_piece;
    std::function<void(const Error&)> on_end;
  };
  LearnerCursor(std::shared_ptr<LearnerLog> log, LearnerPlace place, Push push)
      : log_(std::move(log)), push_(std::move(push)), place_(place) {}

  std::optional<Committed> next(
      std::optional<std::chrono::steady_clock::time_point> deadline) override;
  [[nodiscard]] std::optional<Error> error() const override;
  [[nodiscard]] std::optional<ResumeToken> token() const override;
  void leave() override;

  /// The log has grown, or ended.
  void more();
  /// There will be no more pieces, for this reason.
  void end(const Error& error);
  /// Waits for a call that runs, unless inside it.
  void await_call();
  /// The same, and calls nothing from now on.
  void mute();

 private:
  void hand_out();
  void hand_pieces();

  const std::shared_ptr<LearnerLog> log_;
  Push push_;
  LearnerPlace place_;               ///< Of the caller of `next`.
  std::deque<LogEntry> read_ahead_;  ///< The same.
  std::atomic<bool> left_ = false;
  std::atomic<bool> taker_sent_ = false;
  bool end_told_ = false;  ///< Of the callbacks' thread.
  /// Held while the application is called: there it may well destroy what mutes this.
  std::recursive_mutex calling_;
  bool muted_ = false;

  mutable std::mutex mutex_;  ///< Guards what follows.
  std::optional<Error> end_;
  std::optional<ResumeToken> token_;
};

}  // namespace kuilt::detail
