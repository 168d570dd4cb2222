// feed_ring.hpp: the end of the committed log in memory, sorted by room.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "cluster/machine.hpp"
#include "cluster/room_digests.hpp"
#include "raft/core.hpp"

namespace kuilt::cluster {

/// Which term each committed entry was written in: what a resume and a read are checked against.
class CommittedTerms {
 public:
  CommittedTerms(Position base, std::vector<raft::TermRange> ranges, Position through);
  void extend(Position at);
  [[nodiscard]] Position base() const { return base_; }
  [[nodiscard]] Position through() const { return through_; }
  /// Pre: base <= index <= through.
  [[nodiscard]] Position at(Index index) const;

 private:
  Position base_;
  std::vector<raft::TermRange> ranges_;
  Position through_;
};

/// What one frame will carry: all that a room shows after the learner's place, as far as it fits.
struct FeedSpan {
  Index through;             ///< The index before the first entry that did not fit, or the end.
  std::uint64_t digest = 0;  ///< Of the room's chain through there.
  std::size_t bytes = 0;     ///< Of public parts.
  std::size_t entries = 0;
  std::size_t first = 0;  ///< Where they begin, to whoever measured.
};

/// The last committed entries, in bounded memory. Only what a room shows is kept, so a learner
/// finds its next entry at once, however much of the log belongs to other rooms.
class FeedRing {
 public:
  /// A room's place in the ring, valid while it is open.
  using RoomSlot = std::uint32_t;

  FeedRing(std::size_t bytes_max, RoomDigests digests);

  /// A learner comes to a room, or goes. Rooms without learners and entries are forgotten.
  RoomSlot open(std::string_view name);
  void close(RoomSlot slot);
  void append(const CommittedBatch& batch);

  /// Entries after this index are in the ring; it is the last one that is not.
  [[nodiscard]] Index base() const { return base_; }
  [[nodiscard]] const RoomDigests& digests() const { return digests_; }
  [[nodiscard]] const RoomName& name(RoomSlot slot) const { return rooms_[slot].name; }
  /// Differs between rooms for ever, where slots are used again.
  [[nodiscard]] std::uint64_t serial(RoomSlot slot) const { return rooms_[slot].serial; }
  /// Pre: base() <= index <= digests().through().
  [[nodiscard]] std::uint64_t digest_at(RoomSlot slot, Index index) const;
  /// What follows `after`: as many bytes as fit into `bytes_max`, and one entry if that is not 0.
  [[nodiscard]] FeedSpan measure(RoomSlot slot, Index after, std::size_t bytes_max) const;
  [[nodiscard]] std::vector<Bytes> collect(RoomSlot slot, const FeedSpan& span) const;
  /// Whether entries on both sides of this place were committed as one batch.
  [[nodiscard]] bool is_within_batch(Index index) const;

 private:
  struct Visible {
    Index index;
    Bytes public_part;
    std::uint64_t digest = 0;  ///< Of the chain through this entry.
  };
  struct Room {
    RoomName name;
    std::uint64_t serial = 0;
    std::size_t learners = 0;
    std::uint64_t digest_before = 0;  ///< Of the chain before the first entry.
    std::deque<Visible> entries;
  };
  struct Kept {  ///< Every entry, in log order: what to give up next.
    std::optional<RoomSlot> room;
    std::size_t cost = 0;
  };

  RoomSlot slot_of(std::string_view name);
  [[nodiscard]] std::size_t first_after(const Room& room, Index index) const;
  void append(const raft::Entry& entry);
  void shrink();
  void forget_if_unused(RoomSlot slot);

  std::size_t bytes_max_;
  RoomDigests digests_;
  Index base_;
  std::size_t bytes_ = 0;
  std::deque<Kept> kept_;
  std::deque<Index> batch_ends_;
  std::vector<Room> rooms_;
  std::vector<RoomSlot> free_rooms_;
  std::uint64_t rooms_opened_ = 0;
  std::map<RoomName, RoomSlot, std::less<>> slots_;
};

}  // namespace kuilt::cluster
