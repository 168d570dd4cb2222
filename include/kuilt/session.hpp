// session.hpp: proposals that happen exactly once even if the client is killed in between.
//
//   auto mine = client.open_session("player-7.session").or_throw();
//   for (auto& left : mine.unfinished()) settle(left.id, mine.submit(left.id).get());
//   auto id = mine.record("action:move=2").or_throw();   // durable; nothing is sent yet
//   settle(id, mine.submit(id).get());                   // writes the outcome down, then
//                                                        // mine.acknowledge(id)
//
// Not to be acknowledged: an outcome that is unknown (submit it again later), session_expired and
// history_differs (mine.renew(), if it lets you, and submit it again). See
// examples/exactly_once.cpp.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kuilt/bytes.hpp"
#include "kuilt/detail/chrono.hpp"
#include "kuilt/detail/export.hpp"
#include "kuilt/pending.hpp"
#include "kuilt/proposal.hpp"
#include "kuilt/result.hpp"
#include "kuilt/types.hpp"

namespace kuilt {

/// Where a durable session keeps its file: bytes that only ever grow, or are replaced as a whole.
/// `ClusterClient::open_session(path)` brings one that keeps them in a file of that name.
///
/// Threads: one call at a time, on the thread that called the session or one of the library.
/// Ownership: the session owns its store, and so does each call under way, whose end may destroy it
/// on a thread of the client; two sessions must never share what is behind it.
/// Failure: after any error the session calls nothing but `replace` until that has succeeded.
class KUILT_API SessionStore {
 public:
  virtual ~SessionStore() = default;
  /// All that is kept. Nothing, if nothing ever was: an empty file is something, and damaged.
  virtual Result<std::optional<Bytes>> load() = 0;
  /// Success promises that `bytes` survive a crash of the machine, behind all that was there.
  /// After an error, or a crash meanwhile, any first part of them may be there, or all.
  virtual Status append(BytesView bytes) = 0;
  /// Success promises that `bytes`, and nothing else, survive a crash of the machine. After an
  /// error, or a crash meanwhile, either they or what was there before is there, whole.
  virtual Status replace(BytesView bytes) = 0;
};

namespace detail {
class DurableSessionFile;
}

/// A session of its own, with ids and commands that survive this process. Each command is in the
/// log at most once, however often it is submitted, by this process or a later one.
///
/// The outcome of `submit`: a Receipt (committed; `duplicate` if an earlier attempt had done it),
/// an Error with effect none (refused: surely not in the log), or one with effect unknown. Refused
/// is said only if every attempt of the id was refused, also those of processes before this one,
/// and none is under way.
///
/// A session that the cluster does not know (it was not used for days, or was begun on a server
/// that lagged behind) is replaced by another in the same file before anybody hears of it, if all
/// that was submitted and not acknowledged is surely not in the log.
///
/// Never put an older copy of the file back, nor use two copies of it: ids that it has given out
/// would be given to other commands. Where the cluster answers such a one as done, the first submit
/// says request_id_reused if that was known to be committed before; a server that lags behind lets
/// it pass.
///
/// Threads: calls from any thread, also inside callbacks. Those that write wait for the disk.
/// Ownership: move-only; may outlive its client, and then submits nothing. Destruction gives up
/// nothing: what is under way goes on, and the file stays locked until the last call has ended.
/// Failure: after disk_full or io the file may hold what was refused. Before anything else is done
/// it is written anew, without that; calls answer the same error until it is. The effect of these
/// errors speaks of the log: none, for nothing was sent. An id whose outcome is unknown stays
/// unfinished; submit it again, now or later. One that servers refuse for good (the message says
/// why) stays unknown if an earlier attempt went without an answer: look for it in the log, then
/// acknowledge it.
class KUILT_API DurableSession {
 public:
  /// A command that was recorded, and is not acknowledged yet.
  struct Unfinished {
    RequestId id;
    RoomName room;
    Bytes command;
    bool submitted = false;  ///< Perhaps in the log by now. If not: surely not.
  };

  explicit DurableSession(std::unique_ptr<detail::DurableSessionFile> file);
  DurableSession(DurableSession&&) noexcept;
  DurableSession& operator=(DurableSession&&) noexcept;
  ~DurableSession();

  /// Gives the command the next id, and makes both durable. Sends nothing.
  /// Errors: window_full (1024 ids from the first unfinished one on), busy (16 MiB of commands are
  /// unfinished), invalid_argument (no room has that name), disk_full, io (a later process may find
  /// the command unfinished, and never submitted).
  Result<RequestId> record(BytesView command, RoomName room = {});
  /// Proposes what was recorded under `id`; again, if it was before. Before the first time, makes
  /// durable that it was: only then can an outcome be lost.
  /// Errors: as `ClusterClient::propose`; and invalid_argument (no such id), below_floor (it was
  /// acknowledged), disk_full, io (nothing was sent), request_id_reused (the file is an older copy,
  /// or used twice; the id is another command's: renew, and submit it again), history_differs (the
  /// cluster was restored to another past) and session_expired (and what was submitted may be in
  /// the log, or the log is older than the session): see `renew`. Where these two are certain, the
  /// command is as good as never submitted: renew and submit it, don't acknowledge it.
  Pending<Receipt> submit(RequestId id,
                          std::chrono::nanoseconds deadline = ProposeOptions{}.deadline);
  /// Records under an id of the caller's choice and submits, with one write. Repeating it with the
  /// same command repeats the submit. Ids must rise, and stay below 2^64-1; gaps are fine, of up to
  /// 1023 above the first unfinished one.
  /// Errors: those of `record` and `submit`; request_id_reused (the id has another command).
  Pending<Receipt> propose(BytesView command, RequestId id);
  Pending<Receipt> propose(BytesView command, RequestId id, ProposeOptions options);
  /// Says that the application has written the outcome down: the cluster may forget it, and so does
  /// this session. May be repeated. A submit that is still under way ends in unknown.
  /// Errors: invalid_argument (no such id), disk_full, io (the id stays unfinished here; a process
  /// that comes next may find it gone).
  Status acknowledge(RequestId id);
  /// In order of their ids.
  [[nodiscard]] std::vector<Unfinished> unfinished() const;

  /// After session_expired, history_differs and request_id_reused: goes on in the same file under a
  /// new session, of the history that the cluster has now. Commands that are surely not in the log
  /// keep their ids.
  /// Errors: invalid_argument (an id was submitted, and its outcome is lost: find out what became
  /// of it, in the log for example, and acknowledge it first), no_server, stopped,
  /// disk_full, io, usage (inside a callback).
  Status renew(std::chrono::nanoseconds deadline = std::chrono::seconds(15));

 private:
  std::unique_ptr<detail::DurableSessionFile> file_;
};

}  // namespace kuilt
