// agenda.hpp: virtual time, and what is to happen when.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "kuilt/types.hpp"

namespace kuilt::sim {

/// A queue of events in virtual time. Events of one instant happen in the order they were put, so
/// that one seed gives one run.
class Agenda {
 public:
  using Action = std::function<void()>;

  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] std::uint64_t events_run() const { return events_run_; }

  /// Not before now: what is late happens at once.
  void at(Instant when, Action action) {
    heap_.push_back({std::max(when, now_), next_number_++, std::move(action)});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }

  /// Runs the next event, if there is one no later than `until`.
  bool run_one(Instant until) {
    if (heap_.empty() || heap_.front().when > until) return false;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    Event event = std::move(heap_.back());
    heap_.pop_back();
    now_ = event.when;
    ++events_run_;
    event.action();
    return true;
  }

 private:
  struct Event {
    Instant when;
    std::uint64_t number = 0;
    Action action;
  };
  static bool later(const Event& a, const Event& b) {
    return std::pair(a.when, a.number) > std::pair(b.when, b.number);
  }

  Instant now_{};
  std::uint64_t next_number_ = 0;
  std::uint64_t events_run_ = 0;
  std::vector<Event> heap_;
};

}  // namespace kuilt::sim
