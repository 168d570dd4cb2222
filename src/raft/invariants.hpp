// invariants.hpp: what Raft promises, as pure functions that answer with a sentence.
//
// Cheap facts are KUILT_CHECKs inside the core. These look at whole logs and whole groups, so tests
// and the simulator call them after every step, and a server does not.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "raft/core.hpp"

namespace kuilt::raft {

/// A read-only copy of the parts of a core that Raft makes promises about.
struct View {
  NodeId id;
  Role role = Role::follower;
  HardState hard;
  Position base;
  std::vector<TermRange> terms;
  Index last;
  Index commit;
  Index durable;
  bool hands_over = false;
  bool disk_stalled = false;

  [[nodiscard]] std::optional<Term> term_at(Index index) const;
};
[[nodiscard]] View view_of(const Core& core);

/// What is broken, in one sentence; nothing, if all is well.
using Violation = std::optional<std::string_view>;

/// In one server at one moment.
[[nodiscard]] Violation broken_now(const View& view);
/// In one server from one step to a later one, without a restart between.
[[nodiscard]] Violation broken_between(const View& before, const View& after);
/// Between servers at one moment: election safety and log matching (Raft, figure 3).
[[nodiscard]] Violation broken_among(std::span<const View> views);

}  // namespace kuilt::raft
