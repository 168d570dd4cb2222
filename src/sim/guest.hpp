// guest.hpp: what a simulated client does in rooms: it comes, talks and goes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "client/client_core.hpp"
#include "sim/scene.hpp"

namespace kuilt::sim {

/// What the guest needs of its client.
struct GuestOwner {
  std::function<void(Instant when, std::function<void()> action)> when_awake;
  std::function<void(client::Input)> step;
};

class Guest {
 public:
  Guest(Scene& scene, std::size_t number, GuestOwner owner);

  /// The client has started under that name. Returns what it is known by.
  wire::ClientSecret appear(const std::string& name);
  void start();
  /// The client's process has died.
  void vanish();
  /// Comes, talks and goes no more.
  void calm_down() { calm_ = true; }

  void told(const client::RoomTold& told);
  void delivered(const client::RoomDelivered& delivered);
  void ended(const client::RoomEnded& ended);

  /// Whether it knows just who is there, in every room that it is in.
  [[nodiscard]] bool knows_everybody() const;
  /// For people, when a run does not end.
  [[nodiscard]] std::string state() const;

 private:
  struct Membership {
    std::uint64_t number = 0;
    std::optional<RoomOracle::Members> roster;
  };

  void act_on();
  void act();
  void talk(const RoomName& room, const Membership& membership);

  Scene& scene_;
  GuestOwner owner_;
  Rng rng_;
  PeerId self_;
  bool calm_ = false;
  std::uint64_t last_number_ = 0;
  std::map<RoomName, Membership> memberships_;
};

}  // namespace kuilt::sim
