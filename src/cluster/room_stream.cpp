#include "cluster/room_stream.hpp"

#include <algorithm>

namespace kuilt::cluster {
namespace {

// What an item costs besides its text: ids, tags and lengths.
constexpr std::size_t item_overhead = 64;
// Streams before the current one that a receiver can tell from new ones.
constexpr std::size_t earlier_streams_max = 8;

std::size_t size_of(const wire::Presence& presence) {
  return presence.room.size() + presence.member.name.size() + item_overhead;
}
std::size_t size_of(const wire::RoomPost& post) {
  const wire::RoomMessage& message = post.message;
  return message.room.size() + message.channel.size() + message.body.size() + item_overhead;
}

}  // namespace

void RoomOutStream::begin() {
  end();
  open_ = true;
  stream_ = rng_.next();
  last_number_ = 0;
  stated_ = false;
  stated_to_.reset();
}

void RoomOutStream::end() {
  open_ = false;
  turns_.clear();
  changes_.clear();
  posts_.clear();
  posts_bytes_ = 0;
  in_flight_.reset();  // Its messages may have arrived, so they are not sent again.
}

void RoomOutStream::changed(const wire::Presence& presence) {
  if (!open_) return;
  const Place place(presence.room, presence.member.id);
  const auto waiting = changes_.find(place);
  if (waiting != changes_.end()) {
    waiting->second.present = presence.present;
    return;
  }
  if (changes_.size() >= options_.changes_max) return begin();
  turns_.push_back(place);
  changes_.emplace(place, Change{presence.member.name, presence.present});
}

wire::Presence RoomOutStream::next_change() {
  auto change = changes_.extract(turns_.front());
  turns_.pop_front();
  return {change.key().first,
          {change.key().second, std::move(change.mapped().name)},
          change.mapped().present};
}

bool RoomOutStream::post(wire::RoomPost post) {
  const std::size_t bytes = size_of(post);
  if (!open_ || posts_bytes_ + bytes > options_.posts_bytes_max) return false;
  posts_bytes_ += bytes;
  posts_.push_back(std::move(post));
  return true;
}

void RoomOutStream::taken(const wire::PeerRoomsTaken& taken) {
  if (!in_flight_ || taken.stream != stream_ || taken.number != in_flight_->number) return;
  in_flight_.reset();
}

std::optional<wire::PeerRooms> RoomOutStream::next(Instant now, const NextMember& next_member) {
  if (!open_) return std::nullopt;
  if (in_flight_) {
    if (now < sent_at_ + options_.resend_after) return std::nullopt;
    if (sends_ >= options_.sends_max) begin();
  }
  if (!in_flight_) {
    const bool is_idle = stated_ && changes_.empty() && posts_.empty();
    if (is_idle && now < sent_at_ + options_.idle_max) return std::nullopt;
    in_flight_ = fill(next_member);
    sends_ = 0;
  }
  sent_at_ = now;
  ++sends_;
  return in_flight_;
}

wire::PeerRooms RoomOutStream::fill(const NextMember& next_member) {
  wire::PeerRooms frame{stream_, ++last_number_, false, {}, {}};
  std::size_t bytes = 0;
  while (!stated_ && bytes < options_.frame_bytes_max) {
    auto member = next_member(stated_to_);
    if (!member) {
      stated_ = frame.complete = true;
      break;
    }
    bytes += size_of(*member);
    stated_to_ = {member->room, member->member.id};
    frame.presences.push_back(*std::move(member));
  }
  while (stated_ && !changes_.empty() && bytes < options_.frame_bytes_max) {
    frame.presences.push_back(next_change());
    bytes += size_of(frame.presences.back());
  }
  // Behind all changes: a message for a member follows the news of the member.
  while (stated_ && changes_.empty() && !posts_.empty() && bytes < options_.frame_bytes_max) {
    const std::size_t size = size_of(posts_.front());
    bytes += size;
    posts_bytes_ -= size;
    frame.posts.push_back(std::move(posts_.front()));
    posts_.pop_front();
  }
  return frame;
}

std::optional<Instant> RoomOutStream::due() const {
  if (!open_) return std::nullopt;
  return sent_at_ + (in_flight_ ? options_.resend_after : options_.idle_max);
}

RoomInStream::Verdict RoomInStream::offer(const wire::PeerRooms& frame) {
  Verdict verdict;
  if (frame.stream != stream_ || number_ == 0) {
    if (frame.number != 1 || std::ranges::find(earlier_, frame.stream) != earlier_.end()) {
      return verdict;  // The sender begins anew when it hears nothing.
    }
    if (number_ > 0) earlier_.push_back(stream_);
    if (earlier_.size() > earlier_streams_max) earlier_.pop_front();
    stream_ = frame.stream;
    number_ = 0;
    verdict.begins = true;
  }
  if (frame.number > number_ + 1) return verdict;
  verdict.take = frame.number == number_ + 1;
  number_ = std::max(number_, frame.number);
  verdict.reply = wire::PeerRoomsTaken{frame.stream, frame.number};
  return verdict;
}

}  // namespace kuilt::cluster
