#include "explore/slice.hpp"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <utility>

namespace kuilt::explore {
namespace {

std::vector<std::uint32_t> limits(std::initializer_list<std::pair<Kind, std::uint32_t>> of_kinds) {
  std::vector<std::uint32_t> limits(kinds);
  for (const auto& [kind, limit] : of_kinds) limits[static_cast<std::size_t>(kind)] = limit;
  return limits;
}

Slice whole_elections(std::string name, std::string about, std::uint64_t terms,
                      std::vector<std::uint32_t> limits) {
  return {.name = std::move(name),
          .about = std::move(about),
          .terms_max = Term(terms),
          .limits = std::move(limits)};
}

// What is not in question here is kept short, for everything else to go farther.
Slice short_elections(std::string name, std::string about, std::uint64_t terms,
                      std::vector<std::uint32_t> limits) {
  Slice slice = whole_elections(std::move(name), std::move(about), terms, std::move(limits));
  slice.heartbeats_lost = true;
  slice.instant_pre_votes = true;
  return slice;
}

Slice slower(Slice slice) {
  slice.quick = false;
  return slice;
}

// Raft, figure 8, with three servers and one entry before: the leader of term 2 has an entry that
// nobody else has, and so has the leader of term 3.
Slice figure_8() {
  Slice slice = short_elections("figure-8", "an entry of term 2 and one of term 3 at one place", 5,
                                limits({{Kind::time_out, 2}, {Kind::slow_disk, 1}}));
  slice.one_entry_per_append = true;
  slice.beginnings = {{Term(3), NodeId(), {1, 2}, Index(1)},
                      {Term(3), node_id(1), {1, 3}, Index(1)},
                      {Term(3), node_id(1), {1}, Index(1)}};
  return slice;
}

// The leader of term 1, c, wrote three entries that nobody else got; b led term 2 for a moment.
Slice tails() {
  Slice slice = short_elections("tails", "the longest log has the oldest end", 4,
                                limits({{Kind::time_out, 2}}));
  slice.beginnings = {{Term(2), node_id(1), {1}, Index(1)},
                      {Term(2), node_id(1), {1, 2}, Index(1)},
                      {Term(2), NodeId(), {1, 1, 1, 1}, Index(1)}};
  return slice;
}

// A leader asks c, whose end is of a leader of the past, where the logs agree, and has nothing in
// memory to send along.
Slice forgotten() {
  Slice slice = whole_elections("forgotten", "a leader that must read what a follower lacks", 3,
                                limits({{Kind::time_out, 1}, {Kind::propose, 1}}));
  slice.instant_pre_votes = true;
  slice.little_memory = true;
  slice.beginnings = {{Term(2), NodeId(), {1, 1, 2}, Index(3)},
                      {Term(2), NodeId(), {1, 1, 2}, Index(2)},
                      {Term(2), NodeId(), {1, 1, 1, 1}, Index(1)}};
  return slice;
}

// What a sent in term 1 reaches c when b is about to lead term 3.
Slice late_append() {
  Slice slice = short_elections(
      "late-append", "an append of term 1 arrives in term 3, on slow disks", 3,
      limits({{Kind::time_out, 1}, {Kind::propose, 1}, {Kind::slow_disk, unlimited}}));
  slice.beginnings = {{Term(2), node_id(1), {1}, Index(1)},
                      {Term(2), node_id(1), {1}, Index(1)},
                      {Term(1), node_id(0), {1}, Index(1)}};
  raft::AppendRequest late{Term(1), {Index(1), Term(1)}, Index(1), {}};
  for (std::uint64_t index = 2; index <= 3; ++index) {
    const Position at{Index(index), Term(1)};
    late.entries.push_back({at, raft::EntryKind::command, Bytes("lost"), {}});
  }
  slice.leftovers = {{0, 2, late}};
  return slice;
}

// In term 1 a led, and c stored two entries of which a's disk never heard, for it lost power. The
// leader of term 2 replaced them; c's answer is still on its way to a.
Slice late_answer() {
  Slice slice = short_elections("late-answer", "an answer of term 1 arrives in term 3", 3,
                                limits({{Kind::time_out, 1}, {Kind::propose, 1}}));
  slice.beginnings = {{Term(2), node_id(1), {1, 2}, Index(1)},
                      {Term(2), node_id(1), {1, 2}, Index(1)},
                      {Term(2), node_id(1), {1, 2}, Index(1)}};
  const raft::AppendReply late{Term(1), true, Index(3), {}, {}, BootId(1, 1)};
  slice.leftovers = {{2, 0, late}};
  return slice;
}

std::vector<Slice> quick_slices() {
  Slice heartbeats = short_elections("heartbeats", "two leaders, with all their heartbeats", 2,
                                     limits({{Kind::time_out, 2}}));
  heartbeats.heartbeats_lost = false;
  return {
      late_answer(),
      forgotten(),
      late_append(),
      tails(),
      figure_8(),
      whole_elections("election", "two candidates of one term, every message of theirs", 1,
                      limits({{Kind::time_out, 2}, {Kind::slow_disk, unlimited}})),
      short_elections("votes", "power fails while votes are on their way to disks", 2,
                      limits({{Kind::time_out, 2}, {Kind::crash, 1}, {Kind::slow_disk, 1}})),
      std::move(heartbeats),
      short_elections("entries", "two leaders, an entry, a slow disk", 2,
                      limits({{Kind::time_out, 2}, {Kind::propose, 1}, {Kind::slow_disk, 1}})),
      short_elections("order", "messages of two terms repeated and overtaken", 2,
                      limits({{Kind::time_out, 2}, {Kind::repeat, 1}, {Kind::overtake, 1}})),
      short_elections("pipeline", "appends and answers lost, repeated, overtaken, sent again", 1,
                      limits({{Kind::time_out, 1},
                              {Kind::propose, 2},
                              {Kind::send_again, 1},
                              {Kind::lose, 1},
                              {Kind::repeat, 1},
                              {Kind::overtake, 1}})),
      short_elections("three-terms", "three leaders one after the other", 3,
                      limits({{Kind::time_out, 3}})),
  };
}

// Minutes each.
std::vector<Slice> long_slices() {
  Slice heartbeats = short_elections("heartbeats-and-entries", "an entry, and all heartbeats", 2,
                                     limits({{Kind::time_out, 2}, {Kind::propose, 1}}));
  heartbeats.heartbeats_lost = false;
  Slice tails_on_slow_disks = tails();
  tails_on_slow_disks.name = "tails-on-slow-disks";
  tails_on_slow_disks.limits =
      limits({{Kind::time_out, 2}, {Kind::propose, 1}, {Kind::slow_disk, 1}});
  return {
      slower(short_elections(
          "votes-on-slow-disks", "the same, with all disks slow", 2,
          limits({{Kind::time_out, 2}, {Kind::crash, 1}, {Kind::slow_disk, unlimited}}))),
      slower(short_elections("two-crashes", "power fails twice", 2,
                             limits({{Kind::time_out, 2}, {Kind::crash, 2}}))),
      slower(short_elections(
          "entries-and-a-crash", "two leaders, an entry, power fails", 2,
          limits(
              {{Kind::time_out, 2}, {Kind::propose, 1}, {Kind::crash, 1}, {Kind::slow_disk, 1}}))),
      slower(std::move(heartbeats)),
      slower(std::move(tails_on_slow_disks)),
      slower(short_elections(
          "order-of-entries", "appends of two terms repeated and overtaken", 2,
          limits(
              {{Kind::time_out, 2}, {Kind::propose, 1}, {Kind::repeat, 1}, {Kind::overtake, 1}}))),
      slower(whole_elections("whole-elections", "two terms, every message, a slow disk", 2,
                             limits({{Kind::time_out, 2}, {Kind::slow_disk, 1}}))),
      slower(whole_elections("whole-elections-and-a-crash", "the same, power fails", 2,
                             limits({{Kind::time_out, 2}, {Kind::crash, 1}}))),
  };
}

std::vector<Slice> make_slices() {
  std::vector<Slice> slices = quick_slices();
  std::ranges::move(long_slices(), std::back_inserter(slices));
  return slices;
}

}  // namespace

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::time_out: return "timeouts";
    case Kind::propose: return "proposals";
    case Kind::beat: return "heartbeats";
    case Kind::send_again: return "retransmissions";
    case Kind::crash: return "crashes";
    case Kind::lose: return "losses";
    case Kind::repeat: return "repeats";
    case Kind::overtake: return "overtakings";
    case Kind::slow_disk: return "slow disks";
  }
  KUILT_FAIL("a kind has a name");
}

Setting Slice::setting() const {
  Setting setting = setting_of(voters());
  if (one_entry_per_append) setting.options.append_bytes_max = 1;
  if (little_memory) setting.options.tail_bytes_max = 1;
  setting.heartbeats_lost = heartbeats_lost;
  setting.disks_lie = disks_lie;
  return setting;
}

Disk Slice::disk(Slot slot) const {
  Disk disk;
  if (beginnings.empty()) return disk;
  const Beginning& beginning = beginnings.at(slot);
  disk.hard = {beginning.term, beginning.vote};
  disk.commit = beginning.commit;
  for (const std::uint64_t term : beginning.log) {
    const Position at{Index(disk.entries.size() + 1), Term(term)};
    // One leader wrote all entries of a term, so its number tells them apart.
    disk.entries.push_back({at, raft::EntryKind::command, Bytes("old" + std::to_string(term)), {}});
  }
  return disk;
}

const std::vector<Slice>& all_slices() {
  static const std::vector<Slice> slices = make_slices();
  return slices;
}

const Slice* find_slice(std::string_view name) {
  const auto& slices = all_slices();
  const auto found = std::ranges::find(slices, name, &Slice::name);
  return found == slices.end() ? nullptr : &*found;
}

}  // namespace kuilt::explore
