// members.cpp: a change of the members, as the machine takes it to the core and into the log.
#include <algorithm>
#include <memory>
#include <utility>

#include "cluster/machine.hpp"
#include "kuilt/detail/check.hpp"
#include "wire/entry.hpp"
#include "wire/fields.hpp"
#include "wire/utf8.hpp"

namespace kuilt::cluster {
namespace {

using raft::ChangeRefusal;

bool is_sound(const raft::Member& member) {
  return member.name.size() <= wire::name_bytes_max && wire::is_utf8(member.name) &&
         wire::is_utf8(member.peer_url) && wire::is_utf8(member.client_url);
}

// The largest entry on the way there: those who are members now, with the new ones that catch up,
// beside those who are to be.
raft::Configuration largest_step(const raft::Configuration& now,
                                 const std::vector<raft::Member>& wanted) {
  raft::Configuration largest = now;
  largest.outgoing = largest.members;
  for (const raft::Member& member : wanted) {
    if (raft::Configuration::find_in(now.members, member.id) == nullptr) {
      largest.outgoing.push_back(member);
    }
  }
  largest.members = wanted;
  return largest;
}

}  // namespace

void Machine::change_members(Turn& turn, const ChangeMembers& wanted) {
  flush(turn);
  const ChangeRefusal refusal = leads() ? judge(wanted) : ChangeRefusal::not_leader;
  if (refusal != ChangeRefusal::none) {
    turn.out.changes.push_back({wanted.number, refusal});
    return;
  }
  raft::Output out = step_core(turn, wanted.change);
  turn.out.changes.push_back({wanted.number, out.change_refused});
  absorb(turn, std::move(out));
}

// What the core can't judge: it knows no bytes. An entry that the other servers would not read, or
// not take, must never get into the log.
ChangeRefusal Machine::judge(const ChangeMembers& wanted) const {
  const raft::Configuration& now = *core_.configuration();
  if (wanted.made_from && wanted.made_from->members != now.members) {
    return ChangeRefusal::change_under_way;
  }
  if (!std::ranges::all_of(wanted.change.members, is_sound)) return ChangeRefusal::unsound_text;
  const raft::Entry largest = wire::encode_configuration(
      {last_index().next(), core_.term()}, sessions_.log_time(),
      std::make_shared<const raft::Configuration>(largest_step(now, wanted.change.members)));
  const bool fits = largest.stored.size() <= now.parameters.stored_bytes_max();
  return fits ? ChangeRefusal::none : ChangeRefusal::too_large;
}

// Nothing is judged and not yet in the log: whoever steps the core hands that in first.
void Machine::configure(Turn& turn, const raft::SharedConfiguration& next) {
  KUILT_CHECK(batch_.empty());
  const Position at{core_.last().index.next(), core_.term()};
  const raft::Propose propose{{wire::encode_configuration(at, sessions_.log_time(), next)}};
  absorb(turn, step_core(turn, propose));
}

}  // namespace kuilt::cluster
