#include "cluster/barriers.hpp"

namespace kuilt::cluster {

raft::ReadId Barriers::add(BarrierKind kind, std::vector<Waiter> waiters, Instant now) {
  last_ = last_.next();
  size_ += waiters.size();
  batches_.emplace(last_, Batch{kind, now, std::nullopt, std::move(waiters)});
  return last_;
}

void Barriers::found(raft::ReadId read, Index index) {
  const auto batch = batches_.find(read);
  if (batch == batches_.end()) return;
  batch->second.index = index;
  order_of(batch->second.kind).emplace(index, read);
}

std::vector<Barriers::Waiter> Barriers::take(raft::ReadId read) {
  const auto found = batches_.extract(read);
  if (found.empty()) return {};
  Batch& batch = found.mapped();
  if (batch.index) order_of(batch.kind).erase({*batch.index, read});
  size_ -= batch.waiters.size();
  return std::move(batch.waiters);
}

std::optional<Barriers::Reached> Barriers::reached(Index published, Index applied) const {
  for (const auto& [order, through] : {std::pair(&to_publish_, published), {&to_apply_, applied}}) {
    if (order->empty() || order->begin()->first > through) continue;
    return Reached{order->begin()->second, order->begin()->first};
  }
  return std::nullopt;
}

std::optional<Barriers::Oldest> Barriers::oldest() const {
  if (batches_.empty()) return std::nullopt;
  return Oldest{batches_.begin()->first, batches_.begin()->second.since};
}

}  // namespace kuilt::cluster
