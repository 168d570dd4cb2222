// sessions.hpp: who has proposed what, so that the log never holds one request twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kuilt/errors.hpp"
#include "kuilt/types.hpp"
#include "raft/configuration.hpp"
#include "wire/entry.hpp"
#include "wire/outcome.hpp"
#include "wire/snapshot_records.hpp"

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
  /// What no table would accept: the part of `judge` that any server may decide alone.
  [[nodiscard]] std::optional<Refuse> complaint_about(const wire::Proposal& proposal) const;
  /// What a leader whose log ends at `last` does with a proposal. Changes nothing. `stamp` is what
  /// the entry would bear: sessions that it makes expire leave room for a new one. Without that, a
  /// full table in which nobody lives would never let anyone in, as only entries move log time.
  [[nodiscard]] Verdict judge(const wire::Proposal& proposal, Index last, LogTime stamp = {}) const;

  /// Takes in the next command of the log; other entries are none of the table's business.
  ///
  /// The entry's own session is used first, and only then do others expire by the entry's stamp: so
  /// a stamp, drawn after the verdict, never expires the session that was just judged alive. (If it
  /// did, the session would be opened anew, and would have forgotten what it must not repeat.)
  void append(const wire::Command& command);
  /// Takes back every entry after `last`. Pre: none of them was released.
  void truncate_after(Index last);
  /// Entries up to `commit` will never be taken back.
  void release(Index commit);

  // sessions_snapshot.cpp: the table as records of a snapshot, and back.

  /// Puts it into `out`: equal tables give equal bytes, on all servers.
  void append_records(std::string& out) const;
  /// Begins as of the entry `at` instead of with nothing. Pre: nothing was taken in yet.
  void begin(Index at, LogTime log_time, Index forgotten_through);
  /// The next record, after `begin`. Nothing; or what it can't be right about.
  [[nodiscard]] std::optional<std::string> take(const wire::SnapshotSession& record);
  [[nodiscard]] std::optional<std::string> take(const wire::SnapshotRequest& record);

  /// Where (session, request) is in the log, if the table still knows it.
  [[nodiscard]] std::optional<Position> find(SessionId session, RequestId request) const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] Index forgotten_through() const;
  /// The last stamp in the log.
  [[nodiscard]] LogTime log_time() const;
  /// Sessions that expired since this table was made, taken back or not; for figures and the
  /// simulator's coverage.
  [[nodiscard]] std::uint64_t expired() const;
  /// A digest of the whole table: equal logs give equal tables on all servers.
  [[nodiscard]] std::uint64_t digest() const;

 private:
  struct Request {
    Position at;
    std::uint64_t digest = 0;
  };
  using Requests = std::map<RequestId, Request>;
  struct Session {
    Index birth;
    std::string author;
    RequestId floor;
    LogTime last_use;
    Requests requests;  // Above the floor.
  };
  // Sessions in the order in which they expire.
  using Uses = std::set<std::pair<LogTime, SessionId>>;
  // What it takes to undo one entry. Kept until the entry is released.
  struct Undo {
    Index index;
    LogTime log_time;
    Index forgotten_through;
    SessionId session;
    bool opened = false;
    RequestId floor;
    LogTime last_use;
    std::optional<RequestId> added;
    Requests dropped;  // By the entry's floor.
    std::vector<std::pair<SessionId, Session>> forgotten;
  };

  [[nodiscard]] Verdict judge_known(const Session& session, const wire::Proposal& proposal) const;
  [[nodiscard]] Verdict judge_unknown(const wire::Proposal& proposal, Index last,
                                      LogTime stamp) const;
  [[nodiscard]] std::optional<Refuse> beyond_window(const wire::Proposal& proposal,
                                                    RequestId floor) const;
  // Whether, with the stamp, there is no room for one more session among `uses`.
  [[nodiscard]] bool full(const Uses& uses, std::uint64_t limit, LogTime stamp) const;
  [[nodiscard]] bool expired_at(LogTime last_use, LogTime stamp) const;
  Session& use(const wire::Command& command, LogTime stamp, Undo& undo);
  void forget_expired(LogTime stamp, Undo& undo);
  void undo(Undo& undo);
  void index(SessionId id, const Session& session);
  void unindex(SessionId id, const Session& session);

  raft::Parameters parameters_;
  std::map<SessionId, Session> sessions_;
  Uses uses_;
  std::map<std::string, Uses> uses_by_author_;
  Index forgotten_through_;
  LogTime log_time_;
  Index released_;
  std::deque<Undo> journal_;
  std::uint64_t expired_ = 0;
};

}  // namespace kuilt::cluster
