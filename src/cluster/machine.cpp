// machine.cpp: the turns of a machine, and what it owes and owns as a member of the Raft cluster.
#include "cluster/machine.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "kuilt/detail/check.hpp"
#include "kuilt/detail/overloaded.hpp"
#include "kuilt/detail/rng.hpp"
#include "wire/entry.hpp"

namespace kuilt::cluster {

namespace {

// Forward numbers of one life of a server: the upper half names the life, the lower one counts.
std::uint64_t first_forward(BootId boot) {
  const std::uint64_t life = Rng(boot.high() ^ Rng(boot.low()).next()).next();
  return (life | 0xffffffffU) - 0xfffffffeU;
}

Position commit_of(const raft::Core& core) {
  const auto term = core.term_at(core.commit_index());
  KUILT_CHECK(term.has_value());
  return Position{core.commit_index(), *term};
}

// Of the heartbeats to one peer only the last one says something new. It keeps its place: entries
// that its commit index speaks of are sent before it.
void coalesce_heartbeats(std::vector<PeerSend>& send) {
  const auto is_heartbeat = [](const PeerSend& each) {
    const auto* message = std::get_if<raft::Message>(&each.message);
    return message != nullptr && std::holds_alternative<raft::Heartbeat>(*message);
  };
  std::set<NodeId> seen;
  const auto superseded = [&](const PeerSend& each) {
    return is_heartbeat(each) && !seen.insert(each.to).second;
  };
  const auto kept = std::remove_if(send.rbegin(), send.rend(), superseded);
  send.erase(send.begin(), kept.base());
}

bool is_of_clients(const Input& input) {
  if (const auto* from = std::get_if<FromPeer>(&input)) {
    return std::holds_alternative<wire::Forward>(from->message);
  }
  return std::holds_alternative<Submit>(input) || std::holds_alternative<LinkClosed>(input) ||
         std::holds_alternative<Verdicts>(input) || std::holds_alternative<BarrierCall>(input);
}

}  // namespace

Machine::Machine(const MachineOptions& options, MachineBoot boot, std::uint64_t seed, Instant now)
    : options_(options),
      core_(options.raft, boot.raft, seed, now),
      sessions_(std::move(boot.sessions)),
      waiting_(first_forward(boot.raft.boot)),
      admission_(options.admission_bytes_max),
      results_(options.results_max, options.results_bytes_max),
      applied_(boot.raft.base.index),
      cuts_(std::move(boot.cuts)),
      published_(commit_of(core_)) {
  followed_ = shown_ = leadership();
  for (raft::Entry& entry : boot.raft.tail) {
    if (entry.at.index > published_.index) unpublished_.push_back(std::move(entry));
  }
}

Output Machine::step(Instant now, std::vector<Input> inputs) {
  Turn turn{.now = now,
            .out = {},
            .before_committed = {},
            .committed = {},
            .to_publish = {},
            .to_apply = {}};
  for (const bool of_clients : {false, true}) {
    for (Input& input : inputs) {
      if (is_of_clients(input) == of_clients) take_in(turn, input);
    }
  }
  ask_for_reads(turn);
  on_timeouts(turn);
  run(turn, raft::Tick{});  // Last: what has come in may be the heartbeat that was waited for.
  flush(turn);              // What a server takes over that this very tick has made the leader.
  cut_if_due(turn);
  flush(turn);
  forward_parked(turn);
  finish(turn);
  return std::move(turn.out);
}

void Machine::take_in(Turn& turn, Input& input) {
  const auto on_input = Overloaded{
      [&](Tick&) {},
      [&](Submit& submit) { on_submit(turn, submit); },
      [&](LinkClosed& closed) { waiting_.close(closed.link); },
      [&](FromPeer& from) { on_message(turn, from); },
      [&](PeerUp& up) {
        links_down_.erase(up.peer);
        waiting_.lose_all_to(up.peer,
                             turn.now);  // A new link: what the old one carried may be lost.
      },
      [&](PeerDown& down) {
        links_down_.insert(down.peer);
        waiting_.lose_all_to(down.peer, turn.now);
        run(turn, raft::PeerLost{down.peer});
      },
      [&](raft::Written& written) {
        emit(turn, outbox_.written(written.seq));
        run(turn, written);
      },
      [&](raft::Loaded& loaded) { run(turn, loaded); },
      [&](Applied& applied) { on_applied(turn, applied); },
      [&](const Verdicts& verdicts) { on_verdicts(turn, verdicts); },
      [&](const BarrierCall& call) { on_barrier(turn, call); },
      [&](const TransferLeadership& request) { on_transfer(turn, request); },
      [&](const ChangeMembers& wanted) { change_members(turn, wanted); },
  };
  std::visit(on_input, input);
}

void Machine::on_message(Turn& turn, FromPeer& from) {
  const auto by_kind = Overloaded{
      [&](raft::Message& message) { run(turn, raft::Received{from.from, std::move(message)}); },
      [&](wire::Forward& forward) { on_forward(turn, from.from, forward); },
      [&](wire::ForwardReply& reply) { on_forward_reply(turn, from.from, reply); },
  };
  std::visit(by_kind, from.message);
}

void Machine::run(Turn& turn, const raft::Input& input) {
  // What was judged goes into the log first: a message may end the term that it was judged in.
  flush(turn);
  raft::Output out = step_core(turn, input);
  if (raft::tells_of_a_fault(out.refused)) {
    turn.out.faults.push_back({std::get<raft::Received>(input).from, out.refused});
  }
  if (out.truncated_after) follow_truncation(*out.truncated_after);
  for (const raft::Entry& entry : out.appended) {
    if (entry.kind != raft::EntryKind::command) continue;
    const auto command = wire::decode_command(entry);
    KUILT_CHECK(command.has_value());  // Checked where it came in.
    sessions_.append(*command);
  }
  absorb(turn, std::move(out));
}

raft::Output Machine::step_core(const Turn& turn, const raft::Input& input) {
  raft::Output out = core_.step(turn.now, input);
  if (watch_) watch_(core_, input, out);
  return out;
}

// The table has taken these entries in since they were judged.
void Machine::flush(Turn& turn) {
  if (batch_.empty()) return;
  const Position last = batch_.back().at;
  batch_bytes_ = 0;
  const raft::Propose propose{std::exchange(batch_, {})};
  raft::Output out = step_core(turn, propose);
  KUILT_CHECK(core_.last() == last);
  absorb(turn, std::move(out));
}

void Machine::absorb(Turn& turn, raft::Output out) {
  if (out.refused != raft::Refusal::none) refused(std::string(raft::name_of(out.refused)));
  if (out.write) turn.out.writes.push_back(*std::move(out.write));
  emit(turn, outbox_.put(std::move(out.send)));
  std::move(out.need_entries.begin(), out.need_entries.end(), std::back_inserter(turn.out.loads));
  for (const raft::Entry& entry : out.appended) cuts_.append(entry);
  std::move(out.appended.begin(), out.appended.end(), std::back_inserter(unpublished_));
  turn.out.wake_at = out.wake_at;
  // Commit before leadership: what this step has committed is no longer to be forwarded.
  if (out.committed) publish(turn);
  if (out.configuration) turn.out.configuration = core_.configuration();
  if (out.configure) configure(turn, out.configure);
  follow_leadership(turn);
  if (out.round_reads > 1) ++counters_.shared_read_rounds;
  for (const raft::FinishedRead& read : out.reads) on_finished_read(turn, read);
  follow_hand_over(turn);
  follow_disk(turn, out);
  if (out.transfer) follow_transfer(turn, *out.transfer);
}

void Machine::on_transfer(Turn& turn, const TransferLeadership& request) {
  flush(turn);
  // One that comes while another is under way is refused in this very step, and the other goes on.
  const auto under_way = std::exchange(transfer_, request.number);
  run(turn, raft::TransferLeadership{request.target});
  if (under_way) transfer_ = under_way;
}

// Asked for, or of the core's own accord (rule 7). Nothing of what is in question is in the log, so
// it waits like everything that comes from now on.
void Machine::follow_hand_over(Turn& turn) {
  const bool before = std::exchange(handing_over_, core_.hands_over());
  if (handing_over_ && !before) drop_questions(turn);
}

void Machine::follow_disk(Turn& turn, const raft::Output& out) {
  if (out.gave_way) ++counters_.gave_way;
  if (!out.disk) return;
  turn.out.disk_stalled = core_.disk_stalled();
  if (core_.disk_stalled()) ++counters_.disk_stalls;
}

void Machine::follow_transfer(Turn& turn, const raft::TransferEnded& ended) {
  if (transfer_) turn.out.transfers.push_back({*transfer_, ended});
  transfer_.reset();
  const bool given_up = ended.end == raft::TransferEnd::target_behind ||
                        ended.end == raft::TransferEnd::target_not_won;
  if (ended.end == raft::TransferEnd::done && ended.target != core_.self()) {
    ++counters_.transfers_done;
  }
  if (!given_up || !leads()) return;
  ++counters_.transfers_given_back;
  take_parked(turn);
}

void Machine::follow_truncation(Index truncated_after) {
  sessions_.truncate_after(truncated_after);
  cuts_.truncate_after(truncated_after);
  ++counters_.truncations;
  while (!unpublished_.empty() && unpublished_.back().at.index > truncated_after) {
    unpublished_.pop_back();
    ++counters_.truncated_entries;
  }
}

void Machine::publish(Turn& turn) {
  if (turn.committed.empty()) turn.before_committed = published_;
  const Position through = commit_of(core_);
  while (!unpublished_.empty() && unpublished_.front().at.index <= through.index) {
    turn.committed.push_back(std::move(unpublished_.front()));
    unpublished_.pop_front();
    resolve_committed(turn, turn.committed.back());
  }
  KUILT_CHECK(turn.committed.back().at == through);
  sessions_.release(through.index);
  cuts_.release(through.index);
  published_ = through;
}

// Nor does a leader pile up cuts that can not commit, or append while it hands over.
void Machine::cut_if_due(const Turn& turn) {
  if (!takes_proposals() || !cuts_.is_due(options_.cuts)) return;
  if (std::max(core_.uncommitted_bytes(), core_.undurable_bytes()) >
      options_.raft.uncommitted_bytes_max) {
    return;
  }
  batch_.push_back(wire::encode_cut({last_index().next(), core_.term()}, stamp_at(turn.now)));
  batch_bytes_ += batch_.back().cost();
  ++counters_.cuts;
}

void Machine::follow_leadership(Turn& turn) {
  const Leadership now = leadership();
  if (now == followed_) return;
  const Leadership before = std::exchange(followed_, now);
  const bool led = before.role == raft::Role::leader;
  if (led && (!leads() || before.term != now.term)) give_up_leading(turn);
  if (leads() && !(led && before.term == now.term)) {
    ++counters_.elections_won;
    elected_at_ = turn.now;
    log_time_before_ = sessions_.log_time();
    led_from_ = last_index();
    take_over(turn);
  }
  if (now.leader == before.leader && now.term == before.term) return;
  forward_from_ = Instant{};
  if (now.leader && !leads()) waiting_.lose_all_but(*now.leader, now.term, turn.now);
}

void Machine::finish(Turn& turn) {
  answer_barriers(turn);
  coalesce_heartbeats(turn.out.send);
  if (!turn.committed.empty()) {
    turn.out.committed = std::make_shared<const CommittedBatch>(
        CommittedBatch{turn.before_committed, published_, std::move(turn.committed)});
  }
  if (const Leadership now = leadership(); now != shown_) turn.out.leadership = shown_ = now;
  turn.out.wake_at = wake_at(turn);
}

void Machine::emit(Turn& turn, std::vector<raft::Outgoing> messages) {
  for (raft::Outgoing& each : messages) {
    turn.out.send.push_back(PeerSend{each.to, std::move(each.message)});
  }
}

void Machine::refused(const std::string& name) { ++counters_.refused_peer_messages[name]; }

bool Machine::leads() const { return core_.role() == raft::Role::leader; }

bool Machine::takes_proposals() const { return leads() && !core_.hands_over(); }

Leadership Machine::leadership() const { return {core_.role(), core_.term(), core_.leader()}; }

Instant Machine::wake_at(const Turn& turn) const {
  Instant wake = turn.out.wake_at;
  if (const auto due = waiting_.next_due()) wake = std::min(wake, due->at);
  if (const auto oldest = waiting_.oldest()) {
    wake = std::min(wake, waiting_.at(*oldest).added_at + options_.answer_within_max);
  }
  if (!waiting_.parked().empty()) {
    wake = std::min(wake, waiting_.parked().begin()->first + options_.leader_wait_max);
    if (forward_from_ > turn.now) wake = std::min(wake, forward_from_);
  }
  if (const auto oldest = barriers_.oldest()) {
    wake = std::min(wake, oldest->since + options_.barrier_within_max);
  }
  return wake;
}

const raft::Core& Machine::raft() const { return core_; }
const ClientSessionTable& Machine::sessions() const { return sessions_; }
const Counters& Machine::counters() const { return counters_; }
std::size_t Machine::waiting() const { return waiting_.size(); }
Index Machine::applied() const { return applied_; }

}  // namespace kuilt::cluster
