#include "raft/invariants.hpp"

#include <algorithm>

namespace kuilt::raft {
namespace {

// The ranges of both logs cut at each other's borders: within one piece, neither term changes.
std::vector<Index> last_indexes_of_pieces(const View& a, const View& b, Index end) {
  std::vector<Index> pieces{end};
  for (const View* view : {&a, &b}) {
    for (const TermRange& range : view->terms) {
      if (range.first <= end) pieces.push_back(Index(range.first.value() - 1));
    }
  }
  std::ranges::sort(pieces);
  return pieces;
}

// Whether the logs hold the same terms from where both are known up to `end`.
bool same_terms(const View& a, const View& b, Index end) {
  const Index begin = std::max(a.base.index, b.base.index);
  for (const Index index : last_indexes_of_pieces(a, b, end)) {
    if (index >= begin && a.term_at(index) != b.term_at(index)) return false;
  }
  return true;
}

Violation logs_differ(const View& a, const View& b) {
  // The last index at which both logs hold the same term: everything before it must be equal.
  const Index begin = std::max(a.base.index, b.base.index);
  const Index end = std::min(a.last, b.last);
  auto pieces = last_indexes_of_pieces(a, b, end);
  std::ranges::reverse(pieces);
  for (const Index index : pieces) {
    if (index < begin) break;
    if (a.term_at(index) != b.term_at(index)) continue;
    if (!same_terms(a, b, index)) return "logs that share an entry are equal before it";
    break;
  }
  if (!same_terms(a, b, std::min(a.commit, b.commit))) return "no two servers commit differently";
  return std::nullopt;
}

}  // namespace

std::optional<Term> View::term_at(Index index) const {
  if (index == base.index) return base.term;
  if (index < base.index || index > last) return std::nullopt;
  std::optional<Term> term;
  for (const TermRange& range : terms) {
    if (range.first <= index) term = range.term;
  }
  return term;
}

View view_of(const Core& core) {
  return {.id = core.self(),
          .role = core.role(),
          .hard = core.hard_state(),
          .base = core.base(),
          .terms = core.term_ranges(),
          .last = core.last().index,
          .commit = core.commit_index(),
          .durable = core.durable_index(),
          .hands_over = core.hands_over(),
          .disk_stalled = core.disk_stalled()};
}

Violation broken_now(const View& view) {
  Term previous = view.base.term;
  for (const TermRange& range : view.terms) {
    if (range.term < previous) return "terms in the log never go down";
    previous = range.term;
  }
  if (previous > view.hard.term) return "no entry is from a later term than the server's own";
  if (view.commit < view.base.index || view.commit > view.last) {
    return "the commit index is inside the log";
  }
  if (view.durable > view.last) return "the durable index is inside the log";
  if (view.role == Role::leader && view.hard.vote != view.id) return "a leader voted for itself";
  if (view.hands_over && view.role != Role::leader) return "only a leader hands over";
  return std::nullopt;
}

Violation broken_between(const View& before, const View& after) {
  if (after.hard.term < before.hard.term) return "a server's term never goes down";
  if (after.commit < before.commit) return "the commit index never goes down";
  if (after.hard.term == before.hard.term && !before.hard.vote.is_none() &&
      after.hard.vote != before.hard.vote) {
    return "a vote is final within its term";
  }
  const bool stands = after.role == Role::pre_candidate || after.role == Role::candidate;
  const bool anew = after.role != before.role || after.hard.term != before.hard.term;
  if (before.disk_stalled && after.disk_stalled && stands && anew) {
    return "nobody stands whose disk hangs";
  }
  if (!same_terms(before, after, before.commit)) return "a committed entry never changes";
  const bool led_throughout = before.role == Role::leader && after.role == Role::leader &&
                              before.hard.term == after.hard.term;
  if (led_throughout && (after.last < before.last || !same_terms(before, after, before.last))) {
    return "a leader never changes its own log but by appending";
  }
  if (led_throughout && before.hands_over && after.hands_over && after.last != before.last) {
    return "a leader that hands over appends nothing";
  }
  return std::nullopt;
}

Violation broken_among(std::span<const View> views) {
  for (std::size_t i = 0; i < views.size(); ++i) {
    for (std::size_t j = i + 1; j < views.size(); ++j) {
      const View& a = views[i];
      const View& b = views[j];
      const bool both_lead = a.role == Role::leader && b.role == Role::leader;
      if (both_lead && a.hard.term == b.hard.term) return "a term has one leader at most";
      if (const Violation violation = logs_differ(a, b)) return violation;
    }
  }
  return std::nullopt;
}

}  // namespace kuilt::raft
