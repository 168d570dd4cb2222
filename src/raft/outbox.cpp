#include "raft/outbox.hpp"

#include <algorithm>
#include <utility>

namespace kuilt::raft {

namespace {

bool says_all_that(const Message& later, const Message& earlier) {
  const auto* beat = std::get_if<HeartbeatReply>(&later);
  const auto* beat_before = std::get_if<HeartbeatReply>(&earlier);
  if (beat != nullptr && beat_before != nullptr) {
    return beat->term == beat_before->term && beat->round >= beat_before->round;
  }
  const auto* ack = std::get_if<AppendReply>(&later);
  const auto* ack_before = std::get_if<AppendReply>(&earlier);
  if (ack != nullptr && ack_before != nullptr && ack->accepted && ack_before->accepted) {
    return ack->term == ack_before->term && ack->durable >= ack_before->durable;
  }
  return later == earlier;
}

}  // namespace

// Of two answers to one peer that wait for the same write only the later is needed. So those that a
// disk that hangs holds back do not pile up, however often the peer asks. It takes the other's
// place.
void Outbox::hold(Outgoing outgoing) {
  const auto superseded = std::ranges::find_if(waiting_, [&](const Outgoing& held) {
    return held.to == outgoing.to && held.needs == outgoing.needs &&
           says_all_that(outgoing.message, held.message);
  });
  if (superseded != waiting_.end()) {
    *superseded = std::move(outgoing);
  } else {
    waiting_.push_back(std::move(outgoing));
  }
}

std::vector<Outgoing> Outbox::put(std::vector<Outgoing> messages) {
  std::vector<Outgoing> ready;
  ready.reserve(messages.size());
  for (Outgoing& outgoing : messages) {
    if (outgoing.needs <= durable_) {
      ready.push_back(std::move(outgoing));
    } else {
      hold(std::move(outgoing));
    }
  }
  return ready;
}

std::vector<Outgoing> Outbox::written(WriteSeq seq) {
  durable_ = std::max(durable_, seq);
  // Put them all again: those that still wait stay in order.
  return put(std::exchange(waiting_, {}));
}

}  // namespace kuilt::raft
