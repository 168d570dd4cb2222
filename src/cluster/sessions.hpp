// sessions.hpp: who has proposed what, so that the log never holds one request twice.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "kuilt/errors.hpp"
#include "kuilt/types.hpp"
#include "raft/configuration.hpp"
#include "wire/entry.hpp"
#include "wire/outcome.hpp"

namespace kuilt::cluster {

/// The session table as of the last entry of a log: a pure function of that log. Entries beyond
/// the commit index can be taken back, as the log itself may be truncated there.
///
/// Rules (docs/ARCHITECTURE.md, "Sessions"): an unknown session is opened only if its birth is
/// above `forgotten_through` and not above the leader's last index; a session keeps, above its
/// floor, the position and digest of every request; the floor moves only by what clients
/// acknowledge; a session is bound to the author that opened it; expiry is by log time.
class ClientSessionTable {
 public:
  explicit ClientSessionTable(const raft::Parameters& parameters) : parameters_(parameters) {}

  struct Append {};  ///< New: goes into the log.
  struct Repeat {
    Position at;
  };  ///< In the log already; committed or not.
  struct Refuse {
    ErrorCode code;
    std::string message;
  };
  using Verdict = std::variant<Append, Repeat, Refuse>;
  /// What a leader whose log ends at `last` does with a proposal. Changes nothing.
  [[nodiscard]] Verdict judge(const wire::Proposal& proposal, Index last) const;

  /// Takes in the next entry of the log. Entries other than commands change nothing but expiry.
  void append(const wire::Command& command);
  /// Takes back every entry after `last`. Pre: none of them was released.
  void truncate_after(Index last);
  /// Entries up to `commit` will never be taken back.
  void release(Index commit);

  /// Where (session, request) is in the log, if the table still knows it.
  [[nodiscard]] std::optional<Position> find(SessionId session, RequestId request) const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] Index forgotten_through() const;
  /// The last stamp in the log.
  [[nodiscard]] LogTime log_time() const;
  /// Counts since this table was made; for figures and the simulator's coverage.
  [[nodiscard]] std::uint64_t expired() const;
  /// A digest of the whole table: equal logs give equal tables on all servers.
  [[nodiscard]] std::uint64_t digest() const;

 private:
  raft::Parameters parameters_;
  // (filled in by the implementation)
};

}  // namespace kuilt::cluster
