#include "sim/oracle.hpp"

#include <algorithm>
#include <charconv>

#include "cluster/application.hpp"
#include "wire/entry.hpp"

namespace kuilt::sim {
namespace {

std::string text_of(Position at) {
  return "(" + std::to_string(at.index.value()) + ", " + std::to_string(at.term.value()) + ")";
}

constexpr std::size_t excerpt_bytes_max = 200;

// For people: whatever bytes an application has, within one short line.
std::string excerpt_of(BytesView bytes) {
  std::string text(bytes.text().substr(0, excerpt_bytes_max));
  const auto unreadable = [](unsigned char c) { return c < 0x20 || c > 0x7e; };
  std::ranges::replace_if(text, unreadable, '?');
  if (bytes.size() > excerpt_bytes_max) text += "...";
  return "\"" + text + "\"";
}

}  // namespace

Violation Oracle::commit(const raft::Entry& entry, std::uint64_t chain, Term by) {
  items_.push_back({entry.at, chain, by});
  return entry.kind == raft::EntryKind::command ? commit_command(entry) : std::nullopt;
}

Violation Oracle::commit_command(const raft::Entry& entry) {
  const auto read = cluster::log_entry_of(entry);
  if (!read) return "a committed command is not readable: " + read.error().message();
  LogEntry command = **read;
  const auto number = number_in(command.command);
  if (!number || *number >= proposals_.size() ||
      command.command != proposals_.at(*number).command) {
    return "a committed command that nobody proposed is at " + text_of(entry.at);
  }
  Proposal& proposal = proposals_.at(*number);
  if (proposal.room != command.room) return "a command was committed in another room";
  if (proposal.at != Position{}) {
    return "one proposal is in the log twice, at " + text_of(proposal.at) + " and at " +
           text_of(entry.at);
  }
  if (proposal.fate == Fate::refused) {
    return "a proposal that was refused for certain was committed at " + text_of(entry.at);
  }
  proposal.at = entry.at;
  auto& room = rooms_[proposal.room];
  const std::uint64_t before = room.empty() ? 0 : room.back().digest;
  const std::uint64_t digest = wire::chain(before, wire::public_part(entry));
  room.push_back({entry.at, *number, digest, command.request_id});
  command.command = body_in(command.command);
  commands_.push_back(std::move(command));
  return reference_ ? apply(commands_.back()) : std::nullopt;
}

Violation Oracle::apply(const LogEntry& entry) {
  const auto result = cluster::apply(*reference_, entry);
  if (!result) return result.error().message();
  const std::string state = shown(*reference_);
  applied_[entry.index] = {*result, wire::chain(0, state), excerpt_of(state)};
  return std::nullopt;
}

Violation Oracle::applied(std::string_view server, const LogEntry& entry, const Bytes& result,
                          const kuilt::StateMachine& machine) const {
  const auto expected = applied_.find(entry.index);
  if (expected == applied_.end()) return "a server applies what is not committed";
  const std::string place = "entry " + std::to_string(entry.index.value()) + " (" +
                            excerpt_of(entry.command) + ") on " + std::string(server);
  if (result != expected->second.result) {
    return "state machines differ: apply of " + place + " returned " + excerpt_of(result) +
           ", but " + excerpt_of(expected->second.result) +
           " on one that was never restarted nor asked to admit";
  }
  const std::string state = shown(machine);
  if (wire::chain(0, state) == expected->second.state) return std::nullopt;
  return "state machines differ: after " + place + " the state is " + excerpt_of(state) + ", but " +
         expected->second.excerpt + " on one that was never restarted nor asked to admit";
}

Violation Oracle::restored(std::string_view server, Index cut,
                           const kuilt::StateMachine& machine) const {
  const auto after = applied_.upper_bound(cut);
  if (!show_ || after == applied_.begin()) return std::nullopt;
  const Applied& expected = std::prev(after)->second;
  const std::string state = shown(machine);
  if (wire::chain(0, state) == expected.state) return std::nullopt;
  return "state machines differ: restored at index " + std::to_string(cut.value()) + " on " +
         std::string(server) + " the state is " + excerpt_of(state) + ", but " + expected.excerpt +
         " on one that was never restarted";
}

Position Oracle::last() const { return items_.empty() ? base_ : items_.back().at; }

Index Oracle::last_committed_before(Term term) const {
  for (auto item = items_.rbegin(); item != items_.rend(); ++item) {
    if (item->committed_by < term) return item->at.index;
  }
  return base_.index;
}

ProposalNumber Oracle::propose(RoomName room, BytesView body) {
  const ProposalNumber number = proposals_.size();
  proposals_.push_back(
      {std::move(room), Bytes(sealed(number, body)), Fate::pending, {}, acknowledged_through_});
  ++pending_;
  return number;
}

std::string Oracle::sealed(ProposalNumber number, BytesView body) {
  return std::to_string(number) + ":" + std::string(body.text());
}

std::optional<ProposalNumber> Oracle::number_in(BytesView command) {
  const std::string_view text = command.text();
  ProposalNumber number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end == text.data() + text.size() || *end != ':') return std::nullopt;
  return number;
}

BytesView Oracle::body_in(BytesView command) {
  const std::size_t begin = command.text().find(':') + 1;
  return command.slice(begin, command.size() - begin);
}

Bytes Oracle::body_in(const Bytes& command) {
  const std::size_t bytes = body_in(command.view()).size();
  return command.slice(command.size() - bytes, bytes);
}

Violation Oracle::read(Index committed, Index index) const {
  if (index < committed) {
    return "a read is at or above whatever was committed before it, but " +
           std::to_string(committed.value()) + " was, and it was told " +
           std::to_string(index.value());
  }
  if (index <= last().index) return std::nullopt;
  return "a read was told of index " + std::to_string(index.value()) + ", not yet committed";
}

Violation Oracle::asked(BytesView command, Index applied) const {
  const auto number = number_in(command);
  if (!number || *number >= proposals_.size() ||
      applied >= proposals_.at(*number).acknowledged_before) {
    return std::nullopt;
  }
  return "a leader decides on a proposal with all applied that was acknowledged before it, but " +
         std::to_string(proposals_.at(*number).acknowledged_before.value()) +
         " was, and it has applied " + std::to_string(applied.value());
}

Violation Oracle::check_result(const wire::CommittedOutcome& outcome) const {
  if (!reference_) {
    return outcome.result ? Violation("a result where there is no state machine") : std::nullopt;
  }
  const Bytes& expected = applied_.at(outcome.at.index).result;
  if (!outcome.result) {
    const bool may_be_missing = outcome.duplicate || expected.size() > result_bytes_max;
    return may_be_missing ? std::nullopt : Violation("a fresh commit was told without a result");
  }
  if (*outcome.result == expected) return std::nullopt;
  return "the result that was told is not that of the entry at " + text_of(outcome.at);
}

Violation Oracle::resolved(ProposalNumber number, const Result<wire::CommittedOutcome>& result) {
  Proposal& proposal = proposals_.at(number);
  if (proposal.fate != Fate::pending) return "a call has ended twice";
  --pending_;
  if (result) {
    ++acknowledged_;
    proposal.fate = Fate::acknowledged;
    acknowledged_through_ = std::max(acknowledged_through_, result->at.index);
    if (proposal.at == result->at) return check_result(*result);
    return "proposal " + std::to_string(number) + " was acknowledged at " + text_of(result->at) +
           ", but is committed at " + text_of(proposal.at);
  }
  if (result.error().effect() == Effect::unknown) {
    ++unknown_;
    proposal.fate = Fate::unknown;
    return std::nullopt;
  }
  ++refused_;
  proposal.fate = Fate::refused;
  if (proposal.at == Position{}) return std::nullopt;
  return "proposal " + std::to_string(number) + " was refused for certain (" +
         result.error().message() + "), but is committed at " + text_of(proposal.at);
}

void Oracle::orphaned(ProposalNumber number) {
  Proposal& proposal = proposals_.at(number);
  if (proposal.fate != Fate::pending) return;
  proposal.fate = Fate::unknown;
  --pending_;
  ++unknown_;
}

ObserverNumber Oracle::observe(RoomName room, std::optional<Position> after) {
  observers_.emplace_back();
  Observer& observer = observers_.back();
  observer.room = std::move(room);
  observer.first_owed = proposals_.size();
  observer.through = after;
  if (after) observer.next = first_after(observer.room, after->index);
  return observers_.size() - 1;
}

Violation Oracle::owes(ObserverNumber number, ProposalNumber proposed) {
  Observer& observer = observers_.at(number);
  const Proposal& proposal = proposals_.at(proposed);
  if (proposed < observer.first_owed || proposal.room != observer.room) return std::nullopt;
  if (!observer.through) {
    observer.owed = std::min(observer.owed.value_or(proposal.at.index), proposal.at.index);
  } else if (observer.began_after && *observer.began_after >= proposal.at.index) {
    return "an observer began after " + text_of(proposal.at) + ", which its client had proposed " +
           "after asking to observe";
  }
  return std::nullopt;
}

Violation Oracle::begins(ObserverNumber number, Position at) {
  Observer& observer = observers_.at(number);
  if (observer.through) return std::nullopt;  // A resume within one observation.
  observer.through = at;
  observer.began_after = at.index;
  observer.next = first_after(observer.room, at.index);
  if (!observer.owed || *observer.owed > at.index) return std::nullopt;
  return "an observer began after " + text_of(at) + ", its client's own proposal at index " +
         std::to_string(observer.owed->value()) + " was skipped";
}

Violation Oracle::delivered(ObserverNumber number, const wire::FeedEntry& entry) {
  Observer& observer = observers_.at(number);
  const auto& room = rooms_[observer.room];
  if (!observer.through) {  // Begins wherever the server begins: after the entry before this one.
    const Position before{Index(entry.at.index.value() - 1), entry.at.term};
    if (Violation skipped = begins(number, before)) return skipped;
  }
  if (observer.next >= room.size()) {
    return "an observer was told of an entry at " + text_of(entry.at) + " that is not committed";
  }
  const RoomItem& expected = room.at(observer.next);
  if (entry.at != expected.at) {
    return "an observer was told of " + text_of(entry.at) + " where " + text_of(expected.at) +
           " is next: a gap or a repeat";
  }
  if (entry.command != proposals_.at(expected.proposal).command ||
      entry.request_id != expected.request_id || entry.room != observer.room) {
    return "an observer was told of other bytes than were committed at " + text_of(entry.at);
  }
  ++observer.next;
  observer.through = entry.at;
  return std::nullopt;
}

Violation Oracle::advanced(ObserverNumber number, Position through, std::uint64_t digest) {
  Observer& observer = observers_.at(number);
  if (!observer.through) return begins(number, through);
  if (through.index < observer.through->index) return "an observer went backwards";
  if (through.index > last().index) return "an observer was told of an index not yet committed";
  if (through.index > base_.index && position_at(through.index) != through) {
    return "an observer was told of another term than that of the committed log";
  }
  const auto& room = rooms_[observer.room];
  if (observer.next < room.size() && room.at(observer.next).at.index <= through.index) {
    return "an observer was led past an entry that it was not given, at " +
           text_of(room.at(observer.next).at);
  }
  const std::uint64_t expected = observer.next == 0 ? 0 : room.at(observer.next - 1).digest;
  if (digest != expected) return "an observer was given another digest than the log has";
  observer.through = through;
  return std::nullopt;
}

bool Oracle::at_the_end(ObserverNumber observer) const {
  const auto& through = observers_.at(observer).through;
  return through && *through == last();
}

Position Oracle::through(ObserverNumber observer) const {
  return observers_.at(observer).through.value_or(base_);
}

std::size_t Oracle::first_after(const RoomName& name, Index index) {
  const auto& room = rooms_[name];
  const auto first =
      std::ranges::upper_bound(room, index, {}, [](const RoomItem& item) { return item.at.index; });
  return static_cast<std::size_t>(first - room.begin());
}

}  // namespace kuilt::sim
