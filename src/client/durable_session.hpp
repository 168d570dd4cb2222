// durable_session.hpp: a durable session between its store and its client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "client/client_core_session.hpp"
#include "client/client_shell.hpp"
#include "kuilt/session.hpp"

namespace kuilt::detail {

/// What became of the submits of this process. An id all of whose submits were refused for certain
/// is surely not in the log, if no process before this one has submitted it (rule 14).
///
/// Threads: any; never waits for a disk, for the thread of the links gets in.
class Submits {
 public:
  using Token = std::uint64_t;  ///< Of one submit.

  Token begin(RequestId id, bool sent_before);
  /// One has ended. Whether that is a refusal of the id: a certain one, as were all others.
  bool end(RequestId id, Token token, bool refused);
  /// One waits for another session: surely nothing of it is under way, until it is released to it.
  void hold(RequestId id, Token token);
  void release(RequestId id, Token token);
  void forget(RequestId id);
  /// Surely not in the log, and nothing under way.
  [[nodiscard]] bool all_refused(RequestId id) const;
  /// Those of `all_refused`.
  [[nodiscard]] std::vector<RequestId> refused() const;

  enum class Doubt : std::uint8_t { none, while_under_way, for_good };
  /// Whether an attempt may be in the log of what was submitted under `id`.
  [[nodiscard]] Doubt doubt(RequestId id) const;

 private:
  struct Tally {
    std::set<Token> under_way;
    std::set<Token> held;
    bool lost = false;  ///< One has ended that no answer can make up for.
    [[nodiscard]] bool all_refused() const { return !lost && under_way.empty() && held.empty(); }
  };
  mutable std::mutex mutex_;
  Token last_ = 0;
  std::map<RequestId, Tally> tallies_;
  std::set<RequestId> refused_;
};

/// Keeps what is in memory equal to what is in the store: a change is made in the store first.
/// After a change that failed the store may hold it all the same. Then whatever comes next first
/// writes the store anew, as it is in memory, or fails as well, and sends nothing.
///
/// Threads: any; one at a time gets in, and waits for the disk there. One of its own, if need be.
class DurableSessionFile {
 public:
  /// Waits for a server, so as to know which cluster this is.
  [[nodiscard]] static Result<std::unique_ptr<DurableSessionFile>> open(
      std::shared_ptr<ClientShell> client, std::unique_ptr<SessionStore> store, Duration deadline);
  ~DurableSessionFile();

  Result<RequestId> record(BytesView command, RoomName room);
  std::shared_ptr<PendingState<Receipt>> submit(RequestId id, Duration deadline);
  std::shared_ptr<PendingState<Receipt>> propose(BytesView command, RequestId id,
                                                 ProposeOptions options);
  Status acknowledge(RequestId id);
  [[nodiscard]] std::vector<DurableSession::Unfinished> unfinished() const;
  Status renew(Duration deadline);

 private:
  DurableSessionFile(std::shared_ptr<ClientShell> client, std::unique_ptr<SessionStore> store,
                     client::DurableSessionState state)
      : client_(std::move(client)), store_(std::move(store)), state_(std::move(state)) {}

  /// A submit whose session the cluster does not know. Held, it waits for another.
  struct Held {
    RequestId id;
    Submits::Token token = 0;
    SessionId session;  ///< That it was sent under.
  };
  void renew_for(const Held& submit, const client::NeedKey& need);
  [[nodiscard]] std::optional<client::SessionKey> key_for(const Held& submit, Index birth);

  // Pre of all: `mutex_` is held; of all but `settle` and `ready`: the store holds what is in
  // memory.
  Status settle();
  /// Before anything is done about an id, or about none.
  Status ready(RequestId about = {});
  Status withdraw_refused(RequestId but);
  Status keep(const client::SessionRecord& record);
  Status rewrite(client::DurableSessionState next);
  [[nodiscard]] client::DurableSessionState under(const client::SessionBegins& begins) const;
  std::shared_ptr<PendingState<Receipt>> submit_locked(RequestId id, Duration deadline);
  std::shared_ptr<PendingState<Receipt>> propose_call(RequestId id, bool sent_before,
                                                      Duration deadline);
  /// Whether an attempt may be in the log, for all that is known.
  [[nodiscard]] bool maybe_sent(RequestId id) const;
  [[nodiscard]] Submits::Doubt doubt() const;  ///< The worst, of all ids.

  const std::shared_ptr<ClientShell> client_;
  const std::shared_ptr<Submits> submits_ = std::make_shared<Submits>();
  /// Where the disk is waited for that a submit waits for: the thread of the links must not.
  const std::shared_ptr<client::CallbackQueue> renewals_ =
      std::make_shared<client::CallbackQueue>(Dispatch::thread);
  mutable std::mutex mutex_;  ///< Guards what follows.
  /// Calls under way own it too: until they have ended nobody else may submit their ids.
  std::shared_ptr<SessionStore> store_;
  client::DurableSessionState state_;
  bool settled_ = false;  ///< Whether the store holds `state_`, for all that is known.
  std::size_t file_bytes_ = 0;
  std::size_t file_bytes_max_ = 0;  ///< From there on the file is written anew.
};

}  // namespace kuilt::detail
