// client_core_session.hpp: a durable session as values, and its form on a disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>

#include "client/client_core_values.hpp"

namespace kuilt::client {

// What a session file says, one after the other (docs/session-format.md).

/// Whose session this is. The first record of a file, and of no other place.
struct SessionBegins {
  SessionKey key;
  ClusterId cluster;
  HistoryId history;
  RequestId last;  ///< No id up to here is given out again.
};
/// From now on the command belongs to its id, whatever happens.
struct CommandRecorded {
  RequestId id;
  RoomName room;
  Bytes command;
  bool submitted = false;  ///< As if a CommandSubmitted followed.
};
/// From now on an attempt may be in the log. Durable before the first one leaves.
struct CommandSubmitted {
  RequestId id;
};
/// Every attempt so far was refused for certain: as if none had left.
struct CommandWithdrawn {
  RequestId id;
};
/// The application has written down what became of it.
struct CommandAcknowledged {
  RequestId id;
};
using SessionRecord = std::variant<SessionBegins, CommandRecorded, CommandSubmitted,
                                   CommandAcknowledged, CommandWithdrawn>;

/// What was recorded, and what became of it: a function of the records taken.
///
/// Ids only rise: one that is neither unfinished nor above the last belongs to the past. So every
/// id below the first unfinished one is done with, and that is the floor which servers are told.
class DurableSessionState {
 public:
  struct Unfinished {
    RoomName room;
    Bytes command;
    bool submitted = false;
  };
  explicit DurableSessionState(const SessionBegins& begins) : begins_(begins) {}

  [[nodiscard]] const SessionBegins& begins() const { return begins_; }
  [[nodiscard]] const std::map<RequestId, Unfinished>& unfinished() const { return unfinished_; }
  [[nodiscard]] RequestId last() const { return begins_.last; }
  [[nodiscard]] RequestId floor() const;

  /// Whether a new command may be recorded under `id`.
  /// Errors: invalid_argument (id 0, or 2^64-1), request_id_reused (it is unfinished with another
  /// command), below_floor (it was acknowledged or passed over), window_full, busy (too many
  /// bytes).
  [[nodiscard]] Status may_record(RequestId id, const RoomName& room, BytesView command) const;
  /// Errors: below_floor, invalid_argument (never recorded).
  [[nodiscard]] Status may_submit(RequestId id) const;

  /// Errors: corrupt, if the record does not follow from those before it.
  Status take(const SessionRecord& record);

 private:
  SessionBegins begins_;  ///< With `last` as it is now.
  std::map<RequestId, Unfinished> unfinished_;
  std::size_t unfinished_bytes_ = 0;
};

/// The whole file of a session that stands so.
[[nodiscard]] std::string session_file(const DurableSessionState& state);
/// One more record, for a file of that many bytes.
[[nodiscard]] std::string session_record(SessionId session, std::size_t file_bytes,
                                         const SessionRecord& record);

struct SessionFileContent {
  DurableSessionState state;
  std::size_t torn_bytes = 0;  ///< Of a last record that a crash has cut off.
};
/// Errors: corrupt (naming the byte), unsupported_format.
[[nodiscard]] Result<SessionFileContent> read_session_file(BytesView file);

}  // namespace kuilt::client
