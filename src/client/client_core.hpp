// client_core.hpp: a client's logic: rotation, backoff, resume, retry, request window, links.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kuilt/detail/rng.hpp"
#include "kuilt/result.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::client {

struct ClientOptions {
  std::vector<std::string> endpoints;  ///< "ws://host:port", at least one.
  std::string name;
  std::string token;
  std::uint32_t links = 1;  ///< d: further links stand by, on distinct servers.
  Duration attempt_timeout = std::chrono::seconds(3);  ///< Then repeat under the same id.
  Duration silence_max = std::chrono::seconds(3);      ///< A link silent for longer is given up.
  Duration dial_timeout = std::chrono::seconds(3);     ///< To a welcome message.
  Duration backoff_min = std::chrono::milliseconds(20);
  Duration backoff_max = std::chrono::seconds(2);         ///< Full jitter below this.
  Duration leaderless_max = std::chrono::seconds(2);      ///< No leader for so long: next endpoint.
  std::size_t window_bytes_max = std::size_t{1} << 20;    ///< Proposals sent and not yet answered.
  std::size_t pending_bytes_max = std::size_t{16} << 20;  ///< All proposals taken; more is busy.
  std::uint64_t credit_bytes = std::uint64_t{1} << 20;    ///< Per observed room; see `taken`.
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
  RequestId request_id;               ///< With `session` only.
  RequestId floor;                    ///< With `session` only.
};
struct CancelCall {
  CallId call;
};
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
struct Stop {};
using Input = std::variant<Tick, Dialed, Broken, Arrived, ProposeCall, CancelCall, ObserveCall,
                           UnobserveCall, Taken, Stop>;

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
struct Delivered {
  RoomName room;
  wire::FeedEntry entry;
  std::uint64_t bytes = 0;
};
struct Advanced {
  RoomName room;
  Position through;
  std::uint64_t digest = 0;
};
/// Observing a room has ended for good; the application must decide.
struct ObserveEnded {
  RoomName room;
  Error error;
};
enum class EventKind : std::uint8_t { connected, disconnected, resumed, refused };
/// For people: what happened to the links.
struct Event {
  EventKind kind = EventKind::connected;
  std::string endpoint;
  std::string text;
  Position at;
  Duration after{};
};
using Duty = std::variant<Dial, Send, Close, Resolved, Delivered, Advanced, ObserveEnded, Event>;

struct Output {
  std::vector<Duty> duties;  ///< In the order in which they are to be done.
  Instant wake_at{};
};

/// Checks its own feed: a gap, a repeat, an older term or a wrong digest is named, counted, and
/// ends the link; the client resumes elsewhere from the last position that was sound.
///
/// Threads: none; one caller at a time. Deterministic for a seed.
class ClientCore {
 public:
  ClientCore(const ClientOptions& options, std::uint64_t seed, SessionId session, Instant now);

  Output step(Instant now, Input input);

  [[nodiscard]] std::optional<wire::Welcome> welcome() const;  ///< Of the link in use, if any.
  struct Counters {
    std::uint64_t attempts = 0;
    std::uint64_t retries = 0;
    std::uint64_t dials = 0;
    std::uint64_t feed_violations = 0;
    std::uint64_t sessions_reopened = 0;
  };
  [[nodiscard]] const Counters& counters() const;

 private:
  // (filled in by the implementation)
};

}  // namespace kuilt::client
