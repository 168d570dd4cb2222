// client_core_feed.hpp: one observed room: where it stands, and the check of what a server sends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/client_core_values.hpp"

namespace kuilt::client {

/// The rule that was broken, and how; the text begins with the rule's name.
struct FeedViolation {
  FeedRule rule = FeedRule::gap;
  std::string text;
};

/// Follows a room across links. Nothing of a frame that breaks a rule is delivered, so that the
/// position stays sound and any server can take over from there.
class RoomFeed {
 public:
  RoomFeed(RoomName room, wire::ObserveFrom from, std::uint64_t credit_bytes);

  /// The link that carried the feed is gone.
  void link_down();
  /// What to send to (re)start the feed on the link in use, whose server is known to have committed
  /// through `commit`. Nothing, if that was sent already, or while the application holds all the
  /// credit there is.
  [[nodiscard]] std::optional<wire::Observe> ask(Instant now, Index commit);
  /// Since when the server owes a reply, if it does.
  [[nodiscard]] std::optional<Instant> asked_at() const;

  /// Whether what is asked for may be still to come: then there is no reply before it.
  [[nodiscard]] bool waits_for_index() const;

  /// The feed will go on at `at` (resumed, begins_at): what is wrong, if we do not stand there.
  [[nodiscard]] std::optional<FeedViolation> begin(const wire::ObserveReply& reply,
                                                   const wire::Welcome& welcome);
  /// What is wrong with the frame; if nothing is, `entries` gets all that it delivers: nothing, if
  /// it is of a feed that was left before.
  [[nodiscard]] std::optional<FeedViolation> take(const wire::Feed& frame,
                                                  std::vector<wire::FeedEntry>& entries);
  /// The application has taken entries of so many bytes: what to tell the server, once it matters.
  [[nodiscard]] std::optional<wire::Credit> taken(std::uint64_t bytes);

  [[nodiscard]] bool streaming() const { return state_ == State::streaming; }
  [[nodiscard]] Position position() const { return point_ ? point_->at : Position{}; }
  [[nodiscard]] Advanced advanced() const;
  /// Whether this room was fed by an earlier link: the next reply is a resume.
  [[nodiscard]] bool was_fed() const { return was_fed_; }

 private:
  enum class State : std::uint8_t { idle, asked, streaming };

  RoomName room_;
  wire::ObserveFrom from_;                  ///< As the application asked, until there is a point.
  Index asked_after_;                       ///< What was committed when "now" was asked for.
  std::optional<wire::ResumePoint> point_;  ///< The last sound position.
  State state_ = State::idle;
  Instant asked_at_;
  bool was_fed_ = false;
  std::uint64_t credit_bytes_;
  std::uint64_t outstanding_ = 0;  ///< Delivered, and not yet taken.
  std::uint64_t owed_ = 0;         ///< Taken, and not yet told to the server.
};

/// The first rule that a frame breaks for an observer at `at` with `digest`; `entries` gets what it
/// carries.
[[nodiscard]] std::optional<FeedViolation> check_feed(const wire::Feed& frame, Position at,
                                                      std::uint64_t digest,
                                                      std::vector<wire::FeedEntry>& entries);

}  // namespace kuilt::client
