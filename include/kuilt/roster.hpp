// roster.hpp: who is in a room.
#pragma once

#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kuilt/detail/export.hpp"
#include "kuilt/types.hpp"

namespace kuilt {

/// One member of rooms: a client, under one name, in one cluster. The same on every server, so that
/// a client that moves to another one stays who it is; nobody can take it without the secret that
/// it is made of, and it does not show that secret (docs/protocol.md, "Rooms").
class PeerId : public Id<struct PeerIdTag> {
 public:
  using Id::Id;
  constexpr PeerId() = default;
  constexpr PeerId(Id<PeerIdTag> id) : Id(id) {}

  /// For tests and examples, where real ids come from a server.
  [[nodiscard]] static constexpr PeerId named(std::string_view name) { return Id::named(name); }
  /// Reads what `text()` wrote: 32 hexadecimal digits. Nothing, if it is anything else.
  [[nodiscard]] static constexpr std::optional<PeerId> parse(std::string_view text) {
    const auto id = Id::parse(text);
    return id ? std::optional<PeerId>(*id) : std::nullopt;
  }
  /// A learner that its caller manages is a node under the id that it has among members.
  constexpr operator NodeId() const { return {high(), low()}; }
};
/// One who is there; the name is what the servers take them for.
struct RoomMember {
  PeerId id;
  std::string name;  ///< Who the servers take the member for. Two members may share a name.
  friend bool operator==(const RoomMember&, const RoomMember&) = default;
};

/// The members of one room at one moment, oneself among them, by their ids.
///
/// Threads: a value.
class KUILT_API Roster {
 public:
  Roster() = default;
  /// In any order; of those with one id, one is kept.
  explicit Roster(std::vector<RoomMember> members);

  [[nodiscard]] bool empty() const { return members_.empty(); }
  [[nodiscard]] std::size_t size() const { return members_.size(); }
  [[nodiscard]] bool contains(PeerId id) const { return find(id) != nullptr; }
  /// Null, if there is no such member.
  [[nodiscard]] const RoomMember* find(PeerId id) const;
  [[nodiscard]] auto begin() const { return members_.begin(); }
  [[nodiscard]] auto end() const { return members_.end(); }
  friend bool operator==(const Roster&, const Roster&) = default;

 private:
  std::vector<RoomMember> members_;
};

}  // namespace kuilt
