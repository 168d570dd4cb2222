// client_core_rooms.hpp: the rooms that a client is a member of, across links.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "client/client_core_values.hpp"
#include "kuilt/detail/rng.hpp"

namespace kuilt::client {

/// Tells a message that was heard before, or that is late: a broadcast goes to each server by
/// itself, so that a reader who moves may find there what it has heard already. Remembers the last
/// number of a bounded number of senders, those heard of late; in each room by itself, for one
/// sender may have a link for each.
class HeardMessages {
 public:
  [[nodiscard]] bool is_news(PeerId from, const RoomName& room, std::uint64_t number) {
    if (number == 0) return true;  // The sender does not count.
    Sender sender(from, room);
    if (const auto before = older_.find(sender); before != older_.end()) {
      last_.emplace(sender, before->second);
    }
    std::uint64_t& last = last_[std::move(sender)];
    if (number <= last) return false;
    last = number;
    if (last_.size() > senders_max) older_ = std::exchange(last_, {});
    return true;
  }

 private:
  static constexpr std::size_t senders_max = 8192;
  using Sender = std::pair<PeerId, RoomName>;
  std::map<Sender, std::uint64_t> last_;
  std::map<Sender, std::uint64_t> older_;
};

/// Which rooms are joined, and on which of them the server of the link in use has yet to be asked.
class Memberships {
 public:
  void join(JoinCall call) {
    rooms_.try_emplace(std::move(call.room), Membership{call.number, false, {}});
  }
  /// Whether the server has to hear of it.
  bool leave(const RoomName& room) {
    const auto left = rooms_.extract(room);
    return !left.empty() && left.mapped().asked;
  }
  /// The link in use is gone, and with it whatever its server was asked.
  void link_down() {
    for (auto& [room, one] : rooms_) {
      one.asked = false;
      one.not_before = {};
    }
  }
  /// Joins that are due.
  [[nodiscard]] std::vector<wire::Join> ask(Instant now) {
    std::vector<wire::Join> joins;
    for (auto& [room, one] : rooms_) {
      if (one.asked || now < one.not_before) continue;
      one.asked = true;
      joins.push_back({room, one.number});
    }
    return joins;
  }
  /// A join was refused for now.
  void ask_again(const RoomName& room, Instant not_before) {
    const auto found = rooms_.find(room);
    if (found == rooms_.end()) return;
    found->second.asked = false;
    found->second.not_before = not_before;
  }
  [[nodiscard]] bool contains(const RoomName& room) const { return rooms_.contains(room); }
  /// Whether that join made the membership that there is; else it was left, or made anew since.
  [[nodiscard]] bool is_of(const RoomName& room, std::uint64_t number) const {
    const auto found = rooms_.find(room);
    return found != rooms_.end() && found->second.number == number;
  }
  /// Asked on the link in use: what is said there finds a member.
  [[nodiscard]] bool is_asked(const RoomName& room) const {
    const auto found = rooms_.find(room);
    return found != rooms_.end() && found->second.asked;
  }
  /// Membership ends for that reason. Pre: there is one.
  RoomEnded end(const RoomName& room, const Error& error) {
    auto ended = rooms_.extract(room);
    return {std::move(ended.key()), ended.mapped().number, error};
  }
  [[nodiscard]] const RoomName& first() const { return rooms_.begin()->first; }
  [[nodiscard]] bool empty() const { return rooms_.empty(); }
  [[nodiscard]] Instant wake_at() const {
    Instant at = Instant::max();
    for (const auto& [room, one] : rooms_) {
      if (!one.asked) at = std::min(at, one.not_before);
    }
    return at;
  }

 private:
  struct Membership {
    std::uint64_t number = 0;
    bool asked = false;
    Instant not_before{};
  };
  std::map<RoomName, Membership> rooms_;
};

}  // namespace kuilt::client
