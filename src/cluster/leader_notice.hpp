// leader_notice.hpp: what a server tells its clients of who leads.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "kuilt/types.hpp"

namespace kuilt::cluster {

/// Who leads, as a server sees it.
struct LeaderView {
  std::string name;  ///< Empty: unknown.
  std::string url;
  friend bool operator==(const LeaderView&, const LeaderView&) = default;
};

/// The last leader known, until there has been none for a while: an election that goes well is no
/// reason to send every client elsewhere.
class LeaderNotice {
 public:
  LeaderNotice(Instant now, Duration leaderless_after)
      : leaderless_after_(leaderless_after), lost_at_(now) {}

  void led_by(Instant now, LeaderView leader) {
    if (!leader.name.empty()) {
      known_ = std::move(leader);
      lost_at_.reset();
    } else if (!lost_at_) {
      lost_at_ = now;
    }
  }
  /// What to tell at `now`: nobody, once it is time to go elsewhere.
  [[nodiscard]] LeaderView told(Instant now) const {
    return lost_at_ && now - *lost_at_ > leaderless_after_ ? LeaderView{} : known_;
  }

 private:
  Duration leaderless_after_;
  LeaderView known_;
  std::optional<Instant> lost_at_;
};

}  // namespace kuilt::cluster
