// membership.cpp: who the members are, and how they change (rule 5): by joint consensus, one change
// at a time, in force when appended, and undone when its entry is truncated.
//
// Source: Raft (2014), 6; dissertation, chapter 4.
#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "raft/core.hpp"

namespace kuilt::raft {
namespace {

// How many servers that left a leader tells at a time, and for how many election timeouts.
constexpr std::size_t farewells_max = 16;
constexpr int farewell_timeouts = 10;

bool have_the_same_voters(const std::vector<Member>& before, const std::vector<Member>& after) {
  const auto keeps_its_vote = [&](const std::vector<Member>& other) {
    return [&other](const Member& member) {
      return !member.voter || Configuration::is_voter(other, member.id);
    };
  };
  return std::ranges::all_of(before, keeps_its_vote(after)) &&
         std::ranges::all_of(after, keeps_its_vote(before));
}

bool are_distinct(const std::vector<Member>& members) {
  std::set<NodeId> ids{NodeId()};
  std::set<std::string> names;
  return std::ranges::all_of(members, [&](const Member& member) {
    const bool named_once = member.name.empty() || names.insert(member.name).second;
    return ids.insert(member.id).second && named_once;
  });
}

std::vector<Member> sorted(std::vector<Member> members) {
  std::ranges::sort(members, {}, &Member::id);
  return members;
}

// Without waiting: straight to the members that are wanted. Where the voters stay the same, every
// majority does too, and nothing has to be joint.
Configuration step_to(const Configuration& now, std::vector<Member> wanted) {
  Configuration next = now;
  next.wanted.clear();
  if (!have_the_same_voters(now.members, wanted)) next.outgoing = now.members;
  next.members = std::move(wanted);
  return next;
}

}  // namespace

// --- Which configuration is in force ---

void Core::add_configuration(Index at, SharedConfiguration configuration) {
  configurations_.push_back({at, std::move(configuration)});
  follow_configuration();
  for (Peer& peer : peers_) begin_catching_up(peer);
}

void Core::drop_configurations_after(Index index) {
  const std::size_t before = configurations_.size();
  while (configurations_.back().at > index) configurations_.pop_back();
  if (configurations_.size() != before) follow_configuration();
}

// Those before the last committed one will never be in force again.
void Core::settle_configurations() {
  const auto later = [&](const ConfigurationAt& one) { return one.at > commit_; };
  const auto first_later = std::ranges::find_if(configurations_, later);
  KUILT_CHECK(first_later != configurations_.begin());
  configurations_.erase(configurations_.begin(), std::prev(first_later));
}

// Whoever stays keeps what is known of it: what it voted, and how far its log matches.
void Core::follow_configuration() {
  const Configuration& now = *configuration();
  const bool leads = role_ == Role::leader;
  std::vector<Peer> before = std::exchange(peers_, {});
  std::set<NodeId> ids{id_};
  for (const Member& member : now.members) ids.insert(member.id);
  for (const Member& member : now.outgoing) ids.insert(member.id);
  for (const NodeId id : ids) {
    Peer peer{.id = id};
    if (leads) peer.progress = Progress(log_.last().index.next(), now_);
    const auto known = std::ranges::find(before, id, &Peer::id);
    if (known != before.end()) peer = std::move(*known);
    peer.voter = Configuration::is_voter(now.members, id);
    peer.outgoing_voter = Configuration::is_voter(now.outgoing, id);
    peer.farewell.reset();
    peers_.push_back(std::move(peer));
  }
  for (Peer& peer : before) {
    if (!leads || ids.contains(peer.id)) continue;
    peer.voter = peer.outgoing_voter = false;
    if (!peer.farewell) peer.farewell = Farewell{.at = configurations_.back().at};
    peers_.push_back(std::move(peer));
  }
  settle_peers();
}

void Core::settle_peers() {
  std::ranges::sort(peers_, {}, &Peer::id);
  self_ = slot_of(id_).value();
}

// A configuration that leaves this server out may yet be undone, and until it is known to be
// committed this log may be the longest of those that a majority before the change needs: only
// votes for it then bring the change to its end. It counts no vote of its own.
bool Core::may_campaign() const { return may_vote(id_); }

// It cannot win, but whom it asks may be the leader, and tell it why.
bool Core::campaigns_in_vain() const {
  return lacks_ && lacks_->index > commit_ && !log_.contains(*lacks_);
}

bool Core::may_vote(NodeId id) const {
  return std::ranges::any_of(
      configurations_, [&](const ConfigurationAt& one) { return one.configuration->votes(id); });
}

// --- A change, step by step ---

// Before a leader has committed in its own term, a change that it does not know of may be decided
// (Ongaro, raft-dev 2015); and there is one change at a time. A leader that hands over appends
// nothing.
bool Core::may_configure() const {
  return committed_in_own_term() && configurations_.size() == 1 && !hands_over();
}

void Core::on_change(const ChangeMembership& change, Output& out) {
  out.change_refused = judge(change);
  if (out.change_refused != ChangeRefusal::none) return;
  out.configure = std::make_shared<const Configuration>(
      first_step_to(sorted(change.members), change.wait_for_learners));
}

ChangeRefusal Core::judge(const ChangeMembership& change) const {
  if (role_ != Role::leader) return ChangeRefusal::not_leader;
  if (std::ranges::none_of(change.members, &Member::voter)) return ChangeRefusal::no_voters;
  if (change.members.size() > members_max) return ChangeRefusal::too_many_members;
  if (!are_distinct(change.members)) return ChangeRefusal::members_not_distinct;
  if (!committed_in_own_term()) return ChangeRefusal::nothing_committed_in_term;
  if (hands_over()) return ChangeRefusal::handing_over;
  if (!may_configure() || configuration()->is_changing()) return ChangeRefusal::change_under_way;
  if (sorted(change.members) == configuration()->members) return ChangeRefusal::same_members;
  if (!majority_answers(change.members)) return ChangeRefusal::majority_silent;
  if (!change.wait_for_learners) return judge_learners(change);
  const Configuration first = first_step_to(sorted(change.members), true);
  return are_distinct(first.members) ? ChangeRefusal::none : ChangeRefusal::name_in_use;
}

ChangeRefusal Core::judge_learners(const ChangeMembership& change) const {
  const std::vector<Member>& now = configuration()->members;
  for (const Member& member : change.members) {
    if (!member.voter || Configuration::is_voter(now, member.id)) continue;
    if (Configuration::find_in(now, member.id) == nullptr) return ChangeRefusal::unknown_learner;
    if (is_behind(member.id)) return ChangeRefusal::learner_behind;
  }
  return ChangeRefusal::none;
}

// In this term, and not long ago.
bool Core::has_answered(const Peer& peer) const {
  const bool ever = peer.progress.answered() > 0 || peer.progress.match() > Index();
  return peer.id == self() || (ever && is_heard(peer));
}

// From a joint configuration there is no way back: whoever enters it must be able to leave it. New
// voters catch up first, and are asked for then.
bool Core::majority_answers(const std::vector<Member>& wanted) const {
  std::size_t voters = 0;
  std::size_t there = 0;
  for (const Member& member : wanted) {
    if (!member.voter) continue;
    ++voters;
    const bool is_new = !Configuration::is_voter(configuration()->members, member.id);
    there += is_new || has_answered(peers_[slot_of(member.id).value()]) ? 1 : 0;
  }
  return there > voters / 2;
}

// A log may be so short that whoever has nothing of it lacks little.
bool Core::is_behind(NodeId learner) const {
  const auto slot = slot_of(learner);
  if (!slot || !has_answered(peers_[*slot])) return true;
  const Index match = peers_[*slot].progress.match();
  return match.value() + options_.learner_behind_max < log_.last().index.value();
}

Configuration Core::first_step_to(std::vector<Member> wanted, bool wait) const {
  const Configuration& now = *configuration();
  const bool ready = std::ranges::all_of(wanted, [&](const Member& member) {
    return !member.voter || Configuration::is_voter(now.members, member.id) ||
           !is_behind(member.id);
  });
  if (ready || !wait) return step_to(now, std::move(wanted));
  Configuration next = now;
  for (const Member& member : wanted) {
    if (Configuration::find_in(now.members, member.id) != nullptr) continue;
    next.members.push_back(member);
    next.members.back().voter = false;
  }
  next.members = sorted(std::move(next.members));
  next.wanted = std::move(wanted);
  return next;
}

// Runs at the end of each of a leader's steps. Nothing but the log says where a change stands, so
// a new leader goes on with the one that it finds.
void Core::go_on_with_change(Output& out) {
  if (out.configure || !may_configure()) return;
  const Configuration& now = *configuration();
  if (now.is_joint()) {
    Configuration next = now;
    next.outgoing.clear();
    out.configure = std::make_shared<const Configuration>(std::move(next));
  } else if (!now.wanted.empty()) {
    go_on_with_learners(out);
  } else if (!now.votes(id_)) {
    step_down();  // The heartbeat that says that the change is committed is on its way.
  }
}

void Core::go_on_with_learners(Output& out) {
  const Configuration& now = *configuration();
  const auto caught_up = [&](const Peer& peer) {
    return !is_promoted(peer.id) || (has_caught_up(peer) && has_answered(peer));
  };
  const bool live = majority_answers(now.wanted);
  const auto hopeless = [&](const Peer& peer) {
    if (is_promoted(peer.id)) return is_hopeless(peer);
    const bool is_needed = !live && Configuration::is_voter(now.wanted, peer.id);
    return is_needed && peer.id != self() && is_silent(peer);
  };
  if (live && std::ranges::all_of(peers_, caught_up)) {
    out.configure = std::make_shared<const Configuration>(step_to(now, now.wanted));
  } else if (std::ranges::any_of(peers_, hopeless)) {
    // Given up: everybody stays what it is, the new ones learners.
    Configuration next = now;
    next.wanted.clear();
    out.configure = std::make_shared<const Configuration>(std::move(next));
  }
}

// --- Learners that are to vote ---

bool Core::is_promoted(NodeId id) const {
  const Configuration& now = *configuration();
  return Configuration::is_voter(now.wanted, id) && !Configuration::is_voter(now.members, id);
}

void Core::begin_catching_up(Peer& peer) {
  peer.catch_up = {};
  if (is_promoted(peer.id)) peer.catch_up = {.goal = log_.last().index, .since = now_};
}

void Core::follow_catch_up(Peer& peer) {
  CatchUp& catch_up = peer.catch_up;
  if (catch_up.done || !is_promoted(peer.id) || peer.progress.match() < catch_up.goal) return;
  if (now_ - catch_up.since < options_.election_timeout_min) {
    catch_up.done = true;
    return;
  }
  ++catch_up.rounds;
  catch_up.goal = log_.last().index;
  catch_up.since = now_;
  // A round that has nothing to replicate is as short as can be, and no answer would end it.
  catch_up.done = peer.progress.match() == catch_up.goal;
}

// One that has started anew since then has yet to vouch for its log again.
bool Core::has_caught_up(const Peer& peer) const {
  return peer.catch_up.done && peer.progress.match() >= peer.catch_up.goal;
}

bool Core::is_hopeless(const Peer& peer) const {
  return peer.catch_up.rounds >= options_.catch_up_rounds_max || is_silent(peer);
}

bool Core::is_silent(const Peer& peer) const {
  return now_ - peer.progress.heard() > options_.learner_silence_max;
}

// --- Servers that left ---

// A candidate whose log is behind or the same, and that no configuration here lets vote, can only
// be one that left: a voter of a later configuration would have an entry that this log lacks. With
// the same log it lacks nothing but the word that the change is committed.
bool Core::has_left(NodeId candidate, Position last) const {
  const bool may_have_a_later_one = is_up_to_date(last) && last != log_.last();
  return !may_have_a_later_one && !may_vote(candidate);
}

// What is committed is so, whoever says it. And who lacks a committed entry wins no election, so it
// hardly needs to ask for votes until a leader brings it the entry.
void Core::hear_committed(Position committed) {
  if (log_.contains(committed)) {
    commit_through(committed.index);
  } else if (committed.index > commit_) {
    lacks_ = committed;
  }
}

// It was down, or cut off, when it left: its log is brought up to the entry that says so.
void Core::tell_that_it_left(NodeId id) {
  const auto leaves = [](const Peer& peer) { return peer.farewell.has_value(); };
  if (role_ != Role::leader || slot_of(id)) return;
  if (static_cast<std::size_t>(std::ranges::count_if(peers_, leaves)) >= farewells_max) return;
  Peer peer{.id = id};
  peer.progress = Progress(log_.last().index.next(), now_);
  peer.farewell = Farewell{.at = std::max(commit_, configurations_.back().at)};
  peers_.push_back(std::move(peer));
  settle_peers();
}

// A heartbeat of this round says to whom has it all that the entry it needs is committed.
void Core::count_farewell_rounds() {
  for (Peer& peer : peers_) {
    auto& farewell = peer.farewell;
    if (!farewell || commit_ < farewell->at) continue;
    if (!farewell->until) {
      farewell->until = now_ + farewell_timeouts * options_.election_timeout_max;
    }
    const bool has_it = peer.progress.match() >= farewell->at;
    if (has_it && farewell->told_in_round == 0) farewell->told_in_round = round_;
  }
}

void Core::end_farewells() {
  const auto is_over = [&](const Peer& peer) {
    return peer.farewell && peer.farewell->until && now_ >= *peer.farewell->until;
  };
  if (std::erase_if(peers_, is_over) > 0) settle_peers();
}

}  // namespace kuilt::raft
