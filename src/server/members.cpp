#include "server/members.hpp"

#include <utility>

#include "server/clock.hpp"

namespace kuilt::server {

Members::Members(Start start)
    : self_(start.self),
      told_(std::move(start.told)),
      client_urls_(std::move(start.client_urls)),
      own_url_(std::move(start.own_url)),
      was_member_(start.was_member) {
  view_.in_force = std::move(start.in_force);
  view_.committed = std::move(start.committed);
  view_.standing = standing_now();
}

void Members::follow(raft::SharedConfiguration in_force, raft::SharedConfiguration committed) {
  const std::lock_guard lock(mutex_);
  view_.in_force = std::move(in_force);
  view_.committed = std::move(committed);
  if (view_.committed->find(self_) != nullptr) was_member_ = true;
  view_.standing = standing_now();
  view_.version += 1;
  changed_.notify_all();
}

// A configuration that leaves this server out may yet be undone, as long as it is not committed.
Standing Members::standing_now() const {
  if (view_.in_force->find(self_) != nullptr || view_.committed->find(self_) != nullptr) {
    return Standing::member;
  }
  return was_member_ ? Standing::removed : Standing::joining;
}

void Members::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

Members::View Members::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

Members::View Members::view_after(std::uint64_t version, Instant until) const {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, to_steady(until), [&] { return closed_ || view_.version != version; });
  return view_;
}

bool Members::is_closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

raft::SharedConfiguration Members::now() const {
  const std::lock_guard lock(mutex_);
  const bool knows_more = told_ && view_.standing == Standing::joining;
  return knows_more ? told_ : view_.in_force;
}

// Of one that occurs more than once, what was said last.
std::vector<raft::Member> Members::everybody() const {
  const View seen = view();
  std::map<NodeId, raft::Member> all;
  const auto add = [&all](const std::vector<raft::Member>& members) {
    for (const raft::Member& member : members) all.insert_or_assign(member.id, member);
  };
  add(seen.committed->outgoing);
  add(seen.committed->members);
  add(seen.in_force->outgoing);
  add(seen.in_force->members);
  // A log that is being brought up to date speaks of times long gone.
  if (told_ && seen.standing == Standing::joining) add(told_->members);
  std::vector<raft::Member> members;
  for (auto& [id, member] : all) members.push_back(std::move(member));
  return members;
}

std::optional<raft::Member> Members::find(NodeId id) const {
  for (raft::Member& member : everybody()) {
    if (member.id == id) return std::move(member);
  }
  return std::nullopt;
}

std::string Members::url_of(const raft::Member& member) const {
  if (member.id == self_) return own_url_;
  const auto known = client_urls_.find(member.name);
  return known != client_urls_.end() ? known->second : member.client_url;
}

cluster::LeaderView Members::leader_view(std::optional<NodeId> leader) const {
  const auto member = leader ? find(*leader) : std::nullopt;
  return member ? cluster::LeaderView{member->name, url_of(*member)} : cluster::LeaderView{};
}

std::vector<std::string> Members::other_endpoints() const {
  std::vector<std::string> urls;
  for (const raft::Member& member : now()->members) {
    if (member.id != self_) urls.push_back(url_of(member));
  }
  return urls;
}

std::vector<std::string> Members::endpoints() const {
  std::vector<std::string> urls = other_endpoints();
  urls.insert(urls.begin(), own_url_);
  return urls;
}

std::vector<PeerTarget> Members::targets() const {
  std::vector<PeerTarget> targets;
  for (const raft::Member& member : everybody()) {
    if (member.id != self_) targets.push_back({member.name, member.peer_url, member.id});
  }
  return targets;
}

}  // namespace kuilt::server
