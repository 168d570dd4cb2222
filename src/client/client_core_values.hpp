// client_core_values.hpp: what a client core is told, and what it answers. Values only.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kuilt/endpoints.hpp"
#include "kuilt/feed_rule.hpp"
#include "kuilt/result.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::client {

struct ClientOptions {
  std::vector<std::string> endpoints;  ///< "ws://host:port", at least one.
  EndpointSelector selector;           ///< Unset: round robin.
  std::string name;
  std::string token;
  wire::ClientSecret secret;  ///< What the member id in rooms is made of.
  std::uint32_t links = 1;    ///< d: further links stand by, on distinct servers.
  Duration attempt_timeout = std::chrono::seconds(3);  ///< Then repeat under the same id.
  Duration silence_max = std::chrono::seconds(3);      ///< A link silent for longer is given up.
  Duration dial_timeout = std::chrono::seconds(3);     ///< To a welcome message.
  Duration backoff_min = std::chrono::milliseconds(20);
  Duration backoff_max = std::chrono::seconds(2);     ///< Full jitter below this.
  Duration leaderless_max = std::chrono::seconds(2);  ///< No leader for so long: next endpoint.
  /// To the answer to an observe; above the time for which a server may hold "behind" back.
  Duration observe_timeout = std::chrono::seconds(10);
  std::size_t window_bytes_max = std::size_t{1} << 20;    ///< Proposals sent and not yet answered.
  std::size_t pending_bytes_max = std::size_t{16} << 20;  ///< All proposals taken; more is busy.
  std::uint64_t credit_bytes = std::uint64_t{1} << 20;    ///< Per observed room; see `taken`.
  std::optional<ClusterId> cluster = {};  ///< Known from an earlier run: no other is spoken to.
  std::vector<NodeId> servers = {};       ///< No others are spoken to; empty: any.
  /// The caller brings each link (`Rerouted`): servers hint in vain, and what one of them says
  /// against this client does not condemn the next.
  bool links_are_brought = false;
};

using CallId = Number<struct CallIdTag>;
/// Numbers dials: a later link is another one even to the same endpoint.
using DialId = Number<struct DialIdTag>;

/// Which session a proposal belongs to: the library's own of this incarnation, or a durable one
/// that the caller keeps.
struct SessionKey {
  SessionId session;
  Index birth;
};

// What may happen to a client.
struct Tick {};
struct Dialed {
  DialId dial;
};  ///< The WebSocket is open.
struct Broken {
  DialId dial;
  std::string reason;
};  ///< Closed, refused, or never opened.
/// Bytes came at that time of a message that is not whole yet: the server is not silent, and what
/// it owes may stand behind that message.
struct Heard {
  DialId dial;
  Instant at;
};
struct Arrived {
  DialId dial;
  wire::ServerMessage message;
};
struct ProposeCall {
  CallId call;
  RoomName room;
  Bytes command;
  Instant deadline;
  std::optional<SessionKey> session;  ///< Unset: the library's own.
  // With `session` only:
  RequestId request_id;
  RequestId floor;
  HistoryId history{};       ///< Servers of another one are not asked. None: whatever they have.
  bool sent_before = false;  ///< An attempt of an earlier call, or process, may be in the log.
  bool renews = false;  ///< Its owner can bring a key of a session that is born later (`NeedKey`).
};
/// Asks how far the log was when this came in: see wire::ReadBarrier.
struct BarrierCall {
  CallId call;
  Instant deadline;
};
struct CancelCall {
  CallId call;
};
/// Pre: the room is not observed yet.
struct ObserveCall {
  RoomName room;
  wire::ObserveFrom from;
};
struct UnobserveCall {
  RoomName room;
};
/// The application has taken feed entries of this many bytes: widens the credit.
struct Taken {
  RoomName room;
  std::uint64_t bytes = 0;
};
/// Becomes a member of the room, on every link anew. Pre: not one yet.
struct JoinCall {
  RoomName room;
  std::uint64_t number = 0;  ///< Of the caller's counting: tells it from an earlier one.
};
struct LeaveCall {
  RoomName room;
};
/// To members of a joined room.
struct SayCall {
  wire::RoomMessage message;
};
/// Answers a NeedSession. 128 bits that nobody can guess: who knows them can use the session.
struct FreshSession {
  SessionId session;
};
/// Answers a NeedKey: what the call goes on with. The key that it has: to be asked again later.
/// None: it ends.
struct FreshKey {
  CallId call;
  std::optional<SessionKey> key;
};
/// The endpoints lead elsewhere from now on: what was learnt of them is void, and they are dialed
/// without a wait.
struct Rerouted {};
struct Stop {};
using Input = std::variant<Tick, Dialed, Broken, Heard, Arrived, ProposeCall, CancelCall,
                           ObserveCall, UnobserveCall, Taken, JoinCall, LeaveCall, SayCall,
                           FreshSession, FreshKey, Rerouted, Stop, BarrierCall>;

// What the shell owes.
struct Dial {
  DialId dial;
  std::string endpoint;
};
struct Send {
  DialId dial;
  wire::ClientMessage message;
};
struct Close {
  DialId dial;
};
/// The end of a call (rule 14). An Error's effect says whether it may have happened.
struct Resolved {
  CallId call;
  Result<wire::CommittedOutcome> result;
};
/// The end of a BarrierCall. An Error's effect is none.
struct BarrierResolved {
  CallId call;
  Result<Index> result;
};
struct Delivered {
  RoomName room;
  wire::FeedEntry entry;
  std::uint64_t bytes = 0;  ///< Of its public part: what credit counts.
};
/// Everything visible through here was delivered. Follows each feed frame, and a reply that moves
/// the position (a feed that begins later than asked).
struct Advanced {
  RoomName room;
  Position through;
  std::uint64_t digest = 0;
  ClusterId cluster;
  HistoryId history;
};
/// Observing a room has ended for good; the application must decide.
struct ObserveEnded {
  RoomName room;
  Error error;
};
/// Who is in a joined room, or what has changed; `self` is this client.
struct RoomTold {
  PeerId self;
  wire::Roster roster;
};
struct RoomDelivered {
  wire::Delivery delivery;
};
/// Messages were not passed on, or a join is tried again later.
struct RoomRefused {
  wire::RoomRefusal refusal;
};
/// Membership has ended for good.
struct RoomEnded {
  RoomName room;
  std::uint64_t number = 0;  ///< Of the JoinCall.
  Error error;
};
/// The library's own session is lost: new calls wait for a FreshSession.
struct NeedSession {};
/// The cluster does not know the session of this call, which is surely not in the log, and will not
/// open one of that birth. The call waits for a FreshKey, with an attempt of its nowhere.
struct NeedKey {
  CallId call;
  Index birth;  ///< For a new session.
};
enum class EventKind : std::uint8_t { connected, disconnected, resumed, refused, feed_broken };
/// For people: what happened to the links.
struct Event {
  EventKind kind = EventKind::connected;
  std::string endpoint;
  std::string text;
  Position at;                        ///< Of `resumed`: where the feed goes on.
  Duration after{};                   ///< Of `resumed`: since the link before was lost.
  std::optional<FeedRule> rule = {};  ///< Of `feed_broken`.
};
using Duty = std::variant<Dial, Send, Close, Resolved, Delivered, Advanced, ObserveEnded, RoomTold,
                          RoomDelivered, RoomRefused, RoomEnded, NeedSession, NeedKey, Event,
                          BarrierResolved>;

struct Output {
  std::vector<Duty> duties;  ///< In the order in which they are to be done.
  Instant wake_at{};
};

}  // namespace kuilt::client
