// feed.hpp: what learners are sent: a cursor each, over one ring of committed entries and the file.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cluster/machine.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::cluster {

struct FeedOptions {
  std::size_t ring_bytes_max = std::size_t{64} << 20;  ///< Entries kept in memory.
  std::size_t frame_bytes_max = std::size_t{64}
                                << 10;                ///< Of one feed frame; one entry always fits.
  std::size_t frame_cache_frames_max = 256;           ///< Encoded frames that learners share.
  std::size_t load_bytes_max = std::size_t{1} << 20;  ///< Of one read of old log.
  std::size_t loads_in_flight_max = 4;
  std::uint64_t checkpoint_interval = 1024;            ///< Indexes between two kept digests.
  Duration behind_hold_max = std::chrono::seconds(5);  ///< How long "behind" is held back.
  std::vector<std::string> endpoints;                  ///< Told to a client that is sent away.
};

/// The digest chains of all rooms, with a checkpoint every so many indexes, so that the digest at
/// any position is one short read away. A pure function of the committed log.
class RoomDigests {
 public:
  explicit RoomDigests(std::uint64_t checkpoint_interval);
  /// Takes in the next committed entry. Indexes have no gap.
  void extend(const raft::Entry& entry);
  /// Begins after `base` with the given chains (a snapshot's), instead of after (0, 0) with none.
  void begin(Position base, std::map<RoomName, std::uint64_t> chains);
  [[nodiscard]] Position through() const;
  [[nodiscard]] std::uint64_t digest(const RoomName& room) const;  ///< As of `through()`.
  struct Checkpoint {
    Index index;  ///< The chain is as of this index.
    std::uint64_t digest = 0;
  };
  /// The last checkpoint of a room at or before `index`.
  [[nodiscard]] Checkpoint before(const RoomName& room, Index index) const;
};

/// What a feed starts from.
struct FeedBoot {
  ClusterId cluster;
  HistoryId history;
  Position base;                       ///< Nothing at or before it is kept on this server.
  std::vector<raft::TermRange> terms;  ///< Of the committed log.
  RoomDigests digests;                 ///< As of the commit index.
};

/// One read of old log that the feed wants; answer with `loaded`, once, in any order.
struct FeedLoad {
  std::uint64_t number = 0;
  Index first;
  Index last;  ///< Inclusive, never above the commit index.
  std::size_t bytes_max = 0;
};
struct FeedSend {
  LinkId link;
  Bytes frame;  ///< Encoded; shared between learners at the same place.
};
struct FeedOutput {
  std::vector<FeedSend> send;
  std::vector<FeedLoad> loads;
  std::optional<Instant> wake_at;  ///< Call `tick` no later than this.
};
struct FeedCounters {
  std::uint64_t frames_sent = 0;
  std::uint64_t entries_sent = 0;
  std::uint64_t frames_encoded = 0;
  std::uint64_t held_resumes = 0;       ///< Resumes of a client that was ahead of this server.
  std::uint64_t resumes_mid_batch = 0;  ///< Resumes within what was committed as one batch.
  std::uint64_t resumes = 0;
  std::uint64_t loads = 0;
};

/// All learners of one shard. Each is a cursor and one frame on the way: while a link has a frame
/// of the feed in flight, everything new joins the next one.
///
/// Threads: none; one caller at a time (a shard).
class Feed {
 public:
  Feed(const FeedOptions& options, FeedBoot boot);

  /// The next committed run. Returns frames for links that were waiting at the end of the log.
  FeedOutput publish(const std::shared_ptr<const CommittedBatch>& batch);
  /// Starts, or starts again, the feed of a room on a link. The reply comes in the output, maybe
  /// later (held while this server is behind the client).
  FeedOutput observe(Instant now, LinkId link, wire::Encoding encoding,
                     const wire::Observe& wanted);
  FeedOutput unobserve(LinkId link, const RoomName& room);
  FeedOutput credit(LinkId link, const wire::Credit& credit);
  /// The frame of the feed that was sent last on this link has left: the next may follow.
  FeedOutput drained(LinkId link);
  FeedOutput loaded(std::uint64_t number, Result<std::vector<raft::Entry>> entries);
  FeedOutput tick(Instant now);
  void closed(LinkId link);

  [[nodiscard]] const FeedCounters& counters() const;
  [[nodiscard]] std::size_t learners() const;
  [[nodiscard]] Position through() const;

 private:
  // (filled in by the implementation)
};

}  // namespace kuilt::cluster
