#include "cluster/feed.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "kuilt/detail/check.hpp"

namespace kuilt::cluster {
namespace {

// Far above any window, far below where sums could overflow.
constexpr std::uint64_t credit_max = std::uint64_t{1} << 61;

std::int64_t widened(std::int64_t credit, std::uint64_t by) {
  const auto sum = credit + static_cast<std::int64_t>(std::min(by, credit_max));
  return std::min(sum, static_cast<std::int64_t>(credit_max));
}

/// A read that failed is this server's trouble. What is committed but not yet durable here is
/// beyond the end of its file, which to the file is a bad argument, and no fault of the client's.
Error trouble_reading(const Error& error) {
  const bool is_beyond = error.code() == ErrorCode::invalid_argument;
  const ErrorCode code = is_beyond ? ErrorCode::behind : error.code();
  return Error(code, error.effect(), error.message()).within("read old log");
}

bool fits(const FeedFrame& frame, std::size_t budget) {
  return frame.bytes <= budget || (frame.entries == 1 && budget > 0);
}

}  // namespace

Feed::Feed(const FeedOptions& options, FeedBoot boot)
    : options_(options),
      cluster_(boot.cluster),
      history_(boot.history),
      terms_(boot.base, std::move(boot.terms), boot.digests.through()),
      ring_(options.ring_bytes_max, std::move(boot.digests)),
      reads_({options.load_bytes_max, options.load_entries_max, options.loads_in_flight_max,
              options.loaded_bytes_max}),
      frames_(options.frame_cache_frames_max, options.frame_cache_bytes_max) {}

FeedOutput Feed::publish(const std::shared_ptr<const CommittedBatch>& batch) {
  FeedOutput out;
  for (const raft::Entry& entry : batch->entries) terms_.extend(entry.at);
  ring_.append(*batch);
  release_held(out);
  const std::vector<LinkSlot> waiting = std::exchange(idle_, {});
  idle_.reserve(waiting.size());
  out.send.reserve(out.send.size() + waiting.size());
  for (const LinkSlot slot : waiting) {
    links_[slot].is_listed_idle = false;
    serve(slot, out);
  }
  return finish(std::move(out));
}

FeedOutput Feed::observe(Instant now, LinkId id, wire::Encoding encoding,
                         const wire::Observe& wanted) {
  FeedOutput out;
  const LinkSlot link = link_slot(id);
  if (links_[link].said_goodbye) return finish(std::move(out));
  if (const auto old = find_learner(links_[link], wanted.room)) remove_learner(*old);
  const LearnerSlot learner = add_learner(link, encoding, wanted);
  if (auto why = complaint_about(links_[link], wanted)) {
    refuse(learner, wire::ObserveVerdict::refused, *std::move(why), out);
  } else {
    judge(now, learner, wanted.from, out);
  }
  serve(link, out);
  return finish(std::move(out));
}

/// The learner that `wanted` asks for counts already.
std::optional<std::string> Feed::complaint_about(const Link& link,
                                                 const wire::Observe& wanted) const {
  if (link.learners.size() > options_.rooms_per_link_max) {
    return "this link observes " + std::to_string(options_.rooms_per_link_max) +
           " rooms already, as many as one link may";
  }
  if (wanted.room.size() > wire::room_bytes_max) {
    return "the room's name has " + std::to_string(wanted.room.size()) + " bytes, the limit is " +
           std::to_string(wire::room_bytes_max);
  }
  return std::nullopt;
}

FeedOutput Feed::unobserve(LinkId id, const RoomName& room) {
  FeedOutput out;
  const Link* link = find_link(id);
  const auto slot = link ? find_learner(*link, room) : std::nullopt;
  if (slot && learners_[*slot].phase == Phase::fed) {
    remove_learner(*slot);
  } else if (slot) {
    refuse(*slot, wire::ObserveVerdict::refused, "the room was left before its feed began", out);
  }
  return finish(std::move(out));
}

FeedOutput Feed::credit(LinkId id, const wire::Credit& credit) {
  FeedOutput out;
  const Link* link = find_link(id);
  const auto slot = link ? find_learner(*link, credit.room) : std::nullopt;
  if (slot && learners_[*slot].credit) {
    learners_[*slot].credit = widened(*learners_[*slot].credit, credit.bytes);
    serve(learners_[*slot].link, out);
  }
  return finish(std::move(out));
}

FeedOutput Feed::drained(LinkId id) {
  FeedOutput out;
  if (const auto found = link_slots_.find(id); found != link_slots_.end()) {
    links_[found->second].is_frame_in_flight = false;
    serve(found->second, out);
  }
  return finish(std::move(out));
}

FeedOutput Feed::loaded(std::uint64_t number, const Result<std::vector<raft::Entry>>& entries) {
  FeedOutput out;
  const FeedLoad asked = reads_.take(number);
  Result<LoadedRun> run = entries ? LoadedRun::admit(asked, terms_, *entries)
                                  : Result<LoadedRun>(Error(entries.error()));
  const bool is_good = run.has_value();
  if (is_good) reads_.keep(*std::move(run));
  // Those who wait for a read that could not start yet may find theirs in this one, or start it.
  const std::vector<LearnerSlot> waiting = std::exchange(readers_, {});
  for (const LearnerSlot slot : waiting) {
    Learner& learner = learners_[slot];
    if (!learner.waits_for_read) continue;  // It went with its link, by a turn of this loop.
    if (learner.read != number && learner.read != 0) {
      readers_.push_back(slot);
      continue;
    }
    learner.waits_for_read = false;
    if (!is_good && learner.read == number) {
      say_goodbye(learner.link, learner.encoding, trouble_reading(run.error()), out);
    } else if (learner.phase == Phase::placing) {
      const LinkSlot link = learner.link;
      place(slot, out);
      serve(link, out);
    } else {
      serve(learner.link, out);
    }
  }
  return finish(std::move(out));
}

FeedOutput Feed::tick(Instant now) {
  FeedOutput out;
  while (!held_.empty() && placements_.at(held_.front()).give_up_at <= now) {
    const std::uint64_t wanted = placements_.at(held_.front()).index.value();
    refuse(held_.front(), wire::ObserveVerdict::behind,
           "this server is at index " + std::to_string(through().index.value()) +
               " and has not reached " + std::to_string(wanted),
           out);
  }
  return finish(std::move(out));
}

void Feed::closed(LinkId id) {
  const auto found = link_slots_.find(id);
  if (found == link_slots_.end()) return;
  Link& link = links_[found->second];
  while (!link.learners.empty()) remove_learner(link.learners.back());
  // The slot may still be listed as idle: whoever takes it next inherits that.
  link = Link{.id = {}, .is_listed_idle = link.is_listed_idle, .learners = {}};
  free_links_.push_back(found->second);
  link_slots_.erase(found);
}

Feed::LinkSlot Feed::link_slot(LinkId id) {
  const auto [found, is_new] = link_slots_.try_emplace(id, 0);
  if (!is_new) return found->second;
  if (free_links_.empty()) {
    free_links_.push_back(static_cast<LinkSlot>(links_.size()));
    links_.emplace_back();
  }
  found->second = free_links_.back();
  free_links_.pop_back();
  links_[found->second].id = id;
  return found->second;
}

Feed::Link* Feed::find_link(LinkId id) {
  const auto found = link_slots_.find(id);
  return found == link_slots_.end() ? nullptr : &links_[found->second];
}

Feed::LearnerSlot Feed::add_learner(LinkSlot link, wire::Encoding encoding,
                                    const wire::Observe& wanted) {
  if (free_learners_.empty()) {
    free_learners_.push_back(static_cast<LearnerSlot>(learners_.size()));
    learners_.emplace_back();
  }
  const LearnerSlot slot = free_learners_.back();
  free_learners_.pop_back();
  Learner learner{.link = link, .room = ring_.open(wanted.room), .encoding = encoding};
  if (wanted.credit_bytes > 0) learner.credit = widened(0, wanted.credit_bytes);
  learners_[slot] = learner;
  links_[link].learners.push_back(slot);
  ++learner_count_;
  return slot;
}

std::optional<Feed::LearnerSlot> Feed::find_learner(const Link& link, const RoomName& room) const {
  for (const LearnerSlot slot : link.learners) {
    if (ring_.name(learners_[slot].room) == room) return slot;
  }
  return std::nullopt;
}

void Feed::remove_learner(LearnerSlot slot) {
  Learner& learner = learners_[slot];
  if (learner.phase == Phase::held) std::erase(held_, slot);
  if (learner.waits_for_read) std::erase(readers_, slot);
  placements_.erase(slot);
  std::erase(links_[learner.link].learners, slot);
  ring_.close(learner.room);
  learner = Learner{};
  free_learners_.push_back(slot);
  --learner_count_;
}

void Feed::say_goodbye(LinkSlot slot, wire::Encoding encoding, const Error& error,
                       FeedOutput& out) {
  Link& link = links_[slot];
  while (!link.learners.empty()) remove_learner(link.learners.back());
  link.said_goodbye = true;
  const wire::Goodbye goodbye{error.code(), error.message(), {}, options_.endpoints};
  out.send.push_back(
      {link.id, wire::encode(wire::ServerMessage(goodbye), encoding), FeedSendKind::goodbye});
}

FeedOutput Feed::finish(FeedOutput out) {
  counters_.loads += out.loads.size();
  if (held_.empty()) return out;
  const Instant give_up_at = placements_.at(held_.front()).give_up_at;
  if (give_up_at != Instant::max()) out.wake_at = give_up_at;
  return out;
}

void Feed::serve(LinkSlot slot, FeedOutput& out) {
  Link& link = links_[slot];
  if (link.is_frame_in_flight) return;
  for (std::size_t i = 0; i < link.learners.size(); ++i) {
    const std::size_t turn = (link.turn + i) % link.learners.size();
    if (!send_next(link.learners[turn], out)) continue;
    link.is_frame_in_flight = true;
    link.turn = turn + 1;
    return;
  }
  if (link.learners.empty() || link.is_listed_idle) return;
  link.is_listed_idle = true;
  idle_.push_back(slot);
}

bool Feed::send_next(LearnerSlot slot, FeedOutput& out) {
  Learner& learner = learners_[slot];
  if (learner.phase != Phase::fed || learner.at == through().index) return false;
  if (learner.waits_for_read) return false;
  const SharedFeedFrame frame = next_frame(slot, out);
  if (!frame) return false;
  learner.at = frame->through.index;
  learner.digest = frame->digest;
  if (learner.credit) *learner.credit -= static_cast<std::int64_t>(frame->bytes);
  ++counters_.frames_sent;
  counters_.entries_sent += frame->entries;
  out.send.push_back({links_[learner.link].id, frame->encoded, FeedSendKind::frame});
  return true;
}

/// Null if the learner must wait, for credit or a read, or if its link was told goodbye.
SharedFeedFrame Feed::next_frame(LearnerSlot slot, FeedOutput& out) {
  const Learner& learner = learners_[slot];
  const std::size_t budget = budget_of(learner);
  // The usual case, a thousand times per commit: the same place as the learner before.
  const SharedFeedFrame& latest = latest_[static_cast<std::size_t>(learner.encoding)];
  if (latest && latest->key.room == ring_.serial(learner.room) && latest->key.prev == learner.at &&
      latest->through == through() && latest->digest_before == learner.digest &&
      fits(*latest, budget)) {
    return latest;
  }
  if (learner.at >= ring_.base()) {
    if (ring_.digest_at(learner.room, learner.at) != learner.digest) {
      const Error error(ErrorCode::corrupt,
                        "the old log that was read for this link is not the "
                        "committed one before index " +
                            std::to_string(learner.at.next().value()));
      say_goodbye(learner.link, learner.encoding, error, out);
      return nullptr;
    }
    return frame_of(learner, ring_.measure(learner.room, learner.at, budget), nullptr);
  }
  if (const LoadedRun* run = reads_.find(learner.at.next())) {
    const RoomName& room = ring_.name(learner.room);
    return frame_of(learner, run->measure(room, learner.at, learner.digest, budget), run);
  }
  if (budget > 0) wait_for_read(slot, out);
  return nullptr;
}

/// The frame that carries `span`, from the cache or encoded now; `run` is null for the ring.
SharedFeedFrame Feed::frame_of(const Learner& learner, const FeedSpan& span, const LoadedRun* run) {
  if (span.through == learner.at) return nullptr;  // Out of credit.
  const FeedFrameKey key{ring_.serial(learner.room), learner.encoding, learner.at, span.through};
  const SharedFeedFrame kept = frames_.find(key);
  SharedFeedFrame frame = kept;
  if (!kept || kept->digest_before != learner.digest) {
    const RoomName& room = ring_.name(learner.room);
    const Position after = terms_.at(span.through);
    wire::Feed message{room, terms_.at(learner.at), after, span.digest, {}};
    message.entries = run ? run->collect(room, span) : ring_.collect(learner.room, span);
    frame = std::make_shared<const FeedFrame>(
        FeedFrame{key, after, learner.digest, span.digest, span.bytes, span.entries,
                  wire::encode(wire::ServerMessage(std::move(message)), learner.encoding)});
    if (!kept) frames_.keep(frame);
    ++counters_.frames_encoded;
  }
  latest_[static_cast<std::size_t>(learner.encoding)] = frame;
  return frame;
}

std::size_t Feed::budget_of(const Learner& learner) const {
  if (!learner.credit) return options_.frame_bytes_max;
  if (*learner.credit <= 0) return 0;
  return std::min(options_.frame_bytes_max, static_cast<std::size_t>(*learner.credit));
}

void Feed::wait_for_read(LearnerSlot slot, FeedOutput& out) {
  Learner& learner = learners_[slot];
  learner.read = reads_.request(learner.at.next(), ring_.base(), out.loads);
  learner.waits_for_read = true;
  readers_.push_back(slot);
}

}  // namespace kuilt::cluster
