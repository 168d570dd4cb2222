// changes.hpp: changes of the members as people order them: by names, and with words for their
// ends.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kuilt/result.hpp"
#include "kuilt/server.hpp"
#include "raft/membership.hpp"
#include "server/members.hpp"

namespace kuilt::server {

/// All members, as the change wants them.
/// Errors: unknown_server, change_refused (a name that is to be two things).
[[nodiscard]] Result<std::vector<raft::Member>> members_after(const MembershipChange& change,
                                                              const raft::Configuration& now);

/// Done, or the error by which a change was refused.
/// Errors: not_leader, busy, change_refused, unknown_server.
[[nodiscard]] Status told_of(raft::ChangeRefusal refusal, const std::string& self);

/// What became of a change that had begun, once it is through: whoever was to become something
/// else than `before` is that now, or it was given up.
/// Errors: change_given_up.
[[nodiscard]] Status outcome_of(const std::vector<raft::Member>& before,
                                const std::vector<raft::Member>& wanted,
                                const std::vector<raft::Member>& now);

/// A change that has been ordered.
struct ChangeBegun {
  std::future<Status> judged;
  std::vector<raft::Member> before;
  std::vector<raft::Member> wanted;
  std::shared_ptr<const Members> members;
};
/// Waits for the end of it, and tells of every step.
/// Errors: what `judged` has, change_given_up, timed_out, stopped.
[[nodiscard]] Result<MembershipStatus> follow_change(
    ChangeBegun& begun, Instant deadline,
    const std::function<void(const MembershipStatus&)>& on_progress);

/// For people. `matches`: of the leader, how far the logs of the others are its own; `last` its
/// own.
[[nodiscard]] MembershipStatus membership_of(const Members::View& view,
                                             const std::map<NodeId, Index>& matches, Index last);

}  // namespace kuilt::server
