// room_stream.hpp: what one server tells another of its rooms: everybody who is there, then changes
// and messages.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "kuilt/detail/rng.hpp"
#include "wire/room_messages.hpp"

namespace kuilt::cluster {

struct RoomStreamOptions {
  std::size_t frame_bytes_max = std::size_t{64} << 10;  ///< One message always fits.
  std::size_t posts_bytes_max = std::size_t{1} << 20;   ///< Messages that wait; more are dropped.
  /// Members whose change waits; with more everything is told anew.
  std::size_t changes_max = 16'384;
  Duration resend_after = std::chrono::milliseconds(500);
  unsigned sends_max = 4;  ///< Of one frame; then everything is told anew.
  /// With nothing to say, an empty frame so often: a receiver that took a late frame for another
  /// stream does not acknowledge it, and so is told anew.
  Duration idle_max = std::chrono::seconds(1);
};

/// The sender's end. One frame is on its way at a time, so that room traffic is never more than a
/// frame ahead of Raft's on the link that they share, and a slow peer costs a bounded queue.
/// Presence is never lost: what can't be kept in order is told anew. Messages may be. Of a member
/// who comes and goes only the last is told: nobody can crowd out the others by that.
///
/// Threads: none; one caller at a time. Copyable.
class RoomOutStream {
 public:
  using Place = std::pair<RoomName, PeerId>;
  /// The first member of this server's own after that place, or of all; nothing at the end.
  using NextMember = std::function<std::optional<wire::Presence>(const std::optional<Place>&)>;

  RoomOutStream(const RoomStreamOptions& options, std::uint64_t seed)
      : options_(options), rng_(seed) {}

  /// The peer has a (new) link: tells everything from the start.
  void begin();
  /// The peer is gone: nothing is kept for it.
  void end();
  void changed(const wire::Presence& presence);
  /// False: dropped.
  bool post(wire::RoomPost post);
  void taken(const wire::PeerRoomsTaken& taken);
  /// What to send now, if anything.
  [[nodiscard]] std::optional<wire::PeerRooms> next(Instant now, const NextMember& next_member);
  /// When to call `next` again although nothing has happened.
  [[nodiscard]] std::optional<Instant> due() const;

 private:
  [[nodiscard]] wire::PeerRooms fill(const NextMember& next_member);
  [[nodiscard]] wire::Presence next_change();

  struct Change {
    std::string name;
    bool present = false;
  };
  RoomStreamOptions options_;
  Rng rng_;
  bool open_ = false;
  std::uint64_t stream_ = 0;
  std::uint64_t last_number_ = 0;
  bool stated_ = false;              ///< Everybody was named.
  std::optional<Place> stated_to_;   ///< Before that: who was named last.
  std::deque<Place> turns_;          ///< In which the changes are told,
  std::map<Place, Change> changes_;  ///< which are these.
  std::deque<wire::RoomPost> posts_;
  std::size_t posts_bytes_ = 0;
  std::optional<wire::PeerRooms> in_flight_;
  Instant sent_at_{};
  unsigned sends_ = 0;
};

/// The receiver's end: takes each frame once and in order, whatever the network makes of them.
class RoomInStream {
 public:
  struct Verdict {
    bool take = false;    ///< New, and next in order.
    bool begins = false;  ///< Of these, the first of another stream.
    std::optional<wire::PeerRoomsTaken> reply;
  };
  [[nodiscard]] Verdict offer(const wire::PeerRooms& frame);

 private:
  std::uint64_t stream_ = 0;
  std::uint64_t number_ = 0;
  std::deque<std::uint64_t> earlier_;  ///< Streams before: a late first frame of one is no news.
};

}  // namespace kuilt::cluster
