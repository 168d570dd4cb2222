// client.hpp: connect to a cluster, propose commands, observe the committed log.
//
//   auto client = kuilt::ClusterClient::connect({"ws://a:7400", "ws://b:7400"}).or_throw();
//   auto seen = client.observe(kuilt::from_start).or_throw();
//   auto done = client.propose("action:move=1").get().or_throw();
//   while (auto next = seen.next()) { ... }
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>

#include "kuilt/bytes.hpp"
#include "kuilt/committed.hpp"
#include "kuilt/detail/chrono.hpp"
#include "kuilt/detail/export.hpp"
#include "kuilt/detail/function.hpp"
#include "kuilt/endpoints.hpp"
#include "kuilt/feed_rule.hpp"
#include "kuilt/pending.hpp"
#include "kuilt/proposal.hpp"
#include "kuilt/result.hpp"
#include "kuilt/room.hpp"
#include "kuilt/session.hpp"
#include "kuilt/types.hpp"

namespace kuilt {
/// What has happened to a link.
enum class ClientEventKind : std::uint8_t {
  connected,     ///< A server has admitted this client; `text` is its name.
  disconnected,  ///< The link has ended; `text` says why. Another server is tried.
  resumed,       ///< A feed goes on at `at`, `after` so long, on the server named by `text`.
  refused,       ///< An endpoint did not admit this client, or the selector chose none: see `text`.
  feed_broken,   ///< A server sent what cannot be the log, against `rule`; see `text`.
};
/// For people: what happens to the links. Nothing here needs an answer.
struct ClientEvent {
  ClientEventKind kind = ClientEventKind::connected;
  std::string endpoint;
  std::string text;
  Position at;
  std::chrono::nanoseconds after{};
  std::optional<FeedRule> rule = {};
};

/// Where the callbacks of a client run.
enum class Dispatch : std::uint8_t {
  thread,  ///< On a thread of the library.
  poll,    ///< In `ClusterClient::poll`, and nowhere else.
};
/// How a client behaves. Every field may be left as it is.
struct ClientOptions {
  std::string name = {};    ///< Who this client says it is. At most 128 bytes of UTF-8.
  std::string token = {};   ///< Proves it, where servers require a proof. At most 1024 bytes.
  std::uint32_t links = 1;  ///< To distinct servers. Beyond the first they stand by.
  bool json = false;        ///< Speak kuilt.v1.json, to watch the conversation.
  std::chrono::nanoseconds attempt_timeout = std::chrono::seconds(3);  ///< Then it is repeated.
  std::chrono::nanoseconds silence_max = std::chrono::seconds(3);      ///< Then a link is given up.
  std::chrono::nanoseconds dial_timeout = std::chrono::seconds(3);     ///< From dial to welcome.
  EndpointSelector selector = {};        ///< Unset: round robin, from the first endpoint on.
  Dispatch dispatch = Dispatch::thread;  ///< Where callbacks run.
  std::function<void(const ClientEvent&)> on_event = {};  ///< A callback like any other.
};
/// What is observed.
struct ObserveOptions {
  RoomName room = {};  ///< The default room, if it is empty.
};

namespace detail {
class ClientShell;
class CommittedSource;
class LearnerReader;
}  // namespace detail

/// A cursor into one room's committed stream: every visible entry, in log order, without a gap or a
/// repeat, across failovers. Holds at most 1 MiB that was not taken yet; then the server waits.
///
/// Threads: one at a time. Ownership: move-only; destruction stops observing. May outlive the
/// client, and then ends.
class KUILT_API Observer {
 public:
  explicit Observer(std::shared_ptr<detail::CommittedSource> source);
  Observer(Observer&&) noexcept;
  Observer& operator=(Observer&&) noexcept;
  ~Observer();

  /// Waits for the next piece. Nothing, once the stream has ended: `error()` says why.
  [[nodiscard]] std::optional<Committed> next();
  /// As `next`, but nothing after `timeout` as well. Inside a selector it does not wait.
  [[nodiscard]] std::optional<Committed> next_for(std::chrono::nanoseconds timeout);
  /// Why there will be no more: stopped, history_differs, wrong_cluster, compacted; or what all
  /// servers say against this client or this room (invalid_argument, not_allowed, bad_frame,
  /// version_unsupported). Or why the last `next` did not wait: usage (inside a selector; the
  /// stream goes on). Nothing, while the stream goes on.
  [[nodiscard]] std::optional<Error> error() const;
  /// Where a later observer has to begin so as to see all that comes after the last Advance taken.
  /// Nothing before the first one. Entries taken since then will be seen again.
  [[nodiscard]] std::optional<ResumeToken> token() const;

 private:
  std::shared_ptr<detail::CommittedSource> source_;
};

class RaftNode;

/// A client of a cluster. It finds a server, moves on to another when that one is lost, repeats
/// what is unanswered under the same request id, and resumes its feeds where they were.
///
/// Threads: calls from any thread, at the same time. Callbacks (`then`, `on_committed`, `on_event`,
/// those of rooms, coroutines that waited) run on one thread of the library, or inside `poll`,
/// never two at once; calling back in is legal, waiting by `get()` is an error, and a callback that
/// throws ends the process with its name.
/// Ownership: move-only; destruction stops, and frees uncalled what was not polled. A client may be
/// destroyed inside one of its own callbacks, also by a coroutine that owns it: what is due behind
/// that one is freed uncalled. Never destroy one in its selector.
/// Failure: never throws. It goes on trying until stopped; each call has a deadline of its own.
class KUILT_API ClusterClient {
 public:
  /// Begins to connect; does not wait for it. Endpoints are tried in turn, the first one first.
  /// Errors: invalid_argument (no endpoint, one that is no URL, no link, a name or token that is
  /// too long or not UTF-8, a timeout that is not above zero).
  [[nodiscard]] static Result<ClusterClient> connect(ClusterEndpoints endpoints,
                                                     ClientOptions options = {});
  [[nodiscard]] static Result<ClusterClient> connect(std::initializer_list<std::string> endpoints,
                                                     ClientOptions options = {});
  ClusterClient(ClusterClient&&) noexcept;
  ClusterClient& operator=(ClusterClient&&) noexcept;
  ~ClusterClient();

  /// Puts a command into the log, exactly once however often servers fail meanwhile. While the
  /// server has no leader it is held back, to be sent when there is one: then no_leader is certain.
  /// Errors with effect none: invalid_argument (a room's name), command_too_large, busy, no_server,
  /// no_leader, timed_out, stopped, cancelled, and what servers refuse for certain. With effect
  /// unknown: unknown_outcome, session_expired, stopped. A plain proposal that ended in unknown
  /// cannot be repeated safely.
  Pending<Receipt> propose(BytesView command);
  Pending<Receipt> propose(BytesView command, ProposeOptions options);

  /// A linearizable read, without an entry in the log: the index through which this client must
  /// have seen the log, to have seen everything that was acknowledged to anybody before the call.
  /// Observe until an Advance goes through it, and what you have built of the entries is that new.
  /// A majority of the servers confirms it, whichever server answers. Changes nothing, and may be
  /// called again after any error.
  /// Errors, all with effect none: busy, no_server, no_leader, not_leader, timed_out, stopped,
  /// cancelled, version_unsupported (a server that knows no reads).
  /// Success does not promise that an observer of this client is there yet.
  Pending<Index> read_barrier(std::chrono::nanoseconds timeout = std::chrono::seconds(5));

  /// Opens a session that survives this process, in the file `path`; begins one, if there is no
  /// such file. Waits until a server has admitted this client, `deadline` at most: a session
  /// belongs to one cluster. Also to one history of it: after a restore it opens, shows what is
  /// unfinished, and submits nothing before it is renewed.
  /// Errors: session_locked (open already, here or in another process), session_unwritable,
  /// corrupt, unsupported_format, wrong_cluster, no_server, disk_full, io,
  /// stopped, usage (inside a callback or selector). A file that is refused is left as it was.
  [[nodiscard]] Result<DurableSession> open_session(
      const std::string& path, std::chrono::nanoseconds deadline = std::chrono::seconds(15));
  /// The same over a store of the caller's.
  [[nodiscard]] Result<DurableSession> open_session(
      std::unique_ptr<SessionStore> store,
      std::chrono::nanoseconds deadline = std::chrono::seconds(15));

  /// Begins to observe a room.
  /// Errors: invalid_argument (the room is observed already, or its name is over 128 bytes or not
  /// UTF-8), stopped.
  Result<Observer> observe(From from, ObserveOptions options = {});
  /// Has `callback` called with every piece of a room, until `stop`.
  /// Errors: as `observe`. A stream that ends later says so by a call of `on_end`, if set.
  Status on_committed(From from, std::function<void(const Committed&)> callback,
                      ObserveOptions options = {}, std::function<void(const Error&)> on_end = {});

  /// Becomes a member of a room: the first one makes it. Begins to; does not wait for it. Several
  /// rooms may be joined at once, each once. Membership and the log are independent: entries of a
  /// room need no member, and a member observes nothing by being one.
  /// Errors: invalid_argument (joined already, or the name is over 128 bytes or not UTF-8),
  /// stopped. What a server has against it later is the room's error.
  Result<Room> join(const RoomName& room);

  /// Dispatch::poll: runs callbacks that are due, in their order, on the calling thread. Never
  /// waits for one. Begins no other once `budget` is spent, but runs at least one. How many it ran:
  /// none with Dispatch::thread, inside a callback, or while another thread polls. After `stop`,
  /// poll until it ran none: coroutines that wait go on there, to their end, or never.
  std::size_t poll(std::chrono::nanoseconds budget = {});

  /// Ends every pending call (cancelled if nothing of it was sent, else stopped and unknown), every
  /// observer, every room, and every link. Returns when that is done and no callback runs any more.
  /// Inside a callback it does not wait for the others: what is due by then runs behind that one.
  /// Inside a selector it waits for nothing. May be repeated. With Dispatch::poll, later polls run
  /// what is due by then.
  void stop();

 private:
  friend KUILT_API ClusterClient cluster_client_with_node(const RaftNode& node);
  explicit ClusterClient(std::shared_ptr<detail::ClientShell> shell,
                         std::shared_ptr<detail::LearnerReader> learner = nullptr);
  void end();
  std::shared_ptr<detail::ClientShell> shell_;
  std::shared_ptr<detail::LearnerReader> learner_;  ///< Over a RaftNode, which owns the shell.
};

}  // namespace kuilt
