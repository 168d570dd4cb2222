// room_digests.hpp: a digest over each room's history, so that two observers can compare theirs.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string_view>
#include <vector>

#include "kuilt/bytes.hpp"
#include "kuilt/types.hpp"
#include "raft/messages.hpp"

namespace kuilt::cluster {

/// The digest chains of all rooms, with a checkpoint every so many indexes, so that the digest at
/// any position is one short read away. A pure function of the committed log.
class RoomDigests {
 public:
  /// Pre: checkpoint_interval > 0.
  explicit RoomDigests(std::uint64_t checkpoint_interval);
  /// Takes in the next committed entry. Indexes have no gap.
  void extend(const raft::Entry& entry);
  /// The same for a command that the caller has decoded already. Returns the room's new digest.
  std::uint64_t extend(Position at, std::string_view room, BytesView public_part);
  /// The same for an entry that belongs to no room.
  void pass(Position at);
  /// Begins after `base` with the given chains (a snapshot's), instead of after (0, 0) with none.
  void begin(Position base, std::map<RoomName, std::uint64_t> chains);
  [[nodiscard]] Position through() const { return through_; }
  [[nodiscard]] std::uint64_t digest(std::string_view room) const;  ///< As of `through()`.
  /// Of all rooms, as of `through()`: what `begin` takes.
  [[nodiscard]] std::map<RoomName, std::uint64_t> chains() const;
  struct Checkpoint {
    Index index;  ///< The chain is as of this index.
    std::uint64_t digest = 0;
  };
  /// A place at or before `index`, less than one interval away, where the room's digest is known.
  /// Pre: base <= index <= through().
  [[nodiscard]] Checkpoint before(std::string_view room, Index index) const;

 private:
  struct Chain {
    std::uint64_t digest = 0;
    Index changed;  ///< By this entry, last.
    std::vector<Checkpoint> kept;
  };
  /// The first multiple of the interval at or after `index`.
  [[nodiscard]] Index boundary_from(Index index) const;

  std::uint64_t checkpoint_interval_;
  Index base_;
  Position through_;
  std::map<RoomName, Chain, std::less<>> chains_;
};

}  // namespace kuilt::cluster
