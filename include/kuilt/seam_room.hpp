// seam_room.hpp: a room over a link that the application has made.
#pragma once

#include <memory>
#include <string>

#include "kuilt/detail/chrono.hpp"
#include "kuilt/detail/export.hpp"
#include "kuilt/loom.hpp"
#include "kuilt/result.hpp"
#include "kuilt/room.hpp"
#include "kuilt/types.hpp"

namespace kuilt {
/// Of a room over a link of one's own.
struct SeamRoomOptions {
  RoomName room = {};      ///< Which room's members are met.
  std::string token = {};  ///< Proves who we are, where servers require a proof.
  std::chrono::nanoseconds timeout = std::chrono::seconds(5);  ///< From the dial to the welcome.
};

/// Joins rooms over links of a Loom: each Room has one link, of its own, to the server that is
/// advertised. When that is torn the Room is ended (`Room::error`); nothing dials again. So it is
/// when the server refuses the join (busy: the room is full); the link goes on then.
///
/// Its `channel("raft")` is the link's feed, for a RaftTransport: the conversation between a client
/// and a server from after the admission on, which the Room has done. It is not for sending and
/// receiving messages. One node may use it, and ends the link when it is done with it. Other
/// channels are as those of any Room.
///
/// All rooms of one factory are joined by the same member, whichever server admits it.
///
/// Threads: any, at the same time. Callbacks of a Room run on a thread of its own.
/// Ownership: move-only; borrows the Loom, which outlives it. Rooms outlive both, but are ended
/// with the Loom. A link lives for as long as its Room or its raft channel does.
class KUILT_API SeamRoomFactory {
 public:
  explicit SeamRoomFactory(Loom& loom);  ///< Borrows it.
  SeamRoomFactory(SeamRoomFactory&&) noexcept;
  SeamRoomFactory& operator=(SeamRoomFactory&&) noexcept;
  ~SeamRoomFactory();

  /// Opens a link, and waits until its server has admitted us. The roster comes later: see
  /// `Room::await_roster`.
  /// Errors: those of `Loom::weave`; timed_out (no welcome); unknown_node (another server than
  /// advertised); invalid_argument (a name that is too long or not UTF-8); version_unsupported (the
  /// server knows no rooms); bad_frame; and what the server says (wrong_cluster, not_allowed,
  /// draining, ...).
  Result<Room> join(const WebSocketAdvertisement& to, const SeamRoomOptions& options = {});

 private:
  struct KUILT_LOCAL Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kuilt
