#include "server/transfers.hpp"

#include <future>
#include <memory>
#include <utility>

namespace kuilt::server {

Result<std::optional<NodeId>> member_named(const std::string& name,
                                           const raft::Configuration& configuration) {
  if (name.empty()) return std::optional<NodeId>();
  std::string names;
  for (const raft::Member& member : configuration.members) {
    if (member.name == name) return std::optional(member.id);
    names += (names.empty() ? "" : ", ") + member.name;
  }
  return Error(ErrorCode::unknown_server, Effect::none,
               "no server \"" + name + "\" in the cluster; there are: " + names);
}

Result<std::string> await_transfer(const std::function<void(TransferDone)>& begin,
                                   Duration patience) {
  const auto ended = std::make_shared<std::promise<Result<std::string>>>();
  std::future<Result<std::string>> end = ended->get_future();
  begin([ended](Result<std::string> how) { ended->set_value(std::move(how)); });
  if (end.wait_for(patience) == std::future_status::ready) return end.get();
  return Error(ErrorCode::transfer_failed, Effect::unknown,
               "the hand-over of the lead did not end in time");
}

Result<std::string> told_of(const raft::TransferEnded& ended, const std::string& self,
                            const raft::Configuration& configuration) {
  const raft::Member* member = ended.target ? configuration.find(*ended.target) : nullptr;
  const std::string target = member != nullptr ? "server " + member->name : "that server";
  switch (ended.end) {
    case raft::TransferEnd::done: return member != nullptr ? member->name : self;
    case raft::TransferEnd::not_leader:
      return Error(ErrorCode::not_leader, Effect::none, "server " + self + " does not lead");
    case raft::TransferEnd::under_way:
      return Error(ErrorCode::busy, Effect::none,
                   "server " + self + " hands over the lead already; try again within a second");
    case raft::TransferEnd::unknown_target:
      return Error(ErrorCode::unknown_server, Effect::none,
                   "no member of the cluster has that node id");
    case raft::TransferEnd::target_does_not_vote:
      return Error(ErrorCode::not_a_voter, Effect::none, target + " does not vote");
    case raft::TransferEnd::target_silent:
      return Error(ErrorCode::transfer_failed, Effect::none,
                   target + " is not heard by the leader, server " + self);
    case raft::TransferEnd::target_disk_stalled:
      return Error(ErrorCode::transfer_failed, Effect::none,
                   "the disk of " + target + " hangs, so it could not stand");
    case raft::TransferEnd::no_successor:
      return Error(ErrorCode::transfer_failed, Effect::none,
                   "there is no other voter that server " + self + " hears");
    case raft::TransferEnd::target_behind:
      return Error(ErrorCode::target_behind, Effect::none,
                   target + " did not have the whole log in time; server " + self + " leads on");
    case raft::TransferEnd::target_not_won:
      return Error(ErrorCode::transfer_failed, Effect::unknown,
                   target + " did not win in time; if no other server leads by now, server " +
                       self + " leads on");
    case raft::TransferEnd::another_won:
      return Error(ErrorCode::transfer_failed, Effect::none,
                   "another server than " + target + " was elected");
  }
  KUILT_FAIL("an end is told");
}

}  // namespace kuilt::server
