// committed_state.hpp: what the committed log makes of a server, the application's state apart: the
// session table, the digests of all rooms, and the configuration in force.
//
// A snapshot holds it as of its cut. It is a function of the log alone: so whoever writes a
// snapshot makes it from the log on the disk, beginning with the snapshot before, and the thread
// that decides is neither stopped nor asked.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "cluster/room_digests.hpp"
#include "cluster/sessions.hpp"
#include "kuilt/bytes.hpp"
#include "kuilt/result.hpp"
#include "raft/messages.hpp"

namespace kuilt::cluster {

/// Of a state in bytes: equal on all servers for equal cuts.
[[nodiscard]] std::uint64_t digest_of_state(BytesView state);
/// The state as of `at`, whoever keeps its parts. Pre: none of them is ahead of `at`.
[[nodiscard]] Bytes encode_state(Position at, const raft::Configuration& configuration,
                                 const ClientSessionTable& sessions, const RoomDigests& digests);

/// Threads: none; one caller at a time. Copyable.
class CommittedState {
 public:
  /// As of `base`, before which there is nothing; `at_base` as in BootBuilder.
  explicit CommittedState(Position base, raft::SharedConfiguration at_base = nullptr);
  /// What `encode` wrote. Total: any bytes end in a state, or in an Error.
  /// Errors: corrupt.
  static Result<CommittedState> decode(const Bytes& state);

  /// The next committed entry. Pre: it follows `through()`.
  /// Errors: corrupt.
  Status take(const raft::Entry& entry);
  /// Entries after the first index and up to the last, all of them committed and on this server's
  /// disk: a few, or none if the next one is not there yet.
  using Read = std::function<Result<std::vector<raft::Entry>>(Index after, Index last)>;
  /// Takes in what follows, up to `cut`. False: not all of it is on the disk yet.
  /// Errors: corrupt (also if the log has another entry at the cut), and those of `read`.
  Result<bool> advance(Position cut, const Read& read);

  [[nodiscard]] Position through() const { return digests_.through(); }
  [[nodiscard]] const raft::SharedConfiguration& configuration() const { return configuration_; }
  /// Pre: `configuration()`, which every log begins with.
  [[nodiscard]] const ClientSessionTable& sessions() const { return *sessions_; }
  [[nodiscard]] const RoomDigests& digests() const { return digests_; }
  /// Pre: as for `sessions`.
  [[nodiscard]] Bytes encode() const;

 private:
  raft::SharedConfiguration configuration_;
  std::optional<ClientSessionTable> sessions_;
  RoomDigests digests_;
};

}  // namespace kuilt::cluster
