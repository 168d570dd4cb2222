// alarm.hpp: one wake-up call that is moved often, over an agenda that can't take events back.
#pragma once

#include <functional>
#include <optional>

#include "kuilt/types.hpp"

namespace kuilt::sim {

/// `schedule(when, action)` puts an event; it may come late, or never if the process dies.
class Alarm {
 public:
  using Schedule = std::function<void(Instant when, std::function<void()> action)>;
  Alarm(Schedule schedule, std::function<Instant()> now, std::function<void()> ring)
      : schedule_(std::move(schedule)), now_(std::move(now)), ring_(std::move(ring)) {}

  void set(Instant when) {
    wanted_ = when;
    if (scheduled_ && *scheduled_ <= when) return;  // That event looks again.
    scheduled_ = when;
    schedule_(when, [this, when] { look(when); });
  }

 private:
  void look(Instant scheduled_for) {
    if (scheduled_ != scheduled_for) return;  // An earlier event took its place.
    scheduled_.reset();
    if (now_() < wanted_) return set(wanted_);
    ring_();
  }

  Schedule schedule_;
  std::function<Instant()> now_;
  std::function<void()> ring_;
  Instant wanted_{};
  std::optional<Instant> scheduled_;
};

}  // namespace kuilt::sim
