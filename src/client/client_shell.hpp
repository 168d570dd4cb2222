// client_shell.hpp: runs a ClientCore over transport, on one thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "client/callback_queue.hpp"
#include "client/client_core.hpp"
#include "client/dialer.hpp"
#include "client/room_state.hpp"
#include "client/subscription.hpp"
#include "kuilt/client.hpp"
#include "transport/seam.hpp"

namespace kuilt::detail {

/// From the system's own source.
[[nodiscard]] std::uint64_t random_bits();
/// Never none. A session id is a secret.
[[nodiscard]] SessionId random_session();

/// Which cluster a client is linked to, and how far it is.
struct ClusterPlace {
  ClusterId cluster;
  HistoryId history;
  Index commit;
};

/// Holds no logic: inputs gather, one turn of the core takes them all, its duties are carried out.
///
/// Threads: public calls from any thread. The core and the links are the loop thread's own.
class ClientShell : public std::enable_shared_from_this<ClientShell> {
 public:
  /// Told of each event on the thread of the links, before the application is. Not to wait.
  using Watch = std::function<void(const client::Event&)>;

  /// Without a dialer: over WebSocket.
  ClientShell(const client::ClientOptions& core, ClientOptions options, std::uint64_t seed,
              SessionId session, client::Dialer dialer = {}, Watch watch = {});
  ~ClientShell();
  void start();
  void stop();
  /// Of a client that stopped: frees the callbacks that nobody polled.
  void drop_callbacks() { callbacks_->drop(); }
  std::size_t poll(Duration budget) { return callbacks_->poll(budget); }
  [[nodiscard]] const std::shared_ptr<client::CallbackQueue>& callbacks() const {
    return callbacks_;
  }
  /// The dialer leads elsewhere from now on: it is asked again at once.
  void reroute() { post(client::Rerouted{}); }

  std::shared_ptr<PendingState<Receipt>> propose(BytesView command, const ProposeOptions& options);
  /// Told once, before anybody else is, whether a call has ended in a certain refusal. Answers
  /// whether one may be told so: else another call may have done it. Not to wait for anything: it
  /// runs on the thread of the links.
  using OnEnd = std::function<bool(bool refused)>;
  /// Told that the call waits for `answer_key`. On the thread of the links too.
  using OnNeedKey = std::function<void(const client::NeedKey&)>;
  /// `call`, `deadline` and `renews` are filled in.
  std::shared_ptr<PendingState<Receipt>> propose(client::ProposeCall asked, Duration deadline,
                                                 OnEnd on_end, OnNeedKey on_need_key = {});
  void answer_key(const client::FreshKey& fresh) { post(fresh); }
  std::shared_ptr<PendingState<Index>> read_barrier(Duration deadline);
  /// A barrier that has ended before it began.
  std::shared_ptr<PendingState<Index>> failed_read(Error error);
  /// A proposal that has ended before it began.
  std::shared_ptr<PendingState<Receipt>> failed(Error error);
  /// Waits for a link. Errors: no_server, stopped, usage (inside a callback).
  Result<ClusterPlace> await_cluster(Duration deadline);
  /// With a callback every piece is handed to it, instead of being waited for.
  Result<std::shared_ptr<Subscription>> observe(const From& from, const RoomName& room,
                                                std::function<void(const Committed&)> callback = {},
                                                std::function<void(const Error&)> on_end = {});

  // client_shell_rooms.cpp: membership of rooms.
  Result<std::shared_ptr<RoomState>> join(const RoomName& room);
  Status say(std::uint64_t membership, wire::RoomMessage message);
  void leave_room(const RoomName& room, std::uint64_t membership);

 private:
  /// One observed room. Its number tells it from an earlier one of the same name.
  struct Observed {
    RoomName room;
    std::uint64_t number = 0;
    std::shared_ptr<Subscription> subscription;
    std::function<void(const Committed&)> callback;
    std::function<void(const Error&)> on_end;
  };
  struct Open {
    std::shared_ptr<transport::Seam> seam;             ///< Null while it is being dialed.
    std::chrono::steady_clock::time_point heard_at{};  ///< As far as the core was told.
  };

  struct Gathered {
    client::Input input;
    std::shared_ptr<const Observed> observed;  ///< With an ObserveCall only.
    std::uint64_t left = 0;  ///< With an UnobserveCall only: the observe's number.
  };

  void begin_to_stop();
  void post(client::Input input);
  /// Pre: `mutex_` is held.
  void gather(Gathered one);
  void turn();
  [[nodiscard]] std::vector<client::Input> half_heard();
  void step(std::vector<client::Input> inputs);
  void carry_out(client::Duty& duty);
  void dial(const client::Dial& duty);
  void dialed(client::DialId dial, Result<std::shared_ptr<transport::Seam>> seam);
  void received(client::DialId dial, const Bytes& frame);
  void send(const client::Send& duty);
  void close(client::DialId dial);
  void resolved(client::Resolved& duty);
  void need_key(const client::NeedKey& duty);
  void read(client::BarrierResolved& duty);
  void delivered(client::Delivered& duty);
  void advanced(const client::Advanced& duty);
  void ended(const client::ObserveEnded& duty);
  void happened(const client::Event& duty);
  void room_ended(const client::RoomEnded& duty);
  /// Null, if it is joined no more.
  [[nodiscard]] std::shared_ptr<RoomState> room_of(const RoomName& room);
  static void hand_pieces(const std::shared_ptr<client::CallbackQueue>& callbacks,
                          const std::shared_ptr<const Observed>& observed);
  void pass_on(const std::shared_ptr<const Observed>& observed);
  void left(const RoomName& room, std::uint64_t number);
  void taken(const RoomName& room, std::uint64_t number, std::uint64_t bytes);
  [[nodiscard]] std::shared_ptr<const Observed> fed(const RoomName& room) const;
  void finish_when_closed();
  void tell_place();

  const ClientOptions options_;
  const wire::Encoding encoding_;
  const client::Dialer dialer_;
  const Watch watch_;
  std::shared_ptr<client::CallbackQueue> callbacks_;

  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer wake_;
  // Of the loop thread only, from here to the mutex.
  client::ClientCore core_;
  std::map<client::DialId, Open> open_;
  std::set<client::DialId> closing_;  ///< Their closing handshake is on its way.
  std::map<RoomName, std::shared_ptr<const Observed>> fed_;
  bool stopping_ = false;

  std::mutex mutex_;  ///< Guards what follows.
  std::vector<Gathered> inbox_;
  bool turn_posted_ = false;
  bool stopped_ = false;
  std::uint64_t last_call_ = 0;
  std::uint64_t last_observe_ = 0;
  struct PendingCall {
    std::shared_ptr<PendingState<Receipt>> state;
    OnEnd on_end;
    OnNeedKey on_need_key;
  };
  std::map<client::CallId, PendingCall> pending_;
  std::map<client::CallId, std::shared_ptr<PendingState<Index>>> pending_reads_;
  std::map<RoomName, std::uint64_t> rooms_;  ///< Number of the observe.
  std::vector<std::shared_ptr<PendingState<ClusterPlace>>> place_waiters_;
  struct Membership {
    std::uint64_t number = 0;
    std::shared_ptr<RoomState> state;
  };
  std::map<RoomName, Membership> memberships_;
  std::uint64_t last_membership_ = 0;
  std::size_t said_bytes_ = 0;  ///< Of the messages in the inbox.

  std::mutex stop_mutex_;  ///< Of those who wait for the loop thread to end.
  std::thread thread_;
};

}  // namespace kuilt::detail
