#include "raft/outbox.hpp"

#include <algorithm>
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
  // Put them all again: those that still wait stay in order.
  return put(std::exchange(waiting_, {}));
}

}  // namespace kuilt::raft
