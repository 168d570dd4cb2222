// catalogue.hpp: every server state, message and entry of an exploration once, by number.
//
// A group passes through millions of states, but each of its servers through thousands only. What
// an event does to a server depends on that server alone, so the real code runs once for each pair
// of them; all else is arithmetic on numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "explore/group.hpp"
#include "explore/hash.hpp"
#include "explore/promises.hpp"

namespace kuilt::explore {

using Number32 = std::uint32_t;

/// What happens to one server, by number.
struct Event {
  EventKind kind = EventKind::time_out;
  Slot from = 0;        ///< Who sent what is received.
  Number32 number = 0;  ///< The message; or which proposal it is; or how many writes survive.
};

/// What an event does to a server.
struct Effect {
  struct Sent {
    Slot to;
    Number32 message;
    friend bool operator==(const Sent&, const Sent&) = default;
  };
  Number32 server = 0;
  std::vector<Sent> sent;
  raft::Violation broken;
};

class Catalogue {
 public:
  /// Servers are named as they look under each of `orders`, which begin with the identity.
  Catalogue(std::shared_ptr<const Setting> setting, const std::vector<std::vector<Slot>>& orders,
            bool keep_twins);

  Number32 number_of(Server server);
  Number32 number_of(raft::Message message);

  [[nodiscard]] const Server& server(Number32 number) const { return *servers_[number].server; }
  [[nodiscard]] const Facts& facts(Number32 number) const { return servers_[number].facts; }
  /// Equal for servers that are one and the same up to the exchange of members that the order is.
  [[nodiscard]] Number32 name(Number32 server, std::size_t order) const {
    return servers_[server].names[order];
  }
  [[nodiscard]] const raft::Message& message(Number32 number) const { return messages_[number]; }
  [[nodiscard]] bool has_write_to_finish(Number32 server) const {
    return !servers_[server].server->disk().queue.empty();
  }

  /// What `event` does to that server; computed once. The reference holds until the next call.
  const Effect& effect(Number32 server, Event event);
  /// What two servers promise about each other.
  raft::Violation broken_among(Number32 one, Number32 other);

  /// Equal fingerprints must mean equal futures. With twins kept, compares all that was computed of
  /// the first server with a fingerprint with what comes of the last one with it, which got there
  /// on another way. In words, if they differ.
  [[nodiscard]] std::optional<std::string> twins_that_differ();
  [[nodiscard]] std::size_t twins() const;

  [[nodiscard]] std::size_t servers() const { return servers_.size(); }
  [[nodiscard]] std::size_t steps() const { return effects_.size(); }

 private:
  struct Known {
    std::unique_ptr<const Server> server;
    std::unique_ptr<const Server> twin;
    Facts facts;
    std::vector<Number32> names;  // By order.
  };

  Effect compute(const Server& before, Number32 number, Event event);
  Effects apply(Server& server, Event event) const;

  std::shared_ptr<const Setting> setting_;
  std::vector<std::vector<NodeId>> orders_;
  bool keep_twins_;
  std::vector<std::pair<Number32, Event>> computed_;  // Of servers that may have twins.
  std::vector<Known> servers_;
  std::vector<raft::Message> messages_;
  std::unordered_map<Hash, Number32, HashOfHash> names_;
  std::unordered_map<Hash, Number32, HashOfHash> server_numbers_;
  std::unordered_map<Hash, Number32, HashOfHash> message_numbers_;
  EntryNumbers entry_numbers_;
  std::unordered_map<Hash, Effect, HashOfHash> effects_;
  std::unordered_map<std::uint64_t, raft::Violation> pairs_;
};

}  // namespace kuilt::explore
