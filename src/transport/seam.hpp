// seam.hpp: frames over WebSocket. Knows no Raft, no log, no session.
//
// A Loom accepts and dials; what comes of it is a Seam: one open WebSocket between two peers
// (RFC 6455). Beast stays behind the .cpp files.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/address.hpp>

#include "kuilt/bytes.hpp"
#include "kuilt/result.hpp"
#include "kuilt/types.hpp"

namespace kuilt::transport {

namespace net = boost::asio;

/// A frame to send: slices that go out as one WebSocket message, without being joined first.
using Frame = std::vector<Bytes>;

struct SeamLimits {
  std::size_t first_frame_bytes_max = 4096;              ///< Until `admit()`.
  std::size_t frame_bytes_max = std::size_t{4} << 20;    ///< Afterwards.
  std::size_t outbox_bytes_max = std::size_t{16} << 20;  ///< Queued and not yet written.
  Duration admission_timeout = std::chrono::seconds(5);  ///< From the open link to `admit()`.
  Duration write_timeout = std::chrono::seconds(20);     ///< Without any progress of a write.
  Duration ping_interval = std::chrono::seconds(15);  ///< Silence after which we ping; twice: dead.
  bool text = false;                                  ///< Text frames instead of binary ones.
};

/// What a Seam tells its owner, on its executor.
struct SeamEvents {
  std::function<void(Bytes frame)> on_frame;
  /// Everything that was queued has been handed to the kernel.
  std::function<void()> on_drained;
  /// The last event, exactly once; the reason is for people.
  std::function<void(Error reason)> on_closed;
};

/// One open WebSocket.
///
/// Threads: everything, calls and events, happens on the Seam's executor (a strand or a
/// single-threaded context).
/// Ownership: shared with its own running operations; it lives until both have let go.
/// Failure: never throws for what a peer or the network does; `on_closed` says why it ended.
class Seam {
 public:
  virtual ~Seam() = default;
  /// Begins to read. Events may come from now on, never from inside this call.
  virtual void start(SeamEvents events) = 0;
  /// The first frame was good: the limits of admitted peers hold from now on.
  virtual void admit() = 0;
  /// Queues one message. False when the outbox is full or closing: nothing of it is sent.
  [[nodiscard]] virtual bool send(Frame frame) = 0;
  /// Bytes queued and not yet written.
  [[nodiscard]] virtual std::size_t queued() const = 0;
  /// When bytes came last, be they of half a frame, or a pong.
  [[nodiscard]] virtual std::chrono::steady_clock::time_point last_read() const = 0;
  /// Stops reading (or reads on): pressure on a peer that sends more than we can take.
  virtual void pause_reading(bool paused) = 0;
  /// Sends what is queued, then the closing handshake with this code and reason. May be repeated.
  virtual void close(std::uint16_t code, const std::string& reason) = 0;
  /// Drops the connection at once.
  virtual void abort() = 0;
  [[nodiscard]] virtual net::any_io_executor executor() const = 0;
  [[nodiscard]] virtual const std::string& remote() const = 0;       ///< "host:port".
  [[nodiscard]] virtual const std::string& subprotocol() const = 0;  ///< As agreed.
};

/// Who may open a link to a listener (design, section 6).
struct AcceptRules {
  std::vector<std::string> subprotocols;  ///< In order of preference; none agreed: refused.
  /// Besides the same origin. Exact scheme, host and port. "null" never matches.
  std::vector<std::string> allowed_origins;
  std::vector<std::string> allowed_hosts;  ///< For Host; loopback names and our own always pass.
  bool any_host = false;  ///< Where every link proves itself, a name that led here decides nothing.
  bool origin_required = false;    ///< Else absent is fine, as programs send none.
  std::size_t links_max = 10'000;  ///< More get HTTP 503.
  std::size_t links_per_address_max = 10'000;
  std::string text_subprotocol;  ///< Seams that agreed on it send text frames.
};

/// One listening socket, or several with the same rules and one count of links, which turn
/// connections into Seams.
///
/// Threads: `on_seam` runs on the executor of the Seam that it hands over.
class Listener {
 public:
  virtual ~Listener() = default;
  /// "host:port" each, with the real port where 0 was asked for; in the order asked for.
  [[nodiscard]] virtual const std::vector<std::string>& addresses() const = 0;
  [[nodiscard]] const std::string& address() const { return addresses().front(); }
  [[nodiscard]] virtual std::uint16_t port() const = 0;  ///< Of the first address.
  [[nodiscard]] virtual std::size_t links() const = 0;
  /// Accepts no more. Open Seams live on.
  virtual void stop() = 0;
};

using SeamHandler = std::function<void(std::shared_ptr<Seam>)>;
/// Chooses the executor of the next Seam: a shard's.
using ExecutorChoice = std::function<net::any_io_executor()>;

/// Listens on each "host:port"; port 0 picks a free one. A failed accept never ends the listener.
/// Pre: there is an address.
/// Errors: address_in_use, invalid_argument, io. After an error none of them is listened on.
Result<std::unique_ptr<Listener>> listen(net::any_io_executor accept_on,
                                         const std::vector<std::string>& addresses,
                                         AcceptRules rules, SeamLimits limits,
                                         ExecutorChoice choose, SeamHandler on_seam);
inline Result<std::unique_ptr<Listener>> listen(net::any_io_executor accept_on,
                                                const std::string& address, AcceptRules rules,
                                                SeamLimits limits, ExecutorChoice choose,
                                                SeamHandler on_seam) {
  return listen(std::move(accept_on), std::vector<std::string>{address}, std::move(rules), limits,
                std::move(choose), std::move(on_seam));
}

using Addresses = std::vector<net::ip::address>;
/// Finds the addresses of a host; may block. Runs on a thread of its own.
using Lookup = std::function<Result<Addresses>(const std::string& host)>;

/// Opens "ws://host:port" (or "host:port"). `on_done` runs once, on `executor`. A host that cannot
/// be resolved delays neither other dials nor the end of the event loop. `lookup`: the system's.
/// Errors in `on_done`: no_server (refused, unreachable, not resolved, no answer within `timeout`),
/// wrong_subprotocol, and what the server's refusal says (too_many_clients, origin_refused).
void dial(net::any_io_executor executor, const std::string& url,
          const std::vector<std::string>& subprotocols, SeamLimits limits, Duration timeout,
          std::function<void(Result<std::shared_ptr<Seam>>)> on_done, Lookup lookup = {});

}  // namespace kuilt::transport
