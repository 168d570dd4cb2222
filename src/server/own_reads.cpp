#include "server/own_reads.hpp"

#include <utility>

namespace kuilt::server {
namespace {

wire::BarrierOutcome stopped_outcome() {
  return wire::RefusedOutcome{ErrorCode::stopped, "this server has stopped", true, Duration{}};
}

}  // namespace

OwnReads::Asked OwnReads::ask() {
  const std::lock_guard lock(mutex_);
  std::promise<wire::BarrierOutcome> outcome;
  Asked asked{++last_, outcome.get_future()};
  if (stopped_) {
    outcome.set_value(stopped_outcome());
  } else {
    pending_.emplace(asked.number, std::move(outcome));
  }
  return asked;
}

void OwnReads::forget(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  pending_.erase(number);
}

void OwnReads::answer(const wire::BarrierAnswer& answer) {
  const std::lock_guard lock(mutex_);
  auto found = pending_.extract(answer.number);
  if (!found.empty()) found.mapped().set_value(answer.outcome);
}

void OwnReads::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  for (auto& [number, outcome] : pending_) outcome.set_value(stopped_outcome());
  pending_.clear();
}

}  // namespace kuilt::server
