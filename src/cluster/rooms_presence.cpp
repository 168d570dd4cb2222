// rooms_presence.cpp: who is present, as links, other servers and time have it.
#include <algorithm>
#include <iterator>
#include <utility>

#include "cluster/rooms.hpp"

namespace kuilt::cluster {

void RoomHub::change(const RoomName& name, const RoomMember& who,
                     const std::function<void(Member&)>& change) {
  const auto room = rooms_.try_emplace(name).first;
  auto& members = room->second.members;
  const auto member = members.try_emplace(who.id, Member{who.name, {}, {}, {}}).first;
  const bool was_here = member->second.is_here();
  const bool was_present = member->second.is_present();
  change(member->second);
  const bool is_here = member->second.is_here();
  const bool is_present = member->second.is_present();
  if (is_here != was_here) {
    for (auto& [id, peer] : peers_) peer.out.changed({name, who, is_here});
  }
  if (is_present != was_present) {
    note(name, room->second, {is_present, {who.id, member->second.name}});
  }
  if (!is_present) members.erase(member);
  if (members.empty()) {
    untold_.erase(name);
    rooms_.erase(room);
  }
}

// Who comes and goes before anybody was told has not been there, and who goes and comes back has
// not been away: else one restless member could fill the frames of all.
void RoomHub::note(const RoomName& name, Room& room, wire::RosterEvent event) {
  untold_.insert(name);
  if (room.is_retold) return;
  const auto is_same = [&](const wire::RosterEvent& one) {
    return one.member.id == event.member.id;
  };
  const auto before = std::ranges::find_if(room.events, is_same);
  if (before != room.events.end()) return void(room.events.erase(before));
  if (room.events.size() < options_.roster_events_max) {
    return room.events.push_back(std::move(event));
  }
  room.events.clear();
  room.is_retold = true;
}

void RoomHub::on_peer(Instant now, const RoomsFromPeer& from) {
  const auto found = peers_.find(from.from);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  const RoomInStream::Verdict verdict = peer.in.offer(from.said);
  if (verdict.reply) out_.peers.push_back({from.from, *verdict.reply});
  if (verdict.begins) peer.era += 1;
  if (!verdict.take) return;
  for (const wire::Presence& one : from.said.presences) {
    present_elsewhere(from.from, peer.era, one);
  }
  if (from.said.complete) {
    ++counters_.statements;
    peer.stated = true;
    // Its members of before may be on their way to it, or to another server: it may have restarted.
    peer.forget = {now + options_.grace, peer.era};
    const auto has_stated = [](const auto& one) { return one.second.stated; };
    if (std::ranges::all_of(peers_, has_stated)) settles_at_.reset();
  }
  for (const wire::RoomPost& one : from.said.posts) deliver(one.message, one.from);
}

void RoomHub::on_taken(const RoomsTakenByPeer& by) {
  const auto peer = peers_.find(by.peer);
  if (peer != peers_.end()) peer->second.out.taken(by.taken);
}

void RoomHub::present_elsewhere(NodeId peer, std::uint64_t era, const wire::Presence& presence) {
  if (!presence.present) {
    const auto room = rooms_.find(presence.room);
    if (room == rooms_.end() || !room->second.members.contains(presence.member.id)) return;
  }
  change(presence.room, presence.member, [&](Member& member) {
    std::erase_if(member.elsewhere, [&](const Elsewhere& one) { return one.peer == peer; });
    if (presence.present) member.elsewhere.push_back({peer, era});
  });
}

// Takes back what the peer said before that era.
void RoomHub::forget_peer(NodeId peer, std::uint64_t era) {
  std::vector<std::pair<RoomName, RoomMember>> gone;
  const auto is_old = [&](const Elsewhere& one) { return one.peer == peer && one.era < era; };
  for (const auto& [name, room] : rooms_) {
    for (const auto& [id, member] : room.members) {
      if (std::ranges::any_of(member.elsewhere, is_old)) gone.push_back({name, {id, member.name}});
    }
  }
  for (const auto& [name, who] : gone) {
    change(name, who, [&](Member& member) { std::erase_if(member.elsewhere, is_old); });
  }
}

// What one said that is no peer any more stands for the grace: its clients go to other servers, and
// have not been away.
void RoomHub::follow_peers(Instant now, const std::vector<NodeId>& peers) {
  for (auto& [id, peer] : peers_) {
    if (peer.leaves || std::ranges::find(peers, id) != peers.end()) continue;
    peer.leaves = true;
    peer.gone_at = now + options_.grace;
    peer.out.end();
  }
  for (const NodeId id : peers) {
    const auto [place, is_new] =
        peers_.try_emplace(id, Peer{RoomOutStream(options_.stream, rng_.next()), {}, 0, false, {}});
    const bool comes_back = std::exchange(place->second.leaves, false);
    if ((is_new || comes_back) && up_.contains(id)) peer_up(id);
  }
}

void RoomHub::peer_up(NodeId peer) {
  up_.insert(peer);
  const auto found = peers_.find(peer);
  if (found == peers_.end() || found->second.leaves) return;
  found->second.gone_at.reset();
  found->second.out.begin();
}

void RoomHub::peer_down(Instant now, NodeId peer) {
  up_.erase(peer);
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  found->second.gone_at = now + options_.grace;
  found->second.out.end();
}

void RoomHub::expire(Instant now) {
  while (!expiries_.empty() && std::get<Instant>(*expiries_.begin()) <= now) {
    const auto [at, name, id] = *expiries_.begin();
    expiries_.erase(expiries_.begin());
    const auto room = rooms_.find(name);
    if (room == rooms_.end()) continue;
    const auto member = room->second.members.find(id);
    // Back since then, or torn again later.
    if (member == room->second.members.end() || member->second.gone_at != at) continue;
    ++counters_.leaves;
    ++counters_.expired_members;
    change(name, {id, member->second.name}, [](Member& gone) { gone.gone_at.reset(); });
  }
  for (auto next = peers_.begin(); next != peers_.end();) {
    auto& [id, peer] = *next;
    if (peer.forget && peer.forget->at <= now) {
      forget_peer(id, std::exchange(peer.forget, {})->era);
    }
    const bool is_gone = peer.gone_at && *peer.gone_at <= now;
    if (is_gone) {
      peer.gone_at.reset();
      forget_peer(id, ++peer.era);
    }
    next = is_gone && peer.leaves ? peers_.erase(next) : std::next(next);
  }
  if (settles_at_ && *settles_at_ <= now) settles_at_.reset();
}

std::optional<wire::Presence> RoomHub::member_here_after(
    const std::optional<RoomOutStream::Place>& place) const {
  auto room = place ? rooms_.lower_bound(place->first) : rooms_.begin();
  for (; room != rooms_.end(); ++room) {
    const auto& members = room->second.members;
    const bool is_first = place && room->first == place->first;
    for (auto one = is_first ? members.upper_bound(place->second) : members.begin();
         one != members.end(); ++one) {
      if (!one->second.is_here()) continue;
      return wire::Presence{room->first, {one->first, one->second.name}, true};
    }
  }
  return std::nullopt;
}

void RoomHub::flush(Rooms::iterator room) {
  if (settles_at_) return;
  auto& [name, state] = *room;
  if (untold_.erase(name) == 0) return;
  const bool is_retold = std::exchange(state.is_retold, false);
  Audience old_hands;
  Audience newcomers;
  wire::RosterReset everybody;
  for (const auto& [id, member] : state.members) {
    if (is_retold || !state.newcomers.empty()) everybody.members.push_back({id, member.name});
    for (const Listener& one : member.here) {
      const bool is_new = is_retold || state.newcomers.contains(one.link);
      Audience& audience = is_new ? newcomers : old_hands;
      audience.at(static_cast<std::size_t>(one.encoding)).push_back(one.link);
    }
  }
  if (!state.events.empty()) {
    send(RoomFrameKind::roster, name,
         wire::Roster{name, wire::RosterChange{std::exchange(state.events, {})}},
         std::move(old_hands));
  }
  state.newcomers.clear();
  send(RoomFrameKind::roster, name, wire::Roster{name, std::move(everybody)}, std::move(newcomers));
}

void RoomHub::flush_all() {
  if (settles_at_) return;
  while (!untold_.empty()) flush(rooms_.find(*untold_.begin()));
}

void RoomHub::send_to_peers(Instant now) {
  for (auto& [id, peer] : peers_) {
    const auto next = [this](const auto& place) { return member_here_after(place); };
    if (auto frame = peer.out.next(now, next)) out_.peers.push_back({id, *std::move(frame)});
  }
}

Instant RoomHub::wake_at() const {
  Instant at = settles_at_.value_or(Instant::max());
  if (!expiries_.empty()) at = std::min(at, std::get<Instant>(*expiries_.begin()));
  for (const auto& [id, peer] : peers_) {
    at = std::min(at, peer.gone_at.value_or(Instant::max()));
    if (peer.forget) at = std::min(at, peer.forget->at);
    at = std::min(at, peer.out.due().value_or(Instant::max()));
  }
  return at;
}

std::vector<RoomMember> RoomHub::members(const RoomName& room) const {
  std::vector<RoomMember> all;
  const auto found = rooms_.find(room);
  if (found == rooms_.end()) return all;
  for (const auto& [id, member] : found->second.members) all.push_back({id, member.name});
  return all;
}

}  // namespace kuilt::cluster
