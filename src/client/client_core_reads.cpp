#include "client/client_core_reads.hpp"

#include <algorithm>

#include "client/client_core_links.hpp"
#include "kuilt/detail/overloaded.hpp"

namespace kuilt::client {
namespace {

constexpr std::size_t calls_max = 65'536;
/// Unanswered on one link; what is called meanwhile stands behind the next.
constexpr std::size_t questions_max = 64;

}  // namespace

void Reads::call(Instant now, const BarrierCall& call, std::vector<Duty>& duties) {
  KUILT_CHECK(!calls_.contains(call.call));
  const auto refuse = [&](ErrorCode code, std::string why) {
    duties.push_back(BarrierResolved{call.call, Error(code, Effect::none, std::move(why))});
  };
  if (call.deadline <= now) {
    return refuse(ErrorCode::timed_out, "the deadline had passed already");
  }
  if (calls_.size() >= calls_max) {
    return refuse(ErrorCode::busy, std::to_string(calls_max) + " read barriers are pending");
  }
  calls_.emplace(call.call, Call{call.deadline, std::nullopt});
  deadlines_.emplace(call.deadline, call.call);
  waiting_.insert(call.call);
}

void Reads::cancel(CallId id, std::vector<Duty>& duties) {
  if (!calls_.contains(id)) return;
  resolve(id, Error(ErrorCode::cancelled, Effect::none, "cancelled"), duties);
}

void Reads::stop(std::vector<Duty>& duties) {
  while (!calls_.empty()) {
    resolve(calls_.begin()->first,
            Error(ErrorCode::stopped, Effect::none, "the client was stopped"), duties);
  }
}

void Reads::answer(Instant now, const wire::BarrierAnswer& answer, std::vector<Duty>& duties) {
  const auto question = questions_.extract(answer.number);
  if (question.empty()) return;  // Asked again since, or given up.
  const auto on_outcome = Overloaded{
      [&](const wire::Reached& reached) {
        refusals_ = 0;
        for (const CallId id : question.mapped().calls) resolve(id, reached.index, duties);
      },
      [&](const wire::RefusedOutcome& outcome) {
        ++refusals_;
        for (const CallId id : question.mapped().calls) refused(now, id, outcome, duties);
      },
  };
  std::visit(on_outcome, answer.outcome);
}

void Reads::refused(Instant now, CallId id, const wire::RefusedOutcome& refused,
                    std::vector<Duty>& duties) {
  const auto call = calls_.find(id);
  if (call == calls_.end()) return;
  Error error(refused.code, Effect::none, refused.message);
  if (refused.retry_after == Duration::zero()) return resolve(id, std::move(error), duties);
  call->second.refusal = std::move(error);
  waiting_.insert(id);
  const Duration asked = doubled(std::min(refused.retry_after, patience_max), refusals_ - 1,
                                 std::max(options_.backoff_max, refused.retry_after));
  if (!again_at_) again_at_ = now + asked + full_jitter(rng_, asked);
}

void Reads::link_down() {
  for (const auto& [number, question] : questions_) {
    for (const CallId id : question.calls) {
      if (calls_.contains(id)) waiting_.insert(id);
    }
  }
  questions_.clear();
  again_at_.reset();  // The next link need not wait for what the last one asked.
}

void Reads::tick(Instant now, const Situation& situation, std::vector<Duty>& duties) {
  if (again_at_ && now >= *again_at_) again_at_.reset();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const CallId id = deadlines_.begin()->second;
    resolve(id, expired(calls_.at(id), situation), duties);
  }
  std::erase_if(questions_, [&](const auto& one) {
    if (now < one.second.due) return false;
    for (const CallId id : one.second.calls) {
      if (calls_.contains(id)) waiting_.insert(id);
    }
    return true;
  });
}

Error Reads::expired(const Call& call, const Situation& situation) {
  if (call.refusal) {
    return Error(*call.refusal).within("every attempt was refused until the deadline");
  }
  const auto error = [&](ErrorCode code, std::string text) {
    if (!situation.trouble.empty()) text += "; last: " + situation.trouble;
    return Error(code, Effect::none, std::move(text));
  };
  if (!situation.linked) return error(ErrorCode::no_server, "no endpoint accepted a link in time");
  if (!situation.leader_known) return error(ErrorCode::no_leader, "no leader was known in time");
  return error(ErrorCode::timed_out, "the server did not answer the read barrier in time");
}

std::optional<wire::ReadBarrier> Reads::send(Instant now, const wire::Welcome& server,
                                             std::vector<Duty>& duties) {
  if (waiting_.empty() || again_at_ || questions_.size() >= questions_max) return std::nullopt;
  if ((server.features & wire::feature_reads) == 0) {
    while (!waiting_.empty()) {
      resolve(*waiting_.begin(),
              Error(ErrorCode::version_unsupported, Effect::none,
                    "server " + server.server_name + " takes no read barriers"),
              duties);
    }
    return std::nullopt;
  }
  const std::uint64_t number = ++last_number_;
  questions_.emplace(number, Question{std::exchange(waiting_, {}), now + options_.attempt_timeout});
  return wire::ReadBarrier{number};
}

std::optional<Instant> Reads::wake_at() const {
  if (calls_.empty()) return std::nullopt;
  Instant at = deadlines_.begin()->first;
  for (const auto& [number, question] : questions_) at = std::min(at, question.due);
  if (again_at_) at = std::min(at, *again_at_);
  return at;
}

void Reads::resolve(CallId id, Result<Index> result, std::vector<Duty>& duties) {
  const auto call = calls_.find(id);
  if (call == calls_.end()) return;
  deadlines_.erase({call->second.deadline, id});
  waiting_.erase(id);
  calls_.erase(call);
  duties.push_back(BarrierResolved{id, std::move(result)});
}

}  // namespace kuilt::client
