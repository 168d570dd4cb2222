// reading.cpp: read barriers: asked of the core, answered once this server has come as far.
#include <utility>

#include "cluster/machine.hpp"
#include "kuilt/detail/check.hpp"

namespace kuilt::cluster {

void Machine::on_barrier(Turn& turn, const BarrierCall& call) {
  ++counters_.barriers;
  const std::size_t gathered = turn.to_publish.size() + turn.to_apply.size();
  if (barriers_.size() + gathered >= options_.barriers_max) {
    return answer(turn, {call.link, call.number}, busy("too many read barriers wait here"));
  }
  auto& waiters = call.kind == BarrierKind::published ? turn.to_publish : turn.to_apply;
  waiters.push_back({call.link, call.number});
}

void Machine::ask_for_reads(Turn& turn) {
  const auto ask = [&](BarrierKind kind, std::vector<Barriers::Waiter>& waiters) {
    if (waiters.empty()) return;
    const raft::ReadId read = barriers_.add(kind, std::exchange(waiters, {}), turn.now);
    run(turn, raft::Read{read});
  };
  ask(BarrierKind::published, turn.to_publish);
  ask(BarrierKind::applied, turn.to_apply);
}

void Machine::on_finished_read(Turn& turn, const raft::FinishedRead& read) {
  if (read.index) {
    ++(leads() ? counters_.reads_led : counters_.reads_asked);
    return barriers_.found(read.id, *read.index);
  }
  ++(read.failure == raft::ReadFailure::leadership_lost ? counters_.reads_lost
                                                        : counters_.reads_failed);
  const wire::RefusedOutcome outcome = outcome_of(read.failure);
  for (const Barriers::Waiter& waiter : barriers_.take(read.id)) answer(turn, waiter, outcome);
}

// Nothing came of it: a read has no effect, so every refusal is certain, and may be repeated.
wire::RefusedOutcome Machine::outcome_of(raft::ReadFailure failure) {
  const auto refused = [this](ErrorCode code, std::string why) {
    return wire::RefusedOutcome{code, std::move(why), true, options_.busy_retry_after};
  };
  switch (failure) {
    case raft::ReadFailure::busy: return busy("too many reads wait for an index");
    case raft::ReadFailure::leadership_lost:
      return refused(ErrorCode::not_leader, "this server lost the lead while it read");
    case raft::ReadFailure::no_leader:
      return refused(ErrorCode::no_leader, "no leader was known in time");
    case raft::ReadFailure::timed_out:
      return refused(ErrorCode::timed_out, "the leader did not confirm the read in time");
    case raft::ReadFailure::none: break;
  }
  KUILT_FAIL("a read without an index has failed");
}

void Machine::answer(Turn& turn, const Barriers::Waiter& waiter, wire::BarrierOutcome outcome) {
  turn.out.barriers.push_back({waiter.link, {waiter.number, std::move(outcome)}});
}

void Machine::answer_barriers(Turn& turn) {
  const Index applied = options_.applies ? applied_ : published_.index;
  while (const auto reached = barriers_.reached(published_.index, applied)) {
    for (const Barriers::Waiter& waiter : barriers_.take(reached->read)) {
      answer(turn, waiter, wire::Reached{reached->index});
    }
  }
  while (const auto oldest = barriers_.oldest()) {
    if (turn.now < oldest->since + options_.barrier_within_max) break;
    const wire::RefusedOutcome late{ErrorCode::timed_out,
                                    "this server did not come as far as the read in time", true,
                                    options_.busy_retry_after};
    for (const Barriers::Waiter& waiter : barriers_.take(oldest->read)) answer(turn, waiter, late);
  }
}

}  // namespace kuilt::cluster
