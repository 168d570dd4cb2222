// client_core_conversation.cpp: a link from its dial to its end, and what its server says.
#include <algorithm>
#include <utility>

#include "client/client_core.hpp"
#include "kuilt/detail/overloaded.hpp"

namespace kuilt::client {
namespace {

/// Whether another server, or the same one later, may say something else.
bool can_heal(ErrorCode goodbye) {
  return goodbye != ErrorCode::invalid_argument && goodbye != ErrorCode::bad_frame &&
         goodbye != ErrorCode::version_unsupported && goodbye != ErrorCode::not_allowed &&
         goodbye != ErrorCode::wrong_cluster;
}

}  // namespace

Link* ClientCore::find(DialId dial) {
  for (Link& link : links_) {
    if (link.state != Link::State::waiting && link.dial == dial) return &link;
  }
  return nullptr;
}

bool ClientCore::in_use(const Link& link) const { return in_use_ && &links_[*in_use_] == &link; }

void ClientCore::watch_all(Instant now, Duties& duties) {
  for (Link& link : links_) watch(now, link, duties);
}

void ClientCore::watch(Instant now, Link& link, Duties& duties) {
  switch (link.state) {
    case Link::State::waiting:
      if (now >= link.due) dial(now, link, duties);
      return;
    case Link::State::dialing:
    case Link::State::greeting:
      if (now >= link.due) give_up(now, link, "no welcome in time", duties);
      return;
    case Link::State::admitted: break;
  }
  if (now >= link.heard_at + silence_limit(options_, *link.welcome)) {
    return give_up(now, link, "silent for too long", duties);
  }
  if (link.leave_at && now >= *link.leave_at && rotation_.has_other_than(link.endpoint)) {
    ++leaderless_visits_;
    return give_up(now, link, "its server has had no leader for too long", duties);
  }
  if (!in_use(link)) return;
  for (const auto& [room, feed] : rooms_) {
    const auto due = reply_due(link, feed);
    if (due && now >= *due) {
      return give_up(now, link, "no reply to an observe in time", duties);
    }
  }
}

std::optional<Instant> ClientCore::reply_due(const Link& link, const RoomFeed& feed) const {
  const auto asked = feed.asked_at();
  if (!asked || feed.waits_for_index()) return std::nullopt;
  return std::max(*asked, link.half_heard_at) + options_.observe_timeout;
}

void ClientCore::dial(Instant now, Link& link, Duties& duties) {
  std::set<std::string> taken;
  for (const Link& other : links_) {
    if (other.state != Link::State::waiting) taken.insert(other.endpoint);
  }
  const auto choice = rotation_.next(now, taken);
  if (!choice || choice->not_before > now) {
    // Standing by on a server that is in use already would survive nothing: look again later.
    link.due = choice ? choice->not_before : now + options_.backoff_max;
    return;
  }
  if (!choice->complaint.empty()) {
    duties.push_back(
        Event{EventKind::refused, choice->endpoint, choice->complaint, Position{}, {}});
  }
  last_dial_ = last_dial_.next();
  link.state = Link::State::dialing;
  link.dial = last_dial_;
  link.endpoint = choice->endpoint;
  link.due = now + options_.dial_timeout;
  ++counters_.dials;
  duties.push_back(Dial{link.dial, link.endpoint});
}

void ClientCore::greet(Instant, Link& link, Duties& duties) {
  link.state = Link::State::greeting;
  wire::Hello hello;
  hello.cluster = cluster_.value_or(ClusterId());
  hello.client = client_;
  hello.link = static_cast<std::uint32_t>(&link - links_.data());
  hello.name = options_.name;
  hello.token = options_.token;
  hello.features = wire::feature_rooms;
  hello.secret = options_.secret;
  duties.push_back(Send{link.dial, std::move(hello)});
}

void ClientCore::admit(Instant now, Link& link, wire::Welcome welcome, Duties& duties) {
  if (welcome.version < wire::client_version_min || welcome.version > wire::client_version_max) {
    return give_up(now, link, "speaks version " + std::to_string(welcome.version), duties);
  }
  if (cluster_ && welcome.cluster != *cluster_) {
    return give_up(now, link, "belongs to another cluster, " + welcome.cluster.text(), duties);
  }
  const auto& allowed = options_.servers;
  const auto is_allowed = std::find(allowed.begin(), allowed.end(), welcome.server);
  if (!allowed.empty() && is_allowed == allowed.end()) {
    return give_up(now, link,
                   "unknown_node: server " + welcome.server.text() + " is not among the " +
                       std::to_string(allowed.size()) + " voters that this client was given",
                   duties);
  }
  const auto same_server = [&](const Link& other) {
    return other.state == Link::State::admitted && other.welcome->server == welcome.server;
  };
  if (!welcome.server.is_none() && std::any_of(links_.begin(), links_.end(), same_server)) {
    // Two addresses of one server: a link to stand by there would survive nothing.
    constexpr Duration other_name_rest = std::chrono::seconds(10);
    rotation_.hold_off(link.endpoint, now + other_name_rest);
    return give_up(now, link, "is " + welcome.server_name + ", which has a link already", duties);
  }
  cluster_ = welcome.cluster;
  link.state = Link::State::admitted;
  link.admitted_at = now;
  link.half_heard_at = now;
  link.commit = welcome.commit.index;
  link.leave_at.reset();
  told_of_leader(now, link, welcome.leader);
  link.welcome = std::move(welcome);
  if (!in_use_) use(static_cast<std::size_t>(&link - links_.data()), duties);
}

void ClientCore::use(std::size_t place, Duties& duties) {
  in_use_ = place;
  const Link& link = links_[place];
  calls_.link_up(link.welcome->limits, link.welcome->history);
  if (rooms_.empty()) lost_at_.reset();
  duties.push_back(
      Event{EventKind::connected, link.endpoint, link.welcome->server_name, Position{}, {}});
}

void ClientCore::give_up(Instant now, Link& link, const std::string& reason, Duties& duties) {
  duties.push_back(Close{link.dial});
  lose(now, link, reason, duties);
}

void ClientCore::lose(Instant now, Link& link, const std::string& reason, Duties& duties) {
  const bool was_admitted = link.state == Link::State::admitted;
  const bool was_in_use = in_use(link);
  trouble_ = link.endpoint + ": " + reason;
  duties.push_back(Event{was_admitted ? EventKind::disconnected : EventKind::refused,
                         link.endpoint,
                         reason,
                         Position{},
                         {}});
  // A server that admits and drops us at once must not be dialed in a tight loop.
  // Nor must all servers of a cluster without a leader be, one after the other.
  const bool served = was_admitted && !link.leave_at;
  if (served && now - link.admitted_at >= options_.backoff_max) {
    link.failures = 0;
    condemned_by_.clear();  // Whatever was said before, we were right for a while.
  }
  link.state = Link::State::waiting;
  link.welcome.reset();
  link.due =
      now + full_jitter(rng_, doubled(options_.backoff_min, link.failures, options_.backoff_max));
  ++link.failures;
  if (!was_in_use) return;

  in_use_.reset();
  if (!lost_at_) lost_at_ = now;
  calls_.link_down(duties);
  reads_.link_down();
  for (auto& [room, feed] : rooms_) feed.link_down();
  memberships_.link_down();
  left_unanswered_.clear();
  for (std::size_t place = 0; place < links_.size() && !in_use_; ++place) {
    if (links_[place].state == Link::State::admitted) use(place, duties);
  }
}

void ClientCore::on_heard(Link& link, Instant at) {
  link.heard_at = std::max(link.heard_at, at);
  link.half_heard_at = link.heard_at;
}

void ClientCore::on_message(Instant now, Link& link, wire::ServerMessage& message, Duties& duties) {
  link.heard_at = now;
  if (const auto* goodbye = std::get_if<wire::Goodbye>(&message)) {
    return on_goodbye(now, link, *goodbye, duties);
  }
  if (link.state == Link::State::admitted) {
    return on_admitted_message(now, link, message, duties);
  }
  auto* welcome = std::get_if<wire::Welcome>(&message);
  if (welcome == nullptr || link.state != Link::State::greeting) {
    return give_up(now, link, "the first message was not a welcome", duties);
  }
  admit(now, link, std::move(*welcome), duties);
}

void ClientCore::on_admitted_message(Instant now, Link& link, wire::ServerMessage& message,
                                     Duties& duties) {
  const auto on_any = Overloaded{
      [&](const wire::Welcome&) { give_up(now, link, "a second welcome", duties); },
      [&](const wire::Answers& answers) {
        if (!in_use(link)) return;
        for (const wire::Answer& answer : answers.answers) calls_.answer(now, answer, duties);
      },
      [&](const wire::BarrierAnswer& answer) {
        if (in_use(link)) reads_.answer(now, answer, duties);
      },
      [&](const wire::ObserveReply& reply) { on_observe_reply(now, link, reply, duties); },
      [&](const wire::Feed& frame) { on_feed(now, link, frame, duties); },
      [&](const wire::ServerHeartbeat& heartbeat) { on_heartbeat(now, link, heartbeat); },
      [&](wire::Roster& roster) { on_roster(link, roster, duties); },
      [&](wire::Delivery& delivery) { on_delivery(link, delivery, duties); },
      [&](wire::RoomRefusal& refusal) { on_room_refusal(now, link, refusal, duties); },
      [](const wire::Goodbye&) {},  // Taken before.
  };
  std::visit(on_any, message);
}

void ClientCore::on_heartbeat(Instant now, Link& link, const wire::ServerHeartbeat& heartbeat) {
  link.commit = std::max(link.commit, heartbeat.commit.index);
  told_of_leader(now, link, heartbeat.leader);
}

// Where no server knows a leader, going round in haste helps nobody and costs the servers an
// admission each time: each visit lasts twice as long as the one before.
void ClientCore::told_of_leader(Instant now, Link& link, const std::string& name) {
  constexpr Duration visit_max = std::chrono::seconds(30);
  if (!name.empty()) {
    leaderless_visits_ = 0;
    link.leave_at.reset();
  } else if (!link.leave_at) {
    const Duration visit = doubled(options_.leaderless_max, leaderless_visits_,
                                   std::max(visit_max, options_.leaderless_max));
    link.leave_at = now + visit + full_jitter(rng_, visit / 4);
  }
}

void ClientCore::hinted(const std::vector<std::string>& endpoints, const Link& by) {
  if (!options_.links_are_brought) rotation_.hint(endpoints, by.endpoint);
}

void ClientCore::on_goodbye(Instant now, Link& link, const wire::Goodbye& goodbye, Duties& duties) {
  hinted(goodbye.endpoints, link);
  if (goodbye.retry_after > Duration::zero()) {
    const Duration asked = std::min(goodbye.retry_after, patience_max);
    rotation_.hold_off(link.endpoint, now + asked + full_jitter(rng_, asked));
  }
  const std::string endpoint = link.endpoint;
  give_up(now, link, std::string(name_of(goodbye.code)) + ": " + goodbye.message, duties);
  if (!can_heal(goodbye.code) && !options_.links_are_brought) {
    condemned_by(endpoint, Error(goodbye.code, Effect::none, goodbye.message), duties);
  }
}

void ClientCore::condemned_by(const std::string& endpoint, const Error& error, Duties& duties) {
  condemned_by_.insert(endpoint);
  const auto said_so = [&](const std::string& one) { return condemned_by_.contains(one); };
  if (!std::all_of(options_.endpoints.begin(), options_.endpoints.end(), said_so)) return;
  condemned_by_.clear();  // What is observed from now on is heard by all anew.
  while (!rooms_.empty()) end_observe(rooms_.begin()->first, error, duties);
  end_all_rooms(error, duties);
}

void ClientCore::on_observe_reply(Instant now, Link& link, const wire::ObserveReply& reply,
                                  Duties& duties) {
  if (!in_use(link)) return;
  const auto room = rooms_.find(reply.room);
  if (room == rooms_.end()) {
    left_unanswered_.erase(reply.room);
    return;
  }
  const auto end = [&](ErrorCode code) {
    end_observe(reply.room, Error(code, Effect::none, reply.message), duties);
  };
  switch (reply.verdict) {
    case wire::ObserveVerdict::resumed:
    case wire::ObserveVerdict::begins_at: return on_begun(now, link, room->second, reply, duties);
    case wire::ObserveVerdict::snapshot_follows:
      return on_violation(now, link,
                          {FeedRule::unasked, "unasked: a snapshot, which version 1 never sends"},
                          duties);
    case wire::ObserveVerdict::history_differs: return end(ErrorCode::history_differs);
    case wire::ObserveVerdict::not_this_cluster: return end(ErrorCode::wrong_cluster);
    case wire::ObserveVerdict::compacted: return end(ErrorCode::compacted);
    case wire::ObserveVerdict::refused: return end(ErrorCode::invalid_argument);
    case wire::ObserveVerdict::behind:
      hinted(reply.endpoints, link);
      return give_up(now, link, "is behind: " + reply.message, duties);
  }
}

void ClientCore::on_begun(Instant now, Link& link, RoomFeed& feed, const wire::ObserveReply& reply,
                          Duties& duties) {
  const bool resumed = feed.was_fed();
  const Position before = feed.position();
  if (const auto wrong = feed.begin(reply, *link.welcome)) {
    return on_violation(now, link, *wrong, duties);
  }
  if (resumed) {
    const Duration after = lost_at_ ? now - *lost_at_ : Duration::zero();
    duties.push_back(Event{EventKind::resumed, link.endpoint, link.welcome->server_name,
                           feed.position(), after});
  }
  if (feed.position() != before) {
    duties.push_back(feed.advanced());
  }
  const auto streams = [](const auto& observed) { return observed.second.streaming(); };
  if (std::all_of(rooms_.begin(), rooms_.end(), streams)) lost_at_.reset();
}

void ClientCore::on_feed(Instant now, Link& link, const wire::Feed& frame, Duties& duties) {
  if (!in_use(link)) return;
  const auto room = rooms_.find(frame.room);
  if (room == rooms_.end() || !room->second.streaming()) return;  // Of a feed that was left.
  std::vector<wire::FeedEntry> entries;
  if (const auto wrong = room->second.take(frame, entries)) {
    return on_violation(now, link, *wrong, duties);
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    duties.push_back(Delivered{frame.room, std::move(entries[i]), frame.entries[i].size()});
  }
  duties.push_back(room->second.advanced());
}

void ClientCore::on_violation(Instant now, Link& link, const FeedViolation& violation,
                              Duties& duties) {
  ++counters_.feed_violations;
  duties.push_back(
      Event{EventKind::feed_broken, link.endpoint, violation.text, Position{}, {}, violation.rule});
  give_up(now, link, "feed_broken: " + violation.text, duties);
}

// By value: the name may live in the very entry that is erased.
void ClientCore::end_observe(RoomName room, Error error, Duties& duties) {
  rooms_.erase(room);
  duties.push_back(ObserveEnded{std::move(room), std::move(error)});
}

}  // namespace kuilt::client
