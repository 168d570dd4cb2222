#include "raft/outbox.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace kuilt::raft {

std::vector<Outgoing> Outbox::put(std::vector<Outgoing> messages) {
  std::vector<Outgoing> ready;
  ready.reserve(messages.size());
  for (Outgoing& outgoing : messages) {
    auto& place = outgoing.needs <= durable_ ? ready : waiting_;
    place.push_back(std::move(outgoing));
  }
  return ready;
}

std::vector<Outgoing> Outbox::written(WriteSeq seq) {
  durable_ = std::max(durable_, seq);
  const auto waits = [this](const Outgoing& outgoing) { return outgoing.needs > durable_; };
  const auto ready = std::stable_partition(waiting_.begin(), waiting_.end(), waits);
  std::vector<Outgoing> out(std::make_move_iterator(ready),
                            std::make_move_iterator(waiting_.end()));
  waiting_.erase(ready, waiting_.end());
  return out;
}

}  // namespace kuilt::raft
