// changes.cpp: which servers are members, and how that changes while everything else goes wrong.
#include <algorithm>
#include <string>

#include "sim/world.hpp"

namespace kuilt::sim {
namespace {

raft::Member member_of(ServerNumber number, bool voter) {
  return {.id = NodeId::named(name_of_server(number)),
          .name = name_of_server(number),
          .peer_url = name_of_server(number) + ":1",
          .client_url = endpoint_of_server(number),
          .voter = voter};
}

}  // namespace

raft::Configuration World::founders() const {
  raft::Configuration configuration;
  configuration.cluster = ClusterId::named("simulated");
  configuration.history = HistoryId::named("simulated");
  configuration.parameters = plan_.parameters;
  for (ServerNumber i = 0; i < plan_.servers; ++i) {
    configuration.members.push_back(member_of(i, true));
  }
  std::ranges::sort(configuration.members, {}, &raft::Member::id);
  return configuration;
}

// They run from the beginning, and wait to be made members.
void World::add_spares() {
  for (ServerNumber i = plan_.servers; i < plan_.servers + plan_.spares; ++i) {
    servers_.push_back(std::make_unique<Server>(scene_, i, founders(), Rng(changes_rng_.next())));
  }
}

void World::schedule_change() {
  agenda_.after(up_to(changes_rng_, 2 * plan_.mean_change_interval), [this] {
    if (scene_.healed) return;
    change_members();
    schedule_change();
  });
}

// Mostly whoever leads is asked; now and then anybody, who must refuse.
void World::change_members() {
  const auto leader = std::ranges::find_if(servers_, [](const auto& s) { return s->leads(); });
  const bool anybody = leader == servers_.end() || changes_rng_.chance(10);
  Server& server = anybody ? *servers_.at(changes_rng_.below(servers_.size())) : **leader;
  if (!server.runs()) return;
  const raft::Configuration& now = *server.machine().raft().configuration();
  server.change_members({draw_members(now), changes_rng_.chance(60)});
}

// One more, one less, one for another; or any servers at all, several at once.
std::vector<raft::Member> World::draw_members(const raft::Configuration& now) {
  std::vector<raft::Member> members;
  const bool few = changes_rng_.chance(60);
  const bool none = changes_rng_.chance(3);
  for (ServerNumber i = 0; i < servers_.size() && !none; ++i) {
    const NodeId id = NodeId::named(name_of_server(i));
    const raft::Member* member = raft::Configuration::find_in(now.members, id);
    const bool was = member != nullptr;
    const bool is = few ? was != changes_rng_.chance(20) : changes_rng_.chance(60);
    const bool keeps = was && changes_rng_.chance(80);
    const bool voter = keeps ? member->voter : changes_rng_.chance(85);
    if (is) members.push_back(member_of(i, voter));
  }
  return members;
}

bool World::is_member(const Server& server) const {
  return invariants_.members().find(NodeId::named(name_of_server(server.number()))) != nullptr;
}

bool World::members_are_settled() const { return !invariants_.members().is_changing(); }

void World::count_changes() {
  const Invariants::Changes& changes = invariants_.changes();
  coverage_.count("joint configurations committed", changes.joint);
  coverage_.count("several voters changed at once", changes.several);
  coverage_.count("servers that became voters", changes.voters_added);
  coverage_.count("servers that are voters no more", changes.voters_removed);
  coverage_.count("changes that waited for learners", changes.waited);
  coverage_.count("changes given up", changes.given_up);
  coverage_.count("configurations rolled back", changes.rolled_back);
  coverage_.count("entries decided by a leader that leaves", changes.decided_from_outside);
}

}  // namespace kuilt::sim
