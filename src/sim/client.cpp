#include "sim/client.hpp"

#include <algorithm>
#include <utility>

#include "kuilt/detail/overloaded.hpp"
#include "sim/counters.hpp"
#include "wire/entry.hpp"

namespace kuilt::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration clock_offset_max = std::chrono::hours(1000);
constexpr Duration rest_max = milliseconds(500);  // Between two lives of a client.
constexpr Duration retry_delay_max = milliseconds(400);
constexpr int unknown_ends_max = 3;
constexpr Duration taking_delay_max = milliseconds(20);
constexpr Duration last_patience = seconds(30);
constexpr Duration never_after = std::chrono::hours(24);
constexpr std::uint64_t side_room_percent = 25;

}  // namespace

Client::Client(Scene& scene, std::size_t number, Rng rng, std::vector<LinkEnd*> servers)
    : scene_(scene), number_(number), rng_(rng), servers_(std::move(servers)) {}

void Client::when_awake(Instant when, std::function<void()> action) {
  scene_.agenda.at(when, [this, incarnation = incarnation_, action = std::move(action)] {
    if (incarnation != incarnation_) return;
    if (paused()) return when_awake(paused_until_, action);
    action();
  });
}

client::ClientOptions Client::draw_options() {
  client::ClientOptions options;
  // Everybody knows all servers; a third of the clients begins at each.
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    options.endpoints.push_back(endpoint_of_server((number_ + i) % servers_.size()));
  }
  options.name = "c" + std::to_string(number_);
  options.links = servers_.size() > 1 && rng_.chance(30) ? 2 : 1;
  options.attempt_timeout = milliseconds(200 + rng_.below(2000));
  options.silence_max = milliseconds(1200 + rng_.below(2000));
  options.dial_timeout = milliseconds(500 + rng_.below(1500));
  options.backoff_max = milliseconds(100 + rng_.below(1000));
  options.leaderless_max = milliseconds(500 + rng_.below(2000));
  options.credit_bytes = scene_.plan.habits.credit_bytes;
  return options;
}

void Client::start() {
  ++incarnation_;
  paused_until_ = {};
  clock_offset_ = up_to(rng_, clock_offset_max);
  encoding_ = rng_.chance(scene_.plan.habits.json_percent) ? wire::Encoding::json
                                                           : wire::Encoding::protobuf;
  const client::ClientOptions options = draw_options();
  const SessionId session(rng_.next(), rng_.next());
  core_.emplace(options, rng_.next(), session, local_now());
  alarm_ = std::make_unique<Alarm>(
      [this](Instant when, std::function<void()> action) { when_awake(when, std::move(action)); },
      [this] { return scene_.now(); }, [this] { step(client::Tick{}); });
  step(client::Tick{});
  for (auto& [room, observed] : observed_) observed.in_this_life = false;
  observe("");
  if (rng_.chance(side_room_percent)) observe("side");
  for (auto& [id, unfinished] : durable_.unfinished) unfinished.under_way = false;
  if (last_wanted_ && !last_done_) propose_last();
  propose_on();
}

void Client::crash() {
  scene_.note("c{} dies", {number_});
  settle_counters();
  ++incarnation_;
  scene_.links.die(*this);
  for (const auto& [id, call] : calls_) {
    if (!call.durable) scene_.oracle.orphaned(call.proposal);
  }
  calls_.clear();
  links_.clear();
  dials_.clear();
  core_.reset();
  when_awake(scene_.now() + up_to(rng_, rest_max), [this] { start(); });
}

void Client::step(client::Input input) {
  client::Output output = core_->step(local_now(), std::move(input));
  for (client::Duty& duty : output.duties) carry_out(duty);
  if (core_->counters().feed_violations > 0) {
    scene_.invariants.complain("no client finds its feed broken, but " + std::to_string(number_) +
                               " does: " + last_event_);
  }
  if (output.wake_at < local_now() + never_after) alarm_->set(output.wake_at - clock_offset_);
}

void Client::carry_out(client::Duty& duty) {
  const auto on_duty = Overloaded{
      [&](const client::Dial& d) { dial(d); },
      [&](const client::Send& d) {
        const auto link = links_.find(d.dial);
        if (link == links_.end()) return;  // Broken, and the core will hear of it.
        scene_.links.send(link->second, Side::client, wire::encode(d.message, encoding_));
      },
      [&](const client::Close& d) { close(d); },
      [&](const client::Resolved& d) { resolved(d); },
      [&](const client::Delivered& d) { delivered(d); },
      [&](const client::Advanced& d) { advanced(d); },
      [&](const client::ObserveEnded& d) { observe_ended(d); },
      [&](const client::NeedSession&) {
        when_awake(scene_.now(), [this] {
          const std::uint64_t high = rng_.next();
          step(client::FreshSession{SessionId(high, rng_.next())});
        });
      },
      [&](const client::Event& d) { told(d); },
  };
  std::visit(on_duty, duty);
}

void Client::dial(const client::Dial& dial) {
  for (ServerNumber server = 0; server < servers_.size(); ++server) {
    if (endpoint_of_server(server) != dial.endpoint) continue;
    const LinkNumber link = scene_.links.dial(*this, *servers_.at(server), encoding_);
    links_[dial.dial] = link;
    dials_[link] = dial.dial;
    return;
  }
  scene_.invariants.complain("clients dial servers, but one dials " + dial.endpoint);
}

void Client::close(const client::Close& close) {
  const auto link = links_.find(close.dial);
  if (link == links_.end()) return;
  scene_.links.close(link->second, Side::client);
  dials_.erase(link->second);
  links_.erase(link);
}

void Client::link_opened(LinkNumber link, wire::Encoding /*encoding*/) {
  when_awake(scene_.now(), [this, link] {
    if (const auto dial = dials_.find(link); dial != dials_.end()) {
      step(client::Dialed{dial->second});
    }
  });
}

void Client::link_frame(LinkNumber link, Bytes frame) {
  when_awake(scene_.now(), [this, link, frame] {
    const auto dial = dials_.find(link);
    if (dial == dials_.end()) return;
    Result<wire::ServerMessage> message = wire::decode_server(frame, encoding_);
    if (!message) {
      return scene_.invariants.complain("a server's frame is readable: " +
                                        message.error().message());
    }
    step(client::Arrived{dial->second, *std::move(message)});
  });
}

void Client::link_broken(LinkNumber link) {
  when_awake(scene_.now(), [this, link] {
    const auto dial = dials_.find(link);
    if (dial == dials_.end()) return;
    const client::DialId number = dial->second;
    links_.erase(number);
    dials_.erase(dial);
    step(client::Broken{number, "torn"});
  });
}

void Client::link_drained(LinkNumber /*link*/) {}

// What it proposes.

void Client::propose_on() {
  when_awake(scene_.now() + up_to(rng_, scene_.plan.habits.propose_interval_max), [this] {
    propose();
    propose_on();
  });
}

Duration Client::patience() {
  return milliseconds(50) + up_to(rng_, scene_.plan.habits.deadline_max);
}

void Client::propose() {
  for (auto& [id, unfinished] : durable_.unfinished) {
    if (!unfinished.under_way) return submit_durable(id);
  }
  if (calm_) return;
  const RoomName room = rng_.chance(side_room_percent) ? "side" : "";
  const std::size_t bytes = 1 + rng_.below(scene_.plan.habits.command_bytes_max);
  if (rng_.chance(scene_.plan.habits.durable_percent)) {
    propose_durable(room, bytes);
  } else {
    propose_own(room, bytes, patience(), false);
  }
}

void Client::propose_last() {
  last_wanted_ = true;
  if (core_) propose_own("", 1, last_patience, true);
}

void Client::propose_own(RoomName room, std::size_t bytes, Duration patience, bool is_last) {
  const ProposalNumber number = scene_.oracle.propose(room);
  const client::CallId call(++last_call_);
  calls_[call] = {number, std::nullopt, {}, is_last};
  step(client::ProposeCall{.call = call,
                           .room = std::move(room),
                           .command = Bytes(Oracle::command_of(number, bytes)),
                           .deadline = local_now() + patience,
                           .session = std::nullopt,
                           .request_id = {},
                           .floor = {}});
}

void Client::propose_durable(RoomName room, std::size_t bytes) {
  if (!durable_.key) {
    const auto welcome = core_->welcome();
    if (!welcome) return;
    durable_ = {
        client::SessionKey{SessionId(rng_.next(), rng_.next()), welcome->commit.index}, {}, {}};
  }
  durable_.last = durable_.last.next();
  const ProposalNumber number = scene_.oracle.propose(room);
  durable_.unfinished[durable_.last] = {
      .proposal = number, .room = std::move(room), .bytes = bytes};
  submit_durable(durable_.last);
}

RequestId Client::floor() const {
  if (durable_.unfinished.empty()) return durable_.last;
  return RequestId(durable_.unfinished.begin()->first.value() - 1);
}

void Client::submit_durable(RequestId id) {
  Unfinished& unfinished = durable_.unfinished.at(id);
  unfinished.under_way = true;
  const client::CallId call(++last_call_);
  calls_[call] = {unfinished.proposal, id, durable_.key->session, false};
  const RequestId below(std::min(floor().value(), id.value() - 1));
  step(client::ProposeCall{
      .call = call,
      .room = unfinished.room,
      .command = Bytes(Oracle::command_of(unfinished.proposal, unfinished.bytes)),
      .deadline = local_now() + patience(),
      .session = durable_.key,
      .request_id = id,
      .floor = below,
      .history = {},
      .sent_before = std::exchange(unfinished.sent, true)});
}

void Client::resolved(const client::Resolved& resolved) {
  const auto found = calls_.find(resolved.call);
  if (found == calls_.end()) return scene_.invariants.complain("a call ends once");
  const Call call = found->second;
  calls_.erase(found);
  scene_.note("c{} hears of proposal {}: {}",
              {number_, call.proposal, resolved.result ? resolved.result->at.index.value() : 0});
  if (resolved.result && scene_.plan.machine.applies) {
    scene_.coverage.count(resolved.result->result ? "results" : "results no longer kept");
  }
  if (call.durable) return resolved_durable(call, resolved.result);
  scene_.invariants.complain(scene_.oracle.resolved(call.proposal, resolved.result));
  if (resolved.result) hold_receipt(call.proposal);
  if (!call.is_last) return;
  // Where sessions are too few for all, some clients can't be served at all.
  last_done_ = resolved.result || scene_.plan.few_sessions;
  if (!resolved.result) last_refusal_ = resolved.result.error().message();
  // Refused, or expired while it was under way: once more.
  if (!last_done_) when_awake(scene_.now() + rest_max, [this] { propose_last(); });
}

void Client::hold_receipt(ProposalNumber proposal) {
  for (const auto& [room, observed] : observed_) {
    if (!observed.in_this_life) continue;
    scene_.invariants.complain(scene_.oracle.owes(observed.observer, proposal));
  }
}

// An outcome that is certain is written down. Otherwise the same id is tried again, later: but not
// for ever, as one that is refused for good may have been taken before (rule 14).
void Client::resolved_durable(const Call& call, const Result<wire::CommittedOutcome>& result) {
  if (!durable_.key || durable_.key->session != call.session) return;  // It was given up.
  const auto found = durable_.unfinished.find(*call.durable);
  if (found == durable_.unfinished.end()) return scene_.invariants.complain("a call ends once");
  if (result || result.error().effect() == Effect::none) {
    scene_.invariants.complain(scene_.oracle.resolved(call.proposal, result));
    durable_.unfinished.erase(found);
  } else if (++found->second.unknown_ends == unknown_ends_max) {
    scene_.oracle.orphaned(call.proposal);
    durable_.unfinished.erase(found);
  }
  if (!result && result.error().code() == ErrorCode::session_expired) {
    for (const auto& [id, left] : durable_.unfinished) scene_.oracle.orphaned(left.proposal);
    durable_ = {};
  }
  if (!durable_.unfinished.contains(*call.durable)) return;
  when_awake(scene_.now() + up_to(rng_, retry_delay_max),
             [this, session = call.session, id = *call.durable] {
               if (!durable_.key || durable_.key->session != session) return;
               const auto left = durable_.unfinished.find(id);
               if (left != durable_.unfinished.end()) left->second.under_way = false;
             });
}

// What it observes.

void Client::observe(const RoomName& room) {
  Observed& observed = observed_[room];
  wire::ObserveFrom from = wire::FromStart{};
  std::optional<Position> after = scene_.plan.base;
  const std::uint64_t mood = rng_.below(10);
  if (observed.point && mood < 8) {
    from = *observed.point;
    after = observed.point->at;
  } else if (mood == 8) {
    from = wire::FromNow{};
    after.reset();
  } else if (mood == 9 && scene_.oracle.last().index > scene_.plan.base.index) {
    const Index first(
        scene_.plan.base.index.value() + 1 +
        rng_.below(scene_.oracle.last().index.value() - scene_.plan.base.index.value()));
    from = wire::FromIndex{first};
    const Index before(first.value() - 1);
    if (before > scene_.plan.base.index) after = scene_.oracle.position_at(before);
  }
  observed.observer = scene_.oracle.observe(room, after);
  observed.in_this_life = true;
  step(client::ObserveCall{room, from});
}

void Client::delivered(const client::Delivered& delivered) {
  const auto observed = observed_.find(delivered.room);
  if (observed == observed_.end()) return;
  scene_.invariants.complain(scene_.oracle.delivered(observed->second.observer, delivered.entry));
  when_awake(
      scene_.now() + up_to(rng_, taking_delay_max),
      [this, room = delivered.room, bytes = delivered.bytes] { step(client::Taken{room, bytes}); });
}

void Client::advanced(const client::Advanced& advanced) {
  Observed& observed = observed_[advanced.room];
  scene_.invariants.complain(
      scene_.oracle.advanced(observed.observer, advanced.through, advanced.digest));
  const auto welcome = core_->welcome();
  if (!welcome) return;
  observed.point =
      wire::ResumePoint{welcome->cluster, welcome->history, advanced.through, advanced.digest};
}

void Client::observe_ended(const client::ObserveEnded& ended) {
  scene_.invariants.complain("an observer's feed never ends, but: " + ended.error.message());
}

void Client::told(const client::Event& event) {
  last_event_ = event.text;
  scene_.note("c{} link event {} at {}",
              {number_, static_cast<std::uint64_t>(event.kind), event.at.index.value()});
}

bool Client::observes_the_end() const {
  return std::ranges::all_of(observed_, [&](const auto& observed) {
    return !observed.second.in_this_life || scene_.oracle.at_the_end(observed.second.observer);
  });
}

std::string Client::state() const {
  std::string text = "client " + std::to_string(number_) + ": " + std::to_string(calls_.size()) +
                     " calls, " + std::to_string(durable_.unfinished.size()) + " durable, " +
                     std::to_string(links_.size()) + " links, last " +
                     (last_done_ ? "done" : "not done " + last_refusal_);
  for (const auto& [room, observed] : observed_) {
    text += ", room '" + room + "' through " +
            std::to_string(scene_.oracle.through(observed.observer).index.value());
  }
  return text;
}

void Client::settle_counters() {
  if (!core_) return;
  count(scene_.coverage, core_->counters());
}

}  // namespace kuilt::sim
