// snapshot_oracle.hpp: what every server's snapshot must hold, made from the committed log alone.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "cluster/committed_state.hpp"
#include "sim/oracle.hpp"

namespace kuilt::sim {

/// Folds the committed log once more, and keeps what it comes to at each cut.
class SnapshotOracle {
 public:
  explicit SnapshotOracle(Position base) : state_(base) {}

  /// Told by every server of all that it learns is committed.
  Violation committed(const raft::Entry& entry) {
    if (entry.at.index <= state_.through().index) return std::nullopt;
    const Status status = state_.take(entry);
    if (!status) return "the committed log can be followed: " + status.error().message();
    if (entry.kind == raft::EntryKind::cut) {
      digests_[entry.at] = cluster::digest_of_state(state_.encode());
    }
    return std::nullopt;
  }
  /// A server has this to write as of a cut.
  [[nodiscard]] Violation frozen(const std::string& server, Position cut, BytesView state) const {
    const auto expected = digests_.find(cut);
    if (expected == digests_.end()) {
      return server + " freezes at " + std::to_string(cut.index.value()) +
             ", where no cut is committed";
    }
    if (expected->second == cluster::digest_of_state(state)) return std::nullopt;
    return "equal cuts have equal digests, but not that of " + server + " at " +
           std::to_string(cut.index.value());
  }

 private:
  cluster::CommittedState state_;
  std::map<Position, std::uint64_t> digests_;
};

}  // namespace kuilt::sim
