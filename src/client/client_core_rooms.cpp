// client_core_rooms.cpp: joining rooms, on every link anew, and what servers say of them.
#include "client/client_core.hpp"

#include <algorithm>

namespace kuilt::client {

void ClientCore::leave_room(const RoomName& room, Duties& duties) {
  if (memberships_.leave(room) && in_use_) {
    duties.push_back(Send{links_[*in_use_].dial, wire::LeaveRoom{room}});
  }
}

// Best effort: without a server that knows of the membership it is lost.
void ClientCore::say(SayCall& call, Duties& duties) {
  if (!in_use_ || !memberships_.is_asked(call.message.room)) return;
  call.message.number = ++last_said_;
  duties.push_back(Send{links_[*in_use_].dial, std::move(call.message)});
}

void ClientCore::leave_all_rooms(Duties& duties) {
  const Error stopped(ErrorCode::stopped, Effect::none, "the client was stopped");
  while (!memberships_.empty()) {
    const RoomName room = memberships_.first();
    duties.push_back(memberships_.end(room, stopped));
    if (in_use_) duties.push_back(Send{links_[*in_use_].dial, wire::LeaveRoom{room}});
  }
}

void ClientCore::end_all_rooms(const Error& error, Duties& duties) {
  while (!memberships_.empty()) {
    duties.push_back(memberships_.end(RoomName(memberships_.first()), error));
  }
}

void ClientCore::pump_rooms(Instant now, const Link& link, Duties& duties) {
  if (memberships_.empty()) return;
  if ((link.welcome->features & wire::feature_rooms) == 0) {
    return end_all_rooms(Error(ErrorCode::version_unsupported, Effect::none,
                               "server " + link.welcome->server_name + " knows no rooms"),
                         duties);
  }
  for (wire::Join& join : memberships_.ask(now)) duties.push_back(Send{link.dial, std::move(join)});
}

void ClientCore::on_roster(const Link& link, wire::Roster& roster, Duties& duties) {
  if (!in_use(link) || !memberships_.contains(roster.room)) return;
  duties.push_back(RoomTold{link.welcome->member, std::move(roster)});
}

void ClientCore::on_delivery(const Link& link, wire::Delivery& delivery, Duties& duties) {
  if (!in_use(link) || !memberships_.contains(delivery.room)) return;
  if (!heard_.is_news(delivery.from, delivery.room, delivery.number)) return;
  duties.push_back(RoomDelivered{std::move(delivery)});
}

void ClientCore::on_room_refusal(Instant now, const Link& link, wire::RoomRefusal& refusal,
                                 Duties& duties) {
  if (!in_use(link) || !memberships_.contains(refusal.room)) return;
  if (refusal.messages == 0) {
    if (!memberships_.is_of(refusal.room, refusal.join)) return;
    if (refusal.retry_after == Duration::zero()) {
      const Error error(refusal.code, Effect::none, refusal.message);
      return duties.push_back(memberships_.end(refusal.room, error));
    }
    const Duration asked = std::min(refusal.retry_after, patience_max);
    memberships_.ask_again(refusal.room, now + asked + full_jitter(rng_, asked));
  }
  duties.push_back(RoomRefused{std::move(refusal)});
}

}  // namespace kuilt::client
