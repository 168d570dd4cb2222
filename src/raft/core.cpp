#include "raft/core.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "kuilt/detail/overloaded.hpp"

namespace kuilt::raft {

Core::Core(const Options& options, Boot boot, std::uint64_t seed, Instant now)
    : options_(options),
      boot_(boot.boot),
      configurations_{{Index(), std::move(boot.configuration)}},
      id_(boot.self),
      hard_(boot.hard),
      log_(boot.base, std::move(boot.terms), boot.last, std::move(boot.tail)),
      durability_(boot.last),
      commit_(boot.commit),
      now_(now),
      rng_(seed) {
  KUILT_CHECK(!complaint_about(options_));
  KUILT_CHECK(configurations_.front().configuration != nullptr);
  KUILT_CHECK(commit_ >= log_.base().index && commit_ <= log_.last().index);
  KUILT_CHECK(log_.first_in_memory() <= commit_.next());
  KUILT_CHECK(log_.last().term <= hard_.term);
  for (Index i = commit_.next(); i <= log_.last().index; i = i.next()) {
    const Entry& entry = log_.entry_at(i);
    if (entry.configuration) configurations_.push_back({i, entry.configuration});
  }
  follow_configuration();
  uncommitted_bytes_ = log_.cost_between(commit_, log_.last().index);
  restart_election_timer();
}

Output Core::step(Instant now, const Input& input) {
  now_ = now;
  Output out;
  const auto standing = std::tuple(role(), term(), leader());
  const Index commit_before = commit_;
  const SharedConfiguration configuration_before = configuration();
  const bool stalled_before = disk_stalled_;
  const auto on_input = Overloaded{
      [&](const Tick&) { act_on_time(out); },
      [&](const Received& received) { out.refused = receive(received, out); },
      [&](const Propose& propose) { on_propose(propose, out); },
      [&](const Written& written) { on_written(written.seq, out); },
      [&](const Loaded& loaded) { on_loaded(loaded, out); },
      [&](const PeerLost& lost) { on_peer_lost(lost); },
      [&](const Read& read) { on_read(read, out); },
      [&](const TransferLeadership& request) { on_transfer(request, out); },
      [&](const ChangeMembership& change) { on_change(change, out); },
  };
  std::visit(on_input, input);
  out.committed = commit_ != commit_before;
  finish_step(out);
  out.leadership = std::tuple(role(), term(), leader()) != standing;
  out.configuration = configuration() != configuration_before;
  out.disk = disk_stalled_ != stalled_before;
  return out;
}

Refusal Core::receive(const Received& received, Output& out) {
  const Refusal flaw = judge(received.from, received.message);
  return flaw == Refusal::none ? obey(received, out) : flaw;
}

Refusal Core::obey(const Received& received, Output& out) {
  const NodeId from = received.from;
  const auto on_message = Overloaded{
      [&](const VoteRequest& m) { return on_vote_request(from, m, out); },
      [&](const VoteReply& m) { return on_vote_reply(from, m, out); },
      [&](const AppendRequest& m) { return on_append_request(from, m, out); },
      [&](const AppendReply& m) { return on_append_reply(from, m, out); },
      [&](const Heartbeat& m) { return on_heartbeat(from, m, out); },
      [&](const HeartbeatReply& m) { return on_heartbeat_reply(from, m, out); },
      [&](const ReadRequest& m) { return on_read_request(from, m, out); },
      [&](const ReadReply& m) { return on_read_reply(m, out); },
      [&](const TimeoutNow& m) { return on_timeout_now(from, m, out); },
  };
  return std::visit(on_message, received.message);
}

void Core::act_on_time(Output& out) {
  watch_disk(out);
  if (role_ == Role::leader && !quorum_is_live()) step_down();
  if (role_ != Role::leader && now_ >= election_due_) on_election_timeout(out);
  if (role_ == Role::leader && now_ >= heartbeat_due_) broadcast_heartbeat(out);
  reads_on_time(out);
  if (transfer_ && now_ >= transfer_->until) give_up_transfer(out);
}

void Core::on_written(WriteSeq seq, Output& out) {
  const Index before = durability_.index();
  durability_.finish(seq);
  end_stall();
  undurable_bytes_ -= log_.cost_between(before, durability_.index());
  // The own vote counts like any other: once it is on disk (rule 1).
  if (role_ == Role::candidate && durability_.done(hard_write_)) count_vote(self_, out);
  if (role_ == Role::leader) advance_commit();
}

void Core::finish_step(Output& out) {
  if (role_ == Role::leader) {
    if (out.committed) broadcast_heartbeat(out);
    end_farewells();
    go_on_with_change(out);
  }
  if (role_ == Role::leader) replicate(out);
  serve_reads(out);
  if (transfer_) follow_transfer(out);
  if (out.write) {
    out.write->hard = hard_;
    out.write->commit = commit_;
  }
  log_.evict(std::min(commit_, durability_.index()), options_.tail_bytes_max);
  out.wake_at = next_wake();
  check_invariants();
}

Instant Core::next_wake() const {
  Instant wake = std::min(role_ == Role::leader ? heartbeat_due_ : election_due_, reads_wake());
  if (transfer_) wake = std::min(wake, transfer_->until);
  wake = std::min(wake, stall_wake());
  if (role_ != Role::leader || gives_way()) return wake;
  for (const Peer& peer : peers_) {
    const auto due = peer.progress.due(now_, options_.retransmit_after);
    if (due) wake = std::min(wake, *due);
  }
  return wake;
}

void Core::check_invariants() const {
  KUILT_CHECK(commit_ >= log_.base().index && commit_ <= log_.last().index);
  KUILT_CHECK(durability_.index() <= log_.last().index);
  KUILT_CHECK(log_.first_in_memory() <= commit_.next());
  KUILT_CHECK(log_.last().term <= hard_.term);
  KUILT_CHECK(peers_[self_].id == id_);
  const bool campaigned = role_ == Role::candidate || role_ == Role::leader;
  KUILT_CHECK(!campaigned || hard_.vote == self());
  KUILT_CHECK(role_ != Role::leader || leader_ == self());
  KUILT_CHECK(role_ == Role::leader || (reads_.rounds.empty() && reads_.of_peers.empty()));
  KUILT_CHECK(role_ != Role::leader || !reads_.asked);
  KUILT_CHECK(!gives_way() || (role_ == Role::leader && disk_stalled_));
  KUILT_CHECK(!transfer_ || (transfer_->target != self() && transfer_->term <= hard_.term));
}

void Core::send(NodeId to, Message message, WriteSeq needs, Output& out) const {
  out.send.push_back({to, std::move(message), durability_.done(needs) ? WriteSeq(0) : needs});
}

// The one write of this step, made when it is first needed.
Write& Core::write(Output& out) {
  if (!out.write) {
    out.write.emplace();
    out.write->seq = durability_.order(log_.last().index, now_);
  }
  return *out.write;
}

void Core::save(const HardState& hard, Output& out) {
  KUILT_CHECK(hard.term > hard_.term || (hard.term == hard_.term && hard_.vote.is_none()));
  hard_ = hard;
  hard_write_ = write(out).seq;
}

void Core::append(std::vector<Entry> entries, Output& out) {
  if (entries.empty()) return;
  Write& order = write(out);
  std::size_t bytes = 0;
  for (Entry& entry : entries) {
    bytes += entry.cost();
    uncommitted_bytes_ += entry.cost();
    undurable_bytes_ += entry.cost();
    order.entries.push_back(entry);
    out.appended.push_back(entry);
    SharedConfiguration configuration = entry.configuration;
    const Index at = entry.at.index;
    log_.append(std::move(entry));
    if (configuration) add_configuration(at, std::move(configuration));
  }
  durability_.extend_newest(log_.last().index, bytes);
}

void Core::truncate_after(Index index, Output& out) {
  KUILT_CHECK(index >= commit_ && index < log_.last().index);
  Write& order = write(out);
  KUILT_CHECK(order.entries.empty());
  order.truncate_after = out.truncated_after = index;
  uncommitted_bytes_ -= log_.cost_between(index, log_.last().index);
  undurable_bytes_ -= log_.cost_between(std::max(index, durability_.index()), log_.last().index);
  log_.truncate_after(index);
  durability_.truncate_after(index);
  drop_configurations_after(index);
}

void Core::commit_through(Index index) {
  KUILT_CHECK(index <= log_.last().index);
  if (index <= commit_) return;
  uncommitted_bytes_ -= log_.cost_between(commit_, index);
  commit_ = index;
  settle_configurations();
}

std::optional<Core::Slot> Core::slot_of(NodeId id) const {
  for (Slot slot = 0; slot < peers_.size(); ++slot) {
    if (peers_[slot].id == id) return slot;
  }
  return std::nullopt;
}

NodeId Core::self() const { return id_; }
Role Core::role() const { return role_; }
Term Core::term() const { return hard_.term; }
HardState Core::hard_state() const { return hard_; }
std::optional<NodeId> Core::leader() const {
  if (role_ == Role::leader) return self();
  return leader_heard_ ? leader_ : std::nullopt;
}
Index Core::commit_index() const { return commit_; }
Position Core::last() const { return log_.last(); }
Position Core::base() const { return log_.base(); }
Index Core::durable_index() const { return durability_.index(); }
bool Core::committed_in_own_term() const {
  return role_ == Role::leader && log_.term_at(commit_) == hard_.term;
}
std::size_t Core::uncommitted_bytes() const { return uncommitted_bytes_; }
std::size_t Core::undurable_bytes() const { return undurable_bytes_; }
Duration Core::disk_age() const { return durability_.age(now_); }
bool Core::disk_stalled() const { return disk_stalled_; }
const SharedConfiguration& Core::configuration() const {
  return configurations_.back().configuration;
}
const SharedConfiguration& Core::committed_configuration() const {
  return configurations_.front().configuration;
}
std::optional<Index> Core::match_of(NodeId member) const {
  const auto slot = slot_of(member);
  if (role_ != Role::leader || !slot) return std::nullopt;
  return *slot == self_ ? durability_.index() : peers_[*slot].progress.match();
}
std::optional<Term> Core::term_at(Index index) const { return log_.term_at(index); }
const std::vector<TermRange>& Core::term_ranges() const { return log_.terms(); }
Index Core::first_in_memory() const { return log_.first_in_memory(); }
const Entry& Core::entry_at(Index index) const { return log_.entry_at(index); }

}  // namespace kuilt::raft
