// faults.cpp: what goes wrong in a run, and when.
#include <algorithm>

#include "sim/world.hpp"

namespace kuilt::sim {
namespace {

using std::chrono::milliseconds;

constexpr Duration while_max = milliseconds(3000);
constexpr Duration rest_before_restart_max = milliseconds(1500);
constexpr Duration soon_max = milliseconds(400);

}  // namespace

Duration World::a_while() { return milliseconds(50) + up_to(rng_, while_max); }

Server& World::any_server() { return *servers_.at(rng_.below(servers_.size())); }
Client& World::any_client() { return *clients_.at(rng_.below(clients_.size())); }

void World::schedule_faults() {
  for (const auto& [fault, mean_interval] : plan_.mean_interval) schedule(fault, mean_interval);
}

void World::schedule(Fault fault, Duration mean_interval) {
  agenda_.after(up_to(rng_, 2 * mean_interval), [this, fault, mean_interval] {
    if (scene_.healed) return;
    strike(fault);
    schedule(fault, mean_interval);
  });
}

void World::strike(Fault fault) {
  switch (fault) {
    case Fault::power_cut:
    case Fault::kill:
    case Fault::kill_then_power_cut:
    case Fault::pause_server:
    case Fault::slow_disk: return strike_server(fault, any_server());
    case Fault::partition: return partition(false);
    case Fault::one_way_partition: return partition(true);
    case Fault::isolate_leader: {
      const auto leader = std::ranges::find_if(servers_, [](const auto& s) { return s->leads(); });
      if (leader != servers_.end()) isolate((*leader)->number());
      return;
    }
    case Fault::tear_peer_link: return tear_peer_link();
    case Fault::tear_client_link:
      if (links_.open_links() > 0) links_.tear(links_.any_link());
      return;
    case Fault::restart_client: return any_client().crash();
    case Fault::pause_client: return any_client().pause(agenda_.now() + 2 * a_while());
    case Fault::transfer_lead: return transfer_lead();
    case Fault::hung_disk: return hang_disk();
    case Fault::full_disk: return fill_disk();
    case Fault::stop_reading: return links_.stop_reading(any_client(), agenda_.now() + a_while());
  }
}

void World::strike_server(Fault fault, Server& server) {
  const Instant back = agenda_.now() + up_to(rng_, rest_before_restart_max);
  if (fault == Fault::power_cut) server.cut_power();
  if (fault == Fault::kill) server.kill();
  if (fault == Fault::kill_then_power_cut) kill_then_cut_power(server);
  if (fault == Fault::pause_server) {
    const Instant until = agenda_.now() + a_while();
    scene_.note("s{} is paused", {server.number()});
    server.pause(until);
  }
  if (fault == Fault::slow_disk) server.slow_disk(agenda_.now() + a_while());
  agenda_.at(back, [&server] { server.start(); });
}

// A tail that was valid in the page cache alone must not have been promised to anybody.
void World::kill_then_cut_power(Server& server) {
  if (!server.runs()) return;
  coverage_.count("kills, then power cuts");
  server.kill();
  server.start();
  agenda_.after(milliseconds(5) + up_to(rng_, soon_max), [this, &server] {
    server.cut_power();
    agenda_.after(up_to(rng_, rest_before_restart_max), [&server] { server.start(); });
  });
}

void World::partition(bool one_way) {
  scene_.note("the network is cut, one way {}", {one_way ? 1U : 0U});
  const Duration time = a_while();
  std::vector<bool> side(servers_.size());
  for (std::size_t i = 0; i < side.size(); ++i) side.at(i) = rng_.chance(50);
  for (ServerNumber a = 0; a < servers_.size(); ++a) {
    for (ServerNumber b = 0; b < servers_.size(); ++b) {
      if (side.at(a) && !side.at(b)) {
        cut_for_a_while(a, b, time);
        if (!one_way) cut_for_a_while(b, a, time);
      }
    }
  }
}

void World::isolate(ServerNumber server) {
  scene_.note("s{} is isolated", {server});
  const Duration time = a_while();
  for (ServerNumber other = 0; other < servers_.size(); ++other) {
    if (other == server) continue;
    cut_for_a_while(server, other, time);
    if (rng_.chance(80)) cut_for_a_while(other, server, time);
  }
}

void World::cut_for_a_while(ServerNumber from, ServerNumber to, Duration time) {
  peers_.cut(from, to);
  agenda_.after(time, [this, from, to] { peers_.mend(from, to); });
}

// Mostly of a leader, of any one: there may be two that think so.
void World::transfer_lead() {
  std::vector<Server*> leaders;
  for (const auto& server : servers_) {
    if (server->leads()) leaders.push_back(server.get());
  }
  const bool any = leaders.empty() || transfers_rng_.chance(10);
  Server& asked = any ? *servers_.at(transfers_rng_.below(servers_.size()))
                      : *leaders.at(transfers_rng_.below(leaders.size()));
  std::optional<ServerNumber> target;
  if (transfers_rng_.chance(70)) target = transfers_rng_.below(servers_.size());
  asked.transfer_lead(target);
}

void World::hang_disk() {
  const auto leader = std::ranges::find_if(servers_, [](const auto& s) { return s->leads(); });
  const bool anybody = leader == servers_.end() || troubles_rng_.chance(40);
  Server& server = anybody ? *servers_.at(troubles_rng_.below(servers_.size())) : **leader;
  scene_.note("the disk of s{} hangs", {server.number()});
  server.hang_disk(agenda_.now() + up_to(troubles_rng_, 3 * plan_.machine.raft.disk_stall_max));
}

void World::fill_disk() {
  Server& server = *servers_.at(troubles_rng_.below(servers_.size()));
  scene_.note("the disk of s{} is full", {server.number()});
  server.fill_disk(true);
  agenda_.after(up_to(troubles_rng_, 2 * while_max), [&server] {
    server.fill_disk(false);
    server.start();
  });
}

void World::tear_peer_link() {
  Server& one = any_server();
  Server& other = any_server();
  if (&one == &other) return;
  one.peer_link_torn(other.number());
  other.peer_link_torn(one.number());
}

}  // namespace kuilt::sim
