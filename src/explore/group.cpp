#include "explore/group.hpp"

#include <array>
#include <utility>

namespace kuilt::explore {
namespace {

std::string text_of_event(const Server& server, const Action& action) {
  const std::string who(1, letter(action.server));
  switch (action.kind) {
    case EventKind::time_out:
      return who + (server.leads() ? " hears no quorum for an election timeout" : " times out");
    case EventKind::beat: return who + " is to send a heartbeat";
    case EventKind::send_again: return who + " is to send again what was not answered";
    case EventKind::propose: return who + " is given an entry";
    case EventKind::finish_write: return "the disk of " + who + " is done with a write";
    case EventKind::crash:
      return who + " crashes and starts again; of " + std::to_string(server.disk().queue.size()) +
             " waiting writes " + std::to_string(action.number) + " reached the disk";
    case EventKind::receive:
    case EventKind::receive_after_silence: break;
  }
  KUILT_FAIL("messages come by themselves");
}

std::string_view text_of_fate(Action::What what) {
  switch (what) {
    case Action::What::event:
    case Action::What::deliver: return "";
    case Action::What::deliver_after_silence: return " (the first for an election timeout)";
    case Action::What::lose: return " (is lost)";
    case Action::What::repeat: return " (will come again)";
    case Action::What::campaign: break;
  }
  KUILT_FAIL("a message has a fate");
}

bool is_pre_vote(const Newest& newest) {
  if (newest.message == nullptr) return false;
  const auto* request = std::get_if<raft::VoteRequest>(newest.message);
  const auto* reply = std::get_if<raft::VoteReply>(newest.message);
  return (request != nullptr && request->pre) || (reply != nullptr && reply->pre);
}

}  // namespace

Action event_at(Slot slot, EventKind kind, std::size_t number) {
  return {Action::What::event,
          kind,
          static_cast<std::uint8_t>(slot),
          0,
          static_cast<std::uint8_t>(number),
          true};
}

Action message_to(Slot to, Slot from, Action::What fate, std::size_t place) {
  return {fate,
          EventKind::receive,
          static_cast<std::uint8_t>(to),
          static_cast<std::uint8_t>(from),
          static_cast<std::uint8_t>(place),
          true};
}

std::optional<Action> action_of_campaign(const Action& campaign, std::size_t voters,
                                         std::size_t& done, const NewestOnTheWay& newest) {
  const Slot self = campaign.server;
  const Slot friendly = campaign.from;
  if (done++ == 0) return event_at(self, EventKind::time_out);
  for (; done - 2 < voters; ++done) {
    const Slot other = done - 2;
    const bool asked = other != self && other != friendly && is_pre_vote(newest(self, other));
    if (!asked) continue;
    return message_to(other, self, Action::What::lose, newest(self, other).place);
  }
  const bool request = done - 2 == voters;
  const Slot from = request ? self : friendly;
  const Slot to = request ? friendly : self;
  const Newest message = newest(from, to);
  if (done - 2 > voters + 1 || !is_pre_vote(message)) return std::nullopt;
  const auto fate = request ? Action::What::deliver_after_silence : Action::What::deliver;
  return message_to(to, from, fate, message.place);
}

Group::Group(std::shared_ptr<const Setting> setting, const std::vector<Disk>& disks)
    : setting_(std::move(setting)), links_(disks.size() * disks.size()) {
  for (Slot slot = 0; slot < disks.size(); ++slot) {
    servers_.emplace_back(setting_, slot, disks[slot]);
    facts_.push_back(facts_of(servers_.back(), numbers_));
  }
  past_ = past_of(group_facts());
}

std::vector<const Facts*> Group::group_facts() const {
  std::vector<const Facts*> group;
  group.reserve(facts_.size());
  for (const Facts& facts : facts_) group.push_back(&facts);
  return group;
}

void Group::trace(raft::Action fate, Slot from, Slot to, const raft::Message& message) const {
  if (setting_->raft_trace == nullptr) return;
  setting_->raft_trace->message(Instant{}, fate, node_id(from), node_id(to), message);
}

void Group::put_on_its_way(Slot from, Slot to, raft::Message message) {
  trace(raft::Action::leftover_message, from, to, message);
  link(from, to).push_back(std::move(message));
}

std::deque<raft::Message>& Group::link(Slot from, Slot to) {
  return links_.at(from * servers_.size() + to);
}

const std::deque<raft::Message>& Group::on_the_way(Slot from, Slot to) const {
  return links_.at(from * servers_.size() + to);
}

std::string Group::text_of_action(const Action& action) const {
  if (action.what == Action::What::event) return text_of_event(servers_[action.server], action);
  const raft::Message& message = on_the_way(action.from, action.server).at(action.number);
  std::string text = {letter(action.from), ' ', '-', '>', ' ', letter(action.server), ':', ' '};
  text += text_of(message);
  text += text_of_fate(action.what);
  if (action.number > 0) text += " (overtakes " + std::to_string(action.number) + ")";
  return text;
}

raft::Message Group::take(const Action& action) {
  auto& way = link(action.from, action.server);
  raft::Message message = way.at(action.number);
  const bool repeated = action.what == Action::What::repeat;
  const bool lost = action.what == Action::What::lose;
  if (repeated) trace(raft::Action::duplicate_message, action.from, action.server, message);
  if (lost) trace(raft::Action::drop_message, action.from, action.server, message);
  if (!repeated) way.erase(way.begin() + action.number);
  return message;
}

std::vector<std::string> Group::act(const Action& action) {
  Server& server = servers_[action.server];
  const bool idle = server.disk().queue.empty();
  Effects effects;
  if (action.what == Action::What::event) {
    effects = event(server, action);
  } else {
    const raft::Message message = take(action);
    if (action.what == Action::What::lose) return {};
    const bool after_silence = action.what == Action::What::deliver_after_silence;
    effects = after_silence ? server.receive_after_silence(action.from, message)
                            : server.receive(action.from, message);
  }
  const bool restarted = action.what == Action::What::event && action.kind == EventKind::crash;
  std::vector<std::string> lines = settle(action.server, std::move(effects), restarted);
  if (idle && !action.slow) finish_writes(action.server, lines);
  return lines;
}

std::vector<std::string> Group::tell(const Action& action) {
  std::vector<std::string> lines;
  const auto tell_one = [&](Action one) {
    one.slow = action.slow;
    lines.push_back(text_of_action(one));
    std::vector<std::string> more = act(one);
    lines.insert(lines.end(), more.begin(), more.end());
  };
  if (action.what != Action::What::campaign) return tell_one(action), lines;
  const auto newest = [&](Slot from, Slot to) {
    const auto& way = on_the_way(from, to);
    return way.empty() ? Newest{} : Newest{&way.back(), way.size() - 1};
  };
  std::size_t done = 0;
  while (const auto one = action_of_campaign(action, voters(), done, newest)) tell_one(*one);
  return lines;
}

void Group::finish_writes(Slot slot, std::vector<std::string>& lines) {
  while (!servers_[slot].disk().queue.empty()) {
    lines.push_back(std::string("the disk of ") + letter(slot) + " is done with a write");
    std::vector<std::string> more = settle(slot, servers_[slot].finish_write(), false);
    lines.insert(lines.end(), more.begin(), more.end());
  }
}

Effects Group::event(Server& server, const Action& action) {
  switch (action.kind) {
    case EventKind::time_out: return server.time_out();
    case EventKind::beat: return server.beat();
    case EventKind::send_again: return server.send_again();
    case EventKind::propose: return server.propose("x" + std::to_string(++proposals_));
    case EventKind::finish_write: return server.finish_write();
    case EventKind::crash: return server.crash(action.number);
    case EventKind::receive:
    case EventKind::receive_after_silence: break;
  }
  KUILT_FAIL("messages come by themselves");
}

std::vector<std::string> Group::propose(Slot slot, const std::string& command) {
  return settle(slot, servers_.at(slot).propose(command), false);
}

std::vector<std::string> Group::lose_link(Slot slot, Slot to) {
  return settle(slot, servers_.at(slot).lose_link(to), false);
}

std::vector<std::string> Group::stall(Slot slot) {
  return settle(slot, servers_.at(slot).stall(), false);
}

std::vector<std::string> Group::settle(Slot slot, Effects effects, bool restarted) {
  const Server& server = servers_[slot];
  std::vector<std::string> lines{std::string("  ") + letter(slot) + ": " + server.text()};
  if (effects.refused != raft::Refusal::none) {
    lines.push_back("  refused: " + std::string(raft::name_of(effects.refused)));
  }
  for (raft::Outgoing& outgoing : effects.sent) {
    if (!violation_) violation_ = broken_promise(server.disk(), node_id(slot), outgoing);
    const Slot to = slot_of(outgoing.to, servers_.size());
    lines.push_back(std::string("  -> ") + letter(to) + ": " + text_of(outgoing.message));
    const bool heartbeat = std::holds_alternative<raft::Heartbeat>(outgoing.message);
    if (heartbeat && setting_->heartbeats_lost) {
      lines.back() += " (is lost)";
      trace(raft::Action::drop_message, slot, to, outgoing.message);
      continue;
    }
    link(slot, to).push_back(std::move(outgoing.message));
  }
  if (server.outbox().waiting() > 0) {
    lines.push_back("  held until durable: " + std::to_string(server.outbox().waiting()));
  }
  check(slot, restarted);
  return lines;
}

void Group::check(Slot slot, bool restarted) {
  const Facts before = std::exchange(facts_[slot], facts_of(servers_[slot], numbers_));
  std::vector<raft::View> views;
  views.reserve(facts_.size());
  for (const Facts& facts : facts_) views.push_back(facts.view);
  const raft::View& now = facts_[slot].view;
  if (!violation_) violation_ = raft::broken_now(now);
  if (!violation_ && !restarted) violation_ = raft::broken_between(before.view, now);
  if (!violation_) violation_ = raft::broken_among(views);
  if (!violation_) violation_ = broken_by(before, group_facts(), slot, past_);
}

}  // namespace kuilt::explore
