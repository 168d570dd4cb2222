#include "tests/raft/group.hpp"

#include <algorithm>

namespace kuilt::raft::test {
namespace {

std::size_t offset(Index index, Position base) {
  return static_cast<std::size_t>(index.value() - base.index.value() - 1);
}

}  // namespace

void Coverage::add(const Coverage& other) {
  steps += other.steps;
  leaders += other.leaders;
  crashes += other.crashes;
  lost_writes += other.lost_writes;
  lost_messages += other.lost_messages;
  truncations += other.truncations;
  loads += other.loads;
  commits += other.commits;
  reads_by_leaders += other.reads_by_leaders;
  reads_via_leaders += other.reads_via_leaders;
  shared_read_rounds += other.shared_read_rounds;
  for (const auto& [failure, count] : other.failed_reads) failed_reads[failure] += count;
  late_orders += other.late_orders;
  for (const auto& [end, count] : other.transfers) transfers[end] += count;
  for (const auto& [refusal, count] : other.refusals) refusals[refusal] += count;
  for (const auto& [refusal, count] : other.changes) changes[refusal] += count;
  joint += other.joint;
  waits += other.waits;
  given_up += other.given_up;
  rolled_back += other.rolled_back;
  led_from_outside += other.led_from_outside;
  gave_way += other.gave_way;
}

Group::Group(const GroupOptions& options) : options_(options), rng_(options.seed) {
  std::vector<NodeId> voting;
  std::vector<NodeId> learning;
  for (std::size_t i = 0; i < options.voters + options.learners + options.spares; ++i) {
    const NodeId id = NodeId::named(std::string(1, static_cast<char>('a' + i)));
    if (i < options.voters) {
      voting.push_back(id);
    } else if (i < options.voters + options.learners) {
      learning.push_back(id);
    }
    servers_.emplace_back(id);
    servers_.back().disk.hard.term = options.base.term;
    servers_.back().disk.commit = options.base.index;
  }
  configuration_ = voters(voting, learning);
  next_proposal_ = next_read_ = next_fault_ = next_transfer_ = next_change_ = now_;
  for (std::size_t i = 0; i < servers_.size(); ++i) start(i);
}

void Group::start(std::size_t i) {
  Server& server = servers_[i];
  Boot boot;
  boot.self = server.id;
  boot.boot = boot_of(server.id, ++server.starts);
  boot.hard = server.disk.hard;
  boot.base = options_.base;
  boot.tail = server.disk.entries;
  boot.last = Index(options_.base.index.value() + boot.tail.size());
  for (const Entry& entry : boot.tail) {
    const bool new_term = boot.terms.empty() || boot.terms.back().term != entry.at.term;
    if (new_term) boot.terms.push_back({entry.at.index, entry.at.term});
  }
  boot.commit = server.disk.commit;
  const bool spare = configuration_->find(server.id) == nullptr;
  boot.configuration = spare ? voters({}) : configuration_;
  for (const Entry& entry : boot.tail) {
    if (entry.configuration && entry.at.index <= boot.commit) {
      boot.configuration = entry.configuration;
    }
  }
  server.log = boot.tail;
  server.core.emplace(options_.raft, std::move(boot), rng_.next(), now_);
  server.outbox = Outbox();
  server.before = view_of(*server.core);
  server.wake_at = now_;
  note("start " + std::to_string(i));
}

// A power cut: some of the queued writes made it, in order, but nobody was told.
void Group::crash(std::size_t i) {
  Server& server = servers_[i];
  const std::size_t survive = rng_.chance(50) ? 0 : rng_.below(server.disk.queue.size() + 1);
  for (std::size_t n = 0; n < survive; ++n) finish_write(i);
  coverage_.lost_writes += server.disk.queue.size();
  server.disk.queue.clear();
  server.core.reset();
  server.up_at = now_ + Duration(10ms) +
                 Duration(static_cast<Duration::rep>(
                     rng_.below(static_cast<std::uint64_t>(Duration(400ms).count()))));
  ++coverage_.crashes;
  note("crash " + std::to_string(i));
}

// Applies the first of the queue to what a restart will find.
void Group::finish_write(std::size_t i) {
  Disk& disk = servers_[i].disk;
  const Write write = std::move(disk.queue.front());
  disk.queue.pop_front();
  disk.hard = write.hard;
  if (write.truncate_after) {
    disk.entries.resize(offset(write.truncate_after->next(), options_.base));
  }
  disk.entries.insert(disk.entries.end(), write.entries.begin(), write.entries.end());
  disk.commit = write.commit;
}

Duration Group::disk_delay(const Server& server) {
  const std::uint64_t limit = now_ < server.slow_until ? 400'000 : 4'000;
  return std::chrono::microseconds(100 + rng_.below(limit));
}

Duration Group::link_delay() {
  const auto usual = static_cast<std::uint64_t>(options_.link_delay_max.count());
  if (!options_.faults || rng_.chance(80)) {
    return Duration(50us) + Duration(static_cast<Duration::rep>(rng_.below(usual)));
  }
  return std::chrono::milliseconds(rng_.below(250));
}

std::size_t Group::number_of(NodeId id) const {
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (servers_[i].id == id) return i;
  }
  KUILT_FAIL("every message goes to a member");
}

void Group::order(std::size_t i, Write write) {
  Disk& disk = servers_[i].disk;
  if (disk.queue.empty()) disk.done_at = now_ + disk_delay(servers_[i]);
  disk.queue.push_back(std::move(write));
}

void Group::deliver(std::size_t from, std::vector<Outgoing> messages) {
  for (Outgoing& outgoing : messages) {
    const std::size_t to = number_of(outgoing.to);
    if (cut_.contains({from, to}) || (options_.faults && rng_.chance(4))) {
      ++coverage_.lost_messages;
      continue;
    }
    const Received received{servers_[from].id, std::move(outgoing.message)};
    network_.insert({now_ + link_delay(), {from, to, received}});
    if (options_.faults && rng_.chance(4)) {
      network_.insert({now_ + link_delay(), {from, to, received}});
    }
  }
}

// A message to a server that is down often waits for it on the way. What a server asked of its own
// disk dies with it.
void Group::arrive(Flight flight) {
  const Server& server = servers_[flight.to];
  if (server.core) return step(flight.to, flight.input);
  if (flight.from == flight.to || rng_.chance(30)) return;
  network_.insert({server.up_at + link_delay(), std::move(flight)});
}

// Reads what is durable, as a server's pool does; sometimes the read fails.
void Group::load(std::size_t i, const NeedEntries& need) {
  ++coverage_.loads;
  Loaded loaded{need.peer, need.first, {}};
  const auto& stored = servers_[i].disk.entries;
  std::size_t bytes = 0;
  const bool failing = options_.faults && rng_.chance(10);
  for (Index at = need.first; !failing && at <= need.last; at = at.next()) {
    const Entry& entry = stored.at(offset(at, options_.base));
    bytes += entry.cost();
    if (bytes > need.bytes_max && !loaded.entries.empty()) break;
    loaded.entries.push_back(entry);
  }
  network_.insert({now_ + disk_delay(servers_[i]), {i, i, std::move(loaded)}});
}

void Group::step(std::size_t i, const Input& input) {
  Server& server = servers_[i];
  if (!server.core || violation_) return;
  const HardState before = server.core->hard_state();
  Output out = server.core->step(now_, input);
  ++coverage_.steps;
  if (out.refused != Refusal::none) ++coverage_.refusals[out.refused];
  if (tells_of_a_fault(out.refused)) fail(i, "no sound server is refused for a fault");
  if (out.gave_way) ++coverage_.gave_way;
  if (out.transfer) ++coverage_.transfers[out.transfer->end];
  const auto* received = std::get_if<Received>(&input);
  const bool order = received != nullptr && std::holds_alternative<TimeoutNow>(received->message);
  if (order && out.refused == Refusal::stale_term) ++coverage_.late_orders;
  count_configurations(i, out);
  obey(i, out);
  check(i, out);
  if (std::holds_alternative<Tick>(input) && server.wake_at <= now_) {
    fail(i, "a core never asks to be woken at once, for ever");
  }
  if (out.configure) configure(i, out.configure);
  forget_promise(i, before);
}

// As a server does: at once, before anything else.
void Group::configure(std::size_t i, const SharedConfiguration& configuration) {
  const Core& core = *servers_[i].core;
  Propose propose;
  propose.entries.push_back({{core.last().index.next(), core.term()},
                             EntryKind::configuration,
                             Bytes("configuration " + std::to_string(++payload_)),
                             configuration});
  step(i, propose);
}

void Group::count_configurations(std::size_t i, const Output& out) {
  const Server& server = servers_[i];
  if (out.truncated_after) {
    for (std::size_t n = offset(out.truncated_after->next(), options_.base); n < server.log.size();
         ++n) {
      if (server.log[n].configuration) ++coverage_.rolled_back;
    }
  }
  const bool leads = server.core->role() == Role::leader;
  if (leads && !server.core->configuration()->votes(server.id)) ++coverage_.led_from_outside;
}

void Group::obey(std::size_t i, Output& out) {
  Server& server = servers_[i];
  if (out.truncated_after) {
    ++coverage_.truncations;
    server.log.resize(offset(out.truncated_after->next(), options_.base));
  }
  server.log.insert(server.log.end(), out.appended.begin(), out.appended.end());
  if (out.write) order(i, std::move(*out.write));
  deliver(i, server.outbox.put(std::move(out.send)));
  for (const NeedEntries& need : out.need_entries) load(i, need);
  server.wake_at = out.wake_at;
}

// The moment that a promise is made is the best one to forget it: a power cut right after a vote
// or a term was ordered, and a restart in time for the same election.
void Group::forget_promise(std::size_t i, HardState before) {
  Server& server = servers_[i];
  if (!options_.faults || !server.core || violation_) return;
  if (server.core->hard_state() == before || !rng_.chance(20)) return;
  crash(i);
  server.up_at = now_ + std::chrono::milliseconds(1 + rng_.below(30));
}

void Group::propose() {
  next_proposal_ = now_ + std::chrono::microseconds(rng_.below(30'000));
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    const auto& core = servers_[i].core;
    if (!core || core->role() != Role::leader || core->hands_over()) continue;
    Propose propose;
    for (std::uint64_t n = 1 + rng_.below(4); n > 0; --n) {
      const std::uint64_t index = core->last().index.value() + 1 + propose.entries.size();
      propose.entries.push_back(
          command(index, core->term().value(), "payload " + std::to_string(++payload_)));
    }
    step(i, propose);
  }
}

// At any server, several at once now and then.
void Group::read() {
  next_read_ = now_ + std::chrono::microseconds(rng_.below(50'000));
  const std::size_t i = rng_.below(servers_.size());
  for (std::uint64_t n = 1 + rng_.below(3); n > 0 && servers_[i].core; --n) {
    last_read_ = last_read_.next();
    read_floors_[last_read_] = Index(options_.base.index.value() + decided_.size());
    step(i, Read{last_read_});
  }
}

// Any servers at all, several at once; now and then what must be refused.
ChangeMembership Group::draw_change(const Configuration& now) {
  ChangeMembership change;
  change.wait_for_learners = rng_.chance(70);
  if (rng_.chance(5)) return change;
  const bool small = rng_.chance(50);
  for (const Server& server : servers_) {
    const Member* member = Configuration::find_in(now.members, server.id);
    const bool was = member != nullptr;
    const bool is = small ? was != rng_.chance(15) : rng_.chance(50);
    const bool voter = was && rng_.chance(70) ? member->voter : rng_.chance(80);
    if (is) change.members.push_back({server.id, "", "", "", voter});
  }
  return change;
}

void Group::change() {
  next_change_ = now_ + std::chrono::milliseconds(rng_.below(800));
  const bool anybody = rng_.chance(5);
  const std::size_t i = anybody ? rng_.below(servers_.size()) : any_leader().value_or(0);
  if (!servers_[i].core) return;
  const ChangeMembership wanted = draw_change(*servers_[i].core->configuration());
  // Judged as by `step`, which has no room for the answer.
  Core judge = *servers_[i].core;
  const Output judged = judge.step(now_, wanted);
  ++coverage_.changes[judged.change_refused];
  if (judged.configure && !judged.configure->wanted.empty()) ++coverage_.waits;
  step(i, wanted);
}

std::optional<std::size_t> Group::any_leader() const {
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (servers_[i].core && servers_[i].core->role() == Role::leader) return i;
  }
  return std::nullopt;
}

void Group::misbehave() {
  // A change needs a leader that lives for a while.
  const std::uint64_t rest = options_.changes ? 1200 : 300;
  next_fault_ = now_ + std::chrono::milliseconds(20 + rng_.below(rest));
  const std::size_t i = rng_.below(servers_.size());
  const std::size_t j = rng_.below(servers_.size());
  switch (rng_.below(9)) {
    case 0:
      if (servers_[i].core) crash(i);
      break;
    case 1:  // Leaders die young: their entries are on some disks and not on others.
      if (const auto leader = any_leader()) crash(*leader);
      break;
    case 2: servers_[i].slow_until = now_ + std::chrono::milliseconds(rng_.below(2000)); break;
    case 3: cut_.insert({i, j}); break;
    case 4:  // A server that nobody hears; if it leads, its log grows alone.
      for (std::size_t k = 0; k < servers_.size(); ++k) cut_.insert({any_leader().value_or(i), k});
      break;
    case 5: step(i, PeerLost{servers_[j].id}); break;
    case 6: cut_.clear(); break;
    case 8: {  // A disk that hangs, often under a leader.
      Disk& disk = servers_[rng_.chance(50) ? any_leader().value_or(i) : i].disk;
      if (!disk.queue.empty()) disk.done_at = now_ + std::chrono::milliseconds(rng_.below(6000));
      break;
    }
    case 7:  // Nor does it hear of the next leader: both think that they lead, for a while.
      for (std::size_t k = 0; k < servers_.size(); ++k) {
        cut_.insert({any_leader().value_or(i), k});
        cut_.insert({k, any_leader().value_or(i)});
      }
      break;
  }
}

// Of any server that leads, to any server: some of them cannot take over, or do not vote.
void Group::transfer() {
  next_transfer_ = now_ + std::chrono::milliseconds(50 + rng_.below(1000));
  const std::size_t i = any_leader().value_or(rng_.below(servers_.size()));
  TransferLeadership request;
  if (rng_.chance(70)) request.target = servers_[rng_.below(servers_.size())].id;
  step(i, request);
}

void Group::heal() {
  options_.faults = false;
  options_.link_delay_max = 2ms;
  cut_.clear();
  for (Server& server : servers_) {
    server.slow_until = {};
    server.up_at = std::min(server.up_at, now_);
  }
}

Instant Group::next_event() const {
  Instant next = std::min(next_proposal_, next_read_);
  if (options_.faults) next = std::min({next, next_fault_, next_transfer_});
  if (options_.faults && options_.changes) next = std::min(next, next_change_);
  if (!network_.empty()) next = std::min(next, network_.begin()->first);
  for (const Server& server : servers_) {
    next = std::min(next, server.core ? server.wake_at : server.up_at);
    if (server.core && !server.disk.queue.empty()) next = std::min(next, server.disk.done_at);
  }
  return next;
}

void Group::run(Duration duration) {
  const Instant end = now_ + duration;
  while (!violation_ && next_event() < end) {
    now_ = std::max(now_, next_event());
    while (!network_.empty() && network_.begin()->first <= now_) {
      arrive(std::move(network_.extract(network_.begin()).mapped()));
    }
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      Server& server = servers_[i];
      if (!server.core) {
        if (now_ >= server.up_at) start(i);
        continue;
      }
      Disk& disk = server.disk;
      if (!disk.queue.empty() && now_ >= disk.done_at) {
        const WriteSeq seq = disk.queue.front().seq;
        finish_write(i);
        disk.done_at = now_ + disk_delay(server);
        deliver(i, server.outbox.written(seq));
        step(i, Written{seq});
      }
      if (now_ >= server.wake_at) step(i, Tick{});
    }
    if (now_ >= next_proposal_) propose();
    if (now_ >= next_read_) read();
    if (options_.faults && options_.changes && now_ >= next_change_) change();
    if (options_.faults && now_ >= next_fault_) misbehave();
    if (options_.faults && now_ >= next_transfer_) transfer();
  }
}

void Group::check(std::size_t i, const Output& out) {
  Server& server = servers_[i];
  const View view = view_of(*server.core);
  if (const auto broken = broken_now(view)) fail(i, *broken);
  if (const auto broken = broken_between(*server.before, view)) fail(i, *broken);
  if (view.role == Role::leader && server.before->role != Role::leader) {
    ++coverage_.leaders;
    note("leader " + std::to_string(i) + " of term " + std::to_string(view.hard.term.value()));
    // Leader completeness: whatever was decided in an earlier term is in its log.
    for (std::size_t n = 0; n < decided_.size(); ++n) {
      if (decided_in_[n] >= view.hard.term) continue;
      if (n >= server.log.size() || server.log[n] != decided_[n]) {
        fail(i, "a leader has every entry that was decided before");
      }
    }
  }
  if (view.role == Role::leader) {
    const auto [place, fresh] = leader_of_.insert({view.hard.term, server.id});
    if (!fresh && place->second != server.id) fail(i, "a term has one leader in all its time");
  }
  if (out.committed) check_committed(i);
  check_reads(i, out);
  std::vector<View> views;
  for (const Server& other : servers_) {
    if (other.core) views.push_back(other.id == server.id ? view : *other.before);
  }
  if (const auto broken = broken_among(views)) fail(i, *broken);
  server.before = view;
}

// State-machine safety: nobody ever commits something else at an index.
void Group::check_committed(std::size_t i) {
  const Server& server = servers_[i];
  const std::size_t first = offset(server.before->commit.next(), options_.base);
  const std::size_t end = offset(server.core->commit_index().next(), options_.base);
  if (end > server.log.size()) return fail(i, "what is committed is in the log");
  for (std::size_t n = first; n < end; ++n) {
    if (n == decided_.size()) {
      decided_.push_back(server.log[n]);
      decided_in_.push_back(server.core->term());
      ++coverage_.commits;
      count_decided(server.log[n]);
    }
    if (server.log[n] != decided_[n]) return fail(i, "an index is decided once");
  }
}

// Linearizable: whatever anybody had committed when the read was asked for is at or below its
// index.
void Group::check_reads(std::size_t i, const Output& out) {
  const Core& core = *servers_[i].core;
  if (out.round_reads > 1) ++coverage_.shared_read_rounds;
  for (const FinishedRead& read : out.reads) {
    const auto floor = read_floors_.extract(read.id);
    if (floor.empty()) return fail(i, "a read ends once");
    if (!read.index) {
      ++coverage_.failed_reads[read.failure];
      continue;
    }
    ++(core.role() == Role::leader ? coverage_.reads_by_leaders : coverage_.reads_via_leaders);
    if (*read.index < floor.mapped()) {
      fail(i, "a read sees what was committed before it, through " +
                  std::to_string(floor.mapped().value()) + ", but is told " +
                  std::to_string(read.index->value()));
    }
  }
}

void Group::count_decided(const Entry& entry) {
  if (!entry.configuration) return;
  const SharedConfiguration before = std::exchange(decided_configuration_, entry.configuration);
  if (entry.configuration->is_joint()) ++coverage_.joint;
  const bool waited = before && !before->wanted.empty();
  if (waited && before->members == entry.configuration->members) ++coverage_.given_up;
}

bool Group::settled() const {
  const auto leader = any_leader();
  if (!leader) return false;
  const SharedConfiguration& now = servers_[*leader].core->configuration();
  if (now->is_changing() || now != servers_[*leader].core->committed_configuration()) return false;
  for (const Server& server : servers_) {
    if (now->votes(server.id)) continue;
    const Role role = server.core->role();
    if (role == Role::candidate || role == Role::leader) return false;
  }
  return true;
}

bool Group::converged() const {
  const auto leader = any_leader();
  if (!leader) return false;
  const SharedConfiguration& now = servers_[*leader].core->configuration();
  bool led = false;
  for (const Server& server : servers_) {
    if (!server.core) return false;
    if (now->find(server.id) == nullptr) continue;
    led = led || server.core->role() == Role::leader;
    const std::size_t behind =
        decided_.size() - (server.core->commit_index().value() - options_.base.index.value());
    if (behind > 20) return false;  // Proposals go on; what is under way right now may lack.
  }
  return led;
}

void Group::fail(std::size_t i, std::string_view what) {
  if (violation_) return;
  violation_ = "server " + std::to_string(i) + " in term " +
               std::to_string(servers_[i].core->term().value()) + ": " + std::string(what);
}

void Group::note(const std::string& event) {
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now_ - Instant(1h));
  history_.push_back(std::to_string(since.count()) + " ms: " + event);
  if (history_.size() > 40) history_.pop_front();
}

std::size_t Group::unaware() const {
  std::size_t unaware = 0;
  for (const Server& server : servers_) {
    const SharedConfiguration& now = servers_[any_leader().value()].core->configuration();
    if (!now->votes(server.id) && server.core->configuration()->votes(server.id)) ++unaware;
  }
  return unaware;
}

std::string Group::history() const {
  std::string text;
  for (const std::string& line : history_) text += line + "\n";
  const auto list = [&](const std::vector<Member>& members) {
    text += " [";
    for (const Member& member : members) {
      text += std::to_string(number_of(member.id)) + (member.voter ? "" : "l") + " ";
    }
    text += "]";
  };
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    text += "server " + std::to_string(i);
    if (const auto& core = servers_[i].core) {
      text += ": " + std::string(name_of(core->role())) + " of term " +
              std::to_string(core->term().value()) + ", last " +
              std::to_string(core->last().index.value()) + ", commit " +
              std::to_string(core->commit_index().value()) + ", members";
      list(core->configuration()->members);
      list(core->configuration()->outgoing);
      list(core->configuration()->wanted);
    }
    text += "\n";
  }
  return text;
}

}  // namespace kuilt::raft::test
