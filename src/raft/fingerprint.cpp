// fingerprint.cpp: everything that decides a core's future, as text. Instants are written relative
// to the step that ran last, and the random state is left out, so that the exhaustive checker
// recognises a state that it has seen before.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "raft/core.hpp"

namespace kuilt::raft {
namespace {

class Text {
 public:
  explicit Text(Instant now) : now_(now) {}

  Text& operator<<(std::uint64_t value) { return put(std::to_string(value)); }
  Text& operator<<(std::string_view word) { return put(word); }
  template <class Tag>
  Text& operator<<(Number<Tag> number) {
    return *this << number.value();
  }
  template <class Tag>
  Text& operator<<(Id<Tag> id) {
    return put(id.text());
  }
  Text& operator<<(Position at) { return *this << at.index << at.term; }
  // What is over is over, however long ago.
  Text& deadline(Instant at) {
    return put(std::to_string(std::max(at - now_, Duration(0)).count()));
  }
  Text& age_up_to(Instant since, Duration limit) {
    return put(std::to_string(std::min(now_ - since, limit).count()));
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  Text& put(std::string_view word) {
    text_ += word;
    text_ += ' ';
    return *this;
  }

  Instant now_;
  std::string text_;
};

void describe(Text& text, const Progress& progress, const Options& options) {
  text << progress.match() << progress.next()
       << std::string_view(progress.probing() ? "probe" : "replicate");
  text << progress.boot() << progress.loading().value_or(Index(0));
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

}  // namespace

std::string Core::fingerprint() const {
  Text text(now_);
  text << self() << hard_.term << hard_.vote << name_of(role_);
  text << "log" << log_.base();
  for (const TermRange& range : log_.terms()) text << range.first << range.term;
  text << log_.last().index << log_.first_in_memory() << commit_ << durability_.index();
  for (Index i = log_.first_in_memory(); i <= log_.last().index; i = i.next()) {
    const Entry& entry = log_.entry_at(i);
    text << static_cast<std::uint64_t>(entry.kind) << entry.cost() << entry.stored.text();
  }
  text << "disk" << (durability_.done(hard_write_) ? WriteSeq(0) : hard_write_);
  for (const Durability::Unfinished& write : durability_.unfinished()) {
    text << write.seq << write.last;
  }
  text << "leader" << leader_.value_or(NodeId());
  if (leader_heard_) text.age_up_to(*leader_heard_, options_.election_timeout_min);
  for (const Peer& peer : peers_) {
    text << std::uint64_t{peer.granted} << std::uint64_t{peer.pre_granted};
  }
  if (role_ != Role::leader) return text.deadline(election_due_).take();
  text.deadline(heartbeat_due_) << round_;
  for (const Peer& peer : peers_) describe(text, peer.progress, options_);
  return text.take();
}

}  // namespace kuilt::raft
