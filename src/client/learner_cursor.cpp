#include "client/learner_cursor.hpp"

#include <iterator>
#include <utility>

namespace kuilt::detail {

std::optional<Committed> LearnerCursor::next(
    std::optional<std::chrono::steady_clock::time_point> deadline) {
  if (left_) return std::nullopt;
  if (read_ahead_.empty()) {
    LearnerLog::Batch batch = log_->wait_after(place_, deadline, left_);
    if (batch.through) {
      place_.told = batch.through->position.index;
      const std::lock_guard lock(mutex_);
      token_ = batch.through;
      return CommittedAdvance{batch.through->position};
    }
    if (batch.end) {
      const std::lock_guard lock(mutex_);
      if (!end_) end_ = std::move(batch.end);
    }
    read_ahead_.assign(std::make_move_iterator(batch.entries.begin()),
                       std::make_move_iterator(batch.entries.end()));
  }
  if (read_ahead_.empty()) return std::nullopt;
  CommittedEntry piece{std::move(read_ahead_.front())};
  read_ahead_.pop_front();
  place_.read = piece.entry.index;
  return piece;
}

std::optional<Error> LearnerCursor::error() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

std::optional<ResumeToken> LearnerCursor::token() const {
  const std::lock_guard lock(mutex_);
  return token_;
}

void LearnerCursor::leave() {
  end(Error(ErrorCode::stopped, Effect::none, "the observer was dropped"));
}

void LearnerCursor::end(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    if (!end_) end_.emplace(error);
  }
  left_ = true;
  log_->wake();
  more();
}

void LearnerCursor::more() {
  if (push_.on_piece && !taker_sent_.exchange(true)) hand_out();
}

void LearnerCursor::hand_out() {
  push_.queue->run("on_committed", [self = shared_from_this()] { self->hand_pieces(); });
}

// All pieces that are there, in one callback; the rest in a later one if it is time to end.
void LearnerCursor::hand_pieces() {
  const std::lock_guard lock(calling_);
  const auto nobody_waits = std::chrono::steady_clock::now();
  while (!muted_) {
    const auto piece = next(nobody_waits);
    if (!piece) break;
    push_.on_piece(*piece);
    if (push_.queue->out_of_time()) return hand_out();
  }
  if (const auto reason = error()) {
    if (muted_ || !push_.on_end || std::exchange(end_told_, true)) return;
    return client::call_application("on_end", [&] { push_.on_end(*reason); });
  }
  taker_sent_ = false;
  if (left_ || log_->has_after(place_)) more();
}

void LearnerCursor::await_call() { const std::lock_guard lock(calling_); }

void LearnerCursor::mute() {
  const std::lock_guard lock(calling_);
  muted_ = true;
}

}  // namespace kuilt::detail
