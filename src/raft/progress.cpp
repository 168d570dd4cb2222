#include "raft/progress.hpp"

#include <algorithm>

namespace kuilt::raft {

std::size_t Progress::room(std::size_t window_bytes_max) const {
  return window_bytes_max - std::min(window_bytes_max, in_flight_bytes_);
}

bool Progress::blocked(Instant now) const {
  return now < paused_until_ || (probing_ && !in_flight_.empty());
}

std::optional<Instant> Progress::due(Instant now, Duration retransmit_after) const {
  if (now < paused_until_) return paused_until_;
  if (in_flight_.empty()) return std::nullopt;
  return waiting_since_ + retransmit_after;
}

bool Progress::overdue(Instant now, Duration retransmit_after) const {
  return !in_flight_.empty() && now >= waiting_since_ + retransmit_after;
}

bool Progress::expects_rejection_of(Index prev) const {
  if (probing_) return !in_flight_.empty() && prev.next() == next_ && prev > match_;
  return prev > match_ && prev < next_;
}

bool Progress::lost_in_flight(std::uint64_t round, Index last) const {
  return !in_flight_.empty() && in_flight_.front().round < round && last < in_flight_.front().last;
}

void Progress::hear(BootId boot, Instant now) {
  heard_ = now;
  if (boot == boot_) return;
  if (!boot_.is_none()) {
    // A process that started anew vouches anew; where to ask first is what it vouched for before.
    probe();
    match_ = Index(0);
  }
  boot_ = boot;
}

void Progress::send(InFlight append, Instant now) {
  if (in_flight_.empty()) waiting_since_ = now;
  if (!probing_) next_ = append.last.next();
  in_flight_bytes_ += append.bytes;
  in_flight_.push_back(append);
}

void Progress::acknowledge(Index durable, Instant now) {
  if (durable > match_) waiting_since_ = now;
  match_ = std::max(match_, durable);
  if (probing_) {
    probing_ = false;
    clear_in_flight();
    next_ = match_.next();
  }
  next_ = std::max(next_, match_.next());
  while (!in_flight_.empty() && in_flight_.front().last <= match_) {
    in_flight_bytes_ -= in_flight_.front().bytes;
    in_flight_.pop_front();
  }
}

void Progress::reject(Index next) {
  clear_in_flight();
  probing_ = true;
  next_ = std::max(next, match_.next());
}

void Progress::probe() {
  // With nothing acknowledged yet `next` is still the best guess, and the follower's answer to it
  // says how far to go back.
  reject(match_ == Index(0) ? next_ : match_.next());
}

void Progress::clear_in_flight() {
  in_flight_.clear();
  in_flight_bytes_ = 0;
}

}  // namespace kuilt::raft
