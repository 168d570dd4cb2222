// link.hpp: a client's side of one WebSocket, as thin as it can be.
//
// The load shares its machine with what it measures, so it may not cost what a real client costs:
// no event objects, one read buffer for all links, a mask of zero (RFC 6455 asks for a mask, not
// for an XOR). The handshake and the hello block; then the link joins a Loop.
#pragma once

#include <memory>
#include <string>

#include "bench/stream.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::bench {

class Link;

/// Who hears what comes by a link.
class LinkOwner {
 public:
  virtual ~LinkOwner() = default;
  /// `message` is gone after this call.
  virtual void on_message(Link& link, BytesView message) = 0;
  /// Nothing more comes. A load with a broken link measures nothing.
  virtual void on_broken(Link& link, const std::string& why) = 0;
};

/// Threads: its Loop's. Ownership: borrows the Loop and the owner.
class Link final : public StreamOwner {
 public:
  /// Opens kuilt.v1 at "host:port" and says hello; returns when the server has answered.
  /// Errors: no_server, and whatever the server's goodbye names.
  static Result<std::unique_ptr<Link>> open(Loop& loop, LinkOwner& owner,
                                            const std::string& address, const std::string& name,
                                            std::size_t number);

  void send(const wire::ClientMessage& message);
  /// The owner's number for it.
  [[nodiscard]] std::size_t number() const { return stream_.number(); }
  [[nodiscard]] const wire::Welcome& welcome() const { return welcome_; }

 private:
  Link(Loop& loop, LinkOwner& owner, Descriptor socket, std::size_t number, wire::Welcome welcome);
  void on_bytes(Stream& stream, BytesView bytes) override;
  void on_broken(Stream& stream, const std::string& why) override;
  /// Hands over what is whole in `bytes`; returns how much that was.
  std::size_t take_frames(BytesView bytes);
  void take_frame(unsigned opcode, BytesView payload);

  LinkOwner& owner_;
  Stream stream_;
  const wire::Welcome welcome_;
  std::string unread_;  ///< The beginning of a frame.
};

}  // namespace kuilt::bench
