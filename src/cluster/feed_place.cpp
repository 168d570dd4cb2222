// feed_place.cpp: from an Observe to its reply: where a learner's feed begins, or why it does not.
#include <algorithm>
#include <utility>

#include "cluster/feed.hpp"
#include "kuilt/detail/check.hpp"
#include "kuilt/detail/overloaded.hpp"

namespace kuilt::cluster {

void Feed::judge(Instant now, LearnerSlot slot, const wire::ObserveFrom& from, FeedOutput& out) {
  const Position base = terms_.base();
  const auto start = Overloaded{
      [&](const wire::FromStart&) {
        const auto verdict =
            base == Position{} ? wire::ObserveVerdict::resumed : wire::ObserveVerdict::begins_at;
        hold_or_place(now, slot, {.index = base.index, .verdict = verdict}, out);
      },
      [&](const wire::FromNow&) { hold_or_place(now, slot, {.index = through().index}, out); },
      [&](const wire::FromIndex& wanted) {
        const Index first = std::max(wanted.index, Index(1));
        hold_or_place(now, slot, {.index = Index(first.value() - 1)}, out);
      },
      [&](const wire::ResumePoint& point) {
        if (point.cluster != cluster_) {
          refuse(
              slot, wire::ObserveVerdict::not_this_cluster,
              "the position is of cluster " + point.cluster.text() + ", this is " + cluster_.text(),
              out);
        } else if (point.history != history_) {
          refuse(
              slot, wire::ObserveVerdict::history_differs,
              "the position is of history " + point.history.text() + ", this is " + history_.text(),
              out);
        } else {
          hold_or_place(now, slot,
                        {.index = point.at.index,
                         .term = point.at.term,
                         .digest = point.digest,
                         .is_resume = true},
                        out);
        }
      },
  };
  std::visit(start, from);
}

void Feed::hold_or_place(Instant now, LearnerSlot slot, const Placement& wanted, FeedOutput& out) {
  if (wanted.index < terms_.base().index) {
    refuse(slot, wire::ObserveVerdict::compacted,
           "index " + std::to_string(wanted.index.next().value()) +
               " is no longer kept; the log begins after " +
               std::to_string(terms_.base().index.value()),
           out);
    return;
  }
  const auto placement = placements_.emplace(slot, wanted).first;
  if (wanted.index <= through().index) {
    start_placing(slot, out);
    return;
  }
  // An index still to come is waited for: no other server has it either. A client that was further
  // than this server is better off elsewhere.
  const Instant give_up_at = wanted.is_resume ? now + options_.behind_hold_max : Instant::max();
  placement->second.give_up_at = give_up_at;
  learners_[slot].phase = Phase::held;
  const auto by_patience = [this](LearnerSlot held) { return placements_.at(held).give_up_at; };
  held_.insert(std::ranges::upper_bound(held_, give_up_at, {}, by_patience), slot);
  if (wanted.is_resume) ++counters_.held_resumes;
}

/// Pre: the wanted index is in the committed log.
void Feed::start_placing(LearnerSlot slot, FeedOutput& out) {
  const Placement& wanted = placements_.at(slot);
  const Position at = terms_.at(wanted.index);
  if (wanted.term && *wanted.term != at.term) {
    refuse(slot, wire::ObserveVerdict::history_differs,
           "index " + std::to_string(at.index.value()) + " is of term " +
               std::to_string(at.term.value()) + " here, not of term " +
               std::to_string(wanted.term->value()),
           out);
    return;
  }
  Learner& learner = learners_[slot];
  const RoomDigests::Checkpoint known =
      ring_.digests().before(ring_.name(learner.room), wanted.index);
  learner.phase = Phase::placing;
  learner.at = known.index;
  learner.digest = known.digest;
  place(slot, out);
}

/// Takes the learner's digest as far as the wanted index, or to where a read has to come first.
void Feed::place(LearnerSlot slot, FeedOutput& out) {
  Learner& learner = learners_[slot];
  const Index target = placements_.at(slot).index;
  if (target >= ring_.base()) {
    learner.digest = ring_.digest_at(learner.room, target);
    learner.at = target;
  }
  while (learner.at < target) {
    const LoadedRun* run = reads_.find(learner.at.next());
    if (!run) {
      wait_for_read(slot, out);
      return;
    }
    const RoomDigests::Checkpoint reached =
        run->advance(ring_.name(learner.room), {learner.at, learner.digest}, target);
    learner.at = reached.index;
    learner.digest = reached.digest;
  }
  settle(slot, out);
}

void Feed::settle(LearnerSlot slot, FeedOutput& out) {
  Learner& learner = learners_[slot];
  const Placement wanted = placements_.at(slot);
  if (wanted.digest && *wanted.digest != learner.digest) {
    refuse(slot, wire::ObserveVerdict::history_differs,
           "the room's digest through index " + std::to_string(wanted.index.value()) +
               " is another one here",
           out);
    return;
  }
  learner.phase = Phase::fed;
  placements_.erase(slot);
  if (wanted.is_resume) {
    ++counters_.resumes;
    if (ring_.is_within_batch(wanted.index)) ++counters_.resumes_mid_batch;
  }
  reply(slot,
        {.room = {},
         .verdict = wanted.verdict,
         .at = terms_.at(wanted.index),
         .digest = learner.digest,
         .message = {},
         .endpoints = {}},
        out);
}

void Feed::release_held(FeedOutput& out) {
  const auto is_reached = [&](LearnerSlot slot) {
    return placements_.at(slot).index <= through().index;
  };
  std::vector<LearnerSlot> reached;
  std::ranges::copy_if(held_, std::back_inserter(reached), is_reached);
  std::erase_if(held_, is_reached);
  for (const LearnerSlot slot : reached) {
    if (learners_[slot].phase != Phase::held) continue;  // Its link was told goodbye just now.
    const LinkSlot link = learners_[slot].link;
    start_placing(slot, out);
    serve(link, out);
  }
}

void Feed::reply(LearnerSlot slot, wire::ObserveReply reply, FeedOutput& out) {
  const Learner& learner = learners_[slot];
  reply.room = ring_.name(learner.room);
  out.send.push_back({links_[learner.link].id,
                      wire::encode(wire::ServerMessage(std::move(reply)), learner.encoding),
                      FeedSendKind::reply});
}

/// The learner is gone, its link stays. The reply says where a feed could begin.
void Feed::refuse(LearnerSlot slot, wire::ObserveVerdict verdict, std::string why,
                  FeedOutput& out) {
  const Position at = verdict == wire::ObserveVerdict::compacted ? terms_.base() : terms_.through();
  const RoomName& room = ring_.name(learners_[slot].room);
  reply(slot,
        {.room = {},
         .verdict = verdict,
         .at = at,
         .digest = ring_.digests().before(room, at.index).digest,
         .message = std::move(why),
         .endpoints = options_.endpoints},
        out);
  remove_learner(slot);
}

}  // namespace kuilt::cluster
