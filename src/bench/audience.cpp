#include "bench/audience.hpp"

#include <algorithm>
#include <utility>

#include "wire/wire_reader.hpp"

namespace kuilt::bench {
namespace {

constexpr std::uint64_t feed_field = 67;  // Of ServerFrame (proto/kuilt/v1/client.proto).

Position read_position(wire::Cursor& in, BytesView bytes) {
  Position at;
  const std::byte* outer = in.enter(bytes);
  while (!in.at_end() && !in.failed()) {
    const std::uint64_t tag = in.varint();
    const std::uint64_t value = in.varint();
    if (tag >> 3U == 1) at.index = Index(value);
    if (tag >> 3U == 2) at.term = Term(value);
  }
  in.leave(outer);
  return at;
}

}  // namespace

double AudienceFigures::entries_per_second() const {
  return static_cast<double>(entries) / std::chrono::duration<double>(measured).count();
}

Result<std::unique_ptr<Audience>> Audience::open(Loop& loop,
                                                 const std::vector<std::string>& addresses,
                                                 std::size_t learners) {
  std::unique_ptr<Audience> audience(new Audience(loop));
  audience->learners_.resize(learners);
  for (std::size_t i = 0; i < learners; ++i) {
    auto link = Link::open(loop, *audience, addresses.at(i % addresses.size()), "learner", i);
    if (!link) return std::move(link).error().within("attach learner " + std::to_string(i));
    audience->learners_[i].link = *std::move(link);
    loop.turn(now());  // The others are pinged meanwhile, and answer.
  }
  for (Learner& learner : audience->learners_) {
    learner.link->send(wire::Observe{.room = {}, .from = wire::FromNow{}, .credit_bytes = 0});
  }
  if (Status status = audience->await_attached(); !status) return std::move(status).error();
  return audience;
}

Status Audience::await_attached() {
  const Instant deadline = now() + std::chrono::seconds(20);
  while (attached_ < learners_.size() && !broken_) {
    if (now() > deadline) {
      return Error(ErrorCode::timed_out, std::to_string(attached_) + " of " +
                                             std::to_string(learners_.size()) +
                                             " learners were attached within 20 s");
    }
    loop_.turn(deadline);
  }
  if (broken_) return *broken_;
  return Done{};
}

void Audience::begin(Instant from, Instant until) {
  measure_from_ = from;
  measure_until_ = until;
  figures_ = {};
  figures_.measured = until - from;
}

AudienceFigures Audience::figures() {
  Samples first_to_last;
  Samples propose_to_last;
  for (const Sighting& seen : sightings_) {
    if (seen.learners < learners_.size() || !seen.answered) continue;
    if (seen.first < measure_from_ || seen.first >= measure_until_) continue;
    first_to_last.add(seen.last - seen.first);
    propose_to_last.add(seen.last - seen.intended);
  }
  figures_.first_to_last = first_to_last.spread();
  figures_.propose_to_last = propose_to_last.spread();
  return figures_;
}

Audience::Sighting* Audience::sighting(Index index) {
  if (index <= base_) return nullptr;
  const std::uint64_t place = index.value() - base_.value() - 1;
  if (place >= sightings_.size()) sightings_.resize(place + 1);
  return &sightings_[place];
}

void Audience::committed(Position at, Instant intended, Instant answered) {
  Sighting* seen = sighting(at.index);
  if (seen == nullptr) return;
  if (seen->learners == 0) seen->first = answered;
  seen->intended = intended;
  seen->answered = true;
}

// Decoding every frame in full would cost the load more than the server pays to send it.
std::optional<Audience::Glance> Audience::glance_at(BytesView message) {
  wire::Cursor in(message, nullptr);
  if (in.varint() >> 3U != feed_field) return std::nullopt;
  const std::byte* outer = in.enter(in.delimited());
  Glance glance;
  while (!in.at_end() && !in.failed()) {
    const std::uint64_t tag = in.varint();
    if (tag >> 3U == 2) {
      glance.prev = read_position(in, in.delimited());
    } else if (tag >> 3U == 3) {
      glance.through = read_position(in, in.delimited());
    } else {
      if (tag >> 3U == 5) glance.entries += 1;
      in.skip(tag & 7U);
    }
  }
  in.leave(outer);
  if (in.failed()) return std::nullopt;
  return glance;
}

void Audience::on_message(Link& link, BytesView message) {
  if (const auto glance = glance_at(message)) {
    on_feed(learners_.at(link.number()), *glance, message.size());
  } else {
    on_rare(link, message);
  }
}

void Audience::on_feed(Learner& learner, const Glance& glance, std::size_t bytes) {
  const Instant at = now();
  if (glance.prev != learner.through) return on_broken(*learner.link, "the feed has a gap");
  learner.through = glance.through;
  if (at >= measure_from_ && at < measure_until_) {
    figures_.entries += glance.entries;
    figures_.frames += 1;
    figures_.bytes += bytes;
  }
  for (Index i = glance.prev.index.next(); i <= glance.through.index; i = i.next()) {
    Sighting* seen = sighting(i);
    if (seen == nullptr) continue;
    if (seen->learners++ == 0 && !seen->answered) seen->first = at;
    seen->last = at;
    if (seen->learners == learners_.size()) complete_ += 1;
  }
}

void Audience::on_rare(Link& link, BytesView message) {
  auto decoded = wire::decode_server(Bytes::copy_of(message), wire::Encoding::protobuf);
  if (!decoded) return on_broken(link, decoded.error().message());
  if (const auto* reply = std::get_if<wire::ObserveReply>(&*decoded)) {
    if (reply->verdict != wire::ObserveVerdict::resumed) return on_broken(link, reply->message);
    Learner& learner = learners_.at(link.number());
    learner.through = reply->at;
    attached_ += 1;
    base_ = std::max(base_, reply->at.index);
  } else if (const auto* goodbye = std::get_if<wire::Goodbye>(&*decoded)) {
    on_broken(link, goodbye->message);
  }
}

void Audience::on_broken(Link& link, const std::string& why) {
  if (broken_) return;
  broken_ =
      Error(ErrorCode::io, Effect::none, "learner " + std::to_string(link.number()) + ": " + why);
}

}  // namespace kuilt::bench
