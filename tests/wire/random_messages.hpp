// random_messages.hpp: messages of every type, from a seed.
#pragma once

#include <vector>

#include "tests/wire/wire_values.hpp"
#include "wire/client_messages.hpp"
#include "wire/entry.hpp"
#include "wire/peer_messages.hpp"

namespace kuilt::wire {

/// One of a few: drawn from the whole table, golden files would change with each new error.
inline ErrorCode random_code(Rng& rng) {
  constexpr ErrorCode codes[] = {
      ErrorCode::bad_frame,       ErrorCode::not_allowed, ErrorCode::busy,    ErrorCode::no_leader,
      ErrorCode::session_expired, ErrorCode::behind,      ErrorCode::corrupt, ErrorCode::stopped};
  return codes[rng.below(std::size(codes))];
}

template <class T, class Make>
std::vector<T> random_list(Rng& rng, std::size_t size_max, Make make) {
  std::vector<T> out;
  for (std::uint64_t left = rng.below(size_max + 1); left > 0; --left) out.push_back(make(rng));
  return out;
}

template <std::size_t n>
void fill(Rng& rng, std::array<std::byte, n>& octets) {
  for (std::byte& octet : octets) octet = static_cast<std::byte>(rng.next() & 0xffU);
}

/// Text or octets, empty at times.
inline Bytes random_payload(Rng& rng) {
  return Bytes(rng.chance(50) ? random_text(rng, 40) : random_octets(rng, 80));
}

inline Proposal random_proposal(Rng& rng) {
  Proposal proposal;
  proposal.number = random_number(rng);
  if (rng.chance(80)) proposal.session = random_id<SessionId>(rng);
  proposal.birth = Index(random_number(rng));
  proposal.request_id = RequestId(random_number(rng));
  proposal.floor = RequestId(random_number(rng));
  proposal.room = random_text(rng, 8);
  proposal.command = random_payload(rng);
  return proposal;
}
inline Proposal random_forwarded(Rng& rng) {
  Proposal proposal = random_proposal(rng);
  proposal.author = random_text(rng, 8);
  return proposal;
}

inline Outcome random_outcome(Rng& rng) {
  if (rng.chance(50)) {
    CommittedOutcome committed{random_position(rng), rng.chance(30)};
    Rng own(committed.at.index.value());  // Other messages of the golden files stay what they were.
    if (own.chance(60)) committed.result = random_payload(own);
    return committed;
  }
  return RefusedOutcome{random_code(rng), random_text(rng, 20), rng.chance(50),
                        random_duration(rng)};
}

inline raft::Configuration random_configuration(Rng& rng) {
  raft::Configuration configuration;
  configuration.cluster = random_id<ClusterId>(rng);
  configuration.history = random_id<HistoryId>(rng);
  std::uint64_t high = 0;
  for (std::uint64_t left = rng.below(6); left > 0; --left) {
    high += 1 + rng.below(1000);
    configuration.members.push_back({NodeId(high, rng.next()), random_text(rng, 5),
                                     random_text(rng, 9), random_text(rng, 9), rng.chance(70)});
  }
  configuration.parameters = {random_number(rng), random_number(rng), random_number(rng),
                              random_number(rng), random_duration(rng)};
  return configuration;
}

/// With members before, and members to be.
inline raft::Configuration random_changing_configuration(Rng& rng) {
  raft::Configuration configuration = random_configuration(rng);
  configuration.outgoing = random_configuration(rng).members;
  configuration.wanted = random_configuration(rng).members;
  return configuration;
}

inline raft::Entry random_command(Rng& rng, Position at) {
  const std::string room = random_text(rng, 6);
  const std::string author = random_text(rng, 6);
  const std::string body = rng.chance(50) ? random_text(rng, 30) : random_octets(rng, 200);
  Command command;
  command.at = at;
  command.log_time = LogTime(random_number(rng));
  command.log_id = rng.chance(90) ? 0 : random_number(rng);
  command.room = room;
  command.author = author;
  command.request_id = RequestId(random_positive(rng));
  command.body = BytesView(body);
  command.session = random_id<SessionId>(rng);
  command.birth = Index(random_number(rng));
  command.floor = RequestId(random_number(rng));
  command.digest = command_digest(room, command.body);
  return encode_command(command);
}

inline raft::Entry random_entry(Rng& rng, Position at) {
  if (rng.chance(10)) return no_op(at);
  if (rng.chance(10)) {
    const auto configuration =
        std::make_shared<const raft::Configuration>(random_configuration(rng));
    return encode_configuration(at, LogTime(random_number(rng)), configuration);
  }
  return random_command(rng, at);
}

inline raft::Message random_raft_message(Rng& rng) {
  const Term term(random_positive(rng));
  switch (rng.below(6)) {
    case 0: return raft::VoteRequest{term, rng.chance(50), random_position(rng)};
    case 1: return raft::VoteReply{term, rng.chance(50), rng.chance(50)};
    case 2: {
      raft::AppendRequest request{term, {Index(rng.next() >> 1), term}, Index(rng.next()), {}};
      Index index = request.prev.index;
      request.entries = random_list<raft::Entry>(rng, 5, [&](Rng& r) {
        index = index.next();
        return random_entry(r, {index, Term(random_positive(r))});
      });
      return request;
    }
    case 3:
      return raft::AppendReply{term,
                               rng.chance(50),
                               Index(random_number(rng)),
                               Index(random_number(rng)),
                               random_position(rng),
                               random_id<BootId>(rng)};
    case 4: return raft::Heartbeat{term, random_position(rng), random_number(rng)};
  }
  return raft::HeartbeatReply{term, random_number(rng), Index(random_number(rng)),
                              random_duration(rng), random_id<BootId>(rng)};
}

inline PeerHello random_peer_hello(Rng& rng) {
  PeerHello hello;
  hello.version_min = static_cast<std::uint32_t>(random_number(rng));
  hello.version_max = static_cast<std::uint32_t>(random_number(rng));
  hello.features = random_number(rng);
  if (rng.chance(80)) hello.cluster = random_id<ClusterId>(rng);
  hello.history = random_id<HistoryId>(rng);
  hello.node = random_id<NodeId>(rng);
  hello.boot = random_id<BootId>(rng);
  hello.name = random_text(rng, 9);
  fill(rng, hello.nonce);
  if (rng.chance(50)) fill(rng, hello.proof.emplace());
  return hello;
}

inline RoomMember random_member(Rng& rng) { return {random_id<PeerId>(rng), random_text(rng, 5)}; }
inline RoomMessage random_room_message(Rng& rng) {
  RoomMessage message{random_text(rng, 5), random_text(rng, 5), {}, {}, random_number(rng)};
  if (rng.chance(50)) message.to = random_id<PeerId>(rng);
  message.body = random_payload(rng);
  return message;
}
inline PeerRooms random_peer_rooms(Rng& rng) {
  PeerRooms rooms{random_number(rng), random_number(rng), rng.chance(50), {}, {}};
  rooms.presences = random_list<Presence>(
      rng, 4, [](Rng& r) { return Presence{random_text(r, 5), random_member(r), r.chance(50)}; });
  rooms.posts = random_list<RoomPost>(
      rng, 3, [](Rng& r) { return RoomPost{random_room_message(r), random_id<PeerId>(r)}; });
  return rooms;
}

/// Of each kind that there was first: golden files follow their order.
inline PeerMessage random_core_message(Rng& rng) {
  switch (rng.below(12)) {
    case 0: return random_peer_hello(rng);
    case 1: {
      PeerProof proof;
      fill(rng, proof.proof);
      return proof;
    }
    case 2: return Forward{random_number(rng), random_list<Proposal>(rng, 4, random_forwarded)};
    case 3:
      return ForwardReply{random_number(rng), Term(random_number(rng)),
                          random_list<ForwardReply::Answer>(rng, 4, [](Rng& r) {
                            return ForwardReply::Answer{
                                static_cast<std::uint32_t>(random_number(r)), random_outcome(r)};
                          })};
    case 4: {
      FoundingOffer offer{
          random_id<NodeId>(rng), random_text(rng, 9), random_text(rng, 9), random_text(rng, 9), {},
          random_number(rng)};
      fill(rng, offer.nonce);
      return offer;
    }
    case 5:
      return FoundingHold{encode_configuration_record(random_configuration(rng)), rng.chance(50)};
    case 6: return PeerGoodbye{random_code(rng), random_text(rng, 20)};
  }
  return random_raft_message(rng);
}

inline PeerMessage random_peer_room_message(Rng& rng) {
  if (rng.chance(70)) return random_peer_rooms(rng);
  return PeerRoomsTaken{random_number(rng), random_number(rng)};
}
inline PeerMessage random_peer_read_message(Rng& rng) {
  const Term term(random_positive(rng));
  const std::uint64_t number = random_number(rng);
  const auto boot = random_id<BootId>(rng);
  if (rng.chance(50)) return raft::Message(raft::ReadRequest{term, number, boot});
  return raft::Message(
      raft::ReadReply{term, number, boot, rng.chance(50), Index(random_number(rng))});
}
/// What a hand-over of the lead sends.
inline PeerMessage random_stand_request(Rng& rng) {
  return raft::Message(raft::TimeoutNow{Term(random_positive(rng)), random_position(rng)});
}
inline PeerMessage random_transfer_vote(Rng& rng) {
  const Term term(random_positive(rng));
  return raft::Message(raft::VoteRequest{term, false, random_position(rng), true});
}
/// What a server that joins sends and hears.
inline PeerMessage random_join_message(Rng& rng) {
  switch (rng.below(3)) {
    case 0: return JoinRequest{random_text(rng, 9), random_text(rng, 9), random_text(rng, 9)};
    case 1: return JoinReply{JoinAccepted{encode_configuration_record(random_configuration(rng))}};
  }
  return JoinReply{JoinRefused{random_code(rng), random_text(rng, 20), random_text(rng, 9)}};
}
inline PeerMessage random_peer_message(Rng& rng) {
  if (rng.chance(5)) return random_join_message(rng);
  if (rng.chance(10)) return random_peer_read_message(rng);
  if (rng.chance(5)) return random_stand_request(rng);
  if (rng.chance(5)) return random_transfer_vote(rng);
  return rng.chance(20) ? random_peer_room_message(rng) : random_core_message(rng);
}

inline Hello random_hello(Rng& rng) {
  Hello hello;
  hello.version_min = static_cast<std::uint32_t>(random_number(rng));
  hello.version_max = static_cast<std::uint32_t>(random_number(rng));
  hello.features = random_number(rng);
  if (rng.chance(50)) hello.cluster = random_id<ClusterId>(rng);
  if (rng.chance(50)) hello.history = random_id<HistoryId>(rng);
  hello.client = random_number(rng);
  hello.link = static_cast<std::uint32_t>(random_number(rng));
  hello.name = random_text(rng, 9);
  hello.token = random_text(rng, 9);
  return hello;
}
inline ObserveFrom random_from(Rng& rng) {
  switch (rng.below(4)) {
    case 0: return FromStart{};
    case 1: return FromNow{};
    case 2: return FromIndex{Index(random_number(rng))};
  }
  return ResumePoint{random_id<ClusterId>(rng), random_id<HistoryId>(rng), random_position(rng),
                     random_number(rng)};
}
inline ClientMessage random_log_client_message(Rng& rng) {
  switch (rng.below(5)) {
    case 0: return random_hello(rng);
    case 1: return Propose{random_list<Proposal>(rng, 4, random_proposal)};
    case 2: return Observe{random_text(rng, 5), random_from(rng), random_number(rng)};
    case 3: return Credit{random_text(rng, 5), random_number(rng), Index(random_number(rng))};
  }
  return Unobserve{random_text(rng, 5)};
}

inline ClientMessage random_room_client_message(Rng& rng) {
  switch (rng.below(4)) {
    case 0: return Join{random_text(rng, 5), random_number(rng)};
    case 1: return LeaveRoom{random_text(rng, 5)};
    case 2: return random_room_message(rng);
  }
  Hello hello = random_hello(rng);
  hello.secret = random_id<ClientSecret>(rng);
  return hello;
}
inline ClientMessage random_read_client_message(Rng& rng) {
  return ReadBarrier{random_number(rng)};
}
inline ClientMessage random_client_message(Rng& rng) {
  if (rng.chance(10)) return random_read_client_message(rng);
  return rng.chance(40) ? random_room_client_message(rng) : random_log_client_message(rng);
}

/// Durations are whole milliseconds, which is what JSON carries.
inline Duration random_milliseconds(Rng& rng) {
  return std::chrono::milliseconds(random_number(rng) % 1'000'000'000);
}
inline Outcome random_client_outcome(Rng& rng) {
  Outcome outcome = random_outcome(rng);
  if (auto* refused = std::get_if<RefusedOutcome>(&outcome)) {
    refused->retry_after = random_milliseconds(rng);
  }
  return outcome;
}
inline std::vector<std::string> random_endpoints(Rng& rng) {
  return random_list<std::string>(rng, 3, [](Rng& r) { return random_text(r, 9); });
}
inline Welcome random_welcome(Rng& rng) {
  Welcome welcome;
  welcome.version = static_cast<std::uint32_t>(random_number(rng));
  welcome.features = random_number(rng);
  welcome.server = random_id<NodeId>(rng);
  welcome.server_name = random_text(rng, 5);
  welcome.cluster = random_id<ClusterId>(rng);
  welcome.history = random_id<HistoryId>(rng);
  welcome.log_id = random_number(rng);
  welcome.commit = random_position(rng);
  welcome.leader = random_text(rng, 5);
  welcome.leader_url = random_text(rng, 9);
  welcome.endpoints = random_endpoints(rng);
  welcome.heartbeat_interval = random_milliseconds(rng);
  welcome.limits = {random_number(rng), random_number(rng), random_number(rng), random_number(rng)};
  welcome.principal = random_text(rng, 5);
  return welcome;
}
inline Feed random_feed(Rng& rng) {
  Feed feed{
      random_text(rng, 5), random_position(rng), random_position(rng), random_number(rng), {}};
  feed.entries = random_list<Bytes>(
      rng, 5, [](Rng& r) { return public_part(random_command(r, random_position(r))); });
  return feed;
}
inline ServerMessage random_log_server_message(Rng& rng) {
  switch (rng.below(6)) {
    case 0: return random_welcome(rng);
    case 1:
      return Answers{random_list<Answer>(
          rng, 5, [](Rng& r) { return Answer{random_number(r), random_client_outcome(r)}; })};
    case 2:
      return ObserveReply{random_text(rng, 5),  static_cast<ObserveVerdict>(1 + rng.below(7)),
                          random_position(rng), random_number(rng),
                          random_text(rng, 20), random_endpoints(rng)};
    case 3: return random_feed(rng);
    case 4: return ServerHeartbeat{random_position(rng), random_text(rng, 5)};
  }
  return Goodbye{random_code(rng), random_text(rng, 20), random_milliseconds(rng),
                 random_endpoints(rng)};
}
inline Roster random_roster(Rng& rng) {
  Roster roster{random_text(rng, 5), RosterReset{random_list<RoomMember>(rng, 4, random_member)}};
  if (rng.chance(50)) return roster;
  roster.change = RosterChange{random_list<RosterEvent>(
      rng, 4, [](Rng& r) { return RosterEvent{r.chance(50), random_member(r)}; })};
  return roster;
}
inline ServerMessage random_room_server_message(Rng& rng) {
  switch (rng.below(4)) {
    case 0: return random_roster(rng);
    case 1:
      return Delivery{random_text(rng, 5), random_text(rng, 5), random_id<PeerId>(rng),
                      random_payload(rng), random_number(rng)};
    case 2:
      return RoomRefusal{random_text(rng, 5),      random_code(rng),   random_text(rng, 20),
                         random_milliseconds(rng), random_number(rng), random_number(rng)};
  }
  Welcome welcome = random_welcome(rng);
  welcome.member = random_id<PeerId>(rng);
  return welcome;
}
inline ServerMessage random_read_server_message(Rng& rng) {
  BarrierAnswer answer{random_number(rng), Reached{Index(random_number(rng))}};
  if (rng.chance(50)) return answer;
  answer.outcome =
      RefusedOutcome{random_code(rng), random_text(rng, 20), true, random_milliseconds(rng)};
  return answer;
}
inline ServerMessage random_server_message(Rng& rng) {
  if (rng.chance(10)) return random_read_server_message(rng);
  return rng.chance(40) ? random_room_server_message(rng) : random_log_server_message(rng);
}

}  // namespace kuilt::wire
