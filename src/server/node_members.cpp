// node_members.cpp: a node as a member of its cluster: who the others are, who comes and goes, and
// whether it is one itself.
#include <utility>

#include "server/joining.hpp"
#include "server/node.hpp"

namespace kuilt::server {

// On the core thread.
void Node::on_members(raft::SharedConfiguration in_force, raft::SharedConfiguration committed) {
  facts_.members->follow(std::move(in_force), std::move(committed));
  const std::vector<PeerTarget> targets = facts_.members->targets();
  cluster::RoomPeers peers;
  for (const PeerTarget& target : targets) peers.peers.push_back(target.id);
  rooms_.put(std::move(peers));
  peers_->follow(targets);
  on_leadership(leadership_);  // Its name may be known only now.
  if (facts_.members->standing() == Standing::removed) return leave();
  serve_as_a_member_or_not();
}

// One that joins learns from its own log that it is a member: by then it lacks little of it.
void Node::serve_as_a_member_or_not() {
  std::optional<wire::Goodbye> away;
  const std::vector<std::string> others = facts_.members->other_endpoints();
  if (facts_.members->standing() == Standing::joining) {
    away = wire::Goodbye{.code = ErrorCode::not_a_member,
                         .message = "server " + facts_.name + " has yet to catch up with the log",
                         .retry_after = {},
                         .endpoints = others};
  }
  for (const auto& shard : shards_) shard->serve_as(others, away);
}

// Nothing that it could say or vote counts any more. What it has sent is on its way: the links live
// until the node is destroyed.
void Node::leave() {
  const std::string text = "server " + facts_.name + " was removed from the cluster";
  stop_by_itself(
      Error(ErrorCode::removed, Effect::none,
            text + " " + facts_.cluster.text() + " (node " + facts_.node.text() + ")"),
      {.code = ErrorCode::not_a_member, .message = text, .retry_after = {}, .endpoints = {}});
}

Result<ChangeBegun> Node::begin_change(const MembershipChange& change,
                                       std::function<void(const Status&)> judged) {
  const Members::View view = facts_.members->view();
  auto wanted = members_after(change, *view.in_force);
  if (!wanted) return std::move(wanted).error();
  const auto outcome = std::make_shared<std::promise<Status>>();
  ChangeBegun begun{outcome->get_future(), view.in_force->members, *wanted, facts_.members};
  const std::uint64_t number = changes_.add([outcome, judged](const Status& how) {
    outcome->set_value(how);
    if (judged) judged(how);
  });
  core_.put(cluster::ChangeMembers{number, {*std::move(wanted), true}, view.in_force});
  return begun;
}

MembershipStatus Node::membership() const {
  const CoreView view = core_view();
  return membership_of(facts_.members->view(), view.matches, view.last.index);
}

// On the links' thread; which runs before this node is whole, but whoever asks asks again.
void Node::on_join(const JoinAsked& asked) {
  PeerTransport* const peers = ready_peers_;
  if (peers == nullptr) return;
  const CoreView view = core_view();
  const Members::View members = facts_.members->view();
  auto verdict =
      verdict_on(asked.from, asked.request,
                 {.view = members,
                  .leads = view.role == raft::Role::leader,
                  .leader = view.leader ? facts_.members->find(*view.leader) : std::nullopt});
  const auto reply = [peers, to = asked.from](wire::JoinReply answer) {
    std::vector<cluster::PeerSend> one;
    one.push_back({to, std::move(answer)});
    peers->send(std::move(one));
  };
  if (auto* answer = std::get_if<wire::JoinReply>(&verdict)) return reply(std::move(*answer));
  // If it begins there is nothing to answer yet: it asks again, and is a member then.
  const std::string news = "server " + asked.request.name + " (node " + asked.from.text() + ", " +
                           asked.request.peer_url + ") joins";
  const std::uint64_t number = changes_.add([this, reply, news](const Status& judged) {
    if (!judged) return reply(refusal_of(judged.error()));
    on_news_(news);
  });
  core_.put(cluster::ChangeMembers{number, std::get<raft::ChangeMembership>(std::move(verdict)),
                                   members.in_force});
}

}  // namespace kuilt::server
