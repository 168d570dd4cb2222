// group.hpp: a small group in the open: its servers, and the messages between them in order.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "explore/promises.hpp"
#include "explore/server.hpp"

namespace kuilt::explore {

/// What may happen to one server.
enum class EventKind : std::uint8_t {
  time_out,
  beat,
  send_again,
  propose,
  finish_write,
  crash,
  receive,
  receive_after_silence,
};

/// One thing that happens to a group.
struct Action {
  enum class What : std::uint8_t {
    event,
    deliver,
    deliver_after_silence,  ///< For an election timeout the receiver heard no leader.
    lose,
    repeat,    ///< It is delivered, and stays on its way.
    campaign,  ///< `server` times out, and one pre-vote, that of `from`, comes at once.
  };
  What what = What::event;
  EventKind kind = EventKind::time_out;  ///< Of an event.
  std::uint8_t server = 0;               ///< Where it happens; where a message goes.
  std::uint8_t from = 0;                 ///< Where a message comes from.
  std::uint8_t number = 0;               ///< Its place on the way; or how many writes survive.
  bool slow = true;  ///< Writes that come of it wait; else an idle disk is done with them at once.
};

[[nodiscard]] Action event_at(Slot slot, EventKind kind, std::size_t number = 0);
[[nodiscard]] Action message_to(Slot to, Slot from, Action::What fate, std::size_t place = 0);
/// A campaign consists of other actions; this is the one after the first `done` of them. `newest`
/// gives the message that was sent last from one server to another, and its place on the way.
struct Newest {
  const raft::Message* message = nullptr;
  std::size_t place = 0;
};
using NewestOnTheWay = std::function<Newest(Slot from, Slot to)>;
[[nodiscard]] std::optional<Action> action_of_campaign(const Action& campaign, std::size_t voters,
                                                       std::size_t& done,
                                                       const NewestOnTheWay& newest);

/// Does one action after the other and tells it in words; the promises are checked after each.
/// What the explorer does with numbers, for a trace or a script.
class Group {
 public:
  Group(std::shared_ptr<const Setting> setting, const std::vector<Disk>& disks);

  void put_on_its_way(Slot from, Slot to, raft::Message message);
  /// What is about to happen. Pre for all three: it can; and for this and `act`: no campaign.
  [[nodiscard]] std::string text_of_action(const Action& action) const;
  /// Does it. Answers with what came of it: the server, and what it sends.
  std::vector<std::string> act(const Action& action);
  /// Both, of each action that a campaign consists of.
  std::vector<std::string> tell(const Action& action);
  std::vector<std::string> propose(Slot slot, const std::string& command);
  std::vector<std::string> lose_link(Slot slot, Slot to);
  std::vector<std::string> stall(Slot slot);

  [[nodiscard]] const Server& server(Slot slot) const { return servers_[slot]; }
  [[nodiscard]] const std::deque<raft::Message>& on_the_way(Slot from, Slot to) const;
  [[nodiscard]] std::size_t voters() const { return servers_.size(); }
  /// The first promise that was broken.
  [[nodiscard]] raft::Violation violation() const { return violation_; }

 private:
  [[nodiscard]] std::deque<raft::Message>& link(Slot from, Slot to);
  raft::Message take(const Action& action);
  void trace(raft::Action fate, Slot from, Slot to, const raft::Message& message) const;
  Effects event(Server& server, const Action& action);
  void finish_writes(Slot slot, std::vector<std::string>& lines);
  std::vector<std::string> settle(Slot slot, Effects effects, bool restarted);
  [[nodiscard]] std::vector<const Facts*> group_facts() const;
  void check(Slot slot, bool restarted);

  std::shared_ptr<const Setting> setting_;
  std::vector<Server> servers_;
  std::vector<std::deque<raft::Message>> links_;
  EntryNumbers numbers_;
  std::vector<Facts> facts_;
  Past past_;
  std::uint64_t proposals_ = 0;
  raft::Violation violation_;
};

}  // namespace kuilt::explore
