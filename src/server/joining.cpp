#include "server/joining.hpp"

#include <algorithm>
#include <utility>

namespace kuilt::server {
namespace {

wire::JoinReply refused(ErrorCode code, std::string message, std::string leader = {}) {
  return {wire::JoinRefused{code, std::move(message), std::move(leader)}};
}

}  // namespace

wire::JoinReply refusal_of(const Error& error) { return refused(error.code(), error.message()); }

JoinVerdict verdict_on(NodeId from, const wire::JoinRequest& request, const AskedToJoin& asked) {
  const raft::Configuration& now = *asked.view.in_force;
  const raft::Configuration& committed = *asked.view.committed;
  if (committed.find(from) != nullptr && now.find(from) != nullptr) {
    return wire::JoinReply{wire::JoinAccepted{wire::encode_configuration_record(committed)}};
  }
  if (!asked.leads && asked.leader) {
    return refused(ErrorCode::not_leader, "server " + asked.leader->name + " leads",
                   asked.leader->peer_url);
  }
  if (!asked.leads) return refused(ErrorCode::no_leader, "no leader is known");
  if (!asked.view.is_settled()) {
    return refused(ErrorCode::busy, "a change of the members is under way");
  }
  const auto namesake = std::ranges::find(now.members, request.name, &raft::Member::name);
  if (namesake != now.members.end()) {
    return refused(ErrorCode::name_taken,
                   "cluster " + now.cluster.text() + " has a server " + request.name +
                       " already, with another data directory (node id " + namesake->id.text() +
                       ", this one has " + from.text() +
                       "): choose another name; or, if that directory is lost, let this server "
                       "take its place: kuilt members replace " +
                       request.name + ", and start it again");
  }
  raft::ChangeMembership change{now.members, true};
  change.members.push_back({from, request.name, request.peer_url, request.client_url, true});
  return change;
}

}  // namespace kuilt::server
