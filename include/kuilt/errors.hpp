// errors.hpp: every way in which kuilt says no, in one table.
//
// The table feeds `kuilt errors`, docs/errors.md (a test keeps it complete), the wire (codes travel
// as their number, and a number is never reused) and the exit codes of the command line.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace kuilt {

/// Programs branch on the code; people read `Error::message()`.
enum class ErrorCode : std::uint16_t {
  // The caller's fault: sending it again unchanged cannot help.
  usage = 1,
  invalid_argument = 2,
  command_too_large = 3,
  bad_frame = 4,
  frame_too_large = 5,
  hello_expected = 6,
  hello_timeout = 7,
  version_unsupported = 8,
  // Who may.
  not_allowed = 20,
  origin_refused = 21,
  wrong_cluster = 22,
  wrong_secret = 23,
  unknown_node = 24,
  wrong_subprotocol = 25,
  not_admitted = 26,
  // Not now.
  busy = 40,
  too_many_clients = 41,
  no_leader = 42,
  not_leader = 43,
  no_server = 44,
  draining = 45,
  timed_out = 46,
  slow_reader = 47,
  replaced = 48,
  // Sessions and outcomes.
  session_expired = 60,
  window_full = 61,
  request_id_reused = 62,
  below_floor = 63,
  too_many_sessions = 64,
  unknown_outcome = 65,
  cancelled = 66,
  session_locked = 67,
  session_unwritable = 68,
  // Observing.
  history_differs = 80,
  behind = 81,
  compacted = 82,
  feed_broken = 83,
  // The machine under us.
  io = 100,
  disk_full = 101,
  corrupt = 102,
  directory_locked = 103,
  directory_of_another = 104,
  directory_unwritable = 105,
  directory_lost = 106,
  address_in_use = 107,
  founding_differs = 108,
  unsupported_format = 109,
  stopped = 110,
  apply_failed = 111,
  // Handing over the lead.
  unknown_server = 112,
  not_a_voter = 113,
  target_behind = 114,
  transfer_failed = 115,
  // A start from a snapshot.
  restore_failed = 116,
  // Members that come and go.
  removed = 117,
  not_a_member = 118,
  name_taken = 119,
  change_refused = 120,
  change_given_up = 121,
};

/// Whether the operation that failed may have taken effect all the same.
enum class Effect : std::uint8_t {
  none,     ///< It did not happen, and will not.
  unknown,  ///< It may have happened, or may yet. Retry only under the same session and request id.
};

/// One row of the table.
struct ErrorInfo {
  ErrorCode code;
  std::string_view name;     ///< As it is spelled on the wire's JSON form and in metrics.
  Effect effect;             ///< What is usual for this code; an Error carries its own.
  int exit_code;             ///< Of the command line: see `kuilt --help`.
  std::string_view meaning;  ///< One sentence.
  std::string_view way_out;  ///< What to do next.
};
/// All of them, by their codes.
inline constexpr std::array error_table = {
    ErrorInfo{ErrorCode::usage, "usage", Effect::none, 2,
              "A flag, key or argument of the command line is unknown or malformed.",
              "See `kuilt COMMAND --help`."},
    ErrorInfo{ErrorCode::invalid_argument, "invalid_argument", Effect::none, 2,
              "A value is outside what the call or the message allows.",
              "Correct the value that the message names."},
    ErrorInfo{ErrorCode::command_too_large, "command_too_large", Effect::none, 1,
              "The command is longer than the cluster's command_bytes_max.",
              "Split the command, or store the bulk elsewhere and propose a reference."},
    ErrorInfo{ErrorCode::bad_frame, "bad_frame", Effect::none, 2,
              "A frame is truncated, not parseable, or of a type that this side never receives.",
              "Compare with docs/protocol.md; the link was closed."},
    ErrorInfo{ErrorCode::frame_too_large, "frame_too_large", Effect::none, 2,
              "A frame is longer than the limit that the welcome message states.",
              "Send smaller frames; the link was closed."},
    ErrorInfo{ErrorCode::hello_expected, "hello_expected", Effect::none, 2,
              "The first message on a link was not a hello.", "Send a hello first."},
    ErrorInfo{ErrorCode::hello_timeout, "hello_timeout", Effect::none, 3,
              "No hello arrived within the limit.", "Send a hello as soon as the link is up."},
    ErrorInfo{ErrorCode::version_unsupported, "version_unsupported", Effect::none, 2,
              "The two sides have no protocol version in common.",
              "Use a client of a version that the message names."},
    ErrorInfo{ErrorCode::not_allowed, "not_allowed", Effect::none, 6,
              "This principal may not do that, or the session belongs to another principal.",
              "Connect as the principal that opened the session, or ask the operator."},
    ErrorInfo{ErrorCode::origin_refused, "origin_refused", Effect::none, 6,
              "The page that opened the link comes from an Origin that is not allowed.",
              "Serve the page from the same origin, or add it with --allow-origin."},
    ErrorInfo{ErrorCode::wrong_cluster, "wrong_cluster", Effect::none, 6,
              "The other side belongs to another cluster.",
              "Check the endpoints, or drop the stored cluster id."},
    ErrorInfo{ErrorCode::wrong_secret, "wrong_secret", Effect::none, 6,
              "A server could not prove that it knows the cluster's secret.",
              "Give all servers the same --secret-file."},
    ErrorInfo{ErrorCode::unknown_node, "unknown_node", Effect::none, 6,
              "A server's node id is not a member of this cluster.",
              "A lost directory cannot come back as the old member; replace the member."},
    ErrorInfo{ErrorCode::wrong_subprotocol, "wrong_subprotocol", Effect::none, 2,
              "The WebSocket offers no subprotocol that this listener speaks.",
              "Offer kuilt.v1 or kuilt.v1.json."},
    ErrorInfo{ErrorCode::not_admitted, "not_admitted", Effect::none, 1,
              "The servers' state machine did not admit the command into the log.",
              "See the message, which is the state machine's; propose what it admits."},
    ErrorInfo{ErrorCode::busy, "busy", Effect::none, 1, "A bounded queue is full.",
              "Try again after the time that the message names."},
    ErrorInfo{ErrorCode::too_many_clients, "too_many_clients", Effect::none, 3,
              "The server serves as many clients as its limit allows.",
              "Connect to another server, or raise --clients-max."},
    ErrorInfo{ErrorCode::no_leader, "no_leader", Effect::none, 3,
              "The cluster had no leader before the deadline.",
              "Check that a majority of the servers runs: `kuilt status`."},
    ErrorInfo{ErrorCode::not_leader, "not_leader", Effect::none, 1,
              "The proposal, read or order reached a server that does not lead, or not any more.",
              "A proposal or read: nothing to do, it is tried again until its deadline. An order: "
              "give it to the server that leads."},
    ErrorInfo{ErrorCode::no_server, "no_server", Effect::none, 3,
              "No endpoint accepted a link before the deadline.",
              "Check the endpoints and that a server runs: `kuilt status`."},
    ErrorInfo{ErrorCode::draining, "draining", Effect::none, 1,
              "The server is shutting down and takes no new work.",
              "Use one of the endpoints that the message names."},
    ErrorInfo{ErrorCode::timed_out, "timed_out", Effect::none, 3,
              "There was no answer within the deadline, and nothing was sent.",
              "Try again, or allow more time."},
    ErrorInfo{ErrorCode::slow_reader, "slow_reader", Effect::none, 1,
              "The client did not read what it asked for.",
              "Read faster; reconnect and resume at the last position."},
    ErrorInfo{ErrorCode::replaced, "replaced", Effect::none, 1,
              "A newer link of the same client and number took this one's place.",
              "Nothing to do: the newer link goes on."},
    ErrorInfo{ErrorCode::session_expired, "session_expired", Effect::unknown, 5,
              "The cluster no longer knows this session.",
              "Open a new session (a durable one: renew it); what was unanswered stays unknown."},
    ErrorInfo{ErrorCode::window_full, "window_full", Effect::none, 1,
              "The request id is too far above the last acknowledged one.",
              "Acknowledge outcomes before proposing more."},
    ErrorInfo{ErrorCode::request_id_reused, "request_id_reused", Effect::none, 1,
              "The request id was used before for another command.",
              "Use a fresh id for each command."},
    ErrorInfo{ErrorCode::below_floor, "below_floor", Effect::unknown, 4,
              "The request id was acknowledged before, so its outcome is no longer kept.",
              "Nothing to do: the client recorded the outcome when it acknowledged."},
    ErrorInfo{ErrorCode::too_many_sessions, "too_many_sessions", Effect::none, 1,
              "The cluster keeps as many sessions as its limit allows.",
              "Use fewer sessions, or wait until old ones expire."},
    ErrorInfo{ErrorCode::unknown_outcome, "unknown_outcome", Effect::unknown, 4,
              "The deadline passed while an attempt may have been committed.",
              "Repeat only with the same session and request id."},
    ErrorInfo{ErrorCode::cancelled, "cancelled", Effect::none, 1,
              "The caller gave up before anything was sent.", "Nothing to do."},
    ErrorInfo{ErrorCode::session_locked, "session_locked", Effect::none, 2,
              "The session file is open already, in this process or another.",
              "Close the session, or stop the process that the message names."},
    ErrorInfo{ErrorCode::session_unwritable, "session_unwritable", Effect::none, 2,
              "The session file cannot be created or written.",
              "Correct the owner or mode of its folder, or use another path."},
    ErrorInfo{ErrorCode::history_differs, "history_differs", Effect::none, 7,
              "The client's position is not in this cluster's history.",
              "Observe from the start; the state built so far belongs to another past."},
    ErrorInfo{ErrorCode::behind, "behind", Effect::none, 3,
              "The server has not yet reached the client's position.",
              "Use one of the endpoints that the message names."},
    ErrorInfo{ErrorCode::compacted, "compacted", Effect::none, 7,
              "The position is before what the server still keeps.",
              "Begin at the position that the message names."},
    ErrorInfo{ErrorCode::feed_broken, "feed_broken", Effect::none, 7,
              "The feed has a gap, a repeat, an older term or a wrong digest.",
              "The client reconnects elsewhere; report it if it recurs."},
    ErrorInfo{ErrorCode::io, "io", Effect::unknown, 7,
              "The operating system refused a read, write, sync or connect.",
              "See the message; after a failed write the server stops and recovers."},
    ErrorInfo{ErrorCode::disk_full, "disk_full", Effect::none, 7,
              "There is no space left for the log, or for a session file.",
              "Free space on the disk of the path that the message names."},
    ErrorInfo{ErrorCode::corrupt, "corrupt", Effect::none, 7,
              "Stored bytes failed their checksum or their shape, and are not a torn tail.",
              "Keep the files as they are; the message names file, offset and index."},
    ErrorInfo{ErrorCode::directory_locked, "directory_locked", Effect::none, 2,
              "Another process uses the data directory.",
              "Stop the process that the message names, or use another --data."},
    ErrorInfo{ErrorCode::directory_of_another, "directory_of_another", Effect::none, 2,
              "The data directory belongs to another cluster or node.",
              "Use the directory of this server, or an empty one."},
    ErrorInfo{ErrorCode::directory_unwritable, "directory_unwritable", Effect::none, 2,
              "The data directory cannot be created or written.",
              "Correct its owner or mode, or use another --data."},
    ErrorInfo{ErrorCode::directory_lost, "directory_lost", Effect::none, 2,
              "The directory is empty, but the cluster was founded with this server's old one.",
              "A lost server cannot come back as the old member; replace the member."},
    ErrorInfo{ErrorCode::address_in_use, "address_in_use", Effect::none, 2,
              "Another process listens on that address.",
              "Stop it, or use another address (port 0 picks a free one)."},
    ErrorInfo{ErrorCode::founding_differs, "founding_differs", Effect::none, 2,
              "The servers were started with different --found lists.",
              "Give all servers the same list."},
    ErrorInfo{ErrorCode::unsupported_format, "unsupported_format", Effect::none, 7,
              "The data directory was written by a version with another format.",
              "Use that version, or a newer one that can read it."},
    ErrorInfo{ErrorCode::stopped, "stopped", Effect::unknown, 1,
              "The client or server was stopped while the call was pending.",
              "Repeat only with the same session and request id."},
    ErrorInfo{ErrorCode::apply_failed, "apply_failed", Effect::none, 7,
              "The server's state machine threw while it applied a committed entry.",
              "Correct the state machine; until then the server stops at that entry again."},
    ErrorInfo{ErrorCode::unknown_server, "unknown_server", Effect::none, 1,
              "No server of the cluster has that name or id.",
              "Use a name that `kuilt status` lists."},
    ErrorInfo{ErrorCode::not_a_voter, "not_a_voter", Effect::none, 1,
              "The server replicates the log and does not vote, so it cannot lead.",
              "Hand over to a voter, or leave the choice to the leader."},
    ErrorInfo{ErrorCode::target_behind, "target_behind", Effect::none, 1,
              "The server did not have the whole log in time, so the old leader kept the lead.",
              "Wait until `kuilt status` shows no lag, or hand over to another server."},
    ErrorInfo{ErrorCode::transfer_failed, "transfer_failed", Effect::unknown, 1,
              "The lead was not handed over; the message says why, and whether it may happen yet.",
              "See `kuilt status` for who leads, and try again or choose another server."},
    ErrorInfo{ErrorCode::restore_failed, "restore_failed", Effect::none, 7,
              "The server's state machine did not take back the snapshot that it starts from.",
              "Correct the state machine; or remove the files in the folder snapshots of the data "
              "directory, and the server applies its whole log."},
    ErrorInfo{ErrorCode::removed, "removed", Effect::none, 2,
              "This server was a member of the cluster, and was removed from it.",
              "To have it back, start it with an empty --data and with --join: as a new server."},
    ErrorInfo{ErrorCode::not_a_member, "not_a_member", Effect::none, 3,
              "The server is no member of the cluster: not yet, or not any more.",
              "Use one of the endpoints that the message names."},
    ErrorInfo{ErrorCode::name_taken, "name_taken", Effect::none, 2,
              "A server of the cluster has that name already, with another data directory.",
              "Use another --name; or, if that directory is lost, `kuilt members replace NAME`."},
    ErrorInfo{ErrorCode::change_refused, "change_refused", Effect::none, 1,
              "The members can't be changed in that way; the message says why.",
              "Correct the change; `kuilt members` shows who the members are."},
    ErrorInfo{ErrorCode::change_given_up, "change_given_up", Effect::none, 1,
              "A change of the members was begun, and did not get to its end.",
              "See `kuilt members` for who the members are, and try again."},
};

/// The row of a code. Every code has one: a test walks the table.
[[nodiscard]] constexpr const ErrorInfo& info(ErrorCode code) {
  for (const ErrorInfo& row : error_table) {
    if (row.code == code) return row;
  }
  return error_table.front();
}
/// As in the table.
[[nodiscard]] constexpr std::string_view name_of(ErrorCode code) { return info(code).name; }
/// The code with that number or name; nothing, if there is none.
[[nodiscard]] constexpr std::optional<ErrorCode> error_code_of(std::uint64_t number) {
  for (const ErrorInfo& row : error_table) {
    if (static_cast<std::uint64_t>(row.code) == number) return row.code;
  }
  return std::nullopt;
}
[[nodiscard]] constexpr std::optional<ErrorCode> error_code_of(std::string_view name) {
  for (const ErrorInfo& row : error_table) {
    if (row.name == name) return row.code;
  }
  return std::nullopt;
}

}  // namespace kuilt
