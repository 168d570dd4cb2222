// durable_session.hpp: a durable session between its store and its client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
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
  void begin(RequestId id, bool sent_before);
  /// One has ended. Whether that is a refusal of the id: a certain one, as were all others.
  bool end(RequestId id, bool refused);
  void forget(RequestId id);
  [[nodiscard]] bool all_refused(RequestId id) const;

 private:
  struct Tally {
    std::uint64_t calls = 0;
    std::uint64_t refused = 0;
  };
  mutable std::mutex mutex_;
  std::map<RequestId, Tally> tallies_;
};

/// Keeps what is in memory equal to what is in the store: a change is made in the store first.
/// After a change that failed the store may hold it all the same. Then whatever comes next first
/// writes the store anew, as it is in memory, or fails as well, and sends nothing.
///
/// Threads: any; one at a time gets in, and waits for the disk there.
class DurableSessionFile {
 public:
  /// Waits for a server, so as to know which cluster this is.
  [[nodiscard]] static Result<std::unique_ptr<DurableSessionFile>> open(
      std::shared_ptr<ClientShell> client, std::unique_ptr<SessionStore> store, Duration deadline);

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

  // Pre of all: `mutex_` is held; of all but `settle`: the store holds what is in memory.
  Status settle();
  Status keep(const client::SessionRecord& record);
  Status rewrite(client::DurableSessionState next);
  std::shared_ptr<PendingState<Receipt>> submit_locked(RequestId id, Duration deadline);
  std::shared_ptr<PendingState<Receipt>> propose_call(RequestId id, bool sent_before,
                                                      Duration deadline);
  /// Whether an attempt may be in the log, for all that is known.
  [[nodiscard]] bool maybe_sent(RequestId id) const;

  const std::shared_ptr<ClientShell> client_;
  const std::shared_ptr<Submits> submits_ = std::make_shared<Submits>();
  mutable std::mutex mutex_;  ///< Guards what follows.
  /// Calls under way own it too: until they have ended nobody else may submit their ids.
  std::shared_ptr<SessionStore> store_;
  client::DurableSessionState state_;
  bool settled_ = false;  ///< Whether the store holds `state_`, for all that is known.
  std::size_t file_bytes_ = 0;
  std::size_t file_bytes_max_ = 0;  ///< From there on the file is written anew.
};

}  // namespace kuilt::detail
