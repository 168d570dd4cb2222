// snapshot_records.hpp: what a snapshot holds of the cluster itself, beside the application's
// state: a row of records, each behind its length.
//
// One order and one form: equal states are equal bytes, on all servers. See
// docs/snapshot-format.md; the schema is proto/kuilt/v1/snapshot.proto.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "kuilt/bytes.hpp"
#include "kuilt/result.hpp"
#include "kuilt/types.hpp"

namespace kuilt::wire {

/// The first record, once.
struct SnapshotHead {
  Position at;  ///< The cut.
  LogTime log_time;
  Index forgotten_through;
  Bytes configuration;  ///< As `decode_configuration_record` reads it.
  friend bool operator==(const SnapshotHead&, const SnapshotHead&) = default;
};
/// A session. In the order of their ids; its requests follow it.
struct SnapshotSession {
  SessionId id;
  Index birth;
  std::string author;
  RequestId floor;
  LogTime last_use;
  friend bool operator==(const SnapshotSession&, const SnapshotSession&) = default;
};
/// A request above the floor of the session before it. In the order of their ids.
struct SnapshotRequest {
  RequestId id;
  Position at;
  std::uint64_t digest = 0;
  friend bool operator==(const SnapshotRequest&, const SnapshotRequest&) = default;
};
/// The digest chain of a room. In the order of their names, after all sessions.
struct SnapshotRoom {
  std::string name;
  std::uint64_t digest = 0;
  friend bool operator==(const SnapshotRoom&, const SnapshotRoom&) = default;
};
using SnapshotRecord = std::variant<SnapshotHead, SnapshotSession, SnapshotRequest, SnapshotRoom>;

/// Puts one record behind those in `out`.
void append_record(std::string& out, const SnapshotRecord& record);

/// Reads records one behind the other. Total: any bytes end in records, or in an Error.
class SnapshotRecords {
 public:
  explicit SnapshotRecords(Bytes bytes) : bytes_(std::move(bytes)) {}
  /// The next one; nothing at the end.
  /// Errors: bad_frame.
  Result<std::optional<SnapshotRecord>> next();

 private:
  Bytes bytes_;
  std::size_t at_ = 0;
};

}  // namespace kuilt::wire
