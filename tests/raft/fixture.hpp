// fixture.hpp: one core, a hand that plays disk and peers, and words for what comes out of it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "raft/core.hpp"

namespace kuilt::raft::test {

using namespace std::chrono_literals;

inline const NodeId a = NodeId::named("a");
inline const NodeId b = NodeId::named("b");
inline const NodeId c = NodeId::named("c");
inline const NodeId d = NodeId::named("d");
inline const NodeId e = NodeId::named("e");
inline const NodeId stranger = NodeId::named("stranger");

inline BootId boot_of(NodeId id, std::uint64_t start = 1) { return BootId(id.low(), start); }

inline SharedConfiguration voters(const std::vector<NodeId>& ids,
                                  const std::vector<NodeId>& learners = {}) {
  auto configuration = std::make_shared<Configuration>();
  for (const NodeId id : ids) configuration->members.push_back({id, "", "", "", true});
  for (const NodeId id : learners) configuration->members.push_back({id, "", "", "", false});
  std::ranges::sort(configuration->members, {}, &Member::id);
  return configuration;
}

inline Entry command(std::uint64_t index, std::uint64_t term, std::string text = "x") {
  return {{Index(index), Term(term)}, EntryKind::command, Bytes(std::move(text)), {}};
}

/// Entries after `base`, one of each given term.
inline std::vector<Entry> entries(const std::vector<std::uint64_t>& terms,
                                  std::uint64_t after = 0) {
  std::vector<Entry> out;
  for (const std::uint64_t term : terms) out.push_back(command(++after, term));
  return out;
}

/// A member of a cluster of `ids` whose log holds entries of these terms after `base`.
inline Boot boot(NodeId self, SharedConfiguration configuration, HardState hard = {},
                 const std::vector<std::uint64_t>& terms = {}, Position base = {},
                 std::uint64_t commit = 0) {
  Boot out;
  out.self = self;
  out.boot = boot_of(self);
  out.hard = hard;
  out.base = base;
  out.tail = entries(terms, base.index.value());
  out.last = Index(base.index.value() + terms.size());
  for (const Entry& entry : out.tail) {
    if (out.terms.empty() || out.terms.back().term != entry.at.term) {
      out.terms.push_back({entry.at.index, entry.at.term});
    }
  }
  out.commit = std::max(Index(commit), base.index);
  out.configuration = std::move(configuration);
  return out;
}

/// A core, its clock, and its last output.
class Node {
 public:
  explicit Node(Boot from, Options options = {}, std::uint64_t seed = 7)
      : options_(options), core_(options, std::move(from), seed, now_) {}

  const Output& step(const Input& input) {
    out_ = core_.step(now_, input);
    if (out_.write) last_write_ = out_.write->seq;
    return out_;
  }
  const Output& receive(NodeId from, Message message) {
    return step(Received{from, std::move(message)});
  }
  const Output& wait(Duration duration) {
    hold_up(duration);
    return step(Tick{});
  }
  /// Time passes, and the core is not told.
  void hold_up(Duration duration) { now_ += duration; }
  /// The disk is done with everything that was ordered.
  const Output& written() { return step(Written{last_write_}); }
  /// Past any election timeout.
  const Output& time_out() { return wait(options_.election_timeout_max); }

  /// Times out, and wins with the votes of `others`.
  const Output& lead(const std::vector<NodeId>& others) {
    time_out();
    for (const NodeId other : others) receive(other, VoteReply{core_.term().next(), true, true});
    written();
    for (const NodeId other : others) receive(other, VoteReply{core_.term(), false, true});
    return out_;
  }
  /// Appends `count` commands as the leader.
  const Output& propose(std::size_t count = 1, const std::string& text = "x") {
    Propose propose;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t index = core_.last().index.value() + 1 + i;
      propose.entries.push_back(command(index, core_.term().value(), text));
    }
    return step(propose);
  }
  /// A follower's answer that its log is durable through `index`.
  const Output& acknowledge(NodeId from, std::uint64_t index) {
    return receive(from, accepted(from, index));
  }
  [[nodiscard]] AppendReply accepted(NodeId from, std::uint64_t index) const {
    return {core_.term(), true, Index(index), {}, {}, boot_of(from)};
  }
  [[nodiscard]] AppendReply rejected(NodeId from, std::uint64_t prev, Position conflict) const {
    return {core_.term(), false, {}, Index(prev), conflict, boot_of(from)};
  }

  [[nodiscard]] const Core& core() const { return core_; }
  [[nodiscard]] const Output& out() const { return out_; }
  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] const Options& options() const { return options_; }

 private:
  Instant now_{Duration(1h)};
  Options options_;
  Core core_;
  Output out_;
  WriteSeq last_write_;
};

/// All messages of one type that an output sends, to anybody or to `to`.
template <class M>
std::vector<M> sent(const Output& out, NodeId to = NodeId()) {
  std::vector<M> found;
  for (const Outgoing& outgoing : out.send) {
    const bool meant = to.is_none() || outgoing.to == to;
    if (const M* message = std::get_if<M>(&outgoing.message); message && meant) {
      found.push_back(*message);
    }
  }
  return found;
}

/// The only message of its type, to anybody or to `to`.
template <class M>
M only(const Output& out, NodeId to = NodeId()) {
  const std::vector<M> found = sent<M>(out, to);
  EXPECT_EQ(found.size(), 1U);
  return found.empty() ? M{} : found.front();
}

/// What the only message of its type has to wait for.
template <class M>
WriteSeq needs_of(const Output& out) {
  for (const Outgoing& outgoing : out.send) {
    if (std::holds_alternative<M>(outgoing.message)) return outgoing.needs;
  }
  ADD_FAILURE() << "no such message";
  return WriteSeq(0);
}

inline Position at(std::uint64_t index, std::uint64_t term) { return {Index(index), Term(term)}; }

}  // namespace kuilt::raft::test

namespace kuilt {

// So that a failing test prints numbers.
template <class Tag>
void PrintTo(const Number<Tag>& number, std::ostream* out) {
  *out << number.value();
}
template <class Tag>
void PrintTo(const Id<Tag>& id, std::ostream* out) {
  *out << id.text();
}
inline void PrintTo(const Position& position, std::ostream* out) {
  *out << "(" << position.index.value() << ", " << position.term.value() << ")";
}

}  // namespace kuilt

namespace kuilt::raft {

inline void PrintTo(Role role, std::ostream* out) { *out << name_of(role); }
inline void PrintTo(Refusal refusal, std::ostream* out) { *out << name_of(refusal); }

}  // namespace kuilt::raft
