// group.hpp: a whole group of cores in virtual time, on disks and links that misbehave by a seed.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kuilt/detail/rng.hpp"
#include "raft/invariants.hpp"
#include "raft/outbox.hpp"
#include "tests/raft/fixture.hpp"

namespace kuilt::raft::test {

struct GroupOptions {
  std::uint64_t seed = 1;
  std::size_t voters = 3;
  std::size_t learners = 0;
  std::size_t spares = 0;         ///< Servers that know of no cluster yet, and may be added.
  bool changes = false;           ///< Members come and go, any number of them at once.
  Position base;                  ///< Of every log.
  bool faults = true;             ///< Loss, duplication, long delays, crashes, partitions.
  Duration link_delay_max = 2ms;  ///< As long as a link behaves.
  Options raft;
};

/// What a run exercised: a check that never met the danger proves nothing.
struct Coverage {
  std::uint64_t steps = 0;
  std::uint64_t leaders = 0;
  std::uint64_t crashes = 0;
  std::uint64_t lost_writes = 0;
  std::uint64_t lost_messages = 0;
  std::uint64_t truncations = 0;
  std::uint64_t loads = 0;
  std::uint64_t commits = 0;
  std::uint64_t reads_by_leaders = 0;
  std::uint64_t reads_via_leaders = 0;
  std::uint64_t shared_read_rounds = 0;
  std::map<ReadFailure, std::uint64_t> failed_reads;
  std::uint64_t late_orders = 0;  // To stand for election, that came after a later term.
  std::map<TransferEnd, std::uint64_t> transfers;
  std::map<Refusal, std::uint64_t> refusals;
  std::map<ChangeRefusal, std::uint64_t> changes;  ///< Asked for, by what became of it at once.
  std::uint64_t joint = 0;                         ///< Joint configurations that were committed.
  std::uint64_t waits = 0;                         ///< Changes that waited for learners.
  std::uint64_t given_up = 0;                      ///< Of these, without success.
  std::uint64_t rolled_back = 0;                   ///< Configurations that a truncation undid.
  std::uint64_t unaware = 0;                       ///< Removed servers that were never told.
  std::uint64_t led_from_outside = 0;              ///< Leaders that their configuration leaves out.
  std::uint64_t gave_way = 0;                      ///< Leaders whose disks hung.

  void add(const Coverage& other);
};

/// Threads: none. One seed decides everything; every step is followed by the invariants.
class Group {
 public:
  explicit Group(const GroupOptions& options);

  /// Lets virtual time pass. Returns early, with `violation()` set, when a promise is broken.
  void run(Duration duration);
  /// No faults from now on: everybody is up, every link works.
  void heal();

  [[nodiscard]] const std::optional<std::string>& violation() const { return violation_; }
  [[nodiscard]] const Coverage& coverage() const { return coverage_; }
  /// Whether somebody leads, and everybody has committed the same, all of it.
  [[nodiscard]] bool converged() const;
  /// Whether no change is under way, and who is no voter any more keeps still.
  [[nodiscard]] bool settled() const;
  /// Of these, how many keep still without knowing why. Pre: settled.
  [[nodiscard]] std::size_t unaware() const;
  /// The last events, for a person who looks at a failure.
  [[nodiscard]] std::string history() const;

 private:
  struct Disk {
    HardState hard;
    std::vector<Entry> entries;  // After the base.
    Index commit;
    std::deque<Write> queue;  // Ordered, not durable.
    Instant done_at{};        // When the first of the queue is.
  };
  struct Server {
    explicit Server(NodeId node) : id(node) {}

    NodeId id;
    Disk disk;
    std::optional<Core> core;  // None while it is down.
    Outbox outbox;
    std::vector<Entry> log;  // As the outputs tell it, after the base.
    std::optional<View> before;
    Instant wake_at{};
    Instant up_at{};  // While down.
    Instant slow_until{};
    std::uint64_t starts = 0;
  };
  struct Flight {
    std::size_t from;
    std::size_t to;
    Input input;
  };

  void start(std::size_t i);
  void crash(std::size_t i);
  void step(std::size_t i, const Input& input);
  void obey(std::size_t i, Output& out);
  void forget_promise(std::size_t i, HardState before);
  void deliver(std::size_t from, std::vector<Outgoing> messages);
  void arrive(Flight flight);
  void load(std::size_t i, const NeedEntries& need);
  void order(std::size_t i, Write write);
  void finish_write(std::size_t i);
  void propose();
  void read();
  void change();
  void configure(std::size_t i, const SharedConfiguration& configuration);
  [[nodiscard]] ChangeMembership draw_change(const Configuration& now);
  void count_configurations(std::size_t i, const Output& out);
  void misbehave();
  void transfer();
  [[nodiscard]] std::optional<std::size_t> any_leader() const;
  void check(std::size_t i, const Output& out);
  void check_committed(std::size_t i);
  void check_reads(std::size_t i, const Output& out);
  void count_decided(const Entry& entry);
  void fail(std::size_t i, std::string_view what);
  void note(const std::string& event);
  [[nodiscard]] Duration disk_delay(const Server& server);
  [[nodiscard]] Duration link_delay();
  [[nodiscard]] std::size_t number_of(NodeId id) const;
  [[nodiscard]] Instant next_event() const;

  GroupOptions options_;
  Rng rng_;
  Instant now_{Duration(1h)};
  std::vector<Server> servers_;
  SharedConfiguration configuration_;  // Of the first members, as of the base.
  std::multimap<Instant, Flight> network_;
  std::set<std::pair<std::size_t, std::size_t>> cut_;  // One-way.
  Instant next_proposal_{};
  Instant next_read_{};
  Instant next_fault_{};
  Instant next_transfer_{};
  Instant next_change_{};
  std::vector<Entry> decided_;                 // What anybody ever committed, after the base.
  std::vector<Term> decided_in_;               // The term of the server that committed it first.
  SharedConfiguration decided_configuration_;  // The last one among them.
  std::map<Term, NodeId> leader_of_;           // Over the whole run.
  std::uint64_t payload_ = 0;
  ReadId last_read_;
  std::map<ReadId, Index> read_floors_;  // What had been decided when the read was asked for.
  Coverage coverage_;
  std::optional<std::string> violation_;
  std::deque<std::string> history_;
};

}  // namespace kuilt::raft::test
