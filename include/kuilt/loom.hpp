// loom.hpp: links to servers that the application makes and holds itself.
//
// Few need this: `ClusterClient` finds servers by itself. It is here for who manages a learner
// (kuilt/raft.hpp), or brings links of another kind.
#pragma once

#include <memory>
#include <string>

#include "kuilt/bytes.hpp"
#include "kuilt/detail/chrono.hpp"
#include "kuilt/detail/export.hpp"
#include "kuilt/detail/function.hpp"
#include "kuilt/result.hpp"
#include "kuilt/roster.hpp"

namespace kuilt {

/// What a Seam tells its user: one event at a time, on any thread, also inside a call.
struct SeamEvents {
  std::function<void(Bytes frame)> on_frame;
  /// The last event, once: nothing more can be sent. The reason is for people.
  std::function<void(Error reason)> on_torn;
};

/// One link to one server: whole frames of subprotocol kuilt.v1 (docs/protocol.md), in order,
/// until it is torn. Torn once, torn for ever; what was on the way is lost, and may have arrived.
///
/// Derive from it to bring links of your own.
///
/// Threads: calls from any thread, at the same time.
/// Ownership: shared by who uses it; that of a Loom ends with the last holder.
/// Failure: never throws.
class KUILT_API Seam {
 public:
  virtual ~Seam() = default;
  /// Begins to be told of events. Called once; what came before is told now, and not lost.
  virtual void start(SeamEvents events) = 0;
  /// Queues one frame. False: torn, or too much waits to be sent; then nothing of it is, and who
  /// uses the Seam ends it. Success promises nothing about its arrival.
  [[nodiscard]] virtual bool send(Bytes frame) = 0;
  /// Ends it, if need be; what was queued may be lost. May be repeated. Whether `on_torn` follows
  /// is the Seam's choice.
  virtual void close() = 0;
};

/// Where a server is, and who it is said to be.
struct WebSocketAdvertisement {
  std::string url;                ///< "ws://host:port".
  PeerId server_peer_id = {};     ///< The server's node id. Another one is refused. None: any.
  std::string display_name = {};  ///< Who we say we are. At most 128 bytes of UTF-8.
};

/// Makes Seams.
///
/// Threads: calls from any thread, at the same time. Ownership: its Seams may outlive it, torn.
class KUILT_API Loom {
 public:
  virtual ~Loom() = default;
  /// Opens a link, and waits for it for as long as `timeout`. No hello has been said on it yet.
  /// Errors: no_server (refused, unreachable, no answer in time), invalid_argument (the URL), and
  /// what a Loom of your own says.
  virtual Result<std::shared_ptr<Seam>> weave(const WebSocketAdvertisement& to,
                                              std::chrono::nanoseconds timeout) = 0;
};

/// Over WebSocket (RFC 6455), as `ClusterClient` does it.
///
/// Threads: one of its own carries all its links, from the first `weave` on. Its Seams' events run
/// there, and must not wait.
/// Ownership: move-only. Destruction tears its Seams, tells each, and joins the thread; never
/// destroy it inside an event of one.
/// Failure: a link without a sign of life is pinged after 15 s, and torn after as much again. More
/// than 16 MiB that wait to be sent tear it.
/// Errors of `weave` besides: wrong_subprotocol, too_many_clients, origin_refused, stopped.
class KUILT_API WebSocketLoom final : public Loom {
 public:
  WebSocketLoom();  ///< Starts its thread.
  WebSocketLoom(WebSocketLoom&&) noexcept;
  WebSocketLoom& operator=(WebSocketLoom&&) noexcept;
  ~WebSocketLoom() override;
  Result<std::shared_ptr<Seam>> weave(const WebSocketAdvertisement& to,
                                      std::chrono::nanoseconds timeout) override;

 private:
  struct KUILT_LOCAL Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kuilt
