// joining.hpp: what a member answers to a server that asks to be one.
//
// Pure. The server that joins asks again and again, every member, until the answer is that it is a
// member: so a lost message, a leader that changes and a crash on either side cost time only.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "raft/membership.hpp"
#include "server/members.hpp"
#include "wire/peer_messages.hpp"

namespace kuilt::server {

/// What the member that is asked knows.
struct AskedToJoin {
  Members::View view;
  bool leads = false;
  std::optional<raft::Member> leader;  ///< As far as it is known.
};

/// An answer, or the change that makes the asker a member: a learner first, a voter as soon as it
/// has caught up. To be judged by the core; `change_refused` is the answer then.
using JoinVerdict = std::variant<wire::JoinReply, raft::ChangeMembership>;
[[nodiscard]] JoinVerdict verdict_on(NodeId from, const wire::JoinRequest& request,
                                     const AskedToJoin& asked);

[[nodiscard]] wire::JoinReply refusal_of(const Error& error);

}  // namespace kuilt::server
