// fingerprint.cpp: everything that decides a core's future, as text. Instants are written relative
// to the step that ran last, and the random state is left out, so that a checker recognises a state
// that it has seen before.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "raft/core.hpp"

namespace kuilt::raft {

class Core::Text {
 public:
  /// With an empty `order` members are written by their ids, and time as it is.
  Text(Instant now, std::span<const NodeId> order) : now_(now), order_(order) {}

  Text& operator<<(std::uint64_t value) { return put(std::to_string(value)); }
  Text& operator<<(std::string_view word) { return put(word); }
  template <class Tag>
  Text& operator<<(Number<Tag> number) {
    return *this << number.value();
  }
  Text& operator<<(NodeId id) {
    const auto place = std::ranges::find(order_, id);
    if (place == order_.end()) return put(id.text());
    return *this << static_cast<std::uint64_t>(place - order_.begin());
  }
  Text& operator<<(BootId id) { return put(id.text()); }
  Text& operator<<(Position at) { return *this << at.index << at.term; }
  // What is over is over, however long ago.
  Text& deadline(Instant at) { return rest(at - now_); }
  Text& age_up_to(Instant since, Duration limit) { return rest(since + limit - now_); }

  [[nodiscard]] std::span<const NodeId> order() const { return order_; }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  Text& rest(Duration left) {
    if (!order_.empty()) return put(left > Duration(0) ? "-" : "over");
    return put(std::to_string(std::max(left, Duration(0)).count()));
  }
  Text& put(std::string_view word) {
    text_ += word;
    text_ += ' ';
    return *this;
  }

  Instant now_;
  std::span<const NodeId> order_;
  std::string text_;
};

namespace {

template <class Text>
void describe(Text& text, const std::vector<Member>& members) {
  std::vector<const Member*> sorted;
  for (const Member& member : members) sorted.push_back(&member);
  const auto place = [&](const Member* one) { return std::ranges::find(text.order(), one->id); };
  if (!text.order().empty()) std::ranges::sort(sorted, {}, place);
  text << std::uint64_t{members.size()};
  for (const Member* member : sorted) text << member->id << std::uint64_t{member->voter};
}

template <class Text>
void describe_progress(Text& text, const Progress& progress, const Options& options) {
  text << progress.match() << progress.next()
       << std::string_view(progress.probing() ? "probe" : "replicate");
  text << progress.boot() << progress.loading().value_or(Index(0));
  text << std::uint64_t{progress.disk_stalled()};
  text << "flight";
  for (const Progress::InFlight& append : progress.in_flight()) {
    text << append.last << append.bytes << append.round;
  }
  text.deadline(progress.paused_until());
  if (!progress.in_flight().empty()) {
    text.age_up_to(progress.waiting_since(), options.retransmit_after);
  }
  text.age_up_to(progress.heard(), options.election_timeout_max);
}

template <class Text>
void describe(Text& text, const std::vector<Reads::Own>& own,
              const std::vector<Reads::OfPeer>& of_peers) {
  for (const Reads::Own& read : own) (text << read.id).deadline(read.due);
  text << "peers";
  for (const Reads::OfPeer& reads : of_peers) text << reads.peer << reads.boot << reads.number;
}

}  // namespace

std::string Core::fingerprint() const {
  Text text(now_, {});
  describe(text);
  return text.take();
}

std::string Core::fingerprint_without_timers(std::span<const NodeId> order) const {
  KUILT_CHECK(order.size() == peers_.size());
  Text text(now_, order);
  describe(text);
  return text.take();
}

void Core::describe(Text& text) const {
  text << self() << hard_.term << hard_.vote << name_of(role_);
  text << "log" << log_.base();
  for (const TermRange& range : log_.terms()) text << range.first << range.term;
  text << log_.last().index << log_.first_in_memory() << commit_ << durability_.index();
  for (Index i = log_.first_in_memory(); i <= log_.last().index; i = i.next()) {
    const Entry& entry = log_.entry_at(i);
    text << static_cast<std::uint64_t>(entry.kind) << entry.cost() << entry.stored.text();
  }
  // Writes are written by their place among the unfinished: how many came before decides nothing.
  const auto& unfinished = durability_.unfinished();
  const auto holds_hard = [&](const auto& write) { return write.seq <= hard_write_; };
  text << "disk" << static_cast<std::uint64_t>(std::ranges::count_if(unfinished, holds_hard));
  for (const Durability::Unfinished& write : unfinished) {
    text << write.last << std::uint64_t{write.bytes};
  }
  describe_stall(text);
  describe_members(text);
  text << "leader" << leader_.value_or(NodeId());
  if (leader_heard_) text.age_up_to(*leader_heard_, options_.election_timeout_min);
  std::vector<const Peer*> peers;
  for (const Peer& peer : peers_) peers.push_back(&peer);
  const auto place = [&](const Peer* peer) { return std::ranges::find(text.order(), peer->id); };
  if (!text.order().empty()) std::ranges::sort(peers, {}, place);
  for (const Peer* peer : peers) {
    text << std::uint64_t{peer->granted} << std::uint64_t{peer->pre_granted};
  }
  if (transfer_) {
    text << "transfer" << transfer_->target << transfer_->term << transfer_->asked_in;
    text.deadline(transfer_->until);
  }
  describe_reads(text, peers);
  if (role_ != Role::leader) {
    text.deadline(election_due_);
    return;
  }
  text.deadline(heartbeat_due_) << round_;
  for (const Peer* peer : peers) {
    describe_progress(text, peer->progress, options_);
    describe_change(text, *peer);
  }
}

void Core::describe_stall(Text& text) const {
  text << "stalled" << std::uint64_t{disk_stalled_};
  const auto& unfinished = durability_.unfinished();
  if (!unfinished.empty()) text.age_up_to(unfinished.front().since, options_.disk_stall_max);
  if (give_way_until_) text.deadline(*give_way_until_);
}

void Core::describe_members(Text& text) const {
  text << "members";
  for (const auto& [at, configuration] : configurations_) {
    text << at;
    raft::describe(text, configuration->members);
    raft::describe(text, configuration->outgoing);
    raft::describe(text, configuration->wanted);
  }
  text << "lacks" << lacks_.value_or(Position());
}

// What a leader knows of a server that is to become a voter, or that has left.
void Core::describe_change(Text& text, const Peer& peer) const {
  const CatchUp& catch_up = peer.catch_up;
  text << catch_up.goal << std::uint64_t{catch_up.rounds} << std::uint64_t{catch_up.done};
  if (!catch_up.done && catch_up.goal > Index()) {
    text.age_up_to(catch_up.since, options_.election_timeout_min);
  }
  if (is_promoted(peer.id)) text.age_up_to(peer.progress.heard(), options_.learner_silence_max);
  if (!peer.farewell) return;
  text << "leaves" << peer.id << peer.farewell->at << peer.farewell->told_in_round;
  if (peer.farewell->until) text.deadline(*peer.farewell->until);
}

// Which rounds a peer has answered matters to the reads that wait for one, and to no later read.
void Core::describe_reads(Text& text, std::span<const Peer* const> peers) const {
  text << "reads" << reads_.last_request;
  text.deadline(reads_.ask_from);
  raft::describe(text, reads_.waiting, reads_.of_peers);
  for (const Reads::Round& round : reads_.rounds) {
    text << "round" << round.number << round.index;
    raft::describe(text, round.own, round.of_peers);
    for (const Peer* peer : peers) {
      text << std::uint64_t{peer->progress.answered() >= round.number};
    }
  }
  if (!reads_.asked) return;
  text << "asked" << reads_.asked->to << reads_.asked->term << reads_.asked->number;
  text.deadline(reads_.asked->due);
  raft::describe(text << reads_.asked->commit, reads_.asked->own, {});
}

}  // namespace kuilt::raft
