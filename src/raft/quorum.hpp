// quorum.hpp: what a majority is, in one configuration and in two at once.
//
// Source: Raft (2014), 6; dissertation, 4.3: while a change is joint, every decision needs a
// majority of the voters before it and, separately, a majority of the voters after it.
#pragma once

#include <cstddef>

namespace kuilt::raft {

/// Counts who agrees, member by member.
class Tally {
 public:
  /// `voter`: in the configuration that is in force. `outgoing_voter`: in the one that it replaces.
  void count(bool voter, bool outgoing_voter, bool agrees) {
    if (voter) incoming_.count(agrees);
    if (outgoing_voter) outgoing_.count(agrees);
  }

  /// Nobody has a majority where nobody votes; where no change is joint, one half is enough.
  [[nodiscard]] bool carried() const {
    return incoming_.carried() && (outgoing_.voters == 0 || outgoing_.carried());
  }

 private:
  struct Half {
    std::size_t voters = 0;
    std::size_t agreeing = 0;

    void count(bool agrees) {
      ++voters;
      if (agrees) ++agreeing;
    }
    [[nodiscard]] bool carried() const { return agreeing > voters / 2; }
  };

  Half incoming_;
  Half outgoing_;
};

}  // namespace kuilt::raft
