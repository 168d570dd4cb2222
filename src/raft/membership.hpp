// membership.hpp: how the members of a cluster change: what is asked for, and why it is refused.
//
// A change goes through up to three entries, each in force when it is appended and followed by the
// next once it is committed: (1) new servers join as learners, while `wanted` says where this
// leads; (2) once they have caught up, the joint configuration; (3) the wanted members alone.
// Whoever leads goes on with what the log says, so a change survives its leader.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kuilt/types.hpp"
#include "raft/configuration.hpp"

namespace kuilt::raft {

/// These are to be the members, all of them. Judged at once: the step's output says whether it was
/// refused, or which configuration to propose.
struct ChangeMembership {
  std::vector<Member> members;  ///< In any order.
  /// New voters first catch up as learners, and the leader promotes them. Otherwise they must be
  /// learners already, and not far behind.
  bool wait_for_learners = true;
};

enum class ChangeRefusal : std::uint8_t {
  none,
  not_leader,
  nothing_committed_in_term,  ///< An earlier leader's change may still be decided otherwise.
  change_under_way,
  handing_over,  ///< Of the lead: whoever leads next takes it.
  no_voters,
  same_members,
  too_many_members,
  members_not_distinct,  ///< An id or a name twice, or an id that is none.
  unknown_learner,       ///< It was not to wait, and a new voter is no learner.
  learner_behind,        ///< It was not to wait, and a new voter is behind.
  name_in_use,      ///< While a new server catches up, a member that leaves still has its name.
  unsound_text,     ///< A name is over 1024 bytes, or a name or an address is not UTF-8.
  too_large,        ///< Both sets of members together do not fit an entry of the log.
  majority_silent,  ///< Of those who are to vote so few answer that nothing would be decided.
};
[[nodiscard]] std::string_view name_of(ChangeRefusal refusal);

/// A configuration, and the index of its entry: it is in force from there on.
struct ConfigurationAt {
  Index at;  ///< Zero for the one that a core booted with: its entry is committed.
  SharedConfiguration configuration;
};

/// A learner on its way to being a voter (dissertation 4.2.1): each round replicates what was in
/// the log when the round began; once one was shorter than an election timeout, promoting it will
/// hardly be felt.
struct CatchUp {
  Index goal;
  Instant since{};
  std::uint32_t rounds = 0;  ///< Over, and too long.
  bool done = false;
};

/// Replication to a server that is no longer a member, until it knows.
struct Farewell {
  Index at;                         ///< The log through here tells it.
  std::uint64_t told_in_round = 0;  ///< The heartbeat round that says so is committed; 0: not yet.
  std::optional<Instant> until{};   ///< Whether it has understood or not.
};

}  // namespace kuilt::raft
