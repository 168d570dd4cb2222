// feed.hpp: what learners are sent: a cursor each, over one ring of committed entries and the file.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/feed_frames.hpp"
#include "cluster/feed_reads.hpp"
#include "cluster/feed_ring.hpp"
#include "cluster/machine.hpp"
#include "cluster/room_digests.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::cluster {

struct FeedOptions {
  std::size_t ring_bytes_max = std::size_t{64} << 20;  ///< Entries kept in memory.
  std::size_t frame_bytes_max = std::size_t{64}
                                << 10;       ///< Of one feed frame; one entry always fits.
  std::size_t frame_cache_frames_max = 256;  ///< Encoded frames that learners share.
  std::size_t frame_cache_bytes_max = std::size_t{16} << 20;
  std::size_t load_bytes_max = std::size_t{1} << 20;  ///< Of one read of old log.
  std::uint64_t load_entries_max = 4096;              ///< Of one read of old log.
  std::size_t loads_in_flight_max = 4;
  std::size_t loaded_bytes_max = std::size_t{16} << 20;  ///< Reads kept for those on the way.
  std::uint64_t checkpoint_interval = 1024;              ///< Indexes between two kept digests.
  std::size_t rooms_per_link_max = 64;
  Duration behind_hold_max =
      std::chrono::seconds(5);           ///< How long a resume beyond the end is held.
  std::vector<std::string> endpoints{};  ///< Told to a client that is sent away.
};

/// What a feed starts from.
struct FeedBoot {
  ClusterId cluster;
  HistoryId history;
  Position base;                       ///< Nothing at or before it is kept on this server.
  std::vector<raft::TermRange> terms;  ///< Of the committed log.
  RoomDigests digests;                 ///< As of the commit index.
};

enum class FeedSendKind : std::uint8_t {
  reply,    ///< An answer to an Observe. Owes nothing.
  frame,    ///< Of the feed: say `drained` when it has left, and the next follows.
  goodbye,  ///< The last one on this link: close it when this has left.
};
struct FeedSend {
  LinkId link;
  Bytes frame;  ///< Encoded; shared between learners at the same place.
  FeedSendKind kind = FeedSendKind::frame;
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
/// of the feed in flight, everything new joins the next one. A learner is in one of three phases:
/// held (the client is ahead of this server), placed (its digest is being read), or fed.
///
/// Threads: none; one caller at a time (a shard). Copyable.
/// Failure: a learner whose old log can't be read, or isn't what was committed, is sent a Goodbye
/// instead; nothing follows it on that link.
class Feed {
 public:
  /// Pre: `boot.digests` were made with the checkpoint interval of `options`.
  Feed(const FeedOptions& options, FeedBoot boot);

  /// The next committed run. Returns frames for links that were waiting at the end of the log.
  FeedOutput publish(const std::shared_ptr<const CommittedBatch>& batch);
  /// Starts, or starts again, the feed of a room on a link. The reply comes in the output, maybe
  /// later (held while this server is behind the client), and before any frame from the new place.
  FeedOutput observe(Instant now, LinkId link, wire::Encoding encoding,
                     const wire::Observe& wanted);
  /// Every observe has its reply: one that has not had it is refused.
  FeedOutput unobserve(LinkId link, const RoomName& room);
  FeedOutput credit(LinkId link, const wire::Credit& credit);
  /// The frame of the feed that was sent last on this link has left: the next may follow.
  FeedOutput drained(LinkId link);
  FeedOutput loaded(std::uint64_t number, const Result<std::vector<raft::Entry>>& entries);
  FeedOutput tick(Instant now);
  void closed(LinkId link);
  /// Where clients that are sent away are told to go from now on.
  void send_away_to(std::vector<std::string> endpoints) {
    options_.endpoints = std::move(endpoints);
  }

  [[nodiscard]] const FeedCounters& counters() const { return counters_; }
  [[nodiscard]] std::size_t learners() const { return learner_count_; }
  [[nodiscard]] Position through() const { return terms_.through(); }

 private:
  using LinkSlot = std::uint32_t;
  using LearnerSlot = std::uint32_t;

  enum class Phase : std::uint8_t { unused, held, placing, fed };
  /// Kept small and dense: a commit walks over all that wait for it.
  struct Learner {
    LinkSlot link = 0;
    FeedRing::RoomSlot room = 0;
    Phase phase = Phase::unused;
    wire::Encoding encoding = wire::Encoding::protobuf;
    bool waits_for_read = false;
    std::uint64_t read = 0;  ///< The number of that read; 0: of none that could start yet.
    Index at{};              ///< All through here was sent (fed) or taken into `digest` (placing).
    std::uint64_t digest = 0;              ///< Of the room's chain through `at`.
    std::optional<std::int64_t> credit{};  ///< Below 0 after an entry that was larger.
  };
  struct Link {
    LinkId id;

    bool is_frame_in_flight = false;
    bool is_listed_idle = false;
    bool said_goodbye = false;
    std::size_t turn = 0;  ///< Whose turn it is: the rooms of a link share its one frame.
    std::vector<LearnerSlot> learners;
  };
  /// Where an observer wants to begin: after `index`, if the rest is as it says.
  struct Placement {
    Index index;
    std::optional<Term> term{};
    std::optional<std::uint64_t> digest{};
    wire::ObserveVerdict verdict = wire::ObserveVerdict::resumed;
    bool is_resume = false;
    Instant give_up_at{};  ///< While held.
  };

  // feed.cpp: links and learners.
  LinkSlot link_slot(LinkId id);
  Link* find_link(LinkId id);
  [[nodiscard]] std::optional<std::string> complaint_about(const Link& link,
                                                           const wire::Observe& wanted) const;
  LearnerSlot add_learner(LinkSlot link, wire::Encoding encoding, const wire::Observe& wanted);
  std::optional<LearnerSlot> find_learner(const Link& link, const RoomName& room) const;
  void remove_learner(LearnerSlot slot);
  void say_goodbye(LinkSlot slot, wire::Encoding encoding, const Error& error, FeedOutput& out);
  FeedOutput finish(FeedOutput out);

  // feed_place.cpp: from an Observe to its reply.
  void judge(Instant now, LearnerSlot slot, const wire::ObserveFrom& from, FeedOutput& out);
  void hold_or_place(Instant now, LearnerSlot slot, const Placement& wanted, FeedOutput& out);
  void start_placing(LearnerSlot slot, FeedOutput& out);
  void place(LearnerSlot slot, FeedOutput& out);
  void settle(LearnerSlot slot, FeedOutput& out);
  void release_held(FeedOutput& out);
  void reply(LearnerSlot slot, wire::ObserveReply reply, FeedOutput& out);
  void refuse(LearnerSlot slot, wire::ObserveVerdict verdict, std::string why, FeedOutput& out);

  // feed.cpp: from a cursor to a frame.
  void serve(LinkSlot slot, FeedOutput& out);
  bool send_next(LearnerSlot slot, FeedOutput& out);
  SharedFeedFrame next_frame(LearnerSlot slot, FeedOutput& out);
  SharedFeedFrame frame_of(const Learner& learner, const FeedSpan& span, const LoadedRun* run);
  [[nodiscard]] std::size_t budget_of(const Learner& learner) const;
  void wait_for_read(LearnerSlot slot, FeedOutput& out);

  FeedOptions options_;
  ClusterId cluster_;
  HistoryId history_;
  CommittedTerms terms_;
  FeedRing ring_;
  FeedReads reads_;
  FeedFrames frames_;
  std::array<SharedFeedFrame, 2> latest_;  ///< By encoding: what the last learner was sent.
  std::vector<Learner> learners_;
  std::vector<LearnerSlot> free_learners_;
  std::size_t learner_count_ = 0;
  std::vector<Link> links_;
  std::vector<LinkSlot> free_links_;
  std::map<LinkId, LinkSlot> link_slots_;
  std::vector<LinkSlot> idle_;                   ///< Links that had nothing to send.
  std::map<LearnerSlot, Placement> placements_;  ///< Of learners held or being placed.
  std::vector<LearnerSlot> held_;                ///< By when each is given up.
  std::vector<LearnerSlot> readers_;             ///< Learners that wait for a read.
  FeedCounters counters_;
};

}  // namespace kuilt::cluster
