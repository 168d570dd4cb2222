#include "client/learner_reader.hpp"

#include <future>
#include <utility>

namespace kuilt::detail {

LearnerReader::~LearnerReader() {
  stop();
  for (const auto& cursor : cursors()) cursor->mute();
}

Result<std::shared_ptr<LearnerCursor>> LearnerReader::observe(
    const From& from, const RoomName& room, std::function<void(const Committed&)> callback,
    std::function<void(const Error&)> on_end) {
  if (room != log_->room()) {
    return Error(ErrorCode::invalid_argument,
                 "the node follows the room \"" + log_->room() + "\", not \"" + room + "\"");
  }
  auto place = log_->place_of(from);
  if (!place) return std::move(place).error();
  const std::lock_guard lock(mutex_);
  if (stopped_) return Error(ErrorCode::stopped, Effect::none, "the client was stopped");
  const bool pushes = callback != nullptr;
  auto cursor = std::make_shared<LearnerCursor>(
      log_, *place, LearnerCursor::Push{callbacks_, std::move(callback), std::move(on_end)});
  std::erase_if(pulled_, [](const auto& one) { return one.expired(); });
  if (!pushes) {
    pulled_.push_back(cursor);
    return cursor;
  }
  pushed_.push_back(cursor);
  log_->add_listener(cursor);
  if (log_->has_after(*place)) cursor->more();
  return cursor;
}

std::vector<std::shared_ptr<LearnerCursor>> LearnerReader::cursors() {
  const std::lock_guard lock(mutex_);
  auto all = pushed_;
  for (const auto& one : pulled_) {
    if (auto cursor = one.lock()) all.push_back(std::move(cursor));
  }
  return all;
}

void LearnerReader::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  for (const auto& cursor : cursors()) {
    cursor->end(Error(ErrorCode::stopped, Effect::none, "the client was stopped"));
  }
  if (callbacks_->here()) return;
  if (dispatch_ == Dispatch::poll) {  // Of what runs inside a poll of another thread.
    for (const auto& cursor : cursors()) cursor->await_call();
    return;
  }
  // Callbacks keep their order: behind this one none of ours is left. If it is dropped, as by a
  // node that is destroyed in one of them, the promise is broken, and that ends the wait as well.
  auto reached = std::make_shared<std::promise<void>>();
  const auto end = reached->get_future();
  callbacks_->run("stop", [reached = std::move(reached)] { reached->set_value(); });
  end.wait();
}

}  // namespace kuilt::detail
