// rooms_fixture.hpp: servers' rooms on a network that the test moves by hand.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cluster/rooms.hpp"
#include "kuilt/detail/overloaded.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::cluster {

using namespace std::chrono_literals;

/// Servers named "a", "b", … with their hubs; links are numbers, and what each was told is kept.
class RoomWorld {
 public:
  explicit RoomWorld(std::size_t servers, const RoomOptions& options = {}) : options_(options) {
    for (std::size_t i = 0; i < servers; ++i) names_.push_back(std::string(1, char('a' + int(i))));
    for (const std::string& name : names_) start(name);
    run();
  }

  /// Everything that is said arrives, at once and in order, until nobody says anything.
  void run() {
    while (!flying_.empty()) {
      const Flying one = std::move(flying_.front());
      flying_.pop_front();
      if (cut_.contains({one.from, one.to}) || !hubs_.contains(one.to)) continue;
      // Through the codecs, as on a link.
      auto message = wire::decode_peer(wire::encode(one.message)).or_throw();
      if (auto* rooms = std::get_if<wire::PeerRooms>(&message)) {
        give(one.to, RoomsFromPeer{id(one.from), std::move(*rooms)});
      } else {
        give(one.to, RoomsTakenByPeer{id(one.from), std::get<wire::PeerRoomsTaken>(message)});
      }
    }
  }
  void give(const std::string& server, RoomInput input) {
    std::vector<RoomInput> inputs;
    inputs.push_back(std::move(input));
    step(server, std::move(inputs));
  }
  /// Gives each server a turn at least as often as it asks for.
  void pass(Duration time) {
    const Instant end = now_ + time;
    while (true) {
      run();
      Instant next = end;
      for (const auto& [name, hub] : hubs_) next = std::min(next, wake_at_.at(name));
      now_ = std::max(now_, next);
      for (const std::string& name : names_) {
        if (hubs_.contains(name) && wake_at_.at(name) <= now_) step(name, {});
      }
      run();
      if (now_ >= end) return;
    }
  }

  void join(const std::string& server, std::uint64_t link, const std::string& who,
            const RoomName& room, wire::Encoding encoding = wire::Encoding::protobuf) {
    give(server, RoomJoin{LinkId(link), encoding, {PeerId::named(who), who}, {room, link}});
    run();
  }
  void leave(const std::string& server, std::uint64_t link, const RoomName& room) {
    give(server, RoomLeave{LinkId(link), room});
    run();
  }
  void tear(const std::string& server, std::uint64_t link) {
    give(server, RoomLinkClosed{LinkId(link)});
    run();
  }
  /// To all others if `to` is empty.
  void say(const std::string& server, std::uint64_t link, const RoomName& room,
           const std::string& body, const std::string& to = "") {
    const PeerId id = to.empty() ? PeerId() : PeerId::named(to);
    give(server, RoomSay{LinkId(link), wire::Encoding::protobuf, {room, "chat", id, Bytes(body)}});
    run();
  }

  void start(const std::string& name) {
    std::vector<NodeId> others;
    for (const std::string& other : names_) {
      if (other != name) others.push_back(id(other));
    }
    hubs_.erase(name);
    hubs_.emplace(name, RoomHub(options_, others, ++seed_, now_));
    wake_at_[name] = now_;
    for (const std::string& other : names_) {
      if (other == name || !hubs_.contains(other)) continue;
      give(other, PeerUp{id(name)});
      give(name, PeerUp{id(other)});
    }
  }
  /// Its links are torn without a word.
  void kill(const std::string& name) {
    hubs_.erase(name);
    for (const auto& [other, hub] : hubs_) give(other, PeerDown{id(name)});
  }
  void cut(const std::string& one, const std::string& other) {
    cut_.insert({one, other});
    cut_.insert({other, one});
  }
  void mend(const std::string& one, const std::string& other) {
    cut_.erase({one, other});
    cut_.erase({other, one});
  }

  [[nodiscard]] RoomHub& hub(const std::string& name) { return hubs_.at(name); }
  [[nodiscard]] Instant now() const { return now_; }
  /// Names of whom the server takes for present, in their order.
  [[nodiscard]] std::vector<std::string> present(const std::string& server,
                                                 const RoomName& room) const {
    std::vector<std::string> names;
    for (const RoomMember& one : hubs_.at(server).members(room)) names.push_back(one.name);
    std::ranges::sort(names);
    return names;
  }
  /// What that link was told since the last call: "whole ann bob", "+ann", "-ann", "ann: text",
  /// "refused busy 3".
  [[nodiscard]] std::vector<std::string> told(std::uint64_t link) {
    return std::exchange(told_[link], {});
  }
  [[nodiscard]] std::size_t encodings() const { return encodings_; }
  [[nodiscard]] static NodeId id(const std::string& server) { return NodeId::named(server); }

 private:
  struct Flying {
    std::string from;
    std::string to;
    wire::PeerMessage message;
  };

  void step(const std::string& server, std::vector<RoomInput> inputs) {
    RoomOutput out = hubs_.at(server).step(now_, std::move(inputs));
    wake_at_[server] = out.wake_at;
    for (const RoomFrame& frame : out.frames) {
      ++encodings_;
      for (const LinkId to : frame.to) note(to, frame.frame);
    }
    for (PeerSend& send : out.peers) {
      const auto to = std::ranges::find_if(
          names_, [&](const std::string& name) { return id(name) == send.to; });
      flying_.push_back({server, *to, std::move(send.message)});
    }
  }
  void note(LinkId link, const Bytes& frame) {
    const bool is_json = frame.text().starts_with("{");
    const auto message =
        wire::decode_server(frame, is_json ? wire::Encoding::json : wire::Encoding::protobuf)
            .or_throw();
    std::vector<std::string>& told = told_[link.value()];
    if (const auto* roster = std::get_if<wire::Roster>(&message)) {
      const auto on_change = Overloaded{
          [&](const wire::RosterReset& whole) {
            std::vector<std::string> names;
            for (const RoomMember& one : whole.members) names.push_back(one.name);
            std::ranges::sort(names);
            std::string line = "whole";
            for (const std::string& name : names) line += " " + name;
            told.push_back(line);
          },
          [&](const wire::RosterChange& some) {
            for (const wire::RosterEvent& one : some.events) {
              told.push_back((one.joined ? "+" : "-") + one.member.name);
            }
          },
      };
      std::visit(on_change, roster->change);
    } else if (const auto* said = std::get_if<wire::Delivery>(&message)) {
      told.push_back(name_of_member(said->from) + ": " + std::string(said->body.text()));
    } else {
      const auto& refusal = std::get<wire::RoomRefusal>(message);
      told.push_back("refused " + std::string(name_of(refusal.code)) + " " +
                     std::to_string(refusal.messages) + ": " + refusal.message);
    }
  }
  [[nodiscard]] static std::string name_of_member(PeerId id) {
    for (const std::string name : {"ann", "bob", "cat", "dan"}) {
      if (PeerId::named(name) == id) return name;
    }
    return "?";
  }

  RoomOptions options_;
  std::vector<std::string> names_;
  std::map<std::string, RoomHub> hubs_;
  std::map<std::string, Instant> wake_at_;
  std::deque<Flying> flying_;
  std::set<std::pair<std::string, std::string>> cut_;
  std::map<std::uint64_t, std::vector<std::string>> told_;
  Instant now_{};
  std::uint64_t seed_ = 0;
  std::size_t encodings_ = 0;
};

}  // namespace kuilt::cluster
