#include "client/client_core_calls.hpp"

#include <algorithm>

#include "client/client_core_links.hpp"
#include "kuilt/detail/overloaded.hpp"

namespace kuilt::client {
namespace {

/// What a proposal adds to its command in a frame and in memory, rounded up.
constexpr std::size_t proposal_overhead = 256;
/// Of one frame, so that a burst neither delays a heartbeat nor meets the server's frame limit.
constexpr std::size_t batch_bytes_max = std::size_t{64} << 10;

/// Refusals that time alone can heal. What a server says about patience counts as well.
bool can_heal(const wire::RefusedOutcome& refused) {
  const ErrorCode code = refused.code;
  return refused.retry_after > Duration::zero() || code == ErrorCode::busy ||
         code == ErrorCode::no_leader || code == ErrorCode::not_leader ||
         code == ErrorCode::window_full || code == ErrorCode::draining;
}

Error too_large(std::size_t bytes, std::uint64_t limit) {
  return Error(ErrorCode::command_too_large, Effect::none,
               "command of " + std::to_string(bytes) + " bytes; the cluster's limit is " +
                   std::to_string(limit));
}

bool over_limit(std::size_t bytes, const wire::Limits& limits) {
  return limits.command_bytes_max != 0 && bytes > limits.command_bytes_max;
}

}  // namespace

Error in_doubt(const Error& refusal) {
  const ErrorCode code = refusal.code();
  const bool names_the_loss = code == ErrorCode::session_expired ||
                              code == ErrorCode::below_floor || code == ErrorCode::history_differs;
  return Error(names_the_loss ? code : ErrorCode::unknown_outcome, Effect::unknown,
               "an attempt may be in the log; the last answer was " + std::string(name_of(code)) +
                   ": " + refusal.message());
}

Error without_attempt(const ProposeCall& asked, Error refusal) {
  if (asked.sent_before) return in_doubt(refusal);
  return refusal;
}

void OwnSession::finish(RequestId id) {
  done.insert(id);
  while (done.contains(floor.next())) {
    floor = floor.next();
    done.erase(floor);
  }
}

Calls::Calls(const ClientOptions& options, std::uint64_t seed, SessionId session)
    : options_(options), rng_(seed) {
  session_.key.session = session;
}

std::size_t Calls::cost(const Call& call) const {
  return call.asked.command.size() + call.asked.room.size() + proposal_overhead;
}

void Calls::propose(Instant now, ProposeCall asked, std::vector<Duty>& duties) {
  const CallId id = asked.call;
  KUILT_CHECK(!calls_.contains(id));
  Call call;
  const auto refuse = [&](Error error) {
    duties.push_back(Resolved{id, without_attempt(call.asked, std::move(error))});
  };
  call.own = !asked.session;
  if (asked.session) {
    call.key = *asked.session;
    call.id = asked.request_id;
    call.floor = asked.floor;
  }
  call.asked = std::move(asked);
  if (over_limit(call.asked.command.size(), limits_)) {
    return refuse(too_large(call.asked.command.size(), limits_.command_bytes_max));
  }
  if (call.asked.deadline <= now) {
    return refuse(Error(ErrorCode::timed_out, Effect::none, "the deadline had passed already"));
  }
  if (pending_bytes_ + cost(call) > options_.pending_bytes_max) {
    return refuse(Error(ErrorCode::busy, Effect::none,
                        std::to_string(pending_bytes_) + " bytes of proposals are pending; the " +
                            "limit is " + std::to_string(options_.pending_bytes_max)));
  }
  pending_bytes_ += cost(call);
  const auto entry = calls_.emplace(id, std::move(call)).first;
  set_alarm(id, entry->second);
  queue(id, entry->second);
}

void Calls::cancel(CallId id, std::vector<Duty>& duties) {
  const auto entry = calls_.find(id);
  if (entry == calls_.end()) return;
  if (entry->second.surely_absent()) {
    return resolve(entry, Error(ErrorCode::cancelled, Effect::none, "cancelled"), duties);
  }
  resolve(entry, Error(ErrorCode::unknown_outcome, Effect::unknown, "cancelled after it was sent"),
          duties);
}

void Calls::stop(std::vector<Duty>& duties) {
  while (!calls_.empty()) {
    const auto entry = calls_.begin();
    if (entry->second.surely_absent()) {
      resolve(entry, Error(ErrorCode::cancelled, Effect::none, "the client was stopped"), duties);
    } else {
      resolve(entry,
              Error(ErrorCode::stopped, Effect::unknown, "the client was stopped after sending it"),
              duties);
    }
  }
}

void Calls::answer(Instant now, const wire::Answer& answer, std::vector<Duty>& duties) {
  const auto number = numbers_.find(answer.number);
  if (number == numbers_.end()) return;  // Of an earlier link, or a call that has ended.
  const auto entry = calls_.find(number->second);
  numbers_.erase(number);
  if (entry == calls_.end()) return;
  Call& call = entry->second;
  --call.open;
  const auto on_outcome = Overloaded{
      [&](const wire::CommittedOutcome& committed) { on_committed(entry, committed, duties); },
      [&](const wire::RefusedOutcome& refused) { on_refused(now, entry, refused, duties); },
  };
  std::visit(on_outcome, answer.outcome);
}

// What was in the log before a call's first attempt left is not of this call: its owner has given
// the id out before, and does not know it any more (docs/session-format.md, "an older copy").
void Calls::on_committed(Entry entry, const wire::CommittedOutcome& committed,
                         std::vector<Duty>& duties) {
  const Call& call = entry->second;
  const bool is_of_another =
      !call.own && !call.asked.sent_before && committed.at.index <= call.sent_after;
  if (!is_of_another) return resolve(entry, committed, duties);
  resolve(entry,
          Error(ErrorCode::request_id_reused, Effect::none,
                "entry " + std::to_string(committed.at.index.value()) + " has request id " +
                    std::to_string(call.id.value()) +
                    " of this session, and was committed before this command was first sent: " +
                    "the session is an older copy, or used twice; renew it"),
          duties);
}

void Calls::on_refused(Instant now, Entry entry, const wire::RefusedOutcome& refused,
                       std::vector<Duty>& duties) {
  Call& call = entry->second;
  // Below the floor nothing is known any more, whatever the server says of this attempt.
  if (refused.certain && refused.code != ErrorCode::below_floor) ++call.certain;
  ++call.refusals;
  if (!call.no_more) call.refusal.emplace(refused.code, Effect::none, refused.message);
  settle(call);
  if (refused.code == ErrorCode::session_expired) return on_expired(now, entry, duties);
  if (!can_heal(refused)) {
    call.no_more = true;
    call.again_at = Instant::max();
    again_.erase(entry->first);
    set_alarm(entry->first, call);
  }
  if (call.no_more) return give_up(entry, duties);
  again_.erase(entry->first);
  wait_and_repeat(now, entry->first, call, refused.retry_after);
}

// Design, rule 14: certain on the first attempts of a call, and then a fresh session takes it.
// Otherwise an attempt may be in the log, and the table that knew of it is gone.
void Calls::on_expired(Instant now, Entry entry, std::vector<Duty>& duties) {
  Call& call = entry->second;
  if (call.own && call.session_number == session_.number) reopen_session(duties);
  if (call.own && call.surely_absent()) {
    again_.erase(entry->first);
    call.session_number = 0;
    call.attempts = 0;
    call.certain = 0;
    call.no_more = false;
    return wait_and_repeat(now, entry->first, call, Duration::zero());
  }
  // Born on a server that lagged behind, perhaps. A birth that this one has not come to yet may be
  // of a log that is no more: its owner must hear of that.
  if (call.asked.renews && call.surely_absent() && call.key.birth <= commit_) {
    again_.erase(entry->first);
    call.attempts = 0;
    call.certain = 0;
    call.expired = true;
    return wait_and_repeat(now, entry->first, call, Duration::zero());
  }
  call.no_more = true;
  call.again_at = Instant::max();
  again_.erase(entry->first);
  set_alarm(entry->first, call);
  give_up(entry, duties);
}

// Ends a call that is not to be sent again, once none of its attempts can still be answered.
void Calls::give_up(Entry entry, std::vector<Duty>& duties) {
  const Call& call = entry->second;
  if (call.open > 0) return;
  const Error& refusal = *call.refusal;
  resolve(entry, call.surely_absent() ? refusal : in_doubt(refusal), duties);
}

void Calls::reopen_session(std::vector<Duty>& duties) {
  const std::uint64_t number = session_.number + 1;
  session_ = OwnSession{};
  session_.number = number;
  ++sessions_reopened_;
  duties.push_back(NeedSession{});
}

void Calls::use(SessionId fresh) {
  if (session_.key.session.is_none()) session_.key.session = fresh;
}

void Calls::use(Instant now, const FreshKey& fresh, std::vector<Duty>& duties) {
  const auto entry = calls_.find(fresh.call);
  if (entry == calls_.end() || !entry->second.awaits_key) return;
  Call& call = entry->second;
  call.awaits_key = false;
  if (!fresh.key) return resolve(entry, Error(*call.refusal), duties);
  if (fresh.key->session == call.key.session) {
    call.expired = true;
    return wait_and_repeat(now, entry->first, call, Duration::zero());
  }
  call.key = *fresh.key;
  call.next_birth = Index();
  queue(entry->first, call);
}

// Once it has asked, nothing is sent with the key that it has: its owner counts on that.
void Calls::ask_for_key(CallId id, Call& call, std::vector<Duty>& duties) {
  again_.erase(id);
  call.expired = false;
  call.awaits_key = true;
  call.again_at = Instant::max();
  set_alarm(id, call);
  duties.push_back(NeedKey{id, call.next_birth});
}

void Calls::wait_and_repeat(Instant now, CallId id, Call& call, Duration asked) {
  const Duration base = asked > Duration::zero()
                            ? std::min(asked, patience_max)
                            : doubled(options_.backoff_min, call.refusals, options_.backoff_max);
  call.again_at = now + base + full_jitter(rng_, base);
  set_alarm(id, call);
}

void Calls::link_up(const wire::Limits& limits, HistoryId history) {
  limits_ = limits;
  history_ = history;
}

void Calls::link_down(std::vector<Duty>& duties) {
  numbers_.clear();
  std::vector<Entry> over;
  for (auto entry = calls_.begin(); entry != calls_.end(); ++entry) {
    Call& call = entry->second;
    call.open = 0;
    settle(call);
    if (call.no_more) {
      over.push_back(entry);
      continue;
    }
    call.again_at = Instant::max();  // The next link need not wait for what the last one asked.
    set_alarm(entry->first, call);
    queue(entry->first, call);
  }
  for (const Entry entry : over) give_up(entry, duties);
}

void Calls::tick(Instant now, const Situation& situation, std::vector<Duty>& duties) {
  while (!alarms_.empty() && alarms_.begin()->first <= now) {
    const auto entry = calls_.find(alarms_.begin()->second);
    KUILT_CHECK(entry != calls_.end());
    if (entry->second.asked.deadline <= now) {
      expire(entry, situation, duties);
      continue;
    }
    entry->second.again_at = Instant::max();
    set_alarm(entry->first, entry->second);
    queue(entry->first, entry->second);
  }
}

void Calls::expire(Entry entry, const Situation& situation, std::vector<Duty>& duties) {
  const Call& call = entry->second;
  if (!call.surely_absent()) {
    std::string text = "the deadline passed after " + std::to_string(call.attempts) +
                       " attempts without an outcome";
    if (call.refusal) text += "; the last answer was " + call.refusal->message();
    return resolve(entry, Error(ErrorCode::unknown_outcome, Effect::unknown, std::move(text)),
                   duties);
  }
  if (call.refusal) {
    Error last(call.refusal->code(), Effect::none, call.refusal->message());
    return resolve(entry, std::move(last).within("every attempt was refused until the deadline"),
                   duties);
  }
  const auto refuse = [&](ErrorCode code, std::string text) {
    if (!situation.trouble.empty()) text += "; last: " + situation.trouble;
    resolve(entry, Error(code, Effect::none, std::move(text)), duties);
  };
  if (!situation.linked) return refuse(ErrorCode::no_server, "no endpoint accepted a link in time");
  if (!situation.leader_known) return refuse(ErrorCode::no_leader, "no leader was known in time");
  refuse(ErrorCode::timed_out, "the request window was full until the deadline");
}

std::optional<Instant> Calls::wake_at() const {
  if (alarms_.empty()) return std::nullopt;
  return alarms_.begin()->first;
}

void Calls::queue(CallId id, const Call& call) {
  if (call.awaits_key) return;  // With the key that it has it might be let in after all.
  if (call.own && call.session_number == 0) {
    fresh_.insert(id);
  } else {
    again_.insert(id);
  }
}

void Calls::set_alarm(CallId id, Call& call) {
  alarms_.erase({call.alarm, id});
  call.alarm = std::min(call.asked.deadline, call.again_at);
  alarms_.insert({call.alarm, id});
}

// Takes a call out of the window when nothing of it is on its way.
void Calls::settle(Call& call) {
  if (!call.charged || call.open > 0) return;
  call.charged = false;
  window_bytes_ -= cost(call);
}

void Calls::resolve(Entry entry, Result<wire::CommittedOutcome> result, std::vector<Duty>& duties) {
  Call& call = entry->second;
  call.open = 0;
  settle(call);
  pending_bytes_ -= cost(call);
  alarms_.erase({call.alarm, entry->first});
  again_.erase(entry->first);
  fresh_.erase(entry->first);
  if (call.own && call.session_number == session_.number) session_.finish(call.id);
  duties.push_back(Resolved{entry->first, std::move(result)});
  calls_.erase(entry);
}

std::vector<wire::Propose> Calls::send(Instant now, Index commit, std::vector<Duty>& duties) {
  std::vector<wire::Propose> frames;
  commit_ = commit;
  const std::size_t frame_max =
      limits_.frame_bytes_max == 0
          ? batch_bytes_max
          : std::min<std::size_t>(batch_bytes_max, limits_.frame_bytes_max / 8);
  std::size_t frame_bytes = frame_max;
  while (const auto id = next_to_send()) {
    const auto entry = calls_.find(*id);
    Call& call = entry->second;
    if (auto error = unfit(call)) {
      resolve(entry, *std::move(error), duties);
      continue;
    }
    if (call.expired && call.key.birth < std::max(commit, call.next_birth)) {
      call.next_birth = std::max(commit, call.next_birth);
      ask_for_key(*id, call, duties);
      continue;
    }
    if (call.own && call.session_number == 0) enter_session(call, commit);
    if (frame_bytes + cost(call) > frame_max) {
      frames.emplace_back();
      frame_bytes = 0;
    }
    frame_bytes += cost(call);
    frames.back().proposals.push_back(attempt(now, *id, call, commit));
  }
  return frames;
}

// Why a call is not sent on the link in use, and need not wait for another.
std::optional<Error> Calls::unfit(const Call& call) const {
  if (call.attempts == 0 && over_limit(call.asked.command.size(), limits_)) {
    return without_attempt(call.asked,
                           too_large(call.asked.command.size(), limits_.command_bytes_max));
  }
  // A table of another past might know the session, and not what was committed under it since.
  if (call.asked.history.is_none() || call.asked.history == history_) return std::nullopt;
  return Error(ErrorCode::history_differs, call.surely_absent() ? Effect::none : Effect::unknown,
               "the session belongs to history " + call.asked.history.text() +
                   ", and the cluster was restored to " + history_.text() + ": renew it");
}

// The first that both windows let through. A call that is on its way already pays nothing more.
std::optional<CallId> Calls::next_to_send() const {
  std::size_t window = options_.window_bytes_max;
  if (limits_.window_bytes_max != 0) {
    window = std::min<std::size_t>(window, limits_.window_bytes_max);
  }
  const auto fits = [&](CallId id) {
    const Call& call = calls_.at(id);
    return call.charged || window_bytes_ == 0 || window_bytes_ + cost(call) <= window;
  };
  if (!again_.empty()) {
    if (fits(*again_.begin())) return *again_.begin();
    return std::nullopt;
  }
  const bool ids_left = limits_.session_window == 0 ||
                        session_.next.value() <= session_.floor.value() + limits_.session_window;
  const bool has_session = !session_.key.session.is_none();
  if (!fresh_.empty() && has_session && ids_left && fits(*fresh_.begin())) return *fresh_.begin();
  return std::nullopt;
}

void Calls::enter_session(Call& call, Index commit) {
  if (!session_.opened) {
    session_.opened = true;
    session_.key.birth = commit;
  }
  call.session_number = session_.number;
  call.key = session_.key;
  call.id = session_.next;
  session_.next = session_.next.next();
}

wire::Proposal Calls::attempt(Instant now, CallId id, Call& call, Index commit) {
  again_.erase(id);
  fresh_.erase(id);
  if (!call.charged) {
    call.charged = true;
    window_bytes_ += cost(call);
  }
  if (call.attempts == 0) call.sent_after = commit;
  call.expired = false;
  ++call.attempts;
  ++call.open;
  ++attempts_;
  if (call.attempts > 1) ++retries_;
  numbers_.emplace(++last_number_, id);
  if (call.own && call.session_number == session_.number) call.floor = session_.floor;
  // What is repeated on a slow link stands behind the attempts before it: they get longer.
  call.again_at = now + doubled(options_.attempt_timeout, call.open - 1,
                                std::max(options_.attempt_timeout, patience_max));
  set_alarm(id, call);
  return wire::Proposal{.number = last_number_,
                        .session = call.key.session,
                        .birth = call.key.birth,
                        .request_id = call.id,
                        .floor = call.floor,
                        .room = call.asked.room,
                        .author = {},
                        .command = call.asked.command};
}

}  // namespace kuilt::client
