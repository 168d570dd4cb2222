// machine.hpp: one server as a machine: Raft, sessions, and the routing of proposals.
//
// A proposal's way: Submit -> (leader: judge, append | follower: Forward) -> log -> commit -> the
// entry server finds its waiter in its own committed log -> Answered. Where there is a state
// machine, the leader asks it between judging and appending (Output::ask -> Verdicts), and the
// entry server answers once its own has taken in the entry (Applied). See docs/ARCHITECTURE.md.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "cluster/admission.hpp"
#include "cluster/barriers.hpp"
#include "cluster/cut_tally.hpp"
#include "cluster/forwards_taken.hpp"
#include "cluster/results.hpp"
#include "cluster/sessions.hpp"
#include "cluster/waiting.hpp"
#include "raft/core.hpp"
#include "raft/outbox.hpp"
#include "wire/client_messages.hpp"
#include "wire/outcome.hpp"
#include "wire/peer_messages.hpp"

namespace kuilt::cluster {

struct MachineOptions {
  raft::Options raft;
  /// Forwarded proposals without an outcome, in bytes; more is refused as busy (rule 13).
  std::size_t forward_window_bytes_max = std::size_t{16} << 20;
  /// Of the proposals in one forward; one proposal always fits.
  std::size_t forward_bytes_max = std::size_t{256} << 10;
  /// All waiting proposals of this server's clients, in bytes; more is refused as busy.
  std::size_t waiting_bytes_max = std::size_t{64} << 20;
  /// A forward without an outcome for this long is sent again, under a new number; then after
  /// twice that, up to eight times.
  Duration forward_timeout = std::chrono::seconds(1);
  /// A proposal waits this long for a leader before it is refused as no_leader.
  Duration leader_wait_max = std::chrono::seconds(10);
  /// Whatever happens, a proposal is answered within this time: in the end as unknown_outcome, and
  /// uncertain. Its client repeats it under the same id, or lets it be.
  Duration answer_within_max = std::chrono::seconds(20);
  /// What `busy` tells the client to wait.
  Duration busy_retry_after = std::chrono::milliseconds(100);

  /// Read barriers without an answer; more is refused as busy.
  std::size_t barriers_max = 65'536;
  /// Whatever happens, a read barrier is answered within this time.
  Duration barrier_within_max = std::chrono::seconds(5);

  /// The server has a state machine: a commit is answered once `Applied` has told its result.
  bool applies = false;
  /// A leader asks the state machine before a new proposal enters the log.
  bool admits = false;
  /// Of the proposals that the state machine is asked about; more is refused as busy.
  std::size_t admission_bytes_max = std::size_t{16} << 20;
  /// Results kept for repeats of what was applied.
  std::size_t results_max = 65'536;
  std::size_t results_bytes_max = std::size_t{16} << 20;

  CutPolicy cuts;  ///< Followed while this machine leads.
};

// What may happen to a machine.
struct Tick {};
/// Proposals of one client link; `author` is set.
struct Submit {
  LinkId link;
  std::vector<wire::Proposal> proposals;
};
/// The link is gone: nobody waits for its answers any more.
struct LinkClosed {
  LinkId link;
};
/// From a peer that has proven that it belongs to the cluster.
struct FromPeer {
  NodeId from;
  std::variant<raft::Message, wire::Forward, wire::ForwardReply> message;
};
struct PeerUp {
  NodeId peer;
};
struct PeerDown {
  NodeId peer;
};
struct AppliedResult {
  Index index;
  Bytes result;
};
/// The state machine has taken in every committed entry through here. Pre: no less than before.
struct Applied {
  Index through;
  /// Of the commands among them, in order. One that is missing was too large to be told.
  std::vector<AppliedResult> results;
};
/// What the state machine says of Output::ask.
struct Verdicts {
  std::vector<AdmissionVerdict> verdicts;
};
/// Asks for an index at or above all that was acknowledged to anybody before, and for an answer
/// once this server is as far as `kind` says. Barriers of a link that is gone end by themselves.
struct BarrierCall {
  LinkId link;
  std::uint64_t number = 0;  ///< The answer carries it.
  BarrierKind kind = BarrierKind::published;
};
/// Hand over the lead, as raft::TransferLeadership has it. Meanwhile proposals wait.
struct TransferLeadership {
  std::uint64_t number = 0;  ///< Of the caller's counting; what ends it carries it.
  std::optional<NodeId> target;
};
/// Somebody wants other members. `number` comes back with the answer.
struct ChangeMembers {
  std::uint64_t number = 0;
  raft::ChangeMembership change;
  /// What the change was made from: if other members are in force by now, it is refused as
  /// change_under_way. Unset: whatever is in force.
  raft::SharedConfiguration made_from = nullptr;
};
using Input =
    std::variant<Tick, Submit, LinkClosed, FromPeer, PeerUp, PeerDown, raft::Written, raft::Loaded,
                 Applied, Verdicts, BarrierCall, TransferLeadership, ChangeMembers>;

struct Answered {
  LinkId link;
  wire::Answer answer;
};
struct BarrierAnswered {
  LinkId link;
  wire::BarrierAnswer answer;
};
/// Whether a change of members begins; how it goes on is in the log.
struct ChangeJudged {
  std::uint64_t number = 0;
  raft::ChangeRefusal refusal = raft::ChangeRefusal::none;
};
/// A peer sent what no sound server sends (raft::tells_of_a_fault). It changed nothing.
struct PeerFault {
  NodeId peer;
  raft::Refusal why = raft::Refusal::none;
};
struct PeerSend {
  NodeId to;
  wire::PeerMessage message;
};
/// A run of committed entries, in order and without a gap: what the feed is made of.
struct CommittedBatch {
  Position prev;     ///< The entry before the first.
  Position through;  ///< The last.
  std::vector<raft::Entry> entries;
};
/// Each TransferLeadership ends once.
struct TransferEnded {
  std::uint64_t number = 0;
  raft::TransferEnded how;
};
struct Leadership {
  raft::Role role = raft::Role::follower;
  Term term;
  std::optional<NodeId> leader;
  friend bool operator==(const Leadership&, const Leadership&) = default;
};

/// What the driver owes the machine after a step. The field order is the order of the work.
struct Output {
  std::vector<raft::Write> writes;  ///< To the log, in order; answer each `seq` with raft::Written.
  std::vector<PeerSend> send;       ///< Each may leave at once: the outbox is inside the machine.
  std::vector<raft::NeedEntries> loads;
  std::shared_ptr<const CommittedBatch> committed;  ///< To every feed; null if commit did not move.
  std::vector<AdmissionQuestion> ask;               ///< To the state machine; answer with Verdicts.
  std::vector<Answered> answers;
  std::vector<BarrierAnswered> barriers;
  std::optional<Index> applied;          ///< `Applied` through here has been taken in.
  std::optional<Leadership> leadership;  ///< Set when it changed.
  std::vector<TransferEnded> transfers;
  std::vector<ChangeJudged> changes;
  std::vector<PeerFault> faults;
  std::optional<bool> disk_stalled;  ///< Set when it changed: whether the own disk hangs (rule 7).
  raft::SharedConfiguration configuration;  ///< Set when another one is in force: links follow it.
  Instant wake_at{};                        ///< Step with Tick no later than this.
};

/// Counted since boot. The names are those of /metrics and of the simulator's coverage.
struct Counters {
  std::uint64_t proposals = 0;
  std::uint64_t appended = 0;
  std::uint64_t suppressed_repeats = 0;  ///< Repeats that dedup kept out of the log.
  std::uint64_t joined_repeats = 0;      ///< Of these, of an entry not yet committed.
  std::uint64_t committed_repeats = 0;   ///< Of these, of an entry already committed.
  std::uint64_t forwards = 0;            ///< Forwards sent.
  std::uint64_t reforwards = 0;     ///< Proposals forwarded while an earlier attempt was in doubt.
  std::uint64_t lost_forwards = 0;  ///< Forwards whose timeout passed.
  std::uint64_t stale_answers = 0;  ///< ForwardReplies of an earlier number or term, ignored.
  std::uint64_t truncations = 0;    ///< Of the own log, by a new leader.
  std::uint64_t truncated_entries = 0;
  std::uint64_t elections_won = 0;
  std::uint64_t transfers_done = 0;  ///< Hand-overs of this leader after which the target led.
  std::uint64_t transfers_given_back = 0;  ///< After which this leader took proposals again.
  std::uint64_t disk_stalls = 0;           ///< Times the own disk was found to hang.
  std::uint64_t gave_way = 0;              ///< Times this server gave up the lead for that.
  std::uint64_t refused_busy = 0;
  std::uint64_t asked = 0;         ///< Questions to the state machine whether to admit a command.
  std::uint64_t not_admitted = 0;  ///< Proposals that it did not.
  std::uint64_t barriers = 0;      ///< Read barriers taken.
  std::uint64_t reads_led = 0;     ///< Reads that this server confirmed as the leader,
  std::uint64_t reads_asked = 0;   ///< or had confirmed by the leader.
  std::uint64_t reads_lost = 0;    ///< Failed, as this server lost the lead.
  std::uint64_t reads_failed = 0;  ///< Failed for another reason.
  std::uint64_t shared_read_rounds = 0;  ///< Rounds that confirmed more than one read.
  std::uint64_t cuts = 0;                ///< Cuts appended as leader.
  std::map<std::string, std::uint64_t> refused_peer_messages;  ///< By name of the raft::Refusal.
};

/// What a machine boots from.
struct MachineBoot {
  raft::Boot raft;              ///< Tail entries have their configuration filled in.
  ClientSessionTable sessions;  ///< As of `raft.last`; released through `raft.commit`.
  CutTally cuts{Index()};       ///< As of `raft.last`, too.
};

/// Threads: none; one caller at a time. Deterministic and copyable, as the core is.
class Machine {
 public:
  /// Pre: `boot.raft.boot` was never used before: it tells this life's forwards from earlier ones.
  Machine(const MachineOptions& options, MachineBoot boot, std::uint64_t seed, Instant now);

  /// One turn: takes in all facts that have gathered and returns every duty that follows. What the
  /// cluster says comes first, proposals last, each in order: so they are judged by all that is
  /// known, and those of one turn become one append, and read barriers one read. Commit notices are
  /// coalesced per turn.
  Output step(Instant now, std::vector<Input> inputs);

  /// Told of each step of the core, right after it. For traces; nothing depends on it.
  using Watch = std::function<void(const raft::Core&, const raft::Input&, const raft::Output&)>;
  void watch(Watch watch) { watch_ = std::move(watch); }

  [[nodiscard]] const raft::Core& raft() const;
  [[nodiscard]] const ClientSessionTable& sessions() const;
  [[nodiscard]] const Counters& counters() const;
  [[nodiscard]] std::size_t waiting() const;  ///< Proposals without an outcome yet.
  [[nodiscard]] Index applied() const;        ///< By the state machine, as far as it has told.

 private:
  // One call of step: what has gathered so far.
  struct Turn {
    Instant now;
    Output out;
    Position before_committed;
    std::vector<raft::Entry> committed;
    std::vector<Barriers::Waiter> to_publish;  // Barriers that came in, by kind.
    std::vector<Barriers::Waiter> to_apply;
  };
  // What a leader does with a proposal. Neither outcome nor question: it is in the log, and commit
  // will tell.
  struct Decision {
    std::optional<wire::Outcome> outcome{};
    bool repeat = false;
    bool in_question = false;  // Whether it may enter is the state machine's to say.
  };

  // members.cpp: who the members are to be.
  void change_members(Turn& turn, const ChangeMembers& wanted);
  [[nodiscard]] raft::ChangeRefusal judge(const ChangeMembers& wanted) const;
  void configure(Turn& turn, const raft::SharedConfiguration& next);

  // machine.cpp: turns, and everything that concerns Raft.
  void take_in(Turn& turn, Input& input);
  void run(Turn& turn, const raft::Input& input);
  raft::Output step_core(const Turn& turn, const raft::Input& input);
  void flush(Turn& turn);
  void absorb(Turn& turn, raft::Output out);
  void follow_truncation(Index truncated_after);
  void publish(Turn& turn);
  void follow_leadership(Turn& turn);
  void on_transfer(Turn& turn, const TransferLeadership& request);
  void follow_transfer(Turn& turn, const raft::TransferEnded& ended);
  void follow_hand_over(Turn& turn);
  void follow_disk(Turn& turn, const raft::Output& out);
  void cut_if_due(const Turn& turn);
  void finish(Turn& turn);
  void emit(Turn& turn, std::vector<raft::Outgoing> messages);
  void on_message(Turn& turn, FromPeer& from);
  void refused(const std::string& name);
  [[nodiscard]] bool leads() const;
  [[nodiscard]] bool takes_proposals() const;  // Leads, and does not hand over.
  [[nodiscard]] Leadership leadership() const;
  [[nodiscard]] Instant wake_at(const Turn& turn) const;

  // routing.cpp: the ways of proposals.
  void on_submit(Turn& turn, Submit& submit);
  void accept(Turn& turn, LinkId link, wire::Proposal proposal);
  void accept_new(Turn& turn, Waiter waiter, const RequestKey& key, wire::Proposal proposal);
  void on_forward(Turn& turn, NodeId from, wire::Forward& forward);
  void on_forward_reply(Turn& turn, NodeId from, const wire::ForwardReply& reply);
  void on_forward_answer(Turn& turn, Ticket ticket, const wire::Outcome& outcome);
  // `verdict`: what the state machine said, if it was asked already.
  [[nodiscard]] Decision decide(const Turn& turn, const wire::Proposal& proposal,
                                const AdmissionVerdict* verdict = nullptr);
  [[nodiscard]] Decision decide_new(LogTime stamp, const wire::Proposal& proposal,
                                    const AdmissionVerdict* verdict);
  void follow(Turn& turn, Ticket ticket, const Decision& decision);
  [[nodiscard]] Decision append(LogTime stamp, const wire::Proposal& proposal);
  [[nodiscard]] Decision repeat(Position at);
  [[nodiscard]] std::optional<Position> committed_already(const wire::Proposal& proposal) const;
  void take_over(Turn& turn);
  void take_parked(Turn& turn);
  void give_up_leading(Turn& turn);
  void resolve_committed(Turn& turn, const raft::Entry& entry);
  void resolve(Turn& turn, Ticket ticket, const wire::Outcome& outcome);
  void on_timeouts(Turn& turn);
  void forward_parked(Turn& turn);
  void send_forward(Turn& turn, NodeId leader, const std::vector<Ticket>& tickets);
  [[nodiscard]] std::optional<NodeId> reachable_leader() const;
  [[nodiscard]] bool waiting_room_for(std::size_t bytes) const;
  [[nodiscard]] bool forward_room_for(std::size_t bytes, std::size_t before) const;
  [[nodiscard]] wire::RefusedOutcome busy(std::string message);
  [[nodiscard]] wire::RefusedOutcome not_the_leader() const;
  [[nodiscard]] wire::RefusedOutcome overdue(Whereabouts where);
  [[nodiscard]] Index last_index() const;
  [[nodiscard]] LogTime stamp_at(Instant now) const;

  // reading.cpp: read barriers.
  void on_barrier(Turn& turn, const BarrierCall& call);
  void ask_for_reads(Turn& turn);
  void on_finished_read(Turn& turn, const raft::FinishedRead& read);
  [[nodiscard]] wire::RefusedOutcome outcome_of(raft::ReadFailure failure);
  static void answer(Turn& turn, const Barriers::Waiter& waiter, wire::BarrierOutcome outcome);
  void answer_barriers(Turn& turn);

  // applying.cpp: the state machine's part.
  void on_applied(Turn& turn, Applied& applied);
  void on_verdicts(Turn& turn, const Verdicts& given);
  void ask(Turn& turn, Candidate candidate, const wire::Proposal& proposal);
  void drop_questions(Turn& turn);
  [[nodiscard]] bool is_yet_to_be_applied(const wire::Outcome& outcome) const;

  MachineOptions options_;
  raft::Core core_;
  raft::Outbox outbox_;
  ClientSessionTable sessions_;
  Waiting waiting_;
  std::map<NodeId, ForwardsTaken> taken_;
  std::set<NodeId> links_down_;
  Admission admission_;
  Barriers barriers_;
  Results results_;
  Index applied_;
  CutTally cuts_;
  Counters counters_;

  std::vector<raft::Entry> batch_;  // Judged and in the table; not yet given to the core.
  std::size_t batch_bytes_ = 0;

  Leadership followed_;      // What waiting proposals have been arranged by.
  Leadership shown_;         // What the driver was told last.
  Instant elected_at_{};     // While this machine leads: when it began,
  LogTime log_time_before_;  // and the last stamp in the log then.
  Index led_from_;           // Its first entry: all that was ever acknowledged is before it.
  std::optional<std::uint64_t> transfer_;  // Number of the hand-over under way, if asked for.
  bool handing_over_ = false;
  Instant forward_from_{};  // The leader said that it does not lead: not before this.
  Position published_;      // The last entry in a CommittedBatch.
  // The log after that. The core has these too, but may let go of what it commits at once.
  std::deque<raft::Entry> unpublished_;
  Watch watch_;
};

}  // namespace kuilt::cluster
