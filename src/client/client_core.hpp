// client_core.hpp: a client's logic: rotation, backoff, resume, retry, request window, links.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/client_core_calls.hpp"
#include "client/client_core_feed.hpp"
#include "client/client_core_links.hpp"
#include "client/client_core_reads.hpp"
#include "client/client_core_rooms.hpp"
#include "client/client_core_values.hpp"
#include "kuilt/detail/rng.hpp"

namespace kuilt::client {

/// Checks its own feed: a gap, a repeat, an older term or a wrong digest is named, counted, and
/// ends the link; the client resumes elsewhere from the last position that was sound.
///
/// One link is in use: it carries proposals and feeds. Others stand by, admitted, and the first of
/// them takes over in the same step in which the one in use is lost.
///
/// Threads: none; one caller at a time. Deterministic for a seed, and copyable.
class ClientCore {
 public:
  /// Pre: at least one endpoint, and at least one link.
  ClientCore(const ClientOptions& options, std::uint64_t seed, SessionId session, Instant now);

  Output step(Instant now, Input input);
  /// One turn: everything that has gathered, in order. Proposals of one turn share frames.
  Output step(Instant now, std::vector<Input> inputs);

  [[nodiscard]] std::optional<wire::Welcome> welcome() const;  ///< Of the link in use, if any.
  [[nodiscard]] Index commit() const;  ///< The highest named by the link in use; 0 without one.
  struct Counters {
    std::uint64_t attempts = 0;
    std::uint64_t retries = 0;
    std::uint64_t dials = 0;
    std::uint64_t feed_violations = 0;
    std::uint64_t sessions_reopened = 0;
  };
  [[nodiscard]] const Counters& counters() const;

 private:
  using Duties = std::vector<Duty>;

  void take(Instant now, Input& input, Duties& duties);
  void stop(Duties& duties);
  void unobserve(const RoomName& room, Duties& duties);
  void observe(Instant now, ObserveCall& call, Duties& duties);
  void taken(const Taken& taken, Duties& duties);
  void reroute(Instant now);

  // Rooms.
  void leave_room(const RoomName& room, Duties& duties);
  void say(SayCall& call, Duties& duties);
  void leave_all_rooms(Duties& duties);
  void end_all_rooms(const Error& error, Duties& duties);
  void pump_rooms(Instant now, const Link& link, Duties& duties);
  void on_roster(const Link& link, wire::Roster& roster, Duties& duties);
  void on_delivery(const Link& link, wire::Delivery& delivery, Duties& duties);
  void on_room_refusal(Instant now, const Link& link, wire::RoomRefusal& refusal, Duties& duties);

  // Links.
  [[nodiscard]] Link* find(DialId dial);
  [[nodiscard]] bool in_use(const Link& link) const;
  void dial(Instant now, Link& link, Duties& duties);
  void greet(Instant now, Link& link, Duties& duties);
  void admit(Instant now, Link& link, wire::Welcome welcome, Duties& duties);
  void use(std::size_t place, Duties& duties);
  /// The link has ended: plans the next dial; a link that stands by takes over at once.
  void lose(Instant now, Link& link, const std::string& reason, Duties& duties);
  /// Ends a link ourselves.
  void give_up(Instant now, Link& link, const std::string& reason, Duties& duties);
  void watch(Instant now, Link& link, Duties& duties);
  void watch_all(Instant now, Duties& duties);

  /// When the server has kept us waiting too long for a reply to an observe, if it owes one.
  [[nodiscard]] std::optional<Instant> reply_due(const Link& link, const RoomFeed& feed) const;

  // Messages.
  void on_heard(Link& link, Instant at);
  void on_message(Instant now, Link& link, wire::ServerMessage& message, Duties& duties);
  void on_admitted_message(Instant now, Link& link, wire::ServerMessage& message, Duties& duties);
  void on_heartbeat(Instant now, Link& link, const wire::ServerHeartbeat& heartbeat);
  /// Other servers that it names; in vain where the caller brings the links.
  void hinted(const std::vector<std::string>& endpoints, const Link& by);
  /// What the server says of the leader: its name, or that there is none.
  void told_of_leader(Instant now, Link& link, const std::string& name);
  void on_goodbye(Instant now, Link& link, const wire::Goodbye& goodbye, Duties& duties);
  /// An endpoint has said what waiting cannot change. Once all have, observing is over.
  void condemned_by(const std::string& endpoint, const Error& error, Duties& duties);
  void on_observe_reply(Instant now, Link& link, const wire::ObserveReply& reply, Duties& duties);
  void on_begun(Instant now, Link& link, RoomFeed& feed, const wire::ObserveReply& reply,
                Duties& duties);
  void on_feed(Instant now, Link& link, const wire::Feed& frame, Duties& duties);
  void on_violation(Instant now, Link& link, const FeedViolation& violation, Duties& duties);
  void end_observe(RoomName room, Error error, Duties& duties);

  /// What goes out on the link in use: proposals, and observes that are due.
  void pump(Instant now, Duties& duties);
  [[nodiscard]] Situation situation() const;
  [[nodiscard]] Instant wake_at() const;

  ClientOptions options_;
  Rng rng_;
  std::uint64_t client_ = 0;  ///< Tells this client's links from others'.
  Rotation rotation_;
  std::vector<Link> links_;            ///< Their places are their numbers in the hello.
  std::optional<std::size_t> in_use_;  ///< Place of the link in use; admitted.
  DialId last_dial_;
  std::optional<ClusterId> cluster_;    ///< Of the first welcome: this client belongs to it.
  std::optional<Instant> lost_at_;      ///< When the link in use was lost last.
  unsigned leaderless_visits_ = 0;      ///< Servers left for want of a leader, since one was known.
  std::string trouble_;                 ///< The last that went wrong with a link.
  std::set<std::string> condemned_by_;  ///< Endpoints that said, of late, that we are wrong.
  Calls calls_;
  Reads reads_;
  std::map<RoomName, RoomFeed> rooms_;
  /// Left before the server answered: on this link a reply to the room may still be the old one.
  std::set<RoomName> left_unanswered_;
  Memberships memberships_;
  HeardMessages heard_;
  std::uint64_t last_said_ = 0;  ///< Numbers messages to members.
  bool stopped_ = false;
  Counters counters_;
};

}  // namespace kuilt::client
