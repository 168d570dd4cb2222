#include "sim/world.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "wire/entry.hpp"

namespace kuilt::sim {
namespace {

using std::chrono::seconds;

// Virtual time in which a healed cluster must have settled everything.
constexpr Duration settling_max = seconds(60);
// Whatever the faults, the log of a run stays short enough to compare often.
constexpr std::uint64_t events_max = 5'000'000;

std::string name_of_node(NodeId id) {
  for (ServerNumber i = 0; i < raft::members_max; ++i) {
    if (NodeId::named(name_of_server(i)) == id) return name_of_server(i);
  }
  return id.text();
}

std::vector<NodeId> ids_of_servers(std::size_t count) {
  std::vector<NodeId> ids;
  for (ServerNumber i = 0; i < count; ++i) ids.push_back(NodeId::named(name_of_server(i)));
  return ids;
}

}  // namespace

World::World(std::uint64_t seed, Rng rng, Setup setup, Trace::Listener listener,
             Trace::Listener raft_listener)
    : seed_(seed),
      rng_(rng),
      changes_rng_(setup.plan.changes_seed),
      setup_(std::move(setup)),
      trace_(std::move(listener)),
      raft_trace_(raft_listener, name_of_node),
      peers_(plan_.peers, Rng(rng_.next())),
      links_(agenda_, Rng(rng_.next())),
      oracle_(plan_.base, setup_.machines),
      snapshots_(plan_.base),
      invariants_(ids_of_servers(plan_.servers + plan_.spares), plan_.base, oracle_),
      scene_{plan_,
             setup_.machines,
             agenda_,
             trace_,
             peers_,
             links_,
             oracle_,
             rooms_,
             snapshots_,
             invariants_,
             coverage_,
             false,
             raft_listener ? &raft_trace_ : nullptr},
      left_out_(plan_.servers + plan_.spares) {
  if (setup_.may_be_in_a_log) {
    invariants_.admit_only(
        [this](BytesView command) { return setup_.may_be_in_a_log(Oracle::body_in(command)); });
  }
  for (ServerNumber i = 0; i < plan_.servers; ++i) {
    servers_.push_back(std::make_unique<Server>(scene_, i, founders(), Rng(rng_.next())));
  }
  add_spares();
  std::vector<Server*> servers;
  std::vector<LinkEnd*> ends;
  for (const auto& server : servers_) {
    servers.push_back(server.get());
    ends.push_back(server.get());
  }
  for (const auto& server : servers_) server->meet(servers);
  for (std::size_t i = 0; i < plan_.clients; ++i) {
    clients_.push_back(
        std::make_unique<Client>(scene_, i, Rng(rng_.next()), ends, setup_.make_program));
  }
}

Report World::run() {
  found();
  for (const auto& server : servers_) server->start();
  for (const auto& client : clients_) client->start();
  schedule_faults();
  if (plan_.mean_change_interval > Duration(0)) schedule_change();
  run_until(Instant(plan_.chaos));
  if (!invariants_.violation()) finish();
  return report();
}

void World::found() {
  const auto configuration = std::make_shared<const raft::Configuration>(founders());
  const Position at{plan_.base.index.next(), std::max(plan_.base.term, Term(1))};
  const raft::Entry founding = wire::encode_configuration(at, LogTime(), configuration);
  for (const auto& server : servers_) {
    server->make_log(server->number() < plan_.servers ? &founding : nullptr);
  }
  invariants_.founded(configuration);
  invariants_.complain(oracle_.commit(founding, invariants_.log_of(0).last_chain(), at.term));
  invariants_.complain(snapshots_.committed(founding));
}

void World::run_until(Instant end) {
  (void)run_until(end, [] { return false; });
}

bool World::run_until(Instant end, const std::function<bool()>& done) {
  while (!invariants_.violation()) {
    if (done()) return true;
    if (agenda_.events_run() > events_max) expect(false, "a run does not go round in circles");
    if (!agenda_.run_one(end)) break;
  }
  return done();
}

// First perhaps a majority alone, which must be enough for everything that clients wait for.
void World::finish() {
  if (plan_.quorum_only) {
    heal(false);
    const Index since = oracle_.last().index;
    const Instant end = agenda_.now() + settling_max;
    const bool led = run_until(end, [&] { return majority_is_settled(since); });
    expect(led, "a majority is enough for a leader that all of it follows and is as far as");
    if (invariants_.violation()) return;
    const bool finished = run_until(end, [this] {
      return std::ranges::none_of(clients_, [](const auto& c) { return c->has_pending(); });
    });
    expect(finished, "a majority is enough to finish every pending proposal");
    if (invariants_.violation()) return;
  }
  heal(true);
  for (const auto& client : clients_) client->program().finish();
  // Clients visit servers that never hear of a leader as well, each visit longer than the last:
  // those that are no members yet, or not any more.
  const auto outsiders = servers_.size() - invariants_.members().members.size();
  Instant end = agenda_.now() + settling_max * (1 + static_cast<int>(outsiders));
  // Nor is a state machine faster than it is made to be: it may take an entry at a time.
  const std::uint64_t entries = oracle_.last().index.value() - plan_.base.index.value();
  if (plan_.machine.applies) end += plan_.apply_delay_max * static_cast<int>(entries);
  const bool settled = run_until(end, [this] { return everything_is_settled(); });
  expect(settled, "a healed cluster settles everything");
  if (invariants_.violation()) return;
  std::map<ServerNumber, const cluster::Machine*> machines;
  for (const auto& server : servers_) {
    if (is_member(*server)) machines.emplace(server->number(), &server->machine());
  }
  invariants_.compare_all(machines);
}

void World::heal(bool all) {
  scene_.note("the world heals, all of it {}", {all ? 1U : 0U});
  scene_.healed = true;
  peers_.heal();
  links_.heal();
  const std::size_t out_max = all ? 0 : (servers_.size() - 1) / 2;
  std::fill(left_out_.begin(), left_out_.end(), false);
  for (std::size_t i = 0; i < out_max; ++i) left_out_.at(rng_.below(servers_.size())) = true;
  for (const auto& server : servers_) {
    server->slow_disk(agenda_.now());
    server->hang_disk(agenda_.now());
    server->fill_disk(false);
    if (left_out_.at(server->number())) {
      leave_out(*server);
    } else {
      server->start();
    }
  }
  for (const auto& client : clients_) client->faults_are_over();
}

// It is down, or it is up and worse than down: it hears nobody, nobody hears it, or it can write
// nothing, and is linked to all the others.
void World::leave_out(Server& server) {
  const std::uint64_t how = troubles_rng_.below(5);
  scene_.note("s{} is left out, in the way {}", {server.number(), how});
  if (how == 0) return server.kill();
  server.start();
  if (how == 4) {
    coverage_.count("left out of the first healing: with a disk that hangs");
    return server.hang_disk(agenda_.now() + 2 * settling_max);
  }
  coverage_.count("left out of the first healing: cut off");
  for (ServerNumber other = 0; other < servers_.size(); ++other) {
    if (other == server.number()) continue;
    if (how != 1) peers_.sever(server.number(), other);
    if (how != 2) peers_.sever(other, server.number());
  }
}

// With nothing to write a server whose disk hangs is as good a leader as any.
bool World::majority_is_settled(Index since) const {
  const auto follows = [&](const Server& server, NodeId leader) {
    if (left_out_.at(server.number())) return true;
    const raft::Core* core = server.runs() ? &server.machine().raft() : nullptr;
    return core != nullptr && core->leader() == leader && core->commit_index() >= since;
  };
  return std::ranges::any_of(servers_, [&](const auto& server) {
    if (!server->leads()) return false;
    const raft::Core& leader = server->machine().raft();
    return leader.committed_in_own_term() && !leader.disk_stalled() &&
           std::ranges::all_of(servers_,
                               [&](const auto& other) { return follows(*other, leader.self()); });
  });
}

bool World::everything_is_settled() const {
  for (const auto& client : clients_) {
    if (client->has_pending() || !client->program().is_finished() || !client->observes_the_end()) {
      return false;
    }
  }
  if (!rooms_are_settled() || !members_are_settled()) return false;
  const Position last = oracle_.last();
  for (const auto& server : servers_) {
    if (!server->runs()) return false;
    if (!is_member(*server)) continue;
    const raft::Core& core = server->machine().raft();
    if (core.commit_index() != last.index || core.last() != last ||
        core.durable_index() != last.index) {
      return false;
    }
  }
  return true;
}

bool World::rooms_are_settled() const {
  if (!plan_.rooms) return true;
  for (const auto& client : clients_) {
    if (!client->knows_everybody()) return false;
  }
  for (const auto& [room, members] : rooms_.rooms()) {
    for (const auto& server : servers_) {
      if (!server->runs()) return false;
      RoomOracle::Members present;
      for (const RoomMember& one : server->rooms().members(room)) present.insert(one.id);
      if (present != members) return false;
    }
  }
  return true;
}

void World::expect(bool held, std::string_view sentence) {
  if (!held) invariants_.complain(std::string(sentence) + states());
}

std::string World::states() const {
  std::string text = "; committed through " + std::to_string(oracle_.last().index.value());
  for (const auto& server : servers_) {
    text += "\n  server " + std::to_string(server->number());
    if (!server->runs()) {
      text += ": down";
      continue;
    }
    const raft::Core& core = server->machine().raft();
    text += ": " + std::string(raft::name_of(core.role())) + " of term " +
            std::to_string(core.term().value()) + ", last " +
            std::to_string(core.last().index.value()) + ", durable " +
            std::to_string(core.durable_index().value()) + ", commit " +
            std::to_string(core.commit_index().value()) + ", applied " +
            std::to_string(server->machine().applied().value()) + ", waiting " +
            std::to_string(server->machine().waiting()) + (is_member(*server) ? "" : ", no member");
    for (const auto& [room, members] : rooms_.rooms()) {
      text += ", " + std::to_string(server->rooms().members(room).size()) + " of " +
              std::to_string(members.size()) + " in " + room;
    }
  }
  for (const auto& client : clients_) text += "\n  " + client->state();
  return text;
}

void World::count_shape() {
  const raft::Options usual;
  const raft::Options& raft = plan_.machine.raft;
  coverage_.count("runs with seven servers", servers_.size() == 7 ? 1 : 0);
  coverage_.count("runs with ten clients and more", clients_.size() >= 10 ? 1 : 0);
  coverage_.count("runs whose clocks drift", plan_.drift_ppm_max > 0 ? 1 : 0);
  coverage_.count("runs with timings of their own",
                  raft.election_timeout_min != usual.election_timeout_min ? 1 : 0);
}

Report World::report() {
  for (const auto& server : servers_) {
    if (server->runs()) server->settle_counters();
  }
  for (const auto& client : clients_) client->settle_counters();
  coverage_.count("acknowledged", oracle_.acknowledged());
  coverage_.count("refused", oracle_.refused());
  coverage_.count("unknown outcomes", oracle_.unknown());
  coverage_.count("room messages said", rooms_.said());
  coverage_.count("room messages heard", rooms_.heard());
  count_changes();
  count_shape();
  coverage_.count("committed entries", oracle_.last().index.value() - plan_.base.index.value());
  Report report;
  report.seed = seed_;
  report.violation = invariants_.violation();
  report.ended_at = agenda_.now();
  report.trace_hash = trace_.hash();
  report.events = agenda_.events_run();
  if (report.violation) report.last_lines = trace_.last_lines();
  report.coverage = std::move(coverage_);
  report.committed = oracle_.commands();
  return report;
}

}  // namespace kuilt::sim
