// waiting.cpp: the book of waiting proposals.
#include "cluster/waiting.hpp"

#include "kuilt/detail/check.hpp"

namespace kuilt::cluster {

// What a proposal costs beside its bytes: ids, numbers and the nodes of the indexes.
constexpr std::size_t proposal_overhead = 512;
constexpr std::size_t waiter_overhead = 128;

std::size_t Waiting::cost_of(const wire::Proposal& proposal) {
  return proposal.command.size() + proposal.room.size() + proposal.author.size() +
         proposal_overhead;
}

std::size_t Waiting::cost_of_waiter() { return waiter_overhead; }

Ticket Waiting::add(wire::Proposal proposal, const RequestKey& key, const Waiter& waiter,
                    Instant now) {
  last_ticket_ = last_ticket_.next();
  const auto [indexed, is_new] = by_key_.emplace(key, last_ticket_);
  KUILT_CHECK(is_new);
  WaitingProposal& added = proposals_[last_ticket_];
  added.bytes = cost_of(proposal);
  added.proposal = std::move(proposal);
  added.key = key;
  added.added_at = now;
  bytes_ += added.bytes;
  stay_parked(last_ticket_, added, now);
  join(last_ticket_, waiter);
  return last_ticket_;
}

void Waiting::join(Ticket ticket, const Waiter& waiter) {
  proposals_.at(ticket).waiters.push_back(waiter);
  by_link_[waiter.link].insert(ticket);
  bytes_ += waiter_overhead;
}

std::vector<Waiter> Waiting::take(Ticket ticket) {
  std::vector<Waiter> waiters = std::move(proposals_.at(ticket).waiters);
  for (const Waiter& waiter : waiters) {
    const auto link = by_link_.find(waiter.link);
    if (link == by_link_.end()) continue;  // Two waiters of one link, the only ones it had.
    link->second.erase(ticket);
    if (link->second.empty()) by_link_.erase(link);
  }
  bytes_ -= waiters.size() * waiter_overhead;
  erase(ticket);
  return waiters;
}

void Waiting::close(LinkId link) {
  const auto closed = by_link_.extract(link);
  if (closed.empty()) return;
  for (const Ticket ticket : closed.mapped()) {
    WaitingProposal& proposal = proposals_.at(ticket);
    const std::size_t gone =
        std::erase_if(proposal.waiters, [&](const Waiter& waiter) { return waiter.link == link; });
    bytes_ -= gone * waiter_overhead;
    if (proposal.waiters.empty() && proposal.where != Whereabouts::forwarded) erase(ticket);
  }
}

void Waiting::park(Ticket ticket, Instant now, bool in_doubt) {
  WaitingProposal& proposal = proposals_.at(ticket);
  proposal.in_doubt = proposal.in_doubt || in_doubt;
  if (proposal.waiters.empty()) return erase(ticket);
  leave(ticket, proposal);
  stay_parked(ticket, proposal, now);
}

WaitingProposal* Waiting::move_to(Ticket ticket, Whereabouts where) {
  WaitingProposal& proposal = proposals_.at(ticket);
  if (proposal.waiters.empty()) {
    erase(ticket);
    return nullptr;
  }
  leave(ticket, proposal);
  proposal.where = where;
  return &proposal;
}

void Waiting::put_in_log(Ticket ticket) { move_to(ticket, Whereabouts::in_log); }

void Waiting::put_to_question(Ticket ticket) { move_to(ticket, Whereabouts::asked); }

void Waiting::mark_duplicate(Ticket ticket) {
  for (Waiter& waiter : proposals_.at(ticket).waiters) waiter.duplicate = true;
}

void Waiting::put_to_apply(Ticket ticket, const wire::CommittedOutcome& outcome) {
  WaitingProposal* proposal = move_to(ticket, Whereabouts::committed);
  if (proposal == nullptr) return;
  proposal->outcome = outcome;
  to_apply_.emplace(outcome.at.index, ticket);
}

std::uint64_t Waiting::depart(std::vector<Ticket> tickets, NodeId to, Term term, Instant due) {
  const std::uint64_t number = next_flight_++;
  for (const Ticket ticket : tickets) {
    WaitingProposal& proposal = proposals_.at(ticket);
    KUILT_CHECK(proposal.where == Whereabouts::parked);
    leave(ticket, proposal);
    proposal.where = Whereabouts::forwarded;
    proposal.flight = number;
    forwarded_bytes_ += proposal.bytes;
  }
  const std::size_t open = tickets.size();
  flights_.emplace(number, Flight{to, term, due, std::move(tickets), open});
  dues_.insert({due, number});
  return number;
}

void Waiting::lose(std::uint64_t flight, Instant now) {
  const std::vector<Ticket> places = flights_.at(flight).places;
  for (const Ticket ticket : places) {
    const auto found = proposals_.find(ticket);
    if (found != proposals_.end() && found->second.flight == flight) park(ticket, now, true);
  }
  KUILT_CHECK(!flights_.contains(flight));
}

void Waiting::time_out(std::uint64_t flight, Instant now) {
  for (const Ticket ticket : flights_.at(flight).places) {
    const auto found = proposals_.find(ticket);
    if (found != proposals_.end() && found->second.flight == flight) ++found->second.losses;
  }
  lose(flight, now);
}

template <class Condition>
void Waiting::lose_if(Condition condition, Instant now) {
  std::vector<std::uint64_t> lost;
  for (const auto& [number, flight] : flights_) {
    if (condition(flight)) lost.push_back(number);
  }
  for (const std::uint64_t number : lost) lose(number, now);
}

void Waiting::lose_all_to(NodeId peer, Instant now) {
  lose_if([&](const Flight& flight) { return flight.to == peer; }, now);
}

void Waiting::lose_all_but(NodeId peer, Term term, Instant now) {
  lose_if([&](const Flight& flight) { return flight.to != peer || flight.term != term; }, now);
}

std::optional<Ticket> Waiting::find(const RequestKey& key) const {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  return found->second;
}

std::optional<Waiting::Due> Waiting::next_due() const {
  if (dues_.empty()) return std::nullopt;
  return *dues_.begin();
}

std::optional<Ticket> Waiting::oldest() const {
  if (proposals_.empty()) return std::nullopt;
  return proposals_.begin()->first;
}

std::vector<Ticket> Waiting::tickets() const {
  std::vector<Ticket> all;
  all.reserve(proposals_.size());
  for (const auto& [ticket, proposal] : proposals_) all.push_back(ticket);
  return all;
}

void Waiting::leave(Ticket ticket, WaitingProposal& proposal) {
  switch (proposal.where) {
    case Whereabouts::parked:
      parked_.erase({proposal.parked_at, ticket});
      parked_bytes_ -= proposal.bytes;
      return;
    case Whereabouts::forwarded: {
      forwarded_bytes_ -= proposal.bytes;
      const auto flight = flights_.find(proposal.flight);
      proposal.flight = 0;
      if (--flight->second.open > 0) return;
      dues_.erase({flight->second.due, flight->first});
      flights_.erase(flight);
      return;
    }
    case Whereabouts::asked:
    case Whereabouts::in_log: return;
    case Whereabouts::committed: to_apply_.erase({proposal.outcome.at.index, ticket}); return;
  }
}

void Waiting::stay_parked(Ticket ticket, WaitingProposal& proposal, Instant now) {
  proposal.where = Whereabouts::parked;
  proposal.parked_at = now;
  parked_.emplace(now, ticket);
  parked_bytes_ += proposal.bytes;
}

void Waiting::erase(Ticket ticket) {
  const auto found = proposals_.find(ticket);
  leave(ticket, found->second);
  by_key_.erase(found->second.key);
  bytes_ -= found->second.bytes;
  proposals_.erase(found);
}

}  // namespace kuilt::cluster
