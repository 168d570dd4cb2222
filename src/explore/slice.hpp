// slice.hpp: what of all that may happen an exploration looks at, in full.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "explore/server.hpp"

namespace kuilt::explore {

/// How often each thing may happen. What is not here may always happen: a message arrives whenever
/// it may be the next on its way, a slow disk is done with a write, an election timeout passes in
/// silence. A disk that is not slow is done at once.
enum class Kind : std::uint8_t {
  time_out,    ///< An election timeout fires; a leader that hears no quorum gives up.
  propose,     ///< A leader is given an entry.
  beat,        ///< A heartbeat that only the clock asks for.
  send_again,  ///< A leader sends again what was not answered.
  crash,       ///< Power fails, with any number of the waiting writes on the disk.
  lose,        ///< A message is lost.
  repeat,      ///< A message is delivered, and will be again.
  overtake,    ///< A message is delivered before an older one on the same way.
  slow_disk,   ///< A disk that had nothing to do takes its time with what it is told next.
};
constexpr std::size_t kinds = 9;
constexpr std::uint32_t unlimited = 99;
[[nodiscard]] std::string_view name_of(Kind kind);

/// What a server holds when a slice begins, all of it durable.
struct Beginning {
  Term term;
  NodeId vote;
  std::vector<std::uint64_t> log;  ///< The term of each entry.
  Index commit;
};
/// A message that an earlier term left on its way.
struct Leftover {
  Slot from;
  Slot to;
  raft::Message message;
};

struct Slice {
  std::string name;
  std::string about;  ///< One line.
  Term terms_max;     ///< Nobody times out in this term, or enters a later one.
  std::vector<std::uint32_t> limits = std::vector<std::uint32_t>(kinds);  ///< By Kind.
  bool one_entry_per_append = false;
  bool little_memory = false;  ///< What is committed and durable is read from the disk.
  bool heartbeats_lost = false;
  /// Whoever times out hears at once whether one other, which has heard no leader for long, grants
  /// the pre-vote; the question to the third is lost.
  bool instant_pre_votes = false;
  std::vector<Beginning> beginnings = {};  ///< One per voter; empty: three servers, nothing yet.
  std::vector<Leftover> leftovers = {};
  bool quick = true;  ///< One of those that CTest runs.
  bool disks_lie = false;

  [[nodiscard]] std::size_t voters() const { return beginnings.empty() ? 3 : beginnings.size(); }
  [[nodiscard]] std::uint32_t limit(Kind kind) const {
    return limits[static_cast<std::size_t>(kind)];
  }
  [[nodiscard]] Setting setting() const;
  [[nodiscard]] Disk disk(Slot slot) const;
};

/// Those that kuilt-explore knows, the small ones first.
[[nodiscard]] const std::vector<Slice>& all_slices();
[[nodiscard]] const Slice* find_slice(std::string_view name);

}  // namespace kuilt::explore
