// core.hpp: the consensus core. Facts go in, duties come out, nothing else happens.
//
// Source: Ongaro & Ousterhout, "In Search of an Understandable Consensus Algorithm" (2014), and
// Ongaro's dissertation, 4.2.3 and 9.6 (pre-vote), 6.2 (check-quorum), 10.2.1 (the leader writes
// in parallel with its followers), 6.4 (reads), 3.10 (hand-over of the lead). The numbered rules
// are those of docs/ARCHITECTURE.md.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "kuilt/detail/rng.hpp"
#include "raft/durability.hpp"
#include "raft/log_view.hpp"
#include "raft/membership.hpp"
#include "raft/messages.hpp"
#include "raft/progress.hpp"
#include "raft/quorum.hpp"
#include "raft/read_index.hpp"

namespace kuilt::raft {

struct Options {
  Duration heartbeat_interval = std::chrono::milliseconds(50);
  Duration election_timeout_min = std::chrono::milliseconds(300);
  Duration election_timeout_max = std::chrono::milliseconds(600);
  /// Entries that one append carries at most; one entry always fits.
  std::size_t append_bytes_max = std::size_t{256} << 10;
  /// Unacknowledged bytes on the way to one follower.
  std::size_t window_bytes_max = std::size_t{4} << 20;
  /// Entries kept in memory once they are committed and durable here.
  std::size_t tail_bytes_max = std::size_t{64} << 20;
  /// Entries that a leader accepts beyond the commit index, and beyond what its own disk has. More
  /// is refused as busy.
  std::size_t uncommitted_bytes_max = std::size_t{64} << 20;
  /// Without an answer for this long, what is in flight to a follower is sent again.
  Duration retransmit_after = std::chrono::milliseconds(500);
  /// Terms that one message may be ahead of our own (kuilt-lessons, bug 9).
  std::uint64_t term_jump_max = std::uint64_t{1} << 32;
  /// Reads of this server without an index; more is refused as busy.
  std::size_t reads_max = 65'536;
  /// A read without an index fails after this.
  Duration read_wait_max = std::chrono::seconds(2);
  /// Entries that a learner may lack of the leader's log and still be made a voter.
  std::uint64_t learner_behind_max = 1000;
  /// A change is given up when a learner that it waits for has not caught up after so many rounds,
  std::uint32_t catch_up_rounds_max = 10;
  /// or has not been heard of for this long.
  Duration learner_silence_max = std::chrono::seconds(10);
  /// A disk that is not done with a write after so long hangs (rule 7): a leader gives way, and
  /// nobody stands or votes, until it is done.
  Duration disk_stall_max = std::chrono::seconds(2);
};
/// A sentence that names the value and the limit; nothing, if the options are sound.
[[nodiscard]] std::optional<std::string> complaint_about(const Options& options);

/// What a core starts from: what recovery found, all of it durable.
struct Boot {
  NodeId self;
  BootId boot;
  HardState hard;
  Position base;                 ///< The entry before the first one kept. (0, 0) for a whole log.
  std::vector<TermRange> terms;  ///< From base.index + 1 on. Empty if there are no entries.
  Index last;                    ///< base.index, if there are no entries.
  std::vector<Entry> tail;       ///< The last entries, without a gap up to `last`; every entry
                                 ///< above `commit` is in it.
  Index commit;                  ///< Known to be committed. At least base.index, at most last.
  /// The last one at or before `commit`; without members, if there is none (a server that has yet
  /// to hear of its cluster). Later ones are in `tail`. It need not name `self`.
  SharedConfiguration configuration;
};

// What may happen to a core.

/// Time has passed: what is due, is done.
struct Tick {};
struct Received {
  NodeId from;
  Message message;
};
/// Append these. Pre: this core leads and does not hand over; the entries continue `last_index()`
/// without a gap and carry `term()`. The caller encodes them, hence the precondition.
struct Propose {
  std::vector<Entry> entries;
};
/// The disk has made every write through `seq` durable.
struct Written {
  WriteSeq seq;
};
/// The answer to a NeedEntries: consecutive entries from `first` on; none, if reading failed.
struct Loaded {
  NodeId peer;
  Index first;
  std::vector<Entry> entries;
};
/// The link to a peer broke: whatever was in flight to it may be lost.
struct PeerLost {
  NodeId peer;
};
/// Find the index through which this server must have applied the log, so that a read of its state
/// is linearizable. Output::reads has the end of it, in the same step or later. Pre: a new id.
struct Read {
  ReadId id;
};
/// Hand over the lead to `target`, or to the voter that is best suited. Output::transfer tells how
/// it ended, in the same step or later.
struct TransferLeadership {
  std::optional<NodeId> target;
};
using Input = std::variant<Tick, Received, Propose, Written, Loaded, PeerLost, Read,
                           TransferLeadership, ChangeMembership>;

/// One ordered piece of disk work. Writes are done in the order of `seq`, and may share a batch.
struct Write {
  WriteSeq seq;
  HardState hard;                       ///< As of this write; repeated in the batch header.
  std::optional<Index> truncate_after;  ///< First, drop every entry after this index.
  std::vector<Entry> entries;           ///< Then append these. May be empty.
  Index commit;                         ///< Known committed at this write; at most its last index.
};
/// A message and what must be durable before it may leave (rule 1).
struct Outgoing {
  NodeId to;
  Message message;
  WriteSeq needs;  ///< Zero: nothing.
};
/// A follower needs entries that are no longer in memory. Answer with Loaded, once.
struct NeedEntries {
  NodeId peer;
  Index first;
  Index last;             ///< Inclusive.
  std::size_t bytes_max;  ///< Stop after this many bytes, but not before the first entry.
};

enum class Role : std::uint8_t { follower, pre_candidate, candidate, leader };
[[nodiscard]] std::string_view name_of(Role role);

/// Why a peer's message was refused (rule 8). Counted by name; never an assertion.
enum class Refusal : std::uint8_t {
  none,
  unknown_sender,
  stale_term,
  term_jump,
  leader_is_live,  ///< A (pre-)vote request while a leader is heard: ignored, without an answer.
  second_leader_in_term,
  entries_not_contiguous,
  entry_term_grows_beyond_message,
  entry_terms_decrease,
  entry_kind_and_configuration_disagree,
  entry_larger_than_allowed,  ///< By the cluster's configuration: no leader took it from a client.
  conflict_below_commit,
  acknowledges_beyond_log,
  answers_unknown_round,
  late_reply,
  not_leading,            ///< A read request: this server does not lead the term that it names.
  repeated_read_request,  ///< A copy of one that is pending, or of an older one.
  answers_unknown_read,   ///< Never asked, or asked of another.
  read_below_commit,      ///< An index below what the asker knew to be committed when it asked.
  sender_does_not_lead,   ///< Only the leader of our term says who is to follow it.
  learner_does_not_stand,
  log_differs,         ///< The hand-over was meant for another log than ours is by now.
  vote_not_durable,    ///< Our own last vote is on its way to the disk: no second one meanwhile.
  candidate_left,      ///< It lacks an entry by which it is no voter any more: told so, no vote.
  disk_stalled,        ///< Our disk hangs: no vote, and no election of our own.
  unsynced_tail_full,  ///< Our disk is too far behind to be given more; the leader sends it again.
  sender_is_self,      ///< Nobody else has our id.
  no_term,             ///< Whoever asks or leads is in a term, and the first one is 1.
  log_beyond_term,     ///< A log holds nothing of a later term than its server's; nor, if it stands
                       ///< for election, of that one.
  commit_beyond_term,  ///< Nothing of a later term than the leader's own is decided.
  vote_not_asked_for,  ///< We have not stood in that term.
  answers_unasked_term,     ///< We have not led a term as late as that, so nobody obeys us in it.
  rejection_without_sense,  ///< Logs can agree only before what was rejected.
};
[[nodiscard]] std::string_view name_of(Refusal refusal);
/// Whether no sound server of this cluster is ever refused so, whatever its links and disks do:
/// another version, damage, or worse.
[[nodiscard]] bool tells_of_a_fault(Refusal refusal);

/// How a hand-over of the lead ended.
enum class TransferEnd : std::uint8_t {
  done,  ///< The target leads.
  // Refused at once: nothing has changed.
  not_leader,
  under_way,  ///< Another one, which goes on.
  unknown_target,
  target_does_not_vote,
  target_silent,
  no_successor,  ///< No target was named, and no other voter is heard.
  // Given up: whoever led takes proposals again, if it still leads.
  target_behind,   ///< It did not have the whole log in time, so it was never told to stand.
  target_not_won,  ///< It did not win in time. It may yet.
  another_won,     ///< A later term has another leader: a third one, or the old one again.
  // Refused at once, too:
  target_disk_stalled,  ///< It could not persist its own vote.
};
[[nodiscard]] std::string_view name_of(TransferEnd end);
struct TransferEnded {
  TransferEnd end = TransferEnd::done;
  std::optional<NodeId> target;  ///< As asked for, or as chosen.
  friend bool operator==(const TransferEnded&, const TransferEnded&) = default;
};

/// What the driver owes the core after a step. The field order is the order of the work.
struct Output {
  std::optional<Write> write;  ///< Hand it to the log; answer with Written.
  std::vector<Outgoing> send;  ///< Through the outbox, which obeys `needs`.
  std::vector<NeedEntries> need_entries;
  std::optional<Index> truncated_after;   ///< Entries after this index are no longer in the log.
  std::vector<Entry> appended;            ///< Now in the log, in order, after any truncation.
  bool committed = false;                 ///< commit_index() moved.
  bool leadership = false;                ///< role(), term() or leader() changed.
  std::vector<FinishedRead> reads;        ///< In no order.
  std::optional<TransferEnded> transfer;  ///< A TransferLeadership has ended.
  std::size_t round_reads = 0;      ///< Own reads, and requests of peers, that one round confirmed.
  Refusal refused = Refusal::none;  ///< Why the message that came in was not obeyed.
  /// Why the change of members that was asked for does not begin.
  ChangeRefusal change_refused = ChangeRefusal::none;
  /// Encode this as the entry after `last()` and Propose it, before anything else.
  SharedConfiguration configure;
  bool configuration = false;  ///< configuration() changed.
  bool disk = false;           ///< disk_stalled() changed.
  bool gave_way = false;       ///< A leader whose disk hangs begins to give way.
  Instant wake_at{};           ///< Call step(now, Tick{}) no later than this.
};

/// The consensus core of one server: elections, replication, commitment.
///
/// Threads: none; one caller at a time. Deterministic and copyable: the same boot, seed and inputs
/// always give the same outputs.
class Core {
 public:
  /// Pre: `complaint_about(options)` is empty; `boot` is what recovery found.
  Core(const Options& options, Boot boot, std::uint64_t seed, Instant now);

  /// Takes in one fact and returns every duty that follows from it. Only a Tick looks at the clock:
  /// whoever has several facts hands them in first, so that a core that was held up hears what came
  /// meanwhile before it judges who has been silent.
  Output step(Instant now, const Input& input);

  [[nodiscard]] NodeId self() const;
  [[nodiscard]] Role role() const;
  [[nodiscard]] Term term() const;
  [[nodiscard]] HardState hard_state() const;
  [[nodiscard]] std::optional<NodeId> leader() const;  ///< Of `term()`, as far as known here.
  [[nodiscard]] Index commit_index() const;
  [[nodiscard]] Position last() const;  ///< Base, if the log is empty.
  [[nodiscard]] Position base() const;
  [[nodiscard]] Index durable_index() const;  ///< On this server's own disk.
  /// Whether this leader has committed an entry of its own term (rules 5 and reads need it).
  [[nodiscard]] bool committed_in_own_term() const;
  /// Whether this leader hands over, and takes no proposals as long as that lasts.
  [[nodiscard]] bool hands_over() const;
  /// Bytes of entries beyond the commit index, against Options::uncommitted_bytes_max.
  [[nodiscard]] std::size_t uncommitted_bytes() const;
  /// Bytes of entries that the own disk does not vouch for yet, against the same limit: the others
  /// may commit without this disk, and what waits for it is held in memory (rule 13).
  [[nodiscard]] std::size_t undurable_bytes() const;
  /// Age of the oldest write that the own disk is not done with, as of the last step; zero: none.
  [[nodiscard]] Duration disk_age() const;
  /// Whether that was too long when time was looked at last, and still is (rule 7).
  [[nodiscard]] bool disk_stalled() const;
  /// The one in force: the last in the log, committed or not.
  [[nodiscard]] const SharedConfiguration& configuration() const;
  /// The last one that is known to be committed.
  [[nodiscard]] const SharedConfiguration& committed_configuration() const;
  /// How far a member's log is known to match; nothing, unless this core leads and replicates to
  /// it.
  [[nodiscard]] std::optional<Index> match_of(NodeId member) const;
  /// The term of a position in the log or of its base; nothing outside.
  [[nodiscard]] std::optional<Term> term_at(Index index) const;
  /// The terms of the whole log, from base.index + 1 on.
  [[nodiscard]] const std::vector<TermRange>& term_ranges() const;
  /// The first index whose entry is in memory; last + 1 if none is.
  [[nodiscard]] Index first_in_memory() const;
  /// The entry at `index`, which must be in memory.
  [[nodiscard]] const Entry& entry_at(Index index) const;

  /// Durable and volatile state without absolute time and random state: equal fingerprints mean
  /// equal futures.
  [[nodiscard]] std::string fingerprint() const;
  /// The same for a checker that decides itself when a timer fires: of time it keeps what is over
  /// already, and nothing of how long the rest has to go. Members are written by their place in
  /// `order`, so that states which differ by an exchange of members can be told to be one.
  [[nodiscard]] std::string fingerprint_without_timers(std::span<const NodeId> order) const;

  // Implemented across core.cpp, election.cpp, fingerprint.cpp, gate.cpp, membership.cpp,
  // read_index.cpp, replication.cpp, stall.cpp and transfer.cpp.
 private:
  using Slot = std::size_t;  // A server's place in peers_.
  struct Peer {
    NodeId id;
    bool voter = false;           // In the configuration in force,
    bool outgoing_voter = false;  // and in the one that a joint one replaces.
    bool granted = false;         // Its vote in this term, whatever round runs.
    bool pre_granted = false;     // Its pre-vote in the round that runs.
    // While this core leads:
    Progress progress{};
    CatchUp catch_up{};                  // Of a learner whose promotion waits.
    std::optional<Farewell> farewell{};  // Of a server that is no longer a member.
  };

  /// A hand-over that has not ended. `term` is the one in which the lead is given away.
  struct Transfer {
    NodeId target;
    Term term;
    Instant until;               // Given up then.
    std::uint64_t asked_in = 0;  // The last heartbeat round in which the target was told to stand.
  };

  void finish_step(Output& out);
  [[nodiscard]] Instant next_wake() const;
  void act_on_time(Output& out);
  Refusal receive(const Received& received, Output& out);
  Refusal obey(const Received& received, Output& out);
  void on_written(WriteSeq seq, Output& out);
  void check_invariants() const;
  class Text;
  void describe(Text& text) const;
  void describe_stall(Text& text) const;
  void describe_members(Text& text) const;
  void describe_change(Text& text, const Peer& peer) const;
  void describe_reads(Text& text, std::span<const Peer* const> peers) const;

  [[nodiscard]] std::optional<Slot> slot_of(NodeId id) const;
  // Whether those who hold are a majority, in both halves of a joint configuration.
  template <class Predicate>
  [[nodiscard]] bool majority(Predicate holds) const {
    Tally tally;
    for (const Peer& peer : peers_) tally.count(peer.voter, peer.outgoing_voter, holds(peer));
    return tally.carried();
  }
  void send(NodeId to, Message message, WriteSeq needs, Output& out) const;
  Write& write(Output& out);
  void save(const HardState& hard, Output& out);
  void append(std::vector<Entry> entries, Output& out);
  void truncate_after(Index index, Output& out);
  void commit_through(Index index);

  // gate.cpp
  [[nodiscard]] Refusal judge(NodeId from, const Message& message) const;
  [[nodiscard]] Refusal flaw_in(NodeId from, const VoteRequest& request) const;
  [[nodiscard]] Refusal flaw_in(NodeId from, const VoteReply& reply) const;
  [[nodiscard]] Refusal flaw_in(NodeId from, const AppendRequest& request) const;
  [[nodiscard]] Refusal flaw_in(NodeId from, const AppendReply& reply) const;
  [[nodiscard]] Refusal flaw_in(NodeId from, const Heartbeat& heartbeat) const;
  [[nodiscard]] Refusal flaw_in(NodeId from, const HeartbeatReply& reply) const;
  [[nodiscard]] Refusal flaw_in(NodeId from, const ReadRequest& request) const;
  [[nodiscard]] Refusal flaw_in(NodeId from, const ReadReply& reply) const;
  [[nodiscard]] Refusal flaw_in(NodeId from, const TimeoutNow& order) const;
  [[nodiscard]] bool is_second_leader(NodeId from, Term term) const;
  [[nodiscard]] bool contradicts_commit(Position position) const;

  // election.cpp
  void restart_election_timer();
  void on_election_timeout(Output& out);
  void start_vote_round(Role role, bool transfer, Output& out);
  void become_candidate(bool transfer, Output& out);
  void become_leader(Output& out);
  void step_down();
  void adopt(Term term, Output& out);
  void count_vote(Slot slot, Output& out);
  void count_pre_vote(Slot slot, Output& out);
  [[nodiscard]] bool leader_is_live() const;
  [[nodiscard]] bool quorum_is_live() const;
  [[nodiscard]] bool is_heard(const Peer& peer) const;
  [[nodiscard]] bool is_up_to_date(Position candidate) const;
  void follow(NodeId leader, Term term, Output& out);
  Refusal on_vote_request(NodeId from, const VoteRequest& request, Output& out);
  Refusal on_vote_reply(NodeId from, const VoteReply& reply, Output& out);

  // read_index.cpp
  void on_read(const Read& read, Output& out);
  void serve_reads(Output& out);
  void fail_reads(Output& out);
  void lead_reads(Output& out);
  void begin_read_round();
  void confirm_reads(Output& out);
  void answer(const Reads::OfPeer& reads, std::optional<Index> index, Output& out) const;
  void ask_leader(Output& out);
  void take_back_reads();
  void ask_again_later();
  void reads_on_time(Output& out);
  [[nodiscard]] Instant reads_wake() const;
  Refusal on_read_request(NodeId from, const ReadRequest& request, Output& out);
  Refusal on_read_reply(const ReadReply& reply, Output& out);
  // membership.cpp
  void follow_configuration();
  void settle_peers();
  void add_configuration(Index at, SharedConfiguration configuration);
  void drop_configurations_after(Index index);
  void settle_configurations();
  [[nodiscard]] bool may_campaign() const;
  [[nodiscard]] bool campaigns_in_vain() const;
  [[nodiscard]] bool may_vote(NodeId id) const;
  [[nodiscard]] bool may_configure() const;
  void on_change(const ChangeMembership& change, Output& out);
  [[nodiscard]] ChangeRefusal judge(const ChangeMembership& change) const;
  [[nodiscard]] ChangeRefusal judge_learners(const ChangeMembership& change) const;
  [[nodiscard]] bool has_answered(const Peer& peer) const;
  [[nodiscard]] bool majority_answers(const std::vector<Member>& wanted) const;
  [[nodiscard]] bool is_behind(NodeId learner) const;
  [[nodiscard]] Configuration first_step_to(std::vector<Member> wanted, bool wait) const;
  void go_on_with_change(Output& out);
  void go_on_with_learners(Output& out);
  void begin_catching_up(Peer& peer);
  [[nodiscard]] bool is_promoted(NodeId id) const;
  void follow_catch_up(Peer& peer);
  [[nodiscard]] bool has_caught_up(const Peer& peer) const;
  [[nodiscard]] bool is_hopeless(const Peer& peer) const;
  [[nodiscard]] bool is_silent(const Peer& peer) const;
  [[nodiscard]] bool has_left(NodeId candidate, Position last) const;
  void hear_committed(Position committed);
  void tell_that_it_left(NodeId id);
  void count_farewell_rounds();
  void end_farewells();

  // replication.cpp
  void on_propose(const Propose& propose, Output& out);
  void on_loaded(const Loaded& loaded, Output& out);
  void on_peer_lost(const PeerLost& lost);
  Refusal on_append_request(NodeId from, const AppendRequest& request, Output& out);
  Refusal on_append_reply(NodeId from, const AppendReply& reply, Output& out);
  Refusal on_heartbeat(NodeId from, const Heartbeat& heartbeat, Output& out);
  Refusal on_heartbeat_reply(NodeId from, const HeartbeatReply& reply, Output& out);
  Refusal accept(NodeId from, const AppendRequest& request, Output& out);
  void reject(NodeId from, const AppendRequest& request, Output& out) const;
  Refusal on_rejection(Peer& peer, const AppendReply& reply);
  std::optional<Refusal> not_for_this_leader(Term term, Output& out);
  void broadcast_heartbeat(Output& out);
  void replicate(Output& out);
  void replicate_to(Peer& peer, Output& out);
  void send_append(Peer& peer, std::vector<Entry> entries, Output& out);
  void ask_for_entries(Peer& peer, Output& out);
  void advance_commit();

  // stall.cpp
  void watch_disk(Output& out);
  void give_way(Output& out);
  void end_stall();
  [[nodiscard]] bool gives_way() const { return give_way_until_.has_value(); }
  [[nodiscard]] bool is_majority_alone() const;
  [[nodiscard]] bool has_room_for(std::span<const Entry> entries) const;
  [[nodiscard]] Instant stall_wake() const;

  // transfer.cpp
  void on_transfer(const TransferLeadership& request, Output& out);
  void follow_transfer(Output& out);
  void tell_to_stand(Output& out);
  void give_up_transfer(Output& out);
  void end_transfer(TransferEnd end, Output& out);
  [[nodiscard]] std::optional<Slot> best_successor() const;
  Refusal on_timeout_now(NodeId from, const TimeoutNow& order, Output& out);

  Options options_;
  BootId boot_;
  // The last one that is known to be committed, and all after it in the log.
  std::vector<ConfigurationAt> configurations_;
  NodeId id_;
  std::vector<Peer> peers_;  // All members, and always this server. Sorted by id.
  Slot self_ = 0;

  // What the disk holds or is about to hold.
  HardState hard_;
  WriteSeq hard_write_;  // Made hard_ durable, or will.
  LogView log_;
  Durability durability_;

  Index commit_;
  std::size_t uncommitted_bytes_ = 0;
  std::size_t undurable_bytes_ = 0;
  Role role_ = Role::follower;
  std::optional<NodeId> leader_;  // Of this term, once it has shown itself: there is no second one.
  std::optional<Instant> leader_heard_;  // Last; nothing, once it has been silent for too long.
  std::optional<Position>
      lacks_;  // Committed elsewhere: while it is not here, there is no winning.
  Instant election_due_{};
  Instant heartbeat_due_{};
  std::uint64_t round_ = 0;
  Reads reads_;
  std::optional<Transfer> transfer_;
  bool disk_stalled_ = false;
  std::optional<Instant> give_way_until_;  // Of a leader whose disk hangs: it steps down then.

  Instant now_;  // Of the step that runs.
  Rng rng_;
};

}  // namespace kuilt::raft
