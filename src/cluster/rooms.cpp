// rooms.cpp: links and their messages. Members, peers and time are in rooms_presence.cpp.
#include "cluster/rooms.hpp"

#include <algorithm>

#include "kuilt/detail/overloaded.hpp"

namespace kuilt::cluster {
namespace {

// What a message costs its principal besides its bytes.
constexpr std::uint64_t message_overhead = 64;

Error too_long(const std::string& what, std::size_t bytes, std::size_t limit) {
  return {ErrorCode::invalid_argument,
          what + " has " + std::to_string(bytes) + " bytes, the limit is " + std::to_string(limit)};
}

Error not_in(const RoomName& room) {
  if (room.size() > wire::room_bytes_max) {
    return too_long("the room's name", room.size(), wire::room_bytes_max);
  }
  return {ErrorCode::invalid_argument,
          "this link is not in the room \"" + room + "\": join it first"};
}

}  // namespace

RoomHub::RoomHub(const RoomOptions& options, const std::vector<NodeId>& peers, std::uint64_t seed,
                 Instant now)
    : options_(options), rng_(seed), budget_(options.message_bytes_per_second) {
  follow_peers(now, peers);
  if (!peers_.empty()) settles_at_ = now + options_.grace;
}

RoomOutput RoomHub::step(Instant now, std::vector<RoomInput> inputs) {
  out_ = {};
  out_bytes_ = 0;
  expire(now);
  for (RoomInput& input : inputs) waiting_.push_back(std::move(input));
  while (!waiting_.empty() && out_bytes_ < options_.step_bytes_max) {
    take(now, waiting_.front());
    waiting_.pop_front();
  }
  flush_all();
  send_to_peers(now);
  out_.wake_at = waiting_.empty() ? wake_at() : now;
  return std::move(out_);
}

void RoomHub::take(Instant now, RoomInput& input) {
  const auto on_input = Overloaded{
      [&](const RoomJoin& one) { join(one); },
      [&](const RoomLeave& one) { leave(one); },
      [&](RoomSay& one) { say(now, one); },
      [&](const RoomLinkClosed& one) { closed(now, one.link); },
      [&](const RoomRefresh& one) { refresh(one); },
      [&](const RoomsFromPeer& one) { on_peer(now, one); },
      [&](const RoomsTakenByPeer& one) { on_taken(one); },
      [&](const PeerUp& one) { peer_up(one.peer); },
      [&](const PeerDown& one) { peer_down(now, one.peer); },
      [&](const RoomPeers& one) { follow_peers(now, one.peers); },
  };
  std::visit(on_input, input);
}

void RoomHub::join(const RoomJoin& asked) {
  const RoomName& room = asked.join.room;
  if (const auto complaint = complaint_about(asked)) {
    ++counters_.refused_joins;
    return refuse({asked.link, asked.encoding}, room, *complaint, 0, asked.join.number);
  }
  ++counters_.joins;
  Link& link = links_[asked.link];
  link.listener = {asked.link, asked.encoding};
  link.member = asked.member;
  const bool is_new = link.rooms.insert(room).second;
  change(room, asked.member, [&](Member& member) {
    if (member.gone_at) ++counters_.kept_members;
    member.gone_at.reset();
    if (is_new) member.here.push_back(link.listener);
  });
  rooms_.at(room).newcomers.insert(asked.link);
  untold_.insert(room);
}

std::optional<Error> RoomHub::complaint_about(const RoomJoin& asked) const {
  const RoomName& name = asked.join.room;
  if (name.size() > wire::room_bytes_max) {
    return too_long("the room's name", name.size(), wire::room_bytes_max);
  }
  const auto link = links_.find(asked.link);
  if (link != links_.end() && link->second.rooms.size() >= options_.rooms_per_link_max &&
      !link->second.rooms.contains(name)) {
    return Error(ErrorCode::invalid_argument,
                 "this link is in " + std::to_string(link->second.rooms.size()) +
                     " rooms, the limit is " + std::to_string(options_.rooms_per_link_max) +
                     ": leave one first");
  }
  const auto room = rooms_.find(name);
  if (room == rooms_.end()) {
    if (rooms_.size() < options_.rooms_max) return std::nullopt;
    return Error(ErrorCode::busy, "the cluster has " + std::to_string(rooms_.size()) +
                                      " rooms with members, the limit is " +
                                      std::to_string(options_.rooms_max) +
                                      ": try again when others are empty");
  }
  const auto& members = room->second.members;
  if (members.size() < options_.members_per_room_max || members.contains(asked.member.id)) {
    return std::nullopt;
  }
  return Error(ErrorCode::busy, "the room \"" + name + "\" has " + std::to_string(members.size()) +
                                    " members, the limit is " +
                                    std::to_string(options_.members_per_room_max) +
                                    ": try again when others have left");
}

void RoomHub::leave(const RoomLeave& leave) {
  const auto link = links_.find(leave.link);
  if (link == links_.end() || link->second.rooms.erase(leave.room) == 0) return;
  rooms_.at(leave.room).newcomers.erase(leave.link);
  change(leave.room, link->second.member, [&](Member& member) {
    std::erase_if(member.here, [&](const Listener& one) { return one.link == leave.link; });
    if (member.here.empty()) ++counters_.leaves;
  });
  if (link->second.rooms.empty()) links_.erase(link);
}

void RoomHub::closed(Instant now, LinkId link) {
  auto gone = links_.extract(link);
  if (gone.empty()) return;
  for (const RoomName& room : gone.mapped().rooms) {
    rooms_.at(room).newcomers.erase(link);
    change(room, gone.mapped().member, [&](Member& member) {
      std::erase_if(member.here, [&](const Listener& one) { return one.link == link; });
      if (!member.here.empty()) return;
      member.gone_at = now + options_.grace;
      expiries_.emplace(*member.gone_at, room, gone.mapped().member.id);
    });
  }
}

void RoomHub::refresh(const RoomRefresh& refresh) {
  const auto link = links_.find(refresh.link);
  if (link == links_.end() || !link->second.rooms.contains(refresh.room)) return;
  rooms_.at(refresh.room).newcomers.insert(refresh.link);
  untold_.insert(refresh.room);
}

void RoomHub::say(Instant now, RoomSay& say) {
  const auto link = links_.find(say.link);
  if (link == links_.end()) {
    ++counters_.refused_messages;
    return refuse({say.link, say.encoding}, say.message.room, not_in(say.message.room), 1);
  }
  if (const auto complaint = complaint_about(now, link->second, say.message)) {
    ++counters_.refused_messages;
    ++link->second.refused;
    // Whoever floods is told now and then, not each time.
    if (now < link->second.refusal_at) return;
    link->second.refusal_at = now + options_.refusal_interval;
    return refuse(link->second.listener, say.message.room, *complaint,
                  std::exchange(link->second.refused, 0));
  }
  ++counters_.messages;
  const PeerId from = link->second.member.id;
  const Room& room = rooms_.at(say.message.room);
  if (!say.message.to.is_none() && !room.members.contains(say.message.to)) {
    ++counters_.unreachable_messages;
  }
  post(say.message, from, room);
  deliver(say.message, from);
}

std::optional<Error> RoomHub::complaint_about(Instant now, const Link& link,
                                              const wire::RoomMessage& message) {
  if (!link.rooms.contains(message.room)) return not_in(message.room);
  if (message.channel.size() > wire::channel_bytes_max) {
    return too_long("the channel's name", message.channel.size(), wire::channel_bytes_max);
  }
  if (message.body.size() > options_.message_bytes_max) {
    return too_long("the message", message.body.size(), options_.message_bytes_max);
  }
  if (!budget_.take(now, link.member.name, message.body.size() + message_overhead)) {
    return Error(ErrorCode::busy,
                 "\"" + link.member.name + "\" has sent more than " +
                     std::to_string(options_.message_bytes_per_second) +
                     " bytes of messages within a second, which is the limit: send fewer");
  }
  return std::nullopt;
}

void RoomHub::refuse(const Listener& to, const RoomName& room, const Error& error,
                     std::uint64_t messages, std::uint64_t join) {
  const bool may_heal = error.code() == ErrorCode::busy;
  Audience audience;
  audience.at(static_cast<std::size_t>(to.encoding)).push_back(to.link);
  send(RoomFrameKind::refusal, room,
       wire::RoomRefusal{room, error.code(), error.message(),
                         may_heal ? options_.busy_retry_after : Duration{}, messages, join},
       std::move(audience));
}

// Calls `reach` with everybody whom the message is for.
template <class Reach>
void RoomHub::for_each_reader(const Room& room, const wire::RoomMessage& message, PeerId from,
                              Reach reach) {
  if (!message.to.is_none()) {
    const auto found = room.members.find(message.to);
    if (found != room.members.end()) reach(found->second);
    return;
  }
  for (const auto& [id, member] : room.members) {
    if (id != from) reach(member);
  }
}

// Once to each server that has somebody to deliver it to.
void RoomHub::post(const wire::RoomMessage& message, PeerId from, const Room& room) {
  std::set<NodeId> peers;
  for_each_reader(room, message, from, [&](const Member& member) {
    for (const Elsewhere& one : member.elsewhere) peers.insert(one.peer);
  });
  for (const NodeId peer : peers) {
    if (!peers_.at(peer).out.post({message, from})) ++counters_.dropped_for_peers;
  }
}

void RoomHub::deliver(const wire::RoomMessage& message, PeerId from) {
  const auto room = rooms_.find(message.room);
  if (room == rooms_.end()) return;
  flush(room);
  Audience audience;
  for_each_reader(room->second, message, from, [&](const Member& member) {
    for (const Listener& one : member.here) {
      audience.at(static_cast<std::size_t>(one.encoding)).push_back(one.link);
    }
  });
  counters_.deliveries += audience[0].size() + audience[1].size();
  send(RoomFrameKind::message, message.room,
       wire::Delivery{message.room, message.channel, from, message.body, message.number},
       std::move(audience));
}

// One encoding per kind of link, however many they are.
void RoomHub::send(RoomFrameKind kind, const RoomName& room, const wire::ServerMessage& message,
                   Audience audience) {
  for (const wire::Encoding encoding : {wire::Encoding::protobuf, wire::Encoding::json}) {
    std::vector<LinkId>& to = audience.at(static_cast<std::size_t>(encoding));
    if (to.empty()) continue;
    out_.frames.push_back({kind, room, wire::encode(message, encoding), std::move(to)});
    const RoomFrame& made = out_.frames.back();
    out_bytes_ += sizeof made + made.frame.size() + made.to.size() * sizeof(LinkId);
  }
}

}  // namespace kuilt::cluster
