// outcome.hpp: a proposal and what became of it, as client, entry server and leader exchange them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "kuilt/bytes.hpp"
#include "kuilt/errors.hpp"
#include "kuilt/types.hpp"

namespace kuilt::wire {

/// Names are short, so that a limit on the command is a limit on the entry (rule 15).
inline constexpr std::size_t room_bytes_max = 128;
inline constexpr std::size_t principal_bytes_max = 128;

/// One command on its way into the log.
struct Proposal {
  std::uint64_t number = 0;  ///< The sender's, on this link: answers carry it.
  SessionId session;
  Index birth;  ///< A commit index that the client was told when it opened the session.
  RequestId request_id;
  RequestId floor;  ///< The client has recorded the outcome of every id up to here.
  RoomName room;
  std::string author;  ///< Set by the entry server from the link's principal, never by a client.
  Bytes command;
  friend bool operator==(const Proposal&, const Proposal&) = default;
};

struct CommittedOutcome {
  Position at;
  bool duplicate = false;  ///< An earlier attempt under the same id had done it.
  /// What the state machine of the server that answers returned. Never between servers.
  std::optional<Bytes> result{};
  friend bool operator==(const CommittedOutcome&, const CommittedOutcome&) = default;
};
/// This attempt did not enter the log through the path that answers. `certain` says that no earlier
/// forward of it can have either; a client reports `refused` only if every attempt was certain.
struct RefusedOutcome {
  ErrorCode code = ErrorCode::busy;
  std::string message;
  bool certain = true;
  Duration retry_after{};  ///< Zero: repeating it unchanged cannot help.
  friend bool operator==(const RefusedOutcome&, const RefusedOutcome&) = default;
};
using Outcome = std::variant<CommittedOutcome, RefusedOutcome>;

/// What became of one proposal, for the client link that it came by.
struct Answer {
  std::uint64_t number = 0;  ///< Of the proposal.
  Outcome outcome;
  friend bool operator==(const Answer&, const Answer&) = default;
};

}  // namespace kuilt::wire
