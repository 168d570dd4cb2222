#include "client/client_core_feed.hpp"

#include <algorithm>
#include <utility>

#include "kuilt/detail/overloaded.hpp"
#include "wire/entry.hpp"

namespace kuilt::client {
namespace {

std::string text_of(Position at) {
  return "(" + std::to_string(at.index.value()) + ", term " + std::to_string(at.term.value()) + ")";
}

using Verdict = std::optional<FeedViolation>;

FeedViolation broken(FeedRule rule, const std::string& what) {
  return {rule, std::string(name_of(rule)) + ": " + what};
}

/// An entry has its place strictly after the one before it and not after the frame's end.
Verdict check_place(Position before, Position at, Position through) {
  if (at.index <= before.index) {
    return broken(FeedRule::repeat,
                  "entry " + text_of(at) + " does not come after " + text_of(before));
  }
  if (at.index > through.index) {
    return broken(FeedRule::wrong_end,
                  "entry " + text_of(at) + " is beyond the end of its frame " + text_of(through));
  }
  if (at.term < before.term) {
    return broken(FeedRule::older_term, "entry " + text_of(at) + " comes after " + text_of(before));
  }
  if (at.term > through.term || (at.index == through.index && at.term != through.term)) {
    return broken(FeedRule::wrong_end,
                  "entry " + text_of(at) + " contradicts the end of its frame " + text_of(through));
  }
  return std::nullopt;
}

/// A server may begin only where the application asked it to.
Verdict check_begin(const wire::ObserveReply& reply, const wire::ObserveFrom& from) {
  const bool earlier_gone = reply.verdict == wire::ObserveVerdict::begins_at;
  const auto on_from = Overloaded{
      [&](const wire::FromStart&) -> Verdict {
        if (earlier_gone || reply.at == Position{}) return std::nullopt;
        return broken(FeedRule::gap, "asked for the start, answered with " + text_of(reply.at));
      },
      [&](const wire::FromNow&) -> Verdict { return std::nullopt; },
      [&](const wire::FromIndex& wanted) -> Verdict {
        if (earlier_gone || reply.at.index < std::max(wanted.index, Index(1))) return std::nullopt;
        return broken(FeedRule::gap, "asked for index " + std::to_string(wanted.index.value()) +
                                         ", answered with " + text_of(reply.at));
      },
      [&](const wire::ResumePoint& point) -> Verdict {
        if (earlier_gone) {
          const bool later = reply.at.index > point.at.index && reply.at.term >= point.at.term;
          if (later) return std::nullopt;
          return broken(FeedRule::wrong_begin,
                        "begins at " + text_of(reply.at) + ", before " + text_of(point.at));
        }
        if (reply.at != point.at) {
          return broken(FeedRule::wrong_begin,
                        "resumed at " + text_of(reply.at) + " instead of " + text_of(point.at));
        }
        if (reply.digest != point.digest) {
          return broken(FeedRule::wrong_digest, "on resuming at " + text_of(point.at));
        }
        return std::nullopt;
      },
  };
  return std::visit(on_from, from);
}

}  // namespace

std::optional<FeedViolation> check_feed(const wire::Feed& frame, Position at, std::uint64_t digest,
                                        std::vector<wire::FeedEntry>& entries) {
  if (frame.prev != at) {
    const bool gap = frame.prev.index > at.index;
    return broken(
        gap ? FeedRule::gap : FeedRule::repeat,
        "a frame after " + text_of(frame.prev) + ", when the feed stands at " + text_of(at));
  }
  if (frame.through.index <= frame.prev.index) {
    return broken(FeedRule::wrong_end, "a frame that ends at " + text_of(frame.through) +
                                           " after " + text_of(frame.prev));
  }
  if (frame.through.term < frame.prev.term) {
    return broken(FeedRule::older_term,
                  "a frame through " + text_of(frame.through) + " after " + text_of(frame.prev));
  }
  Position before = at;
  for (const Bytes& bytes : frame.entries) {
    auto entry = wire::decode_feed_entry(bytes);
    if (!entry) return broken(FeedRule::unreadable, entry.error().message());
    if (entry->room != frame.room) {
      return broken(FeedRule::other_room, "an entry of the room \"" + entry->room + "\"");
    }
    if (auto wrong = check_place(before, entry->at, frame.through)) return wrong;
    before = entry->at;
    digest = wire::chain(digest, bytes);
    entries.push_back(*std::move(entry));
  }
  if (digest != frame.digest) {
    return broken(FeedRule::wrong_digest,
                  "the history through " + text_of(frame.through) + " is not the one seen so far");
  }
  return std::nullopt;
}

RoomFeed::RoomFeed(RoomName room, wire::ObserveFrom from, std::uint64_t credit_bytes)
    : room_(std::move(room)), from_(std::move(from)), credit_bytes_(credit_bytes) {
  if (const auto* point = std::get_if<wire::ResumePoint>(&from_)) point_ = *point;
}

Advanced RoomFeed::advanced() const {
  KUILT_CHECK(point_);
  return {room_, point_->at, point_->digest, point_->cluster, point_->history};
}

// Asked anew on another link, "now" would be a later one, and what was committed in between, maybe
// by this very client, would be skipped.
void RoomFeed::link_down() {
  if (state_ == State::asked && std::holds_alternative<wire::FromNow>(from_)) {
    from_ = wire::FromIndex{asked_after_.next()};
  }
  state_ = State::idle;
}

std::optional<wire::Observe> RoomFeed::ask(Instant now, Index commit) {
  if (state_ != State::idle) return std::nullopt;
  // Credit 0 would mean "no limit": rather wait until the application has taken something.
  if (credit_bytes_ > 0 && outstanding_ >= credit_bytes_) return std::nullopt;
  state_ = State::asked;
  asked_at_ = now;
  asked_after_ = commit;
  owed_ = 0;  // Told anew: the credit is what the application can still take.
  return wire::Observe{room_, point_ ? wire::ObserveFrom(*point_) : from_,
                       credit_bytes_ - std::min(outstanding_, credit_bytes_)};
}

std::optional<Instant> RoomFeed::asked_at() const {
  if (state_ != State::asked) return std::nullopt;
  return asked_at_;
}

bool RoomFeed::waits_for_index() const {
  return !point_ && std::holds_alternative<wire::FromIndex>(from_);
}

std::optional<FeedViolation> RoomFeed::begin(const wire::ObserveReply& reply,
                                             const wire::Welcome& welcome) {
  if (state_ != State::asked) {
    return broken(FeedRule::unasked, "an answer to an observe that nobody asked");
  }
  const wire::ObserveFrom from = point_ ? wire::ObserveFrom(*point_) : from_;
  if (auto wrong = check_begin(reply, from)) return wrong;
  point_ = wire::ResumePoint{welcome.cluster, welcome.history, reply.at, reply.digest};
  state_ = State::streaming;
  was_fed_ = true;
  return std::nullopt;
}

std::optional<FeedViolation> RoomFeed::take(const wire::Feed& frame,
                                            std::vector<wire::FeedEntry>& entries) {
  // Before the reply to the last observe, only frames of a feed that was left can arrive.
  if (state_ != State::streaming) return std::nullopt;
  if (auto wrong = check_feed(frame, point_->at, point_->digest, entries)) return wrong;
  point_->at = frame.through;
  point_->digest = frame.digest;
  for (const Bytes& bytes : frame.entries) outstanding_ += bytes.size();
  return std::nullopt;
}

std::optional<wire::Credit> RoomFeed::taken(std::uint64_t bytes) {
  const std::uint64_t counted = std::min(bytes, outstanding_);
  outstanding_ -= counted;
  if (state_ == State::idle) return std::nullopt;
  owed_ += counted;
  // Half the credit at a time: often enough never to run dry, rarely enough to cost nothing.
  if (credit_bytes_ == 0 || owed_ < (credit_bytes_ + 1) / 2) return std::nullopt;
  return wire::Credit{room_, std::exchange(owed_, 0), position().index};
}

}  // namespace kuilt::client
