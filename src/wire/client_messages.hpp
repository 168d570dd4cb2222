// client_messages.hpp: the conversation between a client and a server, as values.
//
// Two encodings carry it: kuilt.v1 (protobuf, binary frames) and kuilt.v1.json (text frames). Both
// decode to these values, so that one dispatcher stands behind both.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kuilt/bytes.hpp"
#include "kuilt/result.hpp"
#include "raft/messages.hpp"
#include "wire/outcome.hpp"
#include "wire/room_messages.hpp"

namespace kuilt::wire {

inline constexpr std::uint32_t client_version_min = 1;
inline constexpr std::uint32_t client_version_max = 1;
inline constexpr std::size_t hello_bytes_max = 4096;

enum class Encoding : std::uint8_t { protobuf, json };
/// "kuilt.v1" or "kuilt.v1.json".
[[nodiscard]] std::string_view subprotocol_of(Encoding encoding);
[[nodiscard]] std::optional<Encoding> encoding_of(std::string_view subprotocol);

// From client to server.

/// The first message on a link, within 5 s and 4 KiB.
struct Hello {
  std::uint32_t version_min = client_version_min;
  std::uint32_t version_max = client_version_max;
  std::uint64_t features = 0;
  ClusterId cluster;  ///< None: whichever this is. Else a server of another one refuses.
  HistoryId history;
  std::uint64_t client = 0;  ///< Drawn at random by the client: tells its links from others'.
  std::uint32_t link = 0;    ///< Number of this link; a new one evicts only the old one with it.
  std::string name;          ///< Who the client says it is. Proven only where tokens are required.
  std::string token;
  ClientSecret secret;  ///< What the member id in rooms is made of. None: another id per link.
  friend bool operator==(const Hello&, const Hello&) = default;
};
struct Propose {
  std::vector<Proposal> proposals;
  friend bool operator==(const Propose&, const Propose&) = default;
};
/// A place in a room's history, as an observer remembers it.
struct ResumePoint {
  ClusterId cluster;
  HistoryId history;
  Position at;
  std::uint64_t digest = 0;  ///< Of the room's chain through `at`.
  friend bool operator==(const ResumePoint&, const ResumePoint&) = default;
};
struct FromStart {
  friend bool operator==(const FromStart&, const FromStart&) = default;
};
struct FromNow {
  friend bool operator==(const FromNow&, const FromNow&) = default;
};
/// From an index on, for people: no check against a history.
struct FromIndex {
  Index index;  ///< The first wanted.
  friend bool operator==(const FromIndex&, const FromIndex&) = default;
};
using ObserveFrom = std::variant<FromStart, FromNow, FromIndex, ResumePoint>;
/// Starts, or starts again, the feed of one room on this link.
struct Observe {
  RoomName room;
  ObserveFrom from;
  std::uint64_t credit_bytes = 0;  ///< Feed bytes the client can take now; 0: as the socket drains.
  friend bool operator==(const Observe&, const Observe&) = default;
};
/// Widens the credit of a feed that began with one.
struct Credit {
  RoomName room;
  std::uint64_t bytes = 0;
  Index through;  ///< What the application has taken, for lag figures.
  friend bool operator==(const Credit&, const Credit&) = default;
};
struct Unobserve {
  RoomName room;
  friend bool operator==(const Unobserve&, const Unobserve&) = default;
};
/// Bit of Welcome::features: takes a ReadBarrier.
inline constexpr std::uint64_t feature_reads = 2;
/// Asks for the index through which the log must be seen, to have seen everything that was
/// acknowledged to anybody before.
struct ReadBarrier {
  std::uint64_t number = 0;  ///< The client's, on this link.
  friend bool operator==(const ReadBarrier&, const ReadBarrier&) = default;
};
using ClientMessage = std::variant<Hello, Propose, Observe, Credit, Unobserve, Join, LeaveRoom,
                                   RoomMessage, ReadBarrier>;

// From server to client.

struct Limits {
  std::uint64_t command_bytes_max = 0;
  std::uint64_t frame_bytes_max = 0;   ///< Of what the client may send.
  std::uint64_t window_bytes_max = 0;  ///< Unanswered proposals on this link.
  std::uint64_t session_window = 0;
  friend bool operator==(const Limits&, const Limits&) = default;
};
struct Welcome {
  std::uint32_t version = 1;
  std::uint64_t features = 0;
  NodeId server;
  std::string server_name;
  ClusterId cluster;
  HistoryId history;
  std::uint64_t log_id = 0;
  Position commit;     ///< Its index is the birth of sessions that the client opens.
  std::string leader;  ///< Name; empty if unknown.
  std::string leader_url;
  std::vector<std::string> endpoints;  ///< Of all servers, this one first.
  Duration heartbeat_interval{};
  Limits limits;
  std::string principal;  ///< Who the server takes the client for: the author of its entries.
  PeerId member;          ///< Who the client is among the members of rooms.
  friend bool operator==(const Welcome&, const Welcome&) = default;
};
struct Answers {
  std::vector<Answer> answers;
  friend bool operator==(const Answers&, const Answers&) = default;
};
enum class ObserveVerdict : std::uint8_t {
  resumed = 1,           ///< The feed goes on right after `at`.
  snapshot_follows = 2,  ///< Reserved: servers of this version never send it.
  begins_at = 3,         ///< The prefix is gone; the feed begins after `at`. Opt-in.
  history_differs = 4,   ///< Stop, and tell the application.
  not_this_cluster = 5,
  behind = 6,  ///< Held for a while, then given up: try the endpoints.
  compacted = 7,
  refused = 8,  ///< Not as it was asked, on any server (invalid_argument).
};
struct ObserveReply {
  RoomName room;
  ObserveVerdict verdict = ObserveVerdict::resumed;
  Position at;
  std::uint64_t digest = 0;  ///< Of the room's chain through `at`.
  std::string message;
  std::vector<std::string> endpoints;
  friend bool operator==(const ObserveReply&, const ObserveReply&) = default;
};
/// All that is visible in one room in (prev, through]. Consecutive frames meet: a gap is provable.
struct Feed {
  RoomName room;
  Position prev;
  Position through;
  std::uint64_t digest = 0;    ///< Of the room's chain through `through`.
  std::vector<Bytes> entries;  ///< Public parts, in order.
  friend bool operator==(const Feed&, const Feed&) = default;
};
struct ServerHeartbeat {
  Position commit;
  std::string leader;  ///< Empty: the server has known no leader for a while; go elsewhere.
  friend bool operator==(const ServerHeartbeat&, const ServerHeartbeat&) = default;
};
struct Reached {
  Index index;
  friend bool operator==(const Reached&, const Reached&) = default;
};
using BarrierOutcome = std::variant<Reached, RefusedOutcome>;
/// Reached: the server has committed through the index, and its feeds go through it.
struct BarrierAnswer {
  std::uint64_t number = 0;  ///< Of the ReadBarrier.
  BarrierOutcome outcome;
  friend bool operator==(const BarrierAnswer&, const BarrierAnswer&) = default;
};
/// The last message on a link.
struct Goodbye {
  ErrorCode code = ErrorCode::stopped;
  std::string message;
  Duration retry_after{};
  std::vector<std::string> endpoints;
  friend bool operator==(const Goodbye&, const Goodbye&) = default;
};
using ServerMessage = std::variant<Welcome, Answers, ObserveReply, Feed, ServerHeartbeat, Goodbye,
                                   Roster, Delivery, RoomRefusal, BarrierAnswer>;

/// A public part, decoded.
struct FeedEntry {
  Position at;
  LogTime log_time;
  RoomName room;
  std::string author;
  RequestId request_id;
  Bytes command;
  std::uint64_t log_id = 0;
};

/// Longest frame a client may send, given the cluster's largest command (rule 15).
[[nodiscard]] std::size_t client_frame_bytes_max(std::size_t command_bytes_max);

[[nodiscard]] Bytes encode(const ClientMessage& message, Encoding encoding);
[[nodiscard]] Bytes encode(const ServerMessage& message, Encoding encoding);
/// Errors: bad_frame, with what was wrong and where. Keeps slices of `frame`.
[[nodiscard]] Result<ClientMessage> decode_client(const Bytes& frame, Encoding encoding);
[[nodiscard]] Result<ServerMessage> decode_server(const Bytes& frame, Encoding encoding);
/// Errors: bad_frame, unsupported_format.
[[nodiscard]] Result<FeedEntry> decode_feed_entry(const Bytes& public_part);
/// The public part of which `decode_feed_entry` made this: the same bytes, so that the digest chain
/// holds for one who received the entry as JSON.
[[nodiscard]] Bytes encode_feed_entry(const FeedEntry& entry);

}  // namespace kuilt::wire
