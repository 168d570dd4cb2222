// feed_reads.hpp: reads of old log, shared by all learners that stand inside them.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string_view>
#include <vector>

#include "cluster/feed_ring.hpp"
#include "kuilt/result.hpp"

namespace kuilt::cluster {

/// One read of old log that the feed wants; answer with `loaded`, once, in any order.
struct FeedLoad {
  std::uint64_t number = 0;
  Index first;
  Index last;  ///< Inclusive, never above the commit index.
  std::size_t bytes_max = 0;
};

/// Consecutive entries that were read and found to be the committed ones.
class LoadedRun {
 public:
  /// Takes what was read for `asked`: at least its first entry, maybe not all.
  /// Errors: corrupt (a gap, a repeat, an entry not asked for, or one of a term that lost its
  /// place; not an entry at all), io (nothing was read).
  static Result<LoadedRun> admit(const FeedLoad& asked, const CommittedTerms& terms,
                                 const std::vector<raft::Entry>& entries);

  [[nodiscard]] bool contains(Index index) const { return first_ <= index && index <= last(); }
  [[nodiscard]] Index last() const { return Index(first_.value() + items_.size() - 1); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// What follows `after`, as in FeedRing. `digest` is the room's chain through `after`.
  /// Pre: contains(after.next()).
  [[nodiscard]] FeedSpan measure(std::string_view room, Index after, std::uint64_t digest,
                                 std::size_t bytes_max) const;
  [[nodiscard]] std::vector<Bytes> collect(std::string_view room, const FeedSpan& span) const;
  /// Takes a room's chain, as of `after`, as far as `through` or the end of the run.
  [[nodiscard]] RoomDigests::Checkpoint advance(std::string_view room,
                                                RoomDigests::Checkpoint after, Index through) const;

 private:
  struct Item {
    bool is_command = false;
    std::string_view room;  ///< Within the buffer that `public_part` keeps.
    Bytes public_part;
    [[nodiscard]] bool is_visible_in(std::string_view name) const {
      return is_command && room == name;
    }
  };
  static Result<Item> item_of(const raft::Entry& entry);
  [[nodiscard]] std::size_t offset_of(Index index) const { return index.value() - first_.value(); }

  Index first_;
  std::size_t bytes_ = 0;
  std::vector<Item> items_;
};

struct FeedReadLimits {
  std::size_t load_bytes_max = 0;
  std::uint64_t load_entries_max = 0;
  std::size_t loads_in_flight_max = 0;
  std::size_t loaded_bytes_max = 0;  ///< Of runs kept for the learners that have yet to pass.
};

/// Reads on their way, and the last runs that came of them.
class FeedReads {
 public:
  explicit FeedReads(const FeedReadLimits& limits) : limits_(limits) {}

  /// The run that holds `index`; null if none does.
  [[nodiscard]] const LoadedRun* find(Index index) const;
  /// The number of the read that will bring `first`: one on its way, or a new one, which is added
  /// to `loads`; 0 if as many are on their way as may be.
  std::uint64_t request(Index first, Index last, std::vector<FeedLoad>& loads);
  /// A read is over. Pre: it was on its way.
  FeedLoad take(std::uint64_t number);
  void keep(LoadedRun run);

 private:
  FeedReadLimits limits_;
  std::uint64_t last_number_ = 0;
  std::map<std::uint64_t, FeedLoad> in_flight_;
  std::size_t bytes_ = 0;
  std::deque<LoadedRun> runs_;  ///< Newest first.
};

}  // namespace kuilt::cluster
