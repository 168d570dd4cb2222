// applying.cpp: what a machine has to do with the state machine of its server: answers wait until
// it has applied the entry, and a leader asks it before a new proposal enters the log.
#include <algorithm>
#include <utility>

#include "cluster/machine.hpp"
#include "kuilt/detail/check.hpp"
#include "kuilt/detail/overloaded.hpp"

namespace kuilt::cluster {

namespace {

/// One reply for each forward, however many of its places are answered.
class Replies {
 public:
  explicit Replies(Term term) : term_(term) {}

  void add(const ForwardPlace& place, wire::Outcome outcome) {
    const auto reply = wire::ForwardReply{place.forward, term_, {}};
    auto& answers = replies_.try_emplace({place.peer, place.forward}, reply).first->second.answers;
    answers.push_back({place.place, std::move(outcome)});
  }
  void send(std::vector<PeerSend>& out) && {
    for (auto& [forward, reply] : replies_) out.push_back({forward.first, std::move(reply)});
  }

 private:
  Term term_;
  std::map<std::pair<NodeId, std::uint64_t>, wire::ForwardReply> replies_;
};

}  // namespace

void Machine::on_applied(Turn& turn, Applied& applied) {
  KUILT_CHECK(options_.applies && applied.through <= published_.index);
  applied_ = applied.through;
  for (AppliedResult& each : applied.results) results_.add(each.index, std::move(each.result));
  while (!waiting_.to_apply().empty() && waiting_.to_apply().begin()->first <= applied_) {
    const Ticket ticket = waiting_.to_apply().begin()->second;
    resolve(turn, ticket, waiting_.at(ticket).outcome);
  }
  results_.shrink();
  turn.out.applied = applied_;
}

bool Machine::is_yet_to_be_applied(const wire::Outcome& outcome) const {
  const auto* committed = std::get_if<wire::CommittedOutcome>(&outcome);
  return options_.applies && committed != nullptr && committed->at.index > applied_;
}

void Machine::ask(Turn& turn, Candidate candidate, const wire::Proposal& proposal) {
  const std::size_t bytes = Waiting::cost_of(proposal);
  turn.out.ask.push_back({.number = 0,
                          .term = core_.term(),
                          .after = std::max(core_.commit_index(), led_from_),
                          .author = proposal.author,
                          .command = proposal.command});
  turn.out.ask.back().number = admission_.add(std::move(candidate), bytes);
  ++counters_.asked;
}

void Machine::on_verdicts(Turn& turn, const Verdicts& given) {
  Replies replies(core_.term());
  for (const AdmissionVerdict& verdict : given.verdicts) {
    const auto candidate = admission_.take(verdict.number);
    if (!candidate) continue;  // The lead was lost since, and with it all that was in question.
    const auto on_candidate = Overloaded{
        [&](Ticket ticket) {
          if (!waiting_.contains(ticket)) return;  // Nobody waits for it any more.
          if (waiting_.at(ticket).where != Whereabouts::asked) return;  // Committed by a repeat.
          const Decision decision = decide(turn, waiting_.at(ticket).proposal, &verdict);
          if (decision.repeat) waiting_.mark_duplicate(ticket);
          follow(turn, ticket, decision);
        },
        [&](const ForwardedCandidate& forwarded) {
          Decision decision = decide(turn, forwarded.proposal, &verdict);
          if (decision.outcome) replies.add(forwarded.place, *std::move(decision.outcome));
        },
    };
    std::visit(on_candidate, *candidate);
  }
  std::move(replies).send(turn.out.send);
}

// Nothing of it is in any log: a waiting proposal goes to the next leader, free of doubt, and so
// does a forwarded one as soon as its entry server hears of this.
void Machine::drop_questions(Turn& turn) {
  Replies replies(core_.term());
  while (const auto candidate = admission_.take_first()) {
    const auto on_candidate = Overloaded{
        [&](Ticket ticket) {
          if (!waiting_.contains(ticket)) return;
          if (waiting_.at(ticket).where == Whereabouts::asked) {
            waiting_.park(ticket, turn.now, false);
          }
        },
        [&](const ForwardedCandidate& forwarded) {
          replies.add(forwarded.place, not_the_leader());
        },
    };
    std::visit(on_candidate, *candidate);
  }
  std::move(replies).send(turn.out.send);
}

}  // namespace kuilt::cluster
