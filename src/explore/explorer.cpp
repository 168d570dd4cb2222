#include "explore/explorer.hpp"

#include <algorithm>
#include <utility>

namespace kuilt::explore {
namespace {

using What = Action::What;

std::size_t at(Kind kind) { return static_cast<std::size_t>(kind); }

// What of the limits an event takes from; nothing, if it may always happen.
std::optional<Kind> cost_of(EventKind kind) {
  switch (kind) {
    case EventKind::time_out: return Kind::time_out;
    case EventKind::beat: return Kind::beat;
    case EventKind::send_again: return Kind::send_again;
    case EventKind::propose: return Kind::propose;
    case EventKind::crash: return Kind::crash;
    case EventKind::finish_write:
    case EventKind::receive:
    case EventKind::receive_after_silence: return std::nullopt;
  }
  KUILT_FAIL("an event has a kind");
}

void add_step(std::vector<std::string>& lines, std::size_t number,
              const std::vector<std::string>& told) {
  for (std::size_t i = 0; i < told.size(); ++i) {
    lines.push_back((i == 0 ? std::to_string(number) + ". " : "   ") + told[i]);
  }
}

raft::TraceLines lines_into(std::vector<std::string>& lines, std::size_t voters) {
  return {[&lines](const std::string& line) { lines.push_back(line); },
          [voters](NodeId id) { return std::string(1, letter(slot_of(id, voters))); }};
}

}  // namespace

Explorer::Explorer(const Slice& slice, Means means)
    : slice_(slice),
      setting_(std::make_shared<const Setting>(slice.setting())),
      orders_(orders_of(slice.voters(), means.exchange_members)),
      catalogue_(setting_, orders_, means.keep_twins),
      next_(slice.voters()) {}

State Explorer::first() {
  State state;
  for (Slot slot = 0; slot < slice_.voters(); ++slot) {
    state.servers[slot] = catalogue_.number_of(Server(setting_, slot, slice_.disk(slot)));
  }
  for (const Leftover& leftover : slice_.leftovers) {
    state.link(leftover.from, leftover.to).push(catalogue_.number_of(leftover.message));
  }
  state.past = past_of(facts_of_all(state));
  return state;
}

std::vector<const Facts*> Explorer::facts_of_all(const State& state) const {
  std::vector<const Facts*> group;
  group.reserve(slice_.voters());
  for (Slot slot = 0; slot < slice_.voters(); ++slot) {
    group.push_back(&catalogue_.facts(state.servers[slot]));
  }
  return group;
}

bool Explorer::may(const State& state, Kind kind) const {
  return state.spent[at(kind)] < slice_.limit(kind);
}

std::vector<Action> Explorer::actions(const State& state) const {
  std::vector<Action> out;
  for (Slot slot = 0; slot < slice_.voters(); ++slot) add_events(state, slot, out);
  for (Slot from = 0; from < slice_.voters(); ++from) {
    for (Slot to = 0; to < slice_.voters(); ++to) {
      if (from != to) add_deliveries(state, from, to, out);
    }
  }
  return out;
}

void Explorer::add_events(const State& state, Slot slot, std::vector<Action>& out) const {
  const raft::View& view = catalogue_.facts(state.servers[slot]).view;
  const bool leads = view.role == raft::Role::leader;
  const bool last_term = !leads && view.hard.term >= slice_.terms_max;
  if (may(state, Kind::time_out) && !last_term) {
    if (leads || !slice_.instant_pre_votes) out.push_back(event_at(slot, EventKind::time_out));
    for (Slot other = 0; !leads && slice_.instant_pre_votes && other < slice_.voters(); ++other) {
      if (other != slot) out.push_back(message_to(slot, other, What::campaign));
    }
  }
  if (leads) {
    if (may(state, Kind::propose)) out.push_back(event_at(slot, EventKind::propose));
    if (may(state, Kind::beat)) out.push_back(event_at(slot, EventKind::beat));
    if (may(state, Kind::send_again)) out.push_back(event_at(slot, EventKind::send_again));
  }
  const std::size_t writes = catalogue_.server(state.servers[slot]).disk().queue.size();
  if (writes > 0) out.push_back(event_at(slot, EventKind::finish_write));
  if (!may(state, Kind::crash)) return;
  for (std::size_t survivors = 0; survivors <= writes; ++survivors) {
    out.push_back(event_at(slot, EventKind::crash, survivors));
  }
}

void Explorer::add_deliveries(const State& state, Slot from, Slot to,
                              std::vector<Action>& out) const {
  const Link& link = state.link(from, to);
  const bool overtake = may(state, Kind::overtake);
  for (std::size_t place = 0; place < link.size(); ++place) {
    if (place > 0 && !overtake) return;
    out.push_back(message_to(to, from, What::deliver, place));
    // Only a request for a vote asks how long ago a leader was heard.
    const raft::Message& message = catalogue_.message(link.at(place));
    if (std::holds_alternative<raft::VoteRequest>(message)) {
      out.push_back(message_to(to, from, What::deliver_after_silence, place));
    }
    if (place > 0) continue;
    if (may(state, Kind::lose)) out.push_back(message_to(to, from, What::lose));
    if (may(state, Kind::repeat)) out.push_back(message_to(to, from, What::repeat));
  }
}

void Explorer::spend(State& state, const Action& action) const {
  std::optional<Kind> kind;
  if (action.what == What::event) kind = cost_of(action.kind);
  if (action.what == What::campaign) kind = Kind::time_out;
  if (action.what == What::lose) kind = Kind::lose;
  if (action.what == What::repeat) kind = Kind::repeat;
  if (kind) ++state.spent[at(*kind)];
  const bool overtakes = action.what != What::event && action.number > 0;
  if (overtakes) ++state.spent[at(Kind::overtake)];
}

Event Explorer::take_event(State& state, const Action& action) const {
  if (action.what == What::event) {
    const bool proposal = action.kind == EventKind::propose;
    return {action.kind, 0, proposal ? state.spent[at(Kind::propose)] : action.number};
  }
  Link& link = state.link(action.from, action.server);
  const Number32 message = link.at(action.number);
  if (action.what != What::repeat) link.erase(action.number);
  const bool silence = action.what == What::deliver_after_silence;
  return {silence ? EventKind::receive_after_silence : EventKind::receive, action.from, message};
}

raft::Violation Explorer::apply(State& state, const Action& action) {
  spend(state, action);
  wrote_ = false;
  return action.what == What::campaign ? campaign(state, action) : act(state, action);
}

raft::Violation Explorer::campaign(State& state, const Action& action) {
  const auto newest = [&](Slot from, Slot to) {
    const Link& link = state.link(from, to);
    if (link.size() == 0) return Newest{};
    return Newest{&catalogue_.message(link.at(link.size() - 1)), link.size() - 1};
  };
  std::size_t done = 0;
  raft::Violation broken;
  while (auto one = action_of_campaign(action, slice_.voters(), done, newest)) {
    one->slow = action.slow;
    broken = act(state, *one);
    if (broken) break;
  }
  return broken;
}

raft::Violation Explorer::act(State& state, const Action& action) {
  const Event event = take_event(state, action);
  if (action.what == What::lose) return std::nullopt;
  const bool idle = !catalogue_.has_write_to_finish(state.servers[action.server]);
  if (const auto broken = step(state, action.server, event)) return broken;
  if (!idle || !catalogue_.has_write_to_finish(state.servers[action.server])) return std::nullopt;
  wrote_ = true;
  if (!action.slow) return finish_writes(state, action.server);
  if (slice_.limit(Kind::slow_disk) != unlimited) ++state.spent[at(Kind::slow_disk)];
  return std::nullopt;
}

raft::Violation Explorer::finish_writes(State& state, Slot slot) {
  raft::Violation broken;
  while (!broken && catalogue_.has_write_to_finish(state.servers[slot])) {
    broken = step(state, slot, {EventKind::finish_write, 0, 0});
  }
  return broken;
}

raft::Violation Explorer::step(State& state, Slot changed, Event event) {
  Number32& server = state.servers[changed];
  const Effect& effect = catalogue_.effect(server, event);
  const Facts& before = catalogue_.facts(server);
  server = effect.server;
  for (const Effect::Sent& sent : effect.sent) {
    state.link(changed, sent.to).push(sent.message);
  }
  if (effect.broken) return effect.broken;
  if (&catalogue_.facts(server) == &before) return std::nullopt;
  for (Slot slot = 0; slot < slice_.voters(); ++slot) {
    if (slot == changed) continue;
    const auto broken = catalogue_.broken_among(server, state.servers[slot]);
    if (broken) return broken;
  }
  return broken_by(before, facts_of_all(state), changed, state.past);
}

bool Explorer::beyond_bounds(const State& state, Slot changed) const {
  return catalogue_.facts(state.servers[changed]).view.hard.term > slice_.terms_max;
}

// All that may happen next. False, if something is broken.
bool Explorer::expand(const State& state, std::size_t number, Report& report) {
  const bool always_slow = slice_.limit(Kind::slow_disk) == unlimited;
  for (Action action : actions(state)) {
    action.slow = always_slow;
    if (!look_at(state, {static_cast<std::uint32_t>(number), action}, report)) return false;
    if (always_slow || !wrote_ || !may(state, Kind::slow_disk)) continue;
    action.slow = true;
    if (!look_at(state, {static_cast<std::uint32_t>(number), action}, report)) return false;
  }
  return true;
}

// Takes one step. False, if that broke something.
bool Explorer::look_at(const State& state, const Reached& step, Report& report) {
  State after = state;
  current_ = step;
  ++report.transitions;
  if (const raft::Violation broken = apply(after, step.by)) {
    report.violation = std::string(*broken);
    raft::TraceLines raft_trace = lines_into(report.raft_trace, slice_.voters());
    Group group = tell_way(report.trace, &raft_trace);
    add_step(report.trace, way_to(step.before).size() + 1, group.tell(step.by));
    return false;
  }
  if (beyond_bounds(after, step.by.server)) return true;
  if (!seen_.insert(fingerprint_of(after, catalogue_, orders_))) return true;
  reached_.push_back(step);
  next_.push(after);
  return true;
}

Report Explorer::run(std::size_t states_max) {
  Report report;
  const State begin = first();
  seen_.insert(fingerprint_of(begin, catalogue_, orders_));
  reached_.push_back({});
  next_.push(begin);
  bool sound = true;
  std::size_t number = 0;
  while (sound && next_.size() > 0 && reached_.size() <= states_max) {
    const States level = std::exchange(next_, States(slice_.voters()));
    for (std::size_t i = 0; sound && i < level.size(); ++i) {
      sound = expand(level.at(i), number++, report);
    }
    if (next_.size() > 0) ++report.depth;
  }
  report.finished = sound && next_.size() == 0;
  report.states = reached_.size();
  report.servers = catalogue_.servers();
  report.steps = catalogue_.steps();
  return report;
}

std::vector<Action> Explorer::way_to(std::size_t number) const {
  std::vector<Action> way;
  for (; number != 0; number = reached_[number].before) way.push_back(reached_[number].by);
  std::ranges::reverse(way);
  return way;
}

// Does the way to the current step in the open, and tells it.
Group Explorer::tell_way(std::vector<std::string>& lines, raft::TraceLines* raft_trace) const {
  std::vector<Disk> disks;
  disks.reserve(slice_.voters());
  for (Slot slot = 0; slot < slice_.voters(); ++slot) disks.push_back(slice_.disk(slot));
  auto setting = std::make_shared<Setting>(*setting_);
  setting->raft_trace = raft_trace;
  Group group(std::move(setting), disks);
  for (const Leftover& leftover : slice_.leftovers) {
    group.put_on_its_way(leftover.from, leftover.to, leftover.message);
  }
  std::size_t number = 0;
  for (const Action& action : way_to(current_.before)) {
    add_step(lines, ++number, group.tell(action));
  }
  return group;
}

std::vector<std::string> Explorer::trace_of_current() const {
  std::vector<std::string> lines;
  const Group group = tell_way(lines, nullptr);
  const std::string who(1, letter(current_.by.server));
  const bool campaign = current_.by.what == What::campaign;
  const std::string last = campaign ? who + " times out" : group.text_of_action(current_.by);
  add_step(lines, way_to(current_.before).size() + 1, {last});
  return lines;
}

std::vector<std::string> Explorer::raft_trace_of_current() const {
  std::vector<std::string> words;
  std::vector<std::string> lines;
  raft::TraceLines raft_trace = lines_into(lines, slice_.voters());
  (void)tell_way(words, &raft_trace);
  return lines;
}

}  // namespace kuilt::explore
