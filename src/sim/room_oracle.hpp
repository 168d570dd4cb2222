// room_oracle.hpp: who is in which room, and what was said there, as all clients know together.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "sim/oracle.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::sim {

/// Who a client is among members: in place of the real servers' digest.
[[nodiscard]] inline PeerId member_of(wire::ClientSecret secret, const std::string& name) {
  return PeerId::named(secret.text() + name);
}

/// A message is delivered at most once, to whom it was meant for, and is one that was said; those
/// of one sender in a room are heard in their order. In the end the rosters of all servers and of
/// all members are who is there.
class RoomOracle {
 public:
  using Members = std::set<PeerId>;

  void joined(PeerId who, const RoomName& room) { rooms_[room].insert(who); }
  void left(PeerId who, const RoomName& room) { rooms_[room].erase(who); }
  /// Its process died.
  void gone(PeerId who) {
    for (auto& [room, members] : rooms_) members.erase(who);
  }
  [[nodiscard]] const std::map<RoomName, Members>& rooms() const { return rooms_; }

  /// A body that no other message has.
  Bytes say(PeerId from, const RoomName& room, PeerId to) {
    said_.push_back({from, room, to, {}});
    return Bytes(std::to_string(said_.size() - 1));
  }
  Violation delivered(PeerId reader, const wire::Delivery& delivery) {
    const std::string text(delivery.body.text());
    const bool is_number = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
    const std::size_t number = is_number && text.size() < 10 ? std::stoul(text) : said_.size();
    if (number >= said_.size()) return "a message that is delivered was said";
    Said& said = said_[number];
    if (said.from != delivery.from || said.room != delivery.room) {
      return "a message comes from who said it, in the room where it was said";
    }
    const bool is_meant = said.to.is_none() ? reader != said.from : reader == said.to;
    if (!is_meant) return "a message is delivered to whom it is for";
    if (!said.heard_by.insert(reader).second) return "a message is delivered at most once";
    std::size_t& next = next_[{reader, said.from, said.room}];
    if (number < next) return "messages of one sender are heard in their order";
    next = number + 1;
    ++heard_;
    return std::nullopt;
  }
  [[nodiscard]] std::size_t said() const { return said_.size(); }
  [[nodiscard]] std::size_t heard() const { return heard_; }

 private:
  struct Said {
    PeerId from;
    RoomName room;
    PeerId to;
    Members heard_by;
  };
  std::map<RoomName, Members> rooms_;
  std::vector<Said> said_;
  std::map<std::tuple<PeerId, PeerId, RoomName>, std::size_t> next_;  ///< By reader and sender.
  std::size_t heard_ = 0;
};

}  // namespace kuilt::sim
