// client_core_calls.hpp: the proposals that are pending: ids, attempts, window, outcomes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "client/client_core_values.hpp"
#include "kuilt/detail/rng.hpp"

namespace kuilt::client {

/// The library's own session: ids 1, 2, ... in the order in which calls are first sent.
struct OwnSession {
  SessionKey key;       ///< Without an id until the shell has drawn one: the core has no secrets.
  bool opened = false;  ///< The birth is set: something was, or is about to be, sent.
  std::uint64_t number = 1;
  RequestId next{1};
  RequestId floor;           ///< The outcome of every id up to here was delivered.
  std::set<RequestId> done;  ///< Above the floor.

  void finish(RequestId id);
};

/// What a call that was never sent is told at its deadline.
struct Situation {
  bool linked = false;
  bool leader_known = false;
  std::string trouble;  ///< The last that went wrong with a link.
};

/// What a call is told that was refused where another of its id may have done it.
[[nodiscard]] Error in_doubt(const Error& refusal);
/// What a call is told that ends before anything of it was sent: the refusal, unless an earlier
/// call may have done it.
[[nodiscard]] Error without_attempt(const ProposeCall& asked, Error refusal);

/// Every proposal from the call to its one outcome. "Refused" is said only if every attempt was
/// refused for certain (rule 14): `attempts` counts those sent, `certain` those answered so.
class Calls {
 public:
  Calls(const ClientOptions& options, std::uint64_t seed, SessionId session);

  void propose(Instant now, ProposeCall asked, std::vector<Duty>& duties);
  void cancel(CallId id, std::vector<Duty>& duties);
  void stop(std::vector<Duty>& duties);
  /// The secret for a session that was asked for.
  void use(SessionId fresh);
  /// What a call goes on with that waited for a key.
  void use(Instant now, const FreshKey& fresh, std::vector<Duty>& duties);
  void answer(Instant now, const wire::Answer& answer, std::vector<Duty>& duties);

  /// A new link is in use: its limits hold, and everything unanswered is sent again.
  void link_up(const wire::Limits& limits, HistoryId history);
  /// The link in use is gone: its attempts will never be answered.
  void link_down(std::vector<Duty>& duties);
  /// Deadlines and repeats that are due.
  void tick(Instant now, const Situation& situation, std::vector<Duty>& duties);
  /// What goes out on the link in use, whose server is known to have committed through `commit`.
  [[nodiscard]] std::vector<wire::Propose> send(Instant now, Index commit,
                                                std::vector<Duty>& duties);
  [[nodiscard]] std::optional<Instant> wake_at() const;

  [[nodiscard]] std::uint64_t attempts() const { return attempts_; }
  [[nodiscard]] std::uint64_t retries() const { return retries_; }
  [[nodiscard]] std::uint64_t sessions_reopened() const { return sessions_reopened_; }

 private:
  struct Call {
    ProposeCall asked;
    bool own = true;                   ///< In the library's own session.
    std::uint64_t session_number = 0;  ///< Of the own session that its id belongs to; 0: no id yet.
    SessionKey key;
    RequestId id;
    RequestId floor;
    std::uint32_t attempts = 0;    ///< Sent under this id.
    std::uint32_t certain = 0;     ///< Of these, refused for certain.
    std::uint32_t open = 0;        ///< Of these, unanswered on the link in use.
    unsigned refusals = 0;         ///< In all, for the wait before the next attempt.
    bool charged = false;          ///< Counts in the window.
    bool no_more = false;          ///< A refusal was final; older attempts are still open.
    bool expired = false;          ///< The last attempt met no such session.
    bool awaits_key = false;       ///< So it has said; nothing of it is under way.
    Index next_birth;              ///< Of the session that it has asked for; 0: for none.
    Index sent_after;              ///< What was committed before its first attempt left.
    std::optional<Error> refusal;  ///< The last.
    Instant again_at = Instant::max();
    Instant alarm = Instant::max();

    [[nodiscard]] bool surely_absent() const { return attempts == certain && !asked.sent_before; }
  };
  using Entry = std::map<CallId, Call>::iterator;

  [[nodiscard]] std::size_t cost(const Call& call) const;
  void queue(CallId id, const Call& call);
  void set_alarm(CallId id, Call& call);
  void settle(Call& call);
  void resolve(Entry entry, Result<wire::CommittedOutcome> result, std::vector<Duty>& duties);
  [[nodiscard]] std::optional<Error> unfit(const Call& call) const;
  void on_refused(Instant now, Entry entry, const wire::RefusedOutcome& refused,
                  std::vector<Duty>& duties);
  void on_expired(Instant now, Entry entry, std::vector<Duty>& duties);
  void on_committed(Entry entry, const wire::CommittedOutcome& committed,
                    std::vector<Duty>& duties);
  void ask_for_key(CallId id, Call& call, std::vector<Duty>& duties);
  void give_up(Entry entry, std::vector<Duty>& duties);
  void expire(Entry entry, const Situation& situation, std::vector<Duty>& duties);
  void reopen_session(std::vector<Duty>& duties);
  void wait_and_repeat(Instant now, CallId id, Call& call, Duration asked);
  [[nodiscard]] std::optional<CallId> next_to_send() const;
  void enter_session(Call& call, Index commit);
  [[nodiscard]] wire::Proposal attempt(Instant now, CallId id, Call& call, Index commit);

  ClientOptions options_;
  Rng rng_;
  OwnSession session_;
  wire::Limits limits_;
  HistoryId history_;  ///< Of the link in use.
  Index commit_;       ///< Of its server, when something could be sent last.
  std::map<CallId, Call> calls_;
  std::map<std::uint64_t, CallId> numbers_;  ///< Of unanswered attempts on the link in use.
  std::set<CallId> again_;                   ///< To be sent, with an id.
  std::set<CallId> fresh_;                   ///< To be sent, and still without an id.
  std::set<std::pair<Instant, CallId>> alarms_;
  std::size_t pending_bytes_ = 0;
  std::size_t window_bytes_ = 0;
  std::uint64_t last_number_ = 0;
  std::uint64_t attempts_ = 0;
  std::uint64_t retries_ = 0;
  std::uint64_t sessions_reopened_ = 0;
};

}  // namespace kuilt::client
