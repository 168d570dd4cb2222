// propose_session.hpp: `kuilt propose --session`: commands that a crash does not repeat.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "kuilt/client.hpp"

namespace kuilt::cli {

/// A durable session, and what an earlier run under it left without an outcome. That is finished
/// first. A command that equals one of those is the same command again, and not proposed anew.
///
/// A session that the cluster does not know any more goes on under the same file, as another one,
/// unless something of it may be in the log: then its user must look.
///
/// Threads: `settled` on any, one at a time; the rest on one.
class ProposeSession {
 public:
  ProposeSession(DurableSession session, std::string path)
      : session_(std::move(session)), path_(std::move(path)) {}

  /// Submits what was left, and waits for it; says on standard error what became of each. Returns
  /// the exit status: 0, if all have an outcome by now. Else it has said how to go on.
  int finish_earlier(std::chrono::nanoseconds deadline);

  struct Sent {
    RequestId id;
    Pending<Receipt> outcome;
  };
  /// Errors: those of `DurableSession::record`.
  Result<Sent> propose(const std::string& command, const RoomName& room,
                       std::chrono::nanoseconds deadline);
  /// The outcome stands on standard output: the cluster may forget it, unless it is unknown.
  Status settled(RequestId id, const Result<Receipt>& outcome);
  /// Acknowledges what was finished for an earlier run and not asked for by this one. A run that
  /// stopped before its end leaves it to the next: it may have been about to ask. Of a session that
  /// is no more, makes another one, or says how to.
  Status finish(bool came_to_its_end, std::chrono::nanoseconds deadline);

 private:
  /// Nothing: interrupted.
  std::optional<int> submit_left(std::chrono::nanoseconds deadline);
  /// Whether the next run can go on without further ado; else what to do was said.
  bool replace(std::chrono::nanoseconds deadline);

  DurableSession session_;
  const std::string path_;
  bool lost_ = false;  ///< The cluster does not know it, or it is of another history.
  std::multimap<std::pair<RoomName, std::string>, RequestId> earlier_;  ///< Committed.
};

}  // namespace kuilt::cli
