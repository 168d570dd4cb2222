#include "sim/invariants.hpp"

#include <algorithm>
#include <iterator>

#include "kuilt/detail/overloaded.hpp"

namespace kuilt::sim {

Invariants::Invariants(std::vector<NodeId> servers, Position base, Oracle& oracle)
    : ids_(std::move(servers)), oracle_(oracle) {
  const ServerView empty{LogMirror(base), {}, {},         LogMirror(base), {},   {}, base.index, {},
                         false,           {}, base.index, false,           false};
  servers_.assign(ids_.size(), empty);
}

void Invariants::complain(const Violation& violation) {
  if (violation && !violation_) violation_ = violation;
}

const LogMirror& Invariants::log_of(ServerNumber server) const { return servers_.at(server).log; }
const LogMirror& Invariants::durable_of(ServerNumber server) const {
  return servers_.at(server).durable;
}
const raft::HardState& Invariants::durable_hard_of(ServerNumber server) const {
  return servers_.at(server).durable_hard;
}

void Invariants::booted(ServerNumber server, const raft::HardState& hard,
                        const std::vector<raft::Entry>& entries, Index commit) {
  ServerView& view = servers_.at(server);
  const ServerView before = std::exchange(view, ServerView{LogMirror(view.log.base()),
                                                           hard,
                                                           {},
                                                           LogMirror(view.log.base()),
                                                           hard,
                                                           {},
                                                           commit,
                                                           hard.term,
                                                           false,
                                                           {},
                                                           {},
                                                           false,
                                                           false});
  for (const raft::Entry& entry : entries) append(server, entry);
  view.durable = view.log;
  view.last_before = view.log.last().index;
  check_recovered(before, view.log, hard);
  if (commit > oracle_.last().index ||
      (commit > oracle_.base().index && view.log.chain_at(commit) != oracle_.chain_at(commit))) {
    complain("what a log vouches for as committed is committed");
  }
}

// What recovery finds is what was durable, and a prefix of what was ordered after it.
void Invariants::check_recovered(const ServerView& before, const LogMirror& found,
                                 const raft::HardState& hard) {
  LogMirror expected = before.durable;
  raft::HardState expected_hard = before.durable_hard;
  const auto matches = [&] {
    return expected.last() == found.last() && expected.last_chain() == found.last_chain() &&
           expected_hard == hard;
  };
  bool matched = matches();
  for (const raft::Write& write : before.unsynced) {
    if (matched) break;
    if (write.truncate_after) expected.truncate_after(*write.truncate_after);
    for (const raft::Entry& entry : write.entries) expected.append(entry);
    expected_hard = write.hard;
    matched = matches();
  }
  if (!matched) {
    complain("recovery finds what was durable and a prefix of what was ordered after it (durable " +
             std::to_string(before.durable.last().index.value()) + ", found " +
             std::to_string(found.last().index.value()) + ", ordered " +
             std::to_string(before.log.last().index.value()) + ")");
  }
}

void Invariants::ordered(ServerNumber server, const raft::Write& write) {
  ServerView& view = servers_.at(server);
  check_hard(view.hard, write.hard);
  view.hard = write.hard;
  if (write.truncate_after) {
    if (*write.truncate_after < view.committed) complain("a committed entry is never truncated");
    truncate(view, *write.truncate_after);
  }
  for (const raft::Entry& entry : write.entries) append(server, entry);
  if (write.commit > view.log.last().index) complain("a write's commit is inside the log");
  view.unsynced.push_back(write);
}

void Invariants::check_hard(const raft::HardState& before, const raft::HardState& after) {
  if (after.term < before.term) complain("a server's term never goes down");
  if (after.term == before.term && !before.vote.is_none() && after.vote != before.vote) {
    complain("a vote is final within its term");
  }
}

void Invariants::append(ServerNumber server, const raft::Entry& entry) {
  ServerView& view = servers_.at(server);
  if (!view.log.append(entry)) return complain("entries follow each other without a gap");
  if (entry.kind == raft::EntryKind::configuration) {
    // From a disk it comes as bytes.
    const auto admitted = wire::admit_stored(entry.at, entry.kind, entry.stored);
    if (!admitted) return complain("a configuration is readable: " + admitted.error().message());
    view.configurations.push_back({entry.at.index, admitted->configuration});
  }
  const Known* known = learn(view.log, entry);
  if (known == nullptr || !known->request) return;
  const auto [other, is_new] = view.requests.emplace(*known->request, entry.at.index);
  if (!is_new) {
    complain("no log holds one (session, request) twice: server " + std::to_string(server) +
             " has it at " + std::to_string(other->second.value()) + " and at " +
             std::to_string(entry.at.index.value()));
  }
}

const Invariants::Known* Invariants::learn(const LogMirror& log, const raft::Entry& entry) {
  const auto [place, is_new] = known_.try_emplace(entry.at);
  Known& known = place->second;
  if (!is_new) {
    if (known.chain == log.last_chain()) return &known;
    complain("logs with the same entry are the same through it (log matching), at " +
             std::to_string(entry.at.index.value()));
    return nullptr;
  }
  known.chain = log.last_chain();
  if (entry.kind != raft::EntryKind::command) return &known;
  const Result<wire::Command> command = wire::decode_command(entry);
  if (!command) {
    complain("a command in a log is readable: " + command.error().message());
    return nullptr;
  }
  if (!may_be_in_a_log_(command->body)) {
    complain("no log holds a command that no state machine admits, but one does at " +
             std::to_string(entry.at.index.value()));
  }
  known.request = RequestKey{command->session, command->request_id};
  return &known;
}

void Invariants::truncate(ServerView& view, Index last) {
  view.log.truncate_after(last);
  while (!view.configurations.empty() && view.configurations.back().at > last) {
    view.configurations.pop_back();
    ++changes_.rolled_back;
  }
  std::erase_if(view.requests, [&](const auto& request) { return request.second > last; });
}

void Invariants::synced(ServerNumber server, raft::WriteSeq seq) {
  ServerView& view = servers_.at(server);
  while (!view.unsynced.empty() && view.unsynced.front().seq <= seq) {
    const raft::Write& write = view.unsynced.front();
    view.durable_hard = write.hard;
    if (write.truncate_after) view.durable.truncate_after(*write.truncate_after);
    for (const raft::Entry& entry : write.entries) {
      if (!view.durable.append(entry)) complain("the log on disk has no gap");
    }
    view.unsynced.pop_front();
  }
}

void Invariants::sends(ServerNumber server, ServerNumber to, const wire::PeerMessage& message) {
  if (const auto* raft = std::get_if<raft::Message>(&message)) sends_raft(server, to, *raft);
}

void Invariants::sends_raft(ServerNumber server, ServerNumber to, const raft::Message& message) {
  const ServerView& view = servers_.at(server);
  const raft::HardState& durable = view.durable_hard;
  const auto holds_vote = [&](Term term, NodeId candidate) {
    return durable.term > term || (durable.term == term && durable.vote == candidate);
  };
  const auto on_message = Overloaded{
      [&](const raft::VoteRequest& m) {
        if (!m.pre && !holds_vote(m.term, ids_.at(server))) {
          complain("a candidate asks for votes only once its own is durable");
        }
        const Term before(m.term.value() - 1);
        if (m.transfer && !told_to_stand_.contains({before, server})) {
          complain("whoever stands with the leader's word was told to in the term before");
        }
      },
      [&](const raft::VoteReply& m) {
        if (m.pre || !m.granted) return;
        if (!holds_vote(m.term, ids_.at(to))) complain("a vote leaves only when it is durable");
        const auto [vote, is_new] = promised_votes_.try_emplace({m.term, server}, to);
        if (!is_new && vote->second != to) complain("nobody is promised a vote that another has");
      },
      [&](const raft::AppendRequest& m) {
        if (durable.term < m.term) complain("a leader's term is durable before it leads");
      },
      [&](const raft::AppendReply& m) {
        // A reply of a term that has passed may name what a new leader has truncated since.
        if (!m.accepted || m.durable <= view.log.base().index || durable.term > m.term) return;
        if (!view.durable.holds(m.durable)) {
          complain("an append is acknowledged only when it is durable");
        }
      },
      [&](const raft::Heartbeat& m) {
        if (durable.term < m.term) complain("a leader's term is durable before it leads");
      },
      [](const raft::HeartbeatReply&) {},
      [](const raft::ReadRequest&) {},
      [&](const raft::ReadReply& m) {
        if (m.confirmed && durable.term < m.term) {
          complain("a leader's term is durable before it leads");
        }
      },
      [&](const raft::TimeoutNow& m) {
        if (durable.term < m.term) complain("a leader's term is durable before it leads");
        told_to_stand_.insert({m.term, to});
      },
  };
  std::visit(on_message, message);
}

void Invariants::committed(ServerNumber server, const cluster::CommittedBatch& batch,
                           std::optional<Term> leading) {
  ServerView& view = servers_.at(server);
  if (batch.prev.index != view.committed)
    return complain("commits follow each other without a gap");
  for (const raft::Entry& entry : batch.entries) {
    if (entry.at.index != view.committed.next()) return complain("a committed run has no gap");
    view.committed = entry.at.index;
    if (!view.log.holds(entry.at.index)) return complain("what is committed is in the log");
    const std::uint64_t chain = view.log.chain_at(entry.at.index);
    const auto known = known_.find(entry.at);
    if (known == known_.end() || known->second.chain != chain) {
      return complain("what is told to be committed is what is in the log");
    }
    if (entry.at.index > oracle_.last().index) {
      // Raft 5.4.2. A leader may have lost its term in the step in which it committed.
      if (leading && batch.through.term != *leading) {
        complain("only entries of the own term are committed by counting");
      }
      check_durable_majority(server, entry.at.index);
      complain(oracle_.commit(entry, chain, batch.through.term));
      committed_in_.insert(entry.at.term);
      if (entry.configuration) commit_configuration(entry.configuration);
    } else if (oracle_.chain_at(entry.at.index) != chain) {
      return complain("a committed entry never changes, but differs at " +
                      std::to_string(entry.at.index.value()));
    }
  }
  if (batch.through.index != view.committed) complain("a committed run reaches its end");
}

// Whoever commits first, leads or led until this step: its configuration counts. One that it has
// appended in this very step may have come after the decision: then the one before it may be meant.
void Invariants::check_durable_majority(ServerNumber server, Index index) {
  const ServerView& view = servers_.at(server);
  if (view.configurations.empty()) return complain("who commits has a configuration");
  const auto last = view.configurations.rbegin();
  if (!last->configuration->votes(ids_.at(server))) ++changes_.decided_from_outside;
  const std::uint64_t chain = view.log.chain_at(index);
  const auto has_decided = [&](const raft::Configuration& by) {
    return is_durable_on_a_majority(by.members, index, chain) &&
           (!by.is_joint() || is_durable_on_a_majority(by.outgoing, index, chain));
  };
  const bool is_fresh = last->at > view.last_before && view.configurations.size() > 1;
  if (!has_decided(*last->configuration) &&
      !(is_fresh && has_decided(*std::next(last)->configuration))) {
    complain("what is committed is durable on a majority, but not at " +
             std::to_string(index.value()));
  }
}

bool Invariants::is_durable_on_a_majority(const std::vector<raft::Member>& members, Index index,
                                          std::uint64_t chain) const {
  std::size_t voters = 0;
  std::size_t holders = 0;
  for (ServerNumber i = 0; i < servers_.size(); ++i) {
    if (!raft::Configuration::is_voter(members, ids_.at(i))) continue;
    ++voters;
    const LogMirror& durable = servers_.at(i).durable;
    if (durable.holds(index) && durable.chain_at(index) == chain) ++holders;
  }
  return holders > voters / 2;
}

void Invariants::commit_configuration(const raft::SharedConfiguration& next) {
  const raft::SharedConfiguration before = std::exchange(members_, next);
  if (!next->wanted.empty()) ++changes_.waited;
  if (before->wanted.size() > 0 && next->members == before->members) ++changes_.given_up;
  if (!next->is_joint()) return;
  ++changes_.joint;
  std::uint64_t changed = 0;
  for (const NodeId id : ids_) {
    const bool was = raft::Configuration::is_voter(next->outgoing, id);
    const bool is = raft::Configuration::is_voter(next->members, id);
    if (is && !was) ++changes_.voters_added;
    if (was && !is) ++changes_.voters_removed;
    if (is != was) ++changed;
  }
  if (changed > 1) ++changes_.several;
}

void Invariants::stepped(ServerNumber server, const cluster::Machine& machine) {
  ServerView& view = servers_.at(server);
  const raft::Core& core = machine.raft();
  if (core.term() < view.term) complain("a server's term never goes down");
  if (core.last() != view.log.last())
    complain("the log in memory is what was ordered to be written");
  if (core.commit_index() != view.committed) complain("the commit index moves by committed runs");
  if (core.durable_index() > view.durable.last().index) {
    complain("no server takes for durable what its disk does not hold");
  }
  const raft::Configuration& in_force = *core.configuration();
  if (view.configurations.empty() ? !in_force.members.empty()
                                  : in_force != *view.configurations.back().configuration) {
    complain("the configuration in force is the last one in the log");
  }
  const bool leads = core.role() == raft::Role::leader;
  if (leads && (!view.leads || core.term() != view.term)) check_leader(server, core.term());
  if (leads && !view.configurations.empty() && !committed_in_.contains(core.term()) &&
      view.log.term_at(view.configurations.back().at) == core.term()) {
    complain("a leader changes the members only once it has committed in its own term");
  }
  const bool stands =
      core.role() == raft::Role::pre_candidate || core.role() == raft::Role::candidate;
  const bool anew = !view.stands || core.term() != view.term;
  if (view.disk_stalled && core.disk_stalled() && stands && anew) {
    complain("nobody stands whose disk hangs");
  }
  view.term = core.term();
  view.leads = leads;
  view.stands = stands;
  view.disk_stalled = core.disk_stalled();
  view.last_before = core.last().index;
}

void Invariants::check_leader(ServerNumber server, Term term) {
  const auto [leader, is_new] = leaders_.try_emplace(term, server);
  if (!is_new && leader->second != server) {
    complain("no term has two leaders (election safety): term " + std::to_string(term.value()));
  }
  const Index needed = oracle_.last_committed_before(term);
  if (needed <= oracle_.base().index) return;
  const LogMirror& log = servers_.at(server).log;
  if (!log.holds(needed) || log.chain_at(needed) != oracle_.chain_at(needed)) {
    complain("a leader has every committed entry of earlier terms (leader completeness), but not " +
             std::to_string(needed.value()));
  }
}

void Invariants::compare_all(const std::map<ServerNumber, const cluster::Machine*>& machines) {
  if (machines.empty()) return complain("in the end the cluster has members");
  const LogMirror& first = servers_.at(machines.begin()->first).log;
  const std::uint64_t sessions = machines.begin()->second->sessions().digest();
  for (const auto& [server, machine] : machines) {
    const ServerView& view = servers_.at(server);
    if (view.committed != oracle_.last().index) complain("in the end all have committed the same");
    if (view.log.last() != first.last() || view.log.last_chain() != first.last_chain()) {
      complain("in the end all logs are equal");
    }
    if (machine->sessions().digest() != sessions) {
      complain("in the end all session tables are equal");
    }
  }
}

}  // namespace kuilt::sim
