// read_index.hpp: reads that this server's clients, and its peers', have asked for, and where each
// of them is on its way to an index.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "kuilt/types.hpp"

namespace kuilt::raft {

/// This server's own numbers for its reads. Never reused within one life.
using ReadId = Number<struct ReadIdTag>;

/// Why a read has no index. It may be asked for again at any time.
enum class ReadFailure : std::uint8_t {
  none,
  busy,             ///< Options::reads_max are pending.
  leadership_lost,  ///< While this core led, and before a round had confirmed it.
  no_leader,        ///< None was known when Options::read_wait_max had passed.
  timed_out,        ///< One was, and it did not say in time.
};
[[nodiscard]] std::string_view name_of(ReadFailure failure);

/// The end of a read. With an index: everything that anybody had committed when the read came in is
/// at or below it.
struct FinishedRead {
  ReadId id;
  std::optional<Index> index{};
  ReadFailure failure = ReadFailure::none;
  friend bool operator==(const FinishedRead&, const FinishedRead&) = default;
};

/// Every pending read is in one of four places. Who leads has rounds; who does not has a request.
struct Reads {
  struct Own {
    ReadId id;
    Instant due;  ///< Fails then.
  };
  /// All reads behind one request of a peer. A peer has one request out at most.
  struct OfPeer {
    NodeId peer;
    BootId boot;  ///< Of the life that asked.
    std::uint64_t number = 0;
  };
  /// A heartbeat round that confirms reads: all of them came in before it began.
  struct Round {
    std::uint64_t number = 0;
    Index index;  ///< The commit index when it began.
    std::vector<Own> own;
    std::vector<OfPeer> of_peers;
  };
  /// The one that is out to the leader: its reads came in before it left.
  struct Request {
    NodeId to;
    Term term;
    std::uint64_t number = 0;
    Index commit;  ///< Ours when it left: the answer can't be below.
    Instant due;   ///< Asked again then.
    std::vector<Own> own;
  };

  std::vector<Own> waiting;      ///< For the next round, or the next request. Oldest first.
  std::vector<OfPeer> of_peers;  ///< For the next round.
  std::deque<Round> rounds;      ///< That began, and are not confirmed. Oldest first.
  std::optional<Request> asked;
  std::uint64_t last_request = 0;  ///< Of this life.
  Instant ask_from{};              ///< Not before: the leader can't be reached, or did not lead.
  Term led_in;                     ///< As of the last step; zero if this core did not lead.
};

}  // namespace kuilt::raft
