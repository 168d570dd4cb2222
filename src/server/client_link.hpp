// client_link.hpp: the server's side of one conversation with a client (docs/protocol.md).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/machine.hpp"
#include "cluster/rooms.hpp"
#include "server/facts.hpp"
#include "transport/seam.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::server {

/// Draws the secret half of a session. From the operating system's random source.
[[nodiscard]] SessionId random_session();

/// What a link asks of the shard that owns it.
class ClientLinkOwner {
 public:
  virtual ~ClientLinkOwner() = default;
  /// The hello was good. The owner evicts an older link of the same client and number.
  virtual void admitted(cluster::LinkId link, const wire::Hello& hello) = 0;
  virtual void submit(cluster::LinkId link, std::vector<wire::Proposal> proposals) = 0;
  virtual void read_barrier(cluster::LinkId link, std::uint64_t number) = 0;
  virtual void observe(cluster::LinkId link, wire::Encoding encoding, wire::Observe wanted) = 0;
  virtual void credit(cluster::LinkId link, wire::Credit credit) = 0;
  virtual void unobserve(cluster::LinkId link, const RoomName& room) = 0;
  /// May dismiss the link.
  virtual void to_rooms(cluster::LinkId link, cluster::RoomInput input) = 0;
  /// The socket has taken everything: the feed may go on.
  virtual void drained(cluster::LinkId link) = 0;
  /// The link is over. The owner forgets it; the object lives until the call has returned.
  virtual void closed(cluster::LinkId link, const Error& reason) = 0;
  [[nodiscard]] virtual Position commit() const = 0;
  /// Whom to tell the client of.
  [[nodiscard]] virtual LeaderView leader() const = 0;
};

/// One client link: hello, proposals and their answers, observing. Both encodings come here.
///
/// A proposal without a session gets one that lives as long as the link (docs/protocol.md).
/// Unanswered proposals are bounded by Limits::window_bytes_max, and read barriers by their number;
/// beyond it the answer is `busy`.
///
/// Threads: the shard's. Ownership: by the shard; borrows facts and owner.
class ClientLink {
 public:
  ClientLink(cluster::LinkId id, std::shared_ptr<transport::Seam> seam, const Facts& facts,
             ClientLinkOwner& owner);
  void start();

  /// What became of proposals of this link.
  void answer(const std::vector<wire::Answer>& answers);
  /// The end of a read barrier of this link.
  void answer(const wire::BarrierAnswer& answer);
  /// An encoded frame, shared with other links. False: the link is being closed as too slow.
  bool send_shared(const Bytes& frame);
  void send(const wire::ServerMessage& message);
  /// Says why and where to go, then closes.
  void dismiss(wire::Goodbye goodbye);

  /// The goodbye is queued already: closes once it has left.
  void close_after_goodbye();

  [[nodiscard]] bool is_admitted() const { return admitted_; }
  [[nodiscard]] wire::Encoding encoding() const { return encoding_; }
  [[nodiscard]] std::size_t queued() const { return seam_->queued(); }
  /// The last frame that other links may have as well; kept alive only by whoever queues it.
  [[nodiscard]] BytesView shared_frame() const { return shared_frame_; }
  /// Whether the rooms have to hear of its end.
  [[nodiscard]] bool uses_rooms() const { return uses_rooms_; }
  [[nodiscard]] std::uint64_t client() const { return client_; }
  [[nodiscard]] std::uint32_t number() const { return number_; }
  [[nodiscard]] const std::string& remote() const { return seam_->remote(); }

 private:
  struct Pending {
    std::uint64_t number = 0;  // The client's.
    std::size_t bytes = 0;
    RequestId link_request{};  // Set if a session of the link's own was used,
    SessionId link_session{};  // which is this one.
  };
  struct OwnSession {
    SessionId id;
    Index birth;
    RequestId last;               // The last id given.
    std::set<RequestId> waiting;  // Ids without an outcome; the floor is below the first.
  };

  void on_frame(const Bytes& frame);
  void on_hello(const wire::Hello& hello);
  void on_propose(wire::Propose propose);
  void on_read_barrier(const wire::ReadBarrier& barrier);
  void on_join(wire::Join join);
  void enter_own_session(wire::Proposal& proposal, Pending& pending);
  void settle(const Pending& pending, const wire::Outcome& outcome);
  [[nodiscard]] std::optional<Error> complaint_about(const wire::Hello& hello) const;
  [[nodiscard]] wire::Welcome welcome() const;
  void close_with(const Error& error);

  const cluster::LinkId id_;
  std::shared_ptr<transport::Seam> seam_;
  const Facts& facts_;
  ClientLinkOwner& owner_;
  const wire::Encoding encoding_;
  bool admitted_ = false;
  bool closing_ = false;
  std::uint64_t client_ = 0;
  std::uint32_t number_ = 0;
  std::string author_;
  PeerId member_;
  bool uses_rooms_ = false;
  std::uint64_t proposals_ = 0;  // Our numbers: a client may use its own twice.
  std::map<std::uint64_t, Pending> pending_;
  std::size_t pending_bytes_ = 0;
  std::size_t barriers_ = 0;  // Without an answer.
  std::optional<OwnSession> own_session_;
  BytesView shared_frame_;  // For its address and size; never read.
};

}  // namespace kuilt::server
