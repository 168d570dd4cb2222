#include "raft/log_view.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "kuilt/detail/check.hpp"

namespace kuilt::raft {
namespace {

// The range that holds `index`; the ranges are sorted by their first index.
std::vector<TermRange>::const_iterator range_of(const std::vector<TermRange>& terms, Index index) {
  const auto after =
      std::upper_bound(terms.begin(), terms.end(), index,
                       [](Index wanted, const TermRange& range) { return wanted < range.first; });
  KUILT_CHECK(after != terms.begin());
  return std::prev(after);
}

}  // namespace

LogView::LogView(Position base, std::vector<TermRange> terms, Index last, std::vector<Entry> tail)
    : base_(base),
      terms_(std::move(terms)),
      last_(last),
      tail_(std::make_move_iterator(tail.begin()), std::make_move_iterator(tail.end())) {
  KUILT_CHECK(last_ >= base_.index);
  KUILT_CHECK(terms_.empty() == (last_ == base_.index));
  KUILT_CHECK(terms_.empty() || terms_.front().first == base_.index.next());
  KUILT_CHECK(terms_.empty() || terms_.back().first <= last_);
  for (std::size_t i = 0; i < terms_.size(); ++i) {
    const Term before = i == 0 ? base_.term : terms_[i - 1].term;
    KUILT_CHECK(i == 0 ? terms_[i].term >= before : terms_[i].term > before);
    KUILT_CHECK(i == 0 || terms_[i].first > terms_[i - 1].first);
  }
  KUILT_CHECK(tail_.size() <= last_.value() - base_.index.value());
  Index expected = first_in_memory();
  for (const Entry& entry : tail_) {
    KUILT_CHECK(entry.at.index == expected && term_at(expected) == entry.at.term);
    expected = expected.next();
    tail_bytes_ += entry.cost();
  }
}

Position LogView::last() const {
  return terms_.empty() ? base_ : Position{last_, terms_.back().term};
}

std::optional<Term> LogView::term_at(Index index) const {
  if (index == base_.index) return base_.term;
  if (index < base_.index || index > last_) return std::nullopt;
  if (index >= terms_.back().first) return terms_.back().term;
  return range_of(terms_, index)->term;
}

bool LogView::contains(Position position) const { return term_at(position.index) == position.term; }

Position LogView::last_not_above(Term term, Index limit) const {
  Index last = std::min(limit, last_);
  if (last <= base_.index) return base_;
  for (auto range = range_of(terms_, last);; --range) {
    if (range->term <= term) return {last, range->term};
    if (range == terms_.begin()) return base_;
    last = Index(range->first.value() - 1);
  }
}

Index LogView::first_in_memory() const { return Index(last_.value() + 1 - tail_.size()); }

const Entry& LogView::entry_at(Index index) const {
  KUILT_CHECK(index >= first_in_memory() && index <= last_);
  return tail_[static_cast<std::size_t>(index.value() - first_in_memory().value())];
}

std::vector<Entry> LogView::slice(Index first, std::size_t bytes_max, bool one_at_least) const {
  KUILT_CHECK(first >= first_in_memory() && first <= last_.next());
  Index end = first;
  for (std::size_t bytes = 0; end <= last_; end = end.next()) {
    bytes += entry_at(end).cost();
    const bool spare = one_at_least && end == first;
    if (bytes > bytes_max && !spare) break;
  }
  const auto at = [&](Index index) {
    return tail_.begin() + static_cast<std::ptrdiff_t>(index.value() - first_in_memory().value());
  };
  return {at(first), at(end)};
}

std::size_t LogView::cost_between(Index from, Index to) const {
  std::size_t bytes = 0;
  for (Index i = from; i < to;) bytes += entry_at(i = i.next()).cost();
  return bytes;
}

void LogView::append(Entry entry) {
  const Position at = entry.at;
  KUILT_CHECK(at.index == last_.next());
  KUILT_CHECK(at.term >= last().term);
  if (terms_.empty() || terms_.back().term != at.term) terms_.push_back({at.index, at.term});
  last_ = at.index;
  tail_bytes_ += entry.cost();
  tail_.push_back(std::move(entry));
}

void LogView::truncate_after(Index index) {
  KUILT_CHECK(index >= base_.index && index.next() >= first_in_memory());
  while (last_ > index) {
    tail_bytes_ -= tail_.back().cost();
    tail_.pop_back();
    last_ = Index(last_.value() - 1);
  }
  while (!terms_.empty() && terms_.back().first > last_) terms_.pop_back();
}

void LogView::evict(Index through, std::size_t bytes_max) {
  while (tail_bytes_ > bytes_max && tail_.front().at.index <= through) {
    tail_bytes_ -= tail_.front().cost();
    tail_.pop_front();
  }
}

}  // namespace kuilt::raft
