#include "client/client_core.hpp"

#include <algorithm>
#include <utility>

#include "kuilt/detail/overloaded.hpp"

namespace kuilt::client {

ClientCore::ClientCore(const ClientOptions& options, std::uint64_t seed, SessionId session,
                       Instant now)
    : options_(options),
      rng_(seed),
      client_(rng_.next()),
      rotation_(options.endpoints, options.selector),
      links_(options.links),
      cluster_(options.cluster),
      calls_(options, rng_.next(), session),
      reads_(options, rng_.next()) {
  KUILT_CHECK(!links_.empty());
  for (Link& link : links_) link.due = now;
}

Output ClientCore::step(Instant now, Input input) {
  std::vector<Input> inputs;
  inputs.push_back(std::move(input));
  return step(now, std::move(inputs));
}

Output ClientCore::step(Instant now, std::vector<Input> inputs) {
  Output out;
  for (Input& input : inputs) take(now, input, out.duties);
  if (!stopped_) {
    watch_all(now, out.duties);
    calls_.tick(now, situation(), out.duties);
    reads_.tick(now, situation(), out.duties);
    pump(now, out.duties);
  }
  out.wake_at = wake_at();
  counters_.attempts = calls_.attempts();
  counters_.retries = calls_.retries();
  counters_.sessions_reopened = calls_.sessions_reopened();
  return out;
}

void ClientCore::take(Instant now, Input& input, Duties& duties) {
  if (stopped_) {
    if (const auto* call = std::get_if<ProposeCall>(&input)) {
      Error refusal(ErrorCode::stopped, Effect::none, "the client was stopped before");
      duties.push_back(Resolved{call->call, without_attempt(*call, std::move(refusal))});
    }
    if (const auto* read = std::get_if<BarrierCall>(&input)) {
      duties.push_back(BarrierResolved{
          read->call, Error(ErrorCode::stopped, Effect::none, "the client was stopped before")});
    }
    return;
  }
  const auto on_input = Overloaded{
      [](const Tick&) {},
      [&](const Dialed& dialed) {
        Link* link = find(dialed.dial);
        if (link != nullptr && link->state == Link::State::dialing) greet(now, *link, duties);
      },
      [&](const Broken& broken) {
        if (Link* link = find(broken.dial)) lose(now, *link, broken.reason, duties);
      },
      [&](const Heard& heard) {
        if (Link* link = find(heard.dial)) on_heard(*link, heard.at);
      },
      [&](Arrived& arrived) {
        if (Link* link = find(arrived.dial)) on_message(now, *link, arrived.message, duties);
      },
      [&](ProposeCall& call) { calls_.propose(now, std::move(call), duties); },
      [&](const BarrierCall& call) { reads_.call(now, call, duties); },
      [&](const CancelCall& cancel) {
        calls_.cancel(cancel.call, duties);
        reads_.cancel(cancel.call, duties);
      },
      [&](ObserveCall& call) { observe(now, call, duties); },
      [&](const UnobserveCall& call) { unobserve(call.room, duties); },
      [&](const Taken& bytes) { taken(bytes, duties); },
      [&](JoinCall& call) { memberships_.join(std::move(call)); },
      [&](const LeaveCall& call) { leave_room(call.room, duties); },
      [&](SayCall& call) { say(call, duties); },
      [&](const FreshSession& fresh) { calls_.use(fresh.session); },
      [&](const FreshKey& fresh) { calls_.use(now, fresh, duties); },
      [&](const Rerouted&) { reroute(now); },
      [&](const Stop&) { stop(duties); },
  };
  std::visit(on_input, input);
}

void ClientCore::stop(Duties& duties) {
  stopped_ = true;
  leave_all_rooms(duties);
  in_use_.reset();
  calls_.stop(duties);
  reads_.stop(duties);
  while (!rooms_.empty()) {
    end_observe(rooms_.begin()->first,
                Error(ErrorCode::stopped, Effect::none, "the client was stopped"), duties);
  }
  for (Link& link : links_) {
    if (link.state != Link::State::waiting) duties.push_back(Close{link.dial});
    link.state = Link::State::waiting;
  }
}

void ClientCore::reroute(Instant now) {
  rotation_.forget();
  condemned_by_.clear();
  for (Link& link : links_) {
    link.failures = 0;
    if (link.state == Link::State::waiting) link.due = now;
  }
}

void ClientCore::observe(Instant now, ObserveCall& call, Duties& duties) {
  RoomFeed feed(call.room, std::move(call.from), options_.credit_bytes);
  KUILT_CHECK(rooms_.emplace(call.room, std::move(feed)).second);
  if (in_use_ && left_unanswered_.contains(call.room)) {
    // The reply that is still owed could be taken for the one to this observe.
    give_up(now, links_[*in_use_], "the room is observed anew, with a reply outstanding", duties);
  }
}

void ClientCore::unobserve(const RoomName& room, Duties& duties) {
  const auto found = rooms_.find(room);
  if (found == rooms_.end()) return;
  if (in_use_) {
    if (found->second.asked_at()) left_unanswered_.insert(room);
    duties.push_back(Send{links_[*in_use_].dial, wire::Unobserve{room}});
  }
  rooms_.erase(found);
}

void ClientCore::taken(const Taken& taken, Duties& duties) {
  const auto found = rooms_.find(taken.room);
  if (found == rooms_.end()) return;
  if (auto credit = found->second.taken(taken.bytes)) {
    KUILT_CHECK(in_use_);
    duties.push_back(Send{links_[*in_use_].dial, *std::move(credit)});
  }
}

void ClientCore::pump(Instant now, Duties& duties) {
  if (!in_use_) return;
  const Link& link = links_[*in_use_];
  for (auto& [room, feed] : rooms_) {
    if (auto observe = feed.ask(now, link.commit)) {
      duties.push_back(Send{link.dial, *std::move(observe)});
    }
  }
  pump_rooms(now, link, duties);
  // Without a leader the server could only keep them. Here it is certain that nothing happened.
  if (link.leave_at) return;
  for (wire::Propose& frame : calls_.send(now, link.commit, duties)) {
    duties.push_back(Send{link.dial, std::move(frame)});
  }
  if (const auto read = reads_.send(now, *link.welcome, duties)) {
    duties.push_back(Send{link.dial, *read});
  }
}

Situation ClientCore::situation() const {
  if (!in_use_) return {.linked = false, .leader_known = false, .trouble = trouble_};
  return {
      .linked = true, .leader_known = !links_[*in_use_].leave_at.has_value(), .trouble = trouble_};
}

Instant ClientCore::wake_at() const {
  if (stopped_) return Instant::max();
  Instant at = std::min(calls_.wake_at().value_or(Instant::max()),
                        reads_.wake_at().value_or(Instant::max()));
  for (const Link& link : links_) {
    if (link.state != Link::State::admitted) {
      at = std::min(at, link.due);
      continue;
    }
    at = std::min(at, link.heard_at + silence_limit(options_, *link.welcome));
    if (link.leave_at && rotation_.has_other_than(link.endpoint)) {
      at = std::min(at, *link.leave_at);
    }
  }
  if (in_use_) {
    at = std::min(at, memberships_.wake_at());
    for (const auto& [room, feed] : rooms_) {
      if (const auto due = reply_due(links_[*in_use_], feed)) at = std::min(at, *due);
    }
  }
  return at;
}

std::optional<wire::Welcome> ClientCore::welcome() const {
  if (!in_use_) return std::nullopt;
  return links_[*in_use_].welcome;
}

Index ClientCore::commit() const { return in_use_ ? links_[*in_use_].commit : Index(); }

const ClientCore::Counters& ClientCore::counters() const { return counters_; }

}  // namespace kuilt::client
