#include "server/changes.hpp"

#include <algorithm>
#include <utility>

#include "kuilt/detail/check.hpp"
#include "server/clock.hpp"

namespace kuilt::server {
namespace {

Error refused(const std::string& why) {
  return Error(ErrorCode::change_refused, Effect::none, why);
}
Error busy(const std::string& why) {
  return Error(ErrorCode::busy, Effect::none, why + "; try again within a second");
}

raft::Member* named(std::vector<raft::Member>& members, const std::string& name) {
  const auto found = std::ranges::find(members, name, &raft::Member::name);
  return found == members.end() ? nullptr : &*found;
}

Error unknown(const std::string& name, const std::vector<raft::Member>& members) {
  std::string names;
  for (const raft::Member& member : members) names += (names.empty() ? "" : ", ") + member.name;
  return Error(ErrorCode::unknown_server, Effect::none,
               "no server \"" + name + "\" in the cluster; there are: " + names);
}

std::string standing_of(const raft::Configuration& now, const raft::Member& member) {
  const bool votes = raft::Configuration::is_voter(now.members, member.id);
  if (!votes && raft::Configuration::is_voter(now.outgoing, member.id)) return "leaving";
  if (!votes && raft::Configuration::is_voter(now.wanted, member.id)) return "catching up";
  return votes ? "voter" : "learner";
}

std::string stage_of(const Members::View& view) {
  if (!view.in_force->wanted.empty()) return "catching up";
  if (view.in_force->is_joint()) return "joint";
  return view.is_settled() ? "settled" : "committing";
}

}  // namespace

Result<std::vector<raft::Member>> members_after(const MembershipChange& change,
                                                const raft::Configuration& now) {
  std::vector<raft::Member> members = now.members;
  std::vector<std::string> seen;
  for (const auto* names : {&change.promote, &change.demote, &change.remove}) {
    for (const std::string& name : *names) {
      raft::Member* member = named(members, name);
      if (std::ranges::find(seen, name) != seen.end()) {
        return refused("server " + name + " is named twice in one change");
      }
      if (member == nullptr) return unknown(name, now.members);
      seen.push_back(name);
      if (names == &change.remove) {
        std::erase_if(members, [&](const raft::Member& one) { return one.name == name; });
      } else {
        member->voter = names == &change.promote;
      }
    }
  }
  return members;
}

Status told_of(raft::ChangeRefusal refusal, const std::string& self) {
  switch (refusal) {
    case raft::ChangeRefusal::none: return Done{};
    case raft::ChangeRefusal::not_leader:
      return Error(ErrorCode::not_leader, Effect::none, "server " + self + " does not lead");
    case raft::ChangeRefusal::nothing_committed_in_term:
      return busy("server " + self + " leads only just, and has yet to commit an entry");
    case raft::ChangeRefusal::change_under_way:
      return busy("another change of the members is under way: `kuilt members` shows it");
    case raft::ChangeRefusal::handing_over: return busy("server " + self + " hands over the lead");
    case raft::ChangeRefusal::no_voters: return refused("no member would be left that votes");
    case raft::ChangeRefusal::same_members:
      return refused("the members are like that already: nothing would change");
    case raft::ChangeRefusal::too_many_members:
      return refused("a cluster has " + std::to_string(raft::members_max) + " members at most");
    case raft::ChangeRefusal::members_not_distinct:
      return refused("two members would have one name or one id");
    case raft::ChangeRefusal::unknown_learner:
      return refused("a server that is to vote at once is no learner yet");
    case raft::ChangeRefusal::learner_behind:
      return refused("a server that is to vote at once lacks too much of the log");
    case raft::ChangeRefusal::name_in_use:
      return refused(
          "a new server would have the name of a member that leaves only when it has caught up: "
          "remove that one first");
    case raft::ChangeRefusal::unsound_text:
      return refused("a name is over 1024 bytes, or a name or an address is not UTF-8");
    case raft::ChangeRefusal::too_large:
      return refused(
          "the members before and after the change do not fit one entry of the log: shorten their "
          "addresses, or change fewer at a time");
    case raft::ChangeRefusal::majority_silent:
      return refused(
          "so few of the servers that are to vote answer that nothing would be decided any more: "
          "start those that are silent, or remove one of them first");
  }
  KUILT_FAIL("a refusal is told");
}

Status outcome_of(const std::vector<raft::Member>& before, const std::vector<raft::Member>& wanted,
                  const std::vector<raft::Member>& now) {
  const auto in = [](const std::vector<raft::Member>& members, NodeId id) {
    const raft::Member* member = raft::Configuration::find_in(members, id);
    return member == nullptr ? raft::Member{} : *member;
  };
  std::vector<raft::Member> all = before;
  all.insert(all.end(), wanted.begin(), wanted.end());
  const bool is_through = std::ranges::all_of(all, [&](const raft::Member& one) {
    const raft::Member aim = in(wanted, one.id);
    return aim == in(before, one.id) || aim == in(now, one.id);
  });
  if (is_through) return Done{};
  return Error(ErrorCode::change_given_up, Effect::none,
               "the change of the members was given up: a server that was to vote was silent, or "
               "did not catch up, or the leader lost the lead before its first step was decided");
}

Result<MembershipStatus> follow_change(
    ChangeBegun& begun, Instant deadline,
    const std::function<void(const MembershipStatus&)>& on_progress) {
  const Error late(ErrorCode::timed_out, Effect::unknown,
                   "the change of the members did not get to its end in time, and goes on");
  if (begun.judged.wait_until(to_steady(deadline)) == std::future_status::timeout) return late;
  if (const Status judged = begun.judged.get(); !judged) {
    return Error(judged.error()).within("change the members");
  }
  // It is in force since before that was said.
  for (Members::View view = begun.members->view();;
       view = begun.members->view_after(view.version, deadline)) {
    MembershipStatus status = membership_of(view, {}, {});
    if (on_progress) on_progress(status);
    if (view.is_settled()) {
      const Status outcome = outcome_of(begun.before, begun.wanted, view.in_force->members);
      return outcome ? Result<MembershipStatus>(std::move(status))
                     : Error(outcome.error()).within("change the members");
    }
    if (begun.members->is_closed()) {
      return Error(ErrorCode::stopped, Effect::unknown,
                   "the server was stopped; the change of the members goes on without it");
    }
    if (now() >= deadline) return late;
  }
}

MembershipStatus membership_of(const Members::View& view, const std::map<NodeId, Index>& matches,
                               Index last) {
  const raft::Configuration& now = *view.in_force;
  std::vector<raft::Member> all = now.members;
  for (const raft::Member& member : now.outgoing) {
    if (raft::Configuration::find_in(now.members, member.id) == nullptr) all.push_back(member);
  }
  MembershipStatus status{stage_of(view), {}};
  for (const raft::Member& member : all) {
    const auto match = matches.find(member.id);
    std::optional<std::uint64_t> behind;
    if (match != matches.end()) {
      behind = last.value() - std::min(last.value(), match->second.value());
    }
    status.members.push_back({member.name, member.id, standing_of(now, member), member.peer_url,
                              member.client_url, behind});
  }
  std::ranges::sort(status.members, {}, &MemberStatus::name);
  return status;
}

}  // namespace kuilt::server
