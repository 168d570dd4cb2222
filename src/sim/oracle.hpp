// oracle.hpp: the log that everybody must agree on, and what clients were told about it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/client_core.hpp"
#include "kuilt/committed.hpp"
#include "raft/messages.hpp"
#include "sim/state_machine.hpp"

namespace kuilt::sim {

/// A sentence about what must hold and does not; nothing, if all is well.
using Violation = std::optional<std::string>;

/// Numbers everything that any client ever proposed; commands carry it.
using ProposalNumber = std::uint64_t;
using ObserverNumber = std::size_t;

/// Compares what each caller saw with the committed log: no phantom, gap or repeat; acknowledged
/// means there for ever; refused means never there; a result is that of a state machine which has
/// applied the committed log.
class Oracle {
 public:
  /// Where servers have state machines, every fresh commit is told with its result.
  explicit Oracle(Position base, const StateMachines& machines = {})
      : base_(base), reference_(machines.make ? machines.make() : nullptr), show_(machines.show) {}

  // The log, told by whichever server commits first.

  /// Pre: the entry follows `last()`. `chain` is that of the log through this entry.
  Violation commit(const raft::Entry& entry, std::uint64_t chain, Term by);
  [[nodiscard]] Position last() const;
  [[nodiscard]] Position base() const { return base_; }
  /// Pre: base < index <= last.
  [[nodiscard]] std::uint64_t chain_at(Index index) const { return item_at(index).chain; }
  [[nodiscard]] Position position_at(Index index) const { return item_at(index).at; }
  /// The last entry that was committed by a leader of an earlier term, or base.
  [[nodiscard]] Index last_committed_before(Term term) const;

  // Proposals.

  /// What travels and is logged is the body behind the number of its proposal, which no other has;
  /// applications see the body alone.
  ProposalNumber propose(RoomName room, BytesView body);
  [[nodiscard]] const Bytes& command_of(ProposalNumber number) const {
    return proposals_.at(number).command;
  }
  [[nodiscard]] const RoomName& room_of(ProposalNumber number) const {
    return proposals_.at(number).room;
  }
  [[nodiscard]] static std::string sealed(ProposalNumber number, BytesView body);
  [[nodiscard]] static std::optional<ProposalNumber> number_in(BytesView command);
  /// Pre: `number_in(command)` finds one.
  [[nodiscard]] static BytesView body_in(BytesView command);
  [[nodiscard]] static Bytes body_in(const Bytes& command);
  /// The newest leader's state machine, which has applied so much, decides whether to admit this.
  Violation asked(BytesView command, Index applied) const;
  Violation resolved(ProposalNumber number, const Result<wire::CommittedOutcome>& result);
  /// Nobody will hear what became of it: its client died.
  void orphaned(ProposalNumber number);
  [[nodiscard]] std::size_t pending() const { return pending_; }
  [[nodiscard]] std::size_t acknowledged() const { return acknowledged_; }
  [[nodiscard]] std::size_t refused() const { return refused_; }
  [[nodiscard]] std::size_t unknown() const { return unknown_; }

  // Reads.

  /// A read that was asked for when `committed` was the last entry committed anywhere.
  Violation read(Index committed, Index index) const;

  // State machines.

  /// A server's state machine has applied this committed command, of which it saw the body.
  Violation applied(std::string_view server, const LogEntry& entry, const Bytes& result,
                    const kuilt::StateMachine& machine) const;
  /// A server's state machine begins with a snapshot of all through this cut.
  Violation restored(std::string_view server, Index cut, const kuilt::StateMachine& machine) const;
  /// The state as text; empty if nobody said how to show it.
  [[nodiscard]] std::string shown(const kuilt::StateMachine& machine) const {
    return show_ ? show_(machine) : std::string();
  }
  /// All committed commands in order, as applications see them.
  [[nodiscard]] const std::vector<LogEntry>& commands() const { return commands_; }

  // Observers.

  /// `after` unset: wherever the server lets it begin, though before whatever is proposed later by
  /// the same client; see `owes`.
  ObserverNumber observe(RoomName room, std::optional<Position> after);
  /// The observer's client holds the receipt for this proposal: the observer is told of it too, if
  /// it is of the room, and was proposed after the call to observe.
  Violation owes(ObserverNumber observer, ProposalNumber number);
  /// The server said where it begins.
  Violation begins(ObserverNumber observer, Position at);
  Violation delivered(ObserverNumber observer, const wire::FeedEntry& entry);
  Violation advanced(ObserverNumber observer, Position through, std::uint64_t digest);
  [[nodiscard]] bool at_the_end(ObserverNumber observer) const;
  [[nodiscard]] Position through(ObserverNumber observer) const;

 private:
  struct Item {
    Position at;
    std::uint64_t chain = 0;
    Term committed_by;
  };
  struct RoomItem {
    Position at;
    ProposalNumber proposal = 0;
    std::uint64_t digest = 0;  ///< Of the room's chain through here.
    RequestId request_id;
  };
  enum class Fate : std::uint8_t { pending, acknowledged, refused, unknown };
  struct Proposal {
    RoomName room;
    Bytes command;
    Fate fate = Fate::pending;
    Position at;                  ///< In the committed log; (0, 0) if it is not there.
    Index acknowledged_before{};  ///< The highest index that anyone had been told by then.
  };
  struct Applied {
    Bytes result;
    std::uint64_t state = 0;  ///< Digest of the state as text.
    std::string excerpt;      ///< Of that text, for people.
  };
  struct Observer {
    RoomName room;
    ProposalNumber first_owed = 0;       ///< Those before were proposed before it observed.
    std::optional<Index> began_after{};  ///< Where it began, if that was the server's choice.
    std::optional<Index> owed{};         ///< The first known to be owed before it began.
    std::optional<Position> through;
    std::size_t next = 0;  ///< Place in the room's sequence of what it must be told next.
  };

  [[nodiscard]] const Item& item_at(Index index) const {
    return items_.at(index.value() - base_.index.value() - 1);
  }
  [[nodiscard]] std::size_t first_after(const RoomName& room, Index index);
  Violation commit_command(const raft::Entry& entry);
  Violation apply(const LogEntry& entry);
  [[nodiscard]] Violation check_result(const wire::CommittedOutcome& outcome) const;

  Position base_;
  std::unique_ptr<kuilt::StateMachine> reference_;
  std::function<std::string(const kuilt::StateMachine&)> show_;
  std::map<Index, Applied> applied_;
  std::vector<LogEntry> commands_;
  Index acknowledged_through_;
  std::vector<Item> items_;
  std::map<RoomName, std::vector<RoomItem>> rooms_;
  std::vector<Proposal> proposals_;
  std::vector<Observer> observers_;
  std::size_t pending_ = 0;
  std::size_t acknowledged_ = 0;
  std::size_t refused_ = 0;
  std::size_t unknown_ = 0;
};

}  // namespace kuilt::sim
