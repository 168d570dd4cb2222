// waiting.hpp: the proposals of one server's own clients that have no outcome yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kuilt/types.hpp"
#include "wire/outcome.hpp"

namespace kuilt::cluster {

/// One client link of this server, for as long as it lives. Never reused within one process.
using LinkId = Number<struct LinkIdTag>;
/// Counts waiting proposals in the order of their arrival. Never reused.
using Ticket = Number<struct TicketTag>;

/// What makes two proposals the same request. Another command under the same id is another one, and
/// so is what someone else proposes in the same session: each is judged by itself.
struct RequestKey {
  SessionId session;
  RequestId request_id;
  std::uint64_t digest = 0;
  Index birth;
  std::string author;
  friend auto operator<=>(const RequestKey&, const RequestKey&) = default;
};

/// Who wants the outcome.
struct Waiter {
  LinkId link;
  std::uint64_t number = 0;  ///< Of the proposal on that link.
  bool duplicate = false;    ///< The entry was in the log before this attempt was judged here.
};

enum class Whereabouts : std::uint8_t {
  parked,     ///< Here: no attempt is on its way.
  forwarded,  ///< Sent to a leader, under the number of a flight.
  asked,      ///< Judged new by this leader; its state machine is asked about it.
  in_log,     ///< In this server's own log, which it leads.
  committed,  ///< Its outcome is known; it waits for this server to apply the entry.
};

struct WaitingProposal {
  wire::Proposal proposal;
  RequestKey key;
  std::vector<Waiter> waiters;
  std::size_t bytes = 0;
  Whereabouts where = Whereabouts::parked;
  Instant added_at{};
  Instant parked_at{};
  std::uint64_t flight = 0;          ///< Number of the forward that carries it, if one does.
  std::uint32_t losses = 0;          ///< Forwards of it that timed out.
  bool in_doubt = false;             ///< An earlier attempt may be in some log, or get there yet.
  wire::CommittedOutcome outcome{};  ///< Of one that is committed.
};

/// One forward on its way.
struct Flight {
  NodeId to;
  Term term;      ///< Ours when it was sent.
  Instant due{};  ///< Given up then.
  std::vector<Ticket> places;
  std::size_t open = 0;  ///< Places without an outcome.
};

/// The book of waiting proposals. It decides nothing; it keeps every count and index true.
///
/// Threads: none; one caller at a time.
class Waiting {
 public:
  /// `first_flight` is above all numbers that earlier lives of this server used, or far from them.
  explicit Waiting(std::uint64_t first_flight) : next_flight_(first_flight) {}

  [[nodiscard]] static std::size_t cost_of(const wire::Proposal& proposal);
  [[nodiscard]] static std::size_t cost_of_waiter();

  /// Takes in a proposal, parked.
  Ticket add(wire::Proposal proposal, const RequestKey& key, const Waiter& waiter, Instant now);
  void join(Ticket ticket, const Waiter& waiter);
  /// Takes a proposal out, as its outcome is known. Returns who wants to hear it.
  std::vector<Waiter> take(Ticket ticket);
  /// Nobody on this link waits any more. What is on its way stays until it has landed: its bytes
  /// still count, so that opening links makes no room.
  void close(LinkId link);

  /// Brings a proposal back from wherever it is. `in_doubt`: the attempt that ends here may have
  /// succeeded. Drops it if nobody waits.
  void park(Ticket ticket, Instant now, bool in_doubt);
  void put_in_log(Ticket ticket);
  void put_to_question(Ticket ticket);
  /// An earlier attempt has put it into the log.
  void mark_duplicate(Ticket ticket);
  /// The entry is committed; who waits is told once it is applied.
  void put_to_apply(Ticket ticket, const wire::CommittedOutcome& outcome);
  /// Sends parked proposals off, until `due`. Returns the flight's number.
  std::uint64_t depart(std::vector<Ticket> tickets, NodeId to, Term term, Instant due);
  /// Parks, in doubt, everything that the flight still carries.
  void lose(std::uint64_t flight, Instant now);
  /// As `lose`, and counts the loss.
  void time_out(std::uint64_t flight, Instant now);
  /// Loses every flight to this peer; or every one but those to it in this term.
  void lose_all_to(NodeId peer, Instant now);
  void lose_all_but(NodeId peer, Term term, Instant now);

  [[nodiscard]] std::optional<Ticket> find(const RequestKey& key) const;
  [[nodiscard]] bool contains(Ticket ticket) const { return proposals_.contains(ticket); }
  [[nodiscard]] const WaitingProposal& at(Ticket ticket) const { return proposals_.at(ticket); }
  [[nodiscard]] std::vector<Ticket> tickets() const;
  [[nodiscard]] const std::map<Ticket, WaitingProposal>& proposals() const { return proposals_; }
  [[nodiscard]] const std::map<std::uint64_t, Flight>& flights() const { return flights_; }
  struct Due {
    Instant at;
    std::uint64_t flight = 0;
    friend auto operator<=>(const Due&, const Due&) = default;
  };
  /// The flight that is given up next.
  [[nodiscard]] std::optional<Due> next_due() const;
  /// The proposal that came first.
  [[nodiscard]] std::optional<Ticket> oldest() const;
  /// Longest parked first.
  [[nodiscard]] const std::set<std::pair<Instant, Ticket>>& parked() const { return parked_; }
  /// Those whose entries are to be applied first come first.
  [[nodiscard]] const std::set<std::pair<Index, Ticket>>& to_apply() const { return to_apply_; }
  [[nodiscard]] std::size_t size() const { return proposals_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t parked_bytes() const { return parked_bytes_; }
  [[nodiscard]] std::size_t forwarded_bytes() const { return forwarded_bytes_; }

 private:
  // Ends the proposal's stay where it is, in all counts and indexes.
  void leave(Ticket ticket, WaitingProposal& proposal);
  void stay_parked(Ticket ticket, WaitingProposal& proposal, Instant now);
  // Moves it, unless nobody waits for it any more. Null if so.
  WaitingProposal* move_to(Ticket ticket, Whereabouts where);
  void erase(Ticket ticket);
  template <class Condition>
  void lose_if(Condition condition, Instant now);

  std::map<Ticket, WaitingProposal> proposals_;
  std::map<RequestKey, Ticket> by_key_;
  std::map<LinkId, std::set<Ticket>> by_link_;
  std::set<std::pair<Instant, Ticket>> parked_;
  std::set<std::pair<Index, Ticket>> to_apply_;
  std::map<std::uint64_t, Flight> flights_;
  std::set<Due> dues_;  // Of all flights.
  Ticket last_ticket_;
  std::uint64_t next_flight_;
  std::size_t bytes_ = 0;
  std::size_t parked_bytes_ = 0;
  std::size_t forwarded_bytes_ = 0;
};

}  // namespace kuilt::cluster
