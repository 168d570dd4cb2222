// propose_session.hpp: `kuilt propose --session`: commands that a crash does not repeat.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "kuilt/client.hpp"

namespace kuilt::cli {

/// A durable session, and what an earlier run under it left without an outcome. That is finished
/// first. A command that equals one of those is the same command again, and not proposed anew.
///
/// Threads: `settled` on any, one at a time; the rest on one.
class ProposeSession {
 public:
  ProposeSession(DurableSession session, std::string path)
      : session_(std::move(session)), path_(std::move(path)) {}

  /// Submits what was left, and waits for it; says on standard error what became of each. Returns
  /// the exit status: 0, if all have an outcome by now.
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
  /// Acknowledges what was finished for an earlier run and not asked for by this one.
  Status finish();
  /// What to do about an error, beyond what it says itself. Empty: nothing.
  [[nodiscard]] std::string way_out(const Error& error) const;

 private:
  DurableSession session_;
  const std::string path_;
  std::multimap<std::pair<RoomName, std::string>, RequestId> earlier_;  ///< Committed.
};

}  // namespace kuilt::cli
