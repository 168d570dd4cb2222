#include "explore/catalogue.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace kuilt::explore {
namespace {

template <class Map>
Number32 number_in(Map& map, Hash hash) {
  return map.try_emplace(hash, static_cast<Number32>(map.size())).first->second;
}

}  // namespace

Catalogue::Catalogue(std::shared_ptr<const Setting> setting,
                     const std::vector<std::vector<Slot>>& orders, bool keep_twins)
    : setting_(std::move(setting)), keep_twins_(keep_twins) {
  for (const std::vector<Slot>& order : orders) {
    std::vector<NodeId>& ids = orders_.emplace_back();
    for (const Slot slot : order) ids.push_back(node_id(slot));
  }
}

Number32 Catalogue::number_of(raft::Message message) {
  const Number32 number = number_in(message_numbers_, hash_of(text_of(message)));
  if (number == messages_.size()) messages_.push_back(std::move(message));
  return number;
}

Number32 Catalogue::number_of(Server server) {
  const Hash hash = hash_of(server.fingerprint(orders_.front()));
  const auto known = server_numbers_.find(hash);
  // A server keeps its slot, which its fingerprint names.
  if (known != server_numbers_.end()) {
    if (keep_twins_) {
      servers_[known->second].twin = std::make_unique<const Server>(std::move(server));
    }
    return known->second;
  }
  const auto number = static_cast<Number32>(servers_.size());
  server_numbers_.emplace(hash, number);
  Known& entry = servers_.emplace_back();
  for (const std::vector<NodeId>& order : orders_) {
    entry.names.push_back(number_in(names_, hash_of(server.fingerprint(order))));
  }
  entry.facts = facts_of(server, entry_numbers_);
  entry.server = std::make_unique<const Server>(std::move(server));
  return number;
}

const Effect& Catalogue::effect(Number32 server, Event event) {
  const std::array<std::uint32_t, 3> key{
      server, static_cast<std::uint32_t>(event.kind) << 8 | static_cast<std::uint32_t>(event.from),
      event.number};
  const Hash hash = hash_of(std::span<const std::uint32_t>(key));
  const auto known = effects_.find(hash);
  if (known != effects_.end()) return known->second;
  if (keep_twins_) computed_.emplace_back(server, event);
  return effects_.emplace(hash, compute(this->server(server), server, event)).first->second;
}

Effects Catalogue::apply(Server& server, Event event) const {
  switch (event.kind) {
    case EventKind::time_out: return server.time_out();
    case EventKind::beat: return server.beat();
    case EventKind::send_again: return server.send_again();
    case EventKind::propose: return server.propose("x" + std::to_string(event.number));
    case EventKind::finish_write: return server.finish_write();
    case EventKind::crash: return server.crash(event.number);
    case EventKind::receive: return server.receive(event.from, message(event.number));
    case EventKind::receive_after_silence:
      return server.receive_after_silence(event.from, message(event.number));
  }
  KUILT_FAIL("an event has a kind");
}

Effect Catalogue::compute(const Server& before, Number32 number, Event event) {
  Server server = before;
  Effects effects = apply(server, event);
  Effect effect;
  effect.broken = raft::broken_now(raft::view_of(server.core()));
  if (raft::tells_of_a_fault(effects.refused) && !setting_->disks_lie) {
    effect.broken = "no server is refused for what only a fault explains";
  }
  for (raft::Outgoing& outgoing : effects.sent) {
    const NodeId self = server.core().self();
    if (!effect.broken) effect.broken = broken_promise(server.disk(), self, outgoing);
    const bool heartbeat = std::holds_alternative<raft::Heartbeat>(outgoing.message);
    if (heartbeat && setting_->heartbeats_lost) continue;
    effect.sent.push_back(
        {slot_of(outgoing.to, setting_->voters()), number_of(std::move(outgoing.message))});
  }
  effect.server = number_of(std::move(server));
  if (!effect.broken && event.kind != EventKind::crash) {
    effect.broken = raft::broken_between(facts(number).view, facts(effect.server).view);
  }
  return effect;
}

std::optional<std::string> Catalogue::twins_that_differ() {
  keep_twins_ = false;  // Those that come of twins need none.
  for (const auto& [number, event] : std::exchange(computed_, {})) {
    const Server* twin = servers_[number].twin.get();
    if (twin == nullptr) continue;
    const Effect first = effect(number, event);
    const Effect other = compute(*twin, number, event);
    if (other.server == first.server && other.sent == first.sent) continue;
    return "equal fingerprints, different futures: " + twin->text() + " (event " +
           std::to_string(static_cast<int>(event.kind)) + ")";
  }
  return std::nullopt;
}

std::size_t Catalogue::twins() const {
  const auto has_twin = [](const Known& known) { return known.twin != nullptr; };
  return static_cast<std::size_t>(std::ranges::count_if(servers_, has_twin));
}

raft::Violation Catalogue::broken_among(Number32 one, Number32 other) {
  const auto key = std::uint64_t{one} << 32 | other;
  const auto known = pairs_.find(key);
  if (known != pairs_.end()) return known->second;
  const std::array<raft::View, 2> views{facts(one).view, facts(other).view};
  return pairs_.emplace(key, raft::broken_among(views)).first->second;
}

}  // namespace kuilt::explore
