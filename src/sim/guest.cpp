#include "sim/guest.hpp"

#include <array>
#include <utility>

#include "kuilt/detail/overloaded.hpp"

namespace kuilt::sim {
namespace {

constexpr Duration act_interval_max = std::chrono::milliseconds(300);
constexpr std::array room_names = {"lobby", "table 1", "table 2"};

}  // namespace

Guest::Guest(Scene& scene, std::size_t number, GuestOwner owner)
    : scene_(scene), owner_(std::move(owner)), rng_(scene.plan.rooms_seed + number) {}

wire::ClientSecret Guest::appear(const std::string& name) {
  const std::uint64_t high = rng_.next();
  const wire::ClientSecret secret(high, rng_.next());
  self_ = member_of(secret, name);
  return secret;
}

void Guest::start() {
  if (scene_.plan.rooms) act_on();
}

void Guest::vanish() {
  scene_.rooms.gone(self_);
  memberships_.clear();
}

void Guest::act_on() {
  owner_.when_awake(scene_.now() + up_to(rng_, act_interval_max), [this] {
    if (!calm_) act();
    act_on();
  });
}

void Guest::act() {
  const RoomName room = room_names.at(rng_.below(room_names.size()));
  const auto membership = memberships_.find(room);
  if (membership == memberships_.end()) {
    memberships_[room].number = ++last_number_;
    scene_.rooms.joined(self_, room);
    return owner_.step(client::JoinCall{room, last_number_});
  }
  if (rng_.chance(85)) return talk(room, membership->second);
  memberships_.erase(membership);
  scene_.rooms.left(self_, room);
  owner_.step(client::LeaveCall{room});
}

void Guest::talk(const RoomName& room, const Membership& membership) {
  PeerId to;
  if (membership.roster && rng_.chance(40)) {
    auto one = membership.roster->begin();
    std::advance(one, rng_.below(membership.roster->size()));
    to = *one;
  }
  owner_.step(client::SayCall{{room, "talk", to, scene_.rooms.say(self_, room, to)}});
}

void Guest::told(const client::RoomTold& told) {
  const auto found = memberships_.find(told.roster.room);
  if (found == memberships_.end()) return;
  if (told.self != self_) scene_.invariants.complain("a client is the same member on every server");
  std::optional<RoomOracle::Members>& roster = found->second.roster;
  const auto on_change = Overloaded{
      [&](const wire::RosterReset& whole) {
        roster.emplace();
        for (const RoomMember& one : whole.members) roster->insert(one.id);
        if (!roster->contains(self_)) {
          scene_.invariants.complain("whoever is told a whole roster is in it");
        }
      },
      [&](const wire::RosterChange& some) {
        if (!roster) return;  // Of an earlier membership.
        for (const wire::RosterEvent& one : some.events) {
          if (one.joined) {
            roster->insert(one.member.id);
          } else {
            roster->erase(one.member.id);
          }
        }
      },
  };
  std::visit(on_change, told.roster.change);
}

void Guest::delivered(const client::RoomDelivered& delivered) {
  scene_.invariants.complain(scene_.rooms.delivered(self_, delivered.delivery));
}

void Guest::ended(const client::RoomEnded& ended) {
  const auto found = memberships_.find(ended.room);
  if (found == memberships_.end() || found->second.number != ended.number) return;
  memberships_.erase(found);
  scene_.rooms.left(self_, ended.room);
}

std::string Guest::state() const {
  std::string text;
  for (const auto& [room, membership] : memberships_) {
    text += ", in " + room +
            (membership.roster ? " with " + std::to_string(membership.roster->size()) : "");
  }
  return text;
}

bool Guest::knows_everybody() const {
  for (const auto& [room, membership] : memberships_) {
    if (membership.roster != scene_.rooms.rooms().at(room)) return false;
  }
  return true;
}

}  // namespace kuilt::sim
