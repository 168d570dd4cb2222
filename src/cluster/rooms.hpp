// rooms.hpp: who is in which room, and messages between members. Nothing here goes through the log.
//
// A room is there while it has members. A member is present as long as any server has a link of
// theirs in the room, or had one a moment ago: so that moving to another server is no leaving.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "cluster/machine.hpp"
#include "cluster/room_budget.hpp"
#include "cluster/room_stream.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::cluster {

struct RoomOptions {
  std::size_t rooms_per_link_max = 64;
  std::size_t members_per_room_max = 4096;
  std::size_t rooms_max = 65'536;  ///< With members, on any server.
  /// Who came and went in one room and was not told yet; with more all are told who is there.
  std::size_t roster_events_max = 1024;
  /// Of frames for clients, in one step: the inputs behind those that made so many wait for the
  /// next step. What the last one makes comes on top.
  std::size_t step_bytes_max = std::size_t{4} << 20;
  std::size_t message_bytes_max = wire::room_message_bytes_max;
  std::uint64_t message_bytes_per_second = std::uint64_t{8} << 20;  ///< Of one principal.
  /// How long a member stays whose link is torn, or whose server is lost; and how long a server
  /// that has just started waits for the others' members before it says who is there.
  Duration grace = std::chrono::seconds(2);
  /// Between two notices to one link of messages that are refused.
  Duration refusal_interval = std::chrono::seconds(1);
  Duration busy_retry_after = std::chrono::seconds(1);
  RoomStreamOptions stream;
};

// What may happen.
struct RoomJoin {
  LinkId link;
  wire::Encoding encoding = wire::Encoding::protobuf;
  RoomMember member;  ///< The same with each join of a link. The name is the principal.
  wire::Join join;
};
struct RoomLeave {
  LinkId link;
  RoomName room;
};
struct RoomSay {
  LinkId link;
  wire::Encoding encoding = wire::Encoding::protobuf;
  wire::RoomMessage message;
};
/// Required of links that have joined a room.
struct RoomLinkClosed {
  LinkId link;
};
/// A frame of this room's roster was left out: the link is to be told anew.
struct RoomRefresh {
  LinkId link;
  RoomName room;
};
/// From a peer that has proven that it belongs to the cluster.
struct RoomsFromPeer {
  NodeId from;
  wire::PeerRooms said;
};
struct RoomsTakenByPeer {
  NodeId peer;
  wire::PeerRoomsTaken taken;
};
/// These are the other servers of the cluster from now on.
struct RoomPeers {
  std::vector<NodeId> peers;
};
using RoomInput = std::variant<RoomJoin, RoomLeave, RoomSay, RoomLinkClosed, RoomRefresh,
                               RoomsFromPeer, RoomsTakenByPeer, PeerUp, PeerDown, RoomPeers>;

enum class RoomFrameKind : std::uint8_t {
  roster,   ///< May be left out, if the roster is then asked for anew.
  message,  ///< May be left out.
  refusal,
};
/// One encoded frame for all of these links.
struct RoomFrame {
  RoomFrameKind kind = RoomFrameKind::message;
  RoomName room;
  Bytes frame;
  std::vector<LinkId> to;
};
struct RoomOutput {
  std::vector<RoomFrame> frames;  ///< In the order in which each link gets them.
  std::vector<PeerSend> peers;
  Instant wake_at = Instant::max();  ///< Step again no later than this.
};
struct RoomCounters {
  std::uint64_t joins = 0;
  std::uint64_t refused_joins = 0;
  std::uint64_t leaves = 0;           ///< Of members of this server, all told.
  std::uint64_t expired_members = 0;  ///< Of these, links that were torn and did not come back.
  std::uint64_t kept_members = 0;     ///< Torn links whose member came back in time.
  std::uint64_t messages = 0;         ///< Taken from members.
  std::uint64_t refused_messages = 0;
  std::uint64_t unreachable_messages = 0;  ///< For a member who is not in the room.
  std::uint64_t deliveries = 0;            ///< To links of this server.
  std::uint64_t dropped_for_peers = 0;     ///< Beyond what may wait for another server.
  std::uint64_t statements = 0;            ///< Of all their members, by other servers.
};

/// The members of all rooms, on this server and by statement of the others, and their messages.
///
/// Threads: none; one caller at a time. Copyable. Deterministic for a seed.
/// Failure: what a link asks beyond the bounds is refused by name; what a peer says twice, late or
/// out of order is left alone.
class RoomHub {
 public:
  /// `peers`: the other servers of the cluster, until RoomPeers names others.
  RoomHub(const RoomOptions& options, const std::vector<NodeId>& peers, std::uint64_t seed,
          Instant now);

  RoomOutput step(Instant now, std::vector<RoomInput> inputs);
  /// Inputs that were given and not taken yet: the last ones.
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

  /// Whoever is present. In the order of their ids.
  [[nodiscard]] std::vector<RoomMember> members(const RoomName& room) const;
  [[nodiscard]] std::size_t rooms() const { return rooms_.size(); }
  [[nodiscard]] std::size_t links() const { return links_.size(); }
  [[nodiscard]] const RoomCounters& counters() const { return counters_; }

 private:
  struct Listener {
    LinkId link;
    wire::Encoding encoding = wire::Encoding::protobuf;
  };
  /// A server that says that the member is present; the era is that of its statement.
  struct Elsewhere {
    NodeId peer;
    std::uint64_t era = 0;
  };
  struct Member {
    std::string name;
    std::vector<Listener> here;
    std::optional<Instant> gone_at;  ///< The last link was torn: the member leaves then.
    std::vector<Elsewhere> elsewhere;

    [[nodiscard]] bool is_here() const { return !here.empty() || gone_at.has_value(); }
    [[nodiscard]] bool is_present() const { return is_here() || !elsewhere.empty(); }
  };
  struct Room {
    std::map<PeerId, Member> members;
    std::vector<wire::RosterEvent> events;  ///< Not told yet; of each member one at most.
    bool is_retold = false;                 ///< Instead of the events, which were too many,
    std::set<LinkId> newcomers;             ///< all are to be told of everybody, as these are.
  };
  struct Link {
    Listener listener;
    RoomMember member;
    std::set<RoomName> rooms;
    std::uint64_t refused = 0;  ///< Messages, not told yet.
    Instant refusal_at{};       ///< The next notice of them.
  };
  struct Peer {
    RoomOutStream out;
    RoomInStream in;
    std::uint64_t era = 0;
    bool stated = false;
    std::optional<Instant> gone_at;
    /// What it said before the era is taken back then.
    struct Forget {
      Instant at;
      std::uint64_t era = 0;
    };
    std::optional<Forget> forget = {};
    bool leaves = false;  ///< Is no peer any more, once `gone_at` has passed.
  };
  using Rooms = std::map<RoomName, Room>;
  using Audience = std::array<std::vector<LinkId>, 2>;  // By encoding.

  // rooms.cpp: links and messages.
  void take(Instant now, RoomInput& input);
  void join(const RoomJoin& asked);
  [[nodiscard]] std::optional<Error> complaint_about(const RoomJoin& asked) const;
  void leave(const RoomLeave& leave);
  void closed(Instant now, LinkId link);
  void refresh(const RoomRefresh& refresh);
  void say(Instant now, RoomSay& say);
  [[nodiscard]] std::optional<Error> complaint_about(Instant now, const Link& link,
                                                     const wire::RoomMessage& message);
  void refuse(const Listener& to, const RoomName& room, const Error& error, std::uint64_t messages,
              std::uint64_t join = 0);
  template <class Reach>
  static void for_each_reader(const Room& room, const wire::RoomMessage& message, PeerId from,
                              Reach reach);
  void post(const wire::RoomMessage& message, PeerId from, const Room& room);
  void deliver(const wire::RoomMessage& message, PeerId from);

  // rooms_presence.cpp: members, peers and time.
  void on_peer(Instant now, const RoomsFromPeer& from);
  void on_taken(const RoomsTakenByPeer& by);
  void present_elsewhere(NodeId peer, std::uint64_t era, const wire::Presence& presence);
  void forget_peer(NodeId peer, std::uint64_t era);
  void follow_peers(Instant now, const std::vector<NodeId>& peers);
  void peer_up(NodeId peer);
  void peer_down(Instant now, NodeId peer);
  void expire(Instant now);
  /// Changes one member, and tells all that follows from it. May end the member and the room.
  void change(const RoomName& name, const RoomMember& who,
              const std::function<void(Member&)>& change);
  void note(const RoomName& name, Room& room, wire::RosterEvent event);
  [[nodiscard]] std::optional<wire::Presence> member_here_after(
      const std::optional<RoomOutStream::Place>& place) const;

  // What goes out.
  void flush(Rooms::iterator room);
  void flush_all();
  void send(RoomFrameKind kind, const RoomName& room, const wire::ServerMessage& message,
            Audience audience);
  void send_to_peers(Instant now);
  [[nodiscard]] Instant wake_at() const;

  RoomOptions options_;
  Rng rng_;
  RoomBudget budget_;
  Rooms rooms_;
  std::map<LinkId, Link> links_;
  std::map<NodeId, Peer> peers_;
  std::set<NodeId> up_;  ///< Servers with a link, peers or not yet.
  std::set<std::tuple<Instant, RoomName, PeerId>> expiries_;  ///< Some are out of date.
  std::set<RoomName> untold_;                                 ///< Rooms with events or newcomers.
  std::optional<Instant> settles_at_;  ///< Until then nobody is told who is there.
  std::deque<RoomInput> waiting_;
  RoomOutput out_;
  std::size_t out_bytes_ = 0;
  RoomCounters counters_;
};

}  // namespace kuilt::cluster
