#include "bench/crowd.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace kuilt::bench {
namespace {

// A message that nobody has heard by then is lost; a command never is, but may be long under way.
constexpr Duration message_lost_after = std::chrono::seconds(1);
constexpr Duration patience = std::chrono::seconds(30);

/// "17 xxxx": the round, and bytes to fill it up.
std::string text_of(std::uint64_t round, std::size_t bytes) {
  std::string text = std::to_string(round) + ' ';
  if (text.size() < bytes) text.resize(bytes, 'x');
  return text;
}
std::uint64_t round_in(std::string_view text) {
  std::uint64_t round = 0;
  std::from_chars(text.data(), text.data() + text.size(), round);
  return round;
}

}  // namespace

Crowd::Crowd(Loop& loop, const CrowdOptions& options)
    : loop_(loop), options_(options), rooms_(options.rooms) {}

RoomName Crowd::name_of(std::size_t room) const { return "room " + std::to_string(room); }

Result<std::unique_ptr<Crowd>> Crowd::open(Loop& loop, const CrowdOptions& options) {
  std::unique_ptr<Crowd> crowd(new Crowd(loop, options));
  crowd->members_.resize(options.rooms * options.members);
  for (std::size_t i = 0; i < crowd->members_.size(); ++i) {
    auto link = Link::open(loop, *crowd, options.addresses.at(i % options.addresses.size()),
                           "member " + std::to_string(i), i);
    if (!link) return std::move(link).error().within("attach member " + std::to_string(i));
    crowd->members_[i].link = *std::move(link);
    const RoomName room = crowd->name_of(i / options.members);
    crowd->members_[i].link->send(wire::Join{room, 1});
    crowd->members_[i].link->send(wire::Observe{room, wire::FromNow{}, 0});
    loop.turn(now());  // The others are pinged meanwhile, and answer.
  }
  if (Status status = crowd->await_everybody(); !status) return std::move(status).error();
  return crowd;
}

Status Crowd::await_everybody() {
  const auto is_ready = [this](const Member& member) {
    return member.observes && member.knows == options_.members;
  };
  for (const Instant deadline = now() + patience; !broken_ && now() < deadline;) {
    if (std::ranges::all_of(members_, is_ready)) return Done{};
    loop_.turn(now() + std::chrono::milliseconds(50));
  }
  if (broken_) return *broken_;
  return Error(ErrorCode::timed_out, "not all members know of each other within 30 s");
}

Result<CrowdFigures> Crowd::run(Speech speech, Duration warm_up, Duration measured) {
  figures_ = {};
  figures_.measured = measured;
  to_last_ = {};
  measure_from_ = now() + warm_up;
  measure_until_ = measure_from_ + measured;
  speech_ = speech;
  lost_after_ = speech == Speech::message ? message_lost_after : patience;
  for (std::size_t room = 0; room < rooms_.size(); ++room) speak(room);
  while (!broken_ && now() < measure_until_) {
    loop_.turn(now() + std::chrono::milliseconds(100));
    give_up_on_lost();
  }
  speech_.reset();
  for (const Instant deadline = now() + patience; !broken_ && speaking_ > 0 && now() < deadline;) {
    loop_.turn(now() + std::chrono::milliseconds(100));
    give_up_on_lost();
  }
  if (broken_) return *broken_;
  figures_.to_last = to_last_.spread();
  return figures_;
}

void Crowd::speak(std::size_t number) {
  Room& room = rooms_[number];
  room.speaker = (room.speaker + 1) % options_.members;
  room.round += 1;
  // Who says a message does not hear it; who proposes observes it as all do.
  room.left = options_.members - (*speech_ == Speech::message ? 1 : 0);
  room.said_at = now();
  ++speaking_;
  Link& link = *members_[number * options_.members + room.speaker].link;
  Bytes text(text_of(room.round, options_.bytes));
  if (*speech_ == Speech::message) {
    link.send(wire::RoomMessage{name_of(number), "talk", {}, std::move(text)});
  } else {
    wire::Propose propose;
    wire::Proposal& one = propose.proposals.emplace_back();
    one.number = room.round;
    one.room = name_of(number);
    one.command = std::move(text);
    link.send(propose);
  }
}

void Crowd::hear(std::size_t number, std::uint64_t round, std::size_t bytes) {
  Room& room = rooms_[number];
  const Instant at = now();
  const bool counts = at >= measure_from_ && at < measure_until_;
  if (counts) {
    figures_.heard += 1;
    figures_.bytes += bytes;
  }
  if (round != room.round || room.left == 0) return;  // Given up before.
  if (--room.left > 0) return;
  --speaking_;
  if (counts) {
    figures_.said += 1;
    to_last_.add(at - room.said_at);
  }
  if (speech_) speak(number);
}

void Crowd::give_up_on_lost() {
  const Instant before = now() - lost_after_;
  for (std::size_t number = 0; number < rooms_.size(); ++number) {
    Room& room = rooms_[number];
    if (room.left == 0 || room.said_at > before) continue;
    figures_.lost += 1;
    room.left = 0;
    --speaking_;
    if (speech_) speak(number);
  }
}

void Crowd::on_message(Link& link, BytesView message) {
  auto decoded = wire::decode_server(Bytes::copy_of(message), wire::Encoding::protobuf);
  if (!decoded) return on_broken(link, decoded.error().message());
  Member& member = members_.at(link.number());
  const std::size_t room = link.number() / options_.members;
  if (const auto* said = std::get_if<wire::Delivery>(&*decoded)) {
    hear(room, round_in(said->body.text()), message.size());
  } else if (const auto* feed = std::get_if<wire::Feed>(&*decoded)) {
    for (const Bytes& part : feed->entries) {
      const auto entry = wire::decode_feed_entry(part);
      if (!entry) return on_broken(link, entry.error().message());
      hear(room, round_in(entry->command.text()), message.size() / feed->entries.size());
    }
  } else if (const auto* roster = std::get_if<wire::Roster>(&*decoded)) {
    if (const auto* whole = std::get_if<wire::RosterReset>(&roster->change)) {
      member.knows = whole->members.size();
    } else {
      for (const auto& event : std::get<wire::RosterChange>(roster->change).events) {
        member.knows += event.joined ? 1 : std::size_t{0} - 1;
      }
    }
  } else if (const auto* reply = std::get_if<wire::ObserveReply>(&*decoded)) {
    member.observes = reply->verdict == wire::ObserveVerdict::resumed;
    if (!member.observes) on_broken(link, reply->message);
  } else if (const auto* refusal = std::get_if<wire::RoomRefusal>(&*decoded)) {
    on_broken(link, refusal->message);
  } else if (const auto* goodbye = std::get_if<wire::Goodbye>(&*decoded)) {
    on_broken(link, goodbye->message);
  }
}

void Crowd::on_broken(Link& link, const std::string& why) {
  if (broken_) return;
  broken_ =
      Error(ErrorCode::io, Effect::none, "member " + std::to_string(link.number()) + ": " + why);
}

}  // namespace kuilt::bench
