#include "sim/drawn_program.hpp"

#include <algorithm>
#include <utility>

namespace kuilt::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration rest_max = milliseconds(500);  // Before the last proposal is made again.
constexpr Duration retry_delay_max = milliseconds(400);
constexpr int unknown_ends_max = 3;
constexpr Duration taking_delay_max = milliseconds(20);
constexpr Duration last_patience = seconds(30);
constexpr std::uint64_t side_room_percent = 25;
// Letters drawn for each command: enough for no two to be alike.
constexpr std::size_t letters = 12;

}  // namespace

void DrawnProgram::started() {
  observe("");
  if (rng_.chance(side_room_percent)) observe("side");
  for (auto& [id, unfinished] : durable_.unfinished) unfinished.under_way = false;
  if (last_wanted_ && !last_done_) propose_own("", last_patience, true);
  if (last_wanted_) read_last();
  propose_on();
  read_on();
}

// What it reads: at times several barriers at once.

void DrawnProgram::read_on() {
  client_.after(up_to(reads_rng_, scene_.plan.habits.propose_interval_max * 2), [this] {
    const std::uint64_t reads = calm_ ? 0 : 1 + reads_rng_.below(3);
    for (std::uint64_t i = 0; i < reads; ++i) {
      const Duration patience =
          milliseconds(50) + up_to(reads_rng_, scene_.plan.habits.deadline_max);
      client_.read(client_.next_call(), patience);
    }
    read_on();
  });
}

void DrawnProgram::read_last() {
  if (last_read_ || last_read_done_) return;
  last_read_ = client_.next_call();
  client_.read(*last_read_, last_patience);
}

void DrawnProgram::read_resolved(const client::BarrierResolved& resolved) {
  if (resolved.call != last_read_) return;
  last_read_.reset();
  last_read_done_ = resolved.result.has_value();
  if (last_read_done_) return;
  last_refusal_ = resolved.result.error().message();
  client_.after(rest_max, [this] { read_last(); });
}

// What it proposes.

void DrawnProgram::propose_on() {
  client_.after(up_to(rng_, scene_.plan.habits.propose_interval_max), [this] {
    propose();
    propose_on();
  });
}

Duration DrawnProgram::patience() {
  return milliseconds(50) + up_to(rng_, scene_.plan.habits.deadline_max);
}

std::string DrawnProgram::draw_command() {
  std::string command;
  while (command.size() < letters) command += static_cast<char>('a' + rng_.below(26));
  command.resize(letters + rng_.below(scene_.plan.habits.command_bytes_max), '.');
  return command;
}

void DrawnProgram::propose() {
  for (auto& [id, unfinished] : durable_.unfinished) {
    if (!unfinished.under_way) return submit_durable(id);
  }
  if (calm_) return;
  const RoomName room = rng_.chance(side_room_percent) ? "side" : "";
  if (rng_.chance(scene_.plan.habits.durable_percent)) {
    propose_durable(room);
  } else {
    propose_own(room, patience(), false);
  }
}

void DrawnProgram::finish() {
  last_wanted_ = true;
  if (!client_.runs()) return;
  propose_own("", last_patience, true);
  read_last();
}

void DrawnProgram::propose_own(RoomName room, Duration patience, bool is_last) {
  const ProposalNumber proposal = scene_.oracle.propose(std::move(room), draw_command());
  client::ProposeCall asked;
  asked.call = client_.next_call();
  if (is_last) calls_[asked.call] = {.proposal = proposal};
  client_.propose(proposal, patience, std::move(asked));
}

void DrawnProgram::propose_durable(RoomName room) {
  if (!durable_.key) {
    const auto welcome = client_.welcome();
    if (!welcome) return;
    durable_ = {
        client::SessionKey{SessionId(rng_.next(), rng_.next()), welcome->commit.index}, {}, {}};
  }
  durable_.last = durable_.last.next();
  durable_.unfinished[durable_.last] = {.proposal =
                                            scene_.oracle.propose(std::move(room), draw_command())};
  submit_durable(durable_.last);
}

RequestId DrawnProgram::floor() const {
  if (durable_.unfinished.empty()) return durable_.last;
  return RequestId(durable_.unfinished.begin()->first.value() - 1);
}

void DrawnProgram::submit_durable(RequestId id) {
  Unfinished& unfinished = durable_.unfinished.at(id);
  unfinished.under_way = true;
  client::ProposeCall asked;
  asked.session = durable_.key;
  asked.request_id = id;
  asked.floor = RequestId(std::min(floor().value(), id.value() - 1));
  asked.sent_before = std::exchange(unfinished.sent, true);
  asked.call = client_.next_call();
  calls_[asked.call] = {unfinished.proposal, id, durable_.key->session};
  client_.propose(unfinished.proposal, patience(), std::move(asked));
}

void DrawnProgram::resolved(const client::Resolved& resolved) {
  const auto found = calls_.find(resolved.call);
  if (found == calls_.end()) return;
  const Call call = found->second;
  calls_.erase(found);
  if (call.durable) return resolved_durable(call, resolved.result);
  resolved_last(resolved.result);
}

void DrawnProgram::resolved_last(const Result<wire::CommittedOutcome>& result) {
  // Where sessions are too few for all, some clients can't be served at all.
  last_done_ = result || scene_.plan.few_sessions;
  if (!result) last_refusal_ = result.error().message();
  // Refused, or expired while it was under way: once more.
  if (!last_done_) {
    client_.after(rest_max, [this] { propose_own("", last_patience, true); });
  }
}

// An outcome that is certain is written down. Otherwise the same id is tried again, later: but not
// for ever, as one that is refused for good may have been taken before (rule 14).
void DrawnProgram::resolved_durable(const Call& call,
                                    const Result<wire::CommittedOutcome>& result) {
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
  client_.after(up_to(rng_, retry_delay_max), [this, session = call.session, id = *call.durable] {
    if (!durable_.key || durable_.key->session != session) return;
    const auto left = durable_.unfinished.find(id);
    if (left != durable_.unfinished.end()) left->second.under_way = false;
  });
}

// What it observes.

void DrawnProgram::observe(const RoomName& room) {
  const auto point = points_.find(room);
  const Position base = scene_.plan.base;
  const Position last = scene_.oracle.last();
  const std::uint64_t mood = rng_.below(10);
  if (point != points_.end() && mood < 8) {
    return client_.observe(room, point->second, point->second.at);
  }
  if (mood == 8) return client_.observe(room, wire::FromNow{}, std::nullopt);
  if (mood == 9 && last.index > base.index) {
    const Index first(base.index.value() + 1 + rng_.below(last.index.value() - base.index.value()));
    const Index before(first.value() - 1);
    const bool is_in_the_log = before > base.index;
    return client_.observe(room, wire::FromIndex{first},
                           is_in_the_log ? scene_.oracle.position_at(before) : base);
  }
  client_.observe(room, wire::FromStart{}, base);
}

void DrawnProgram::delivered(const client::Delivered& delivered) {
  client_.after(
      up_to(rng_, taking_delay_max),
      [this, room = delivered.room, bytes = delivered.bytes] { client_.taken(room, bytes); });
}

void DrawnProgram::advanced(const client::Advanced& advanced) {
  points_[advanced.room] = {advanced.cluster, advanced.history, advanced.through, advanced.digest};
}

void DrawnProgram::observe_ended(const client::ObserveEnded& ended) {
  scene_.invariants.complain("an observer's feed never ends, but: " + ended.error.message());
}

std::string DrawnProgram::state() const {
  return std::to_string(durable_.unfinished.size()) + " durable, last " +
         (is_finished() ? "done" : "not done " + last_refusal_);
}

}  // namespace kuilt::sim
