// raft.hpp: a learner that its application manages: its links, its storage, its place in the log.
//
//   kuilt::WebSocketLoom loom;
//   auto room = kuilt::SeamRoomFactory(loom).join({"ws://a:7400"}).or_throw();
//   auto raft = room.channel("raft").or_throw();
//   kuilt::SeamRaftTransport transport(raft);
//   kuilt::InMemoryRaftStorage storage;
//   auto node = kuilt::RaftNode::start({{voter}, {raft.self_id()}}, transport, storage).or_throw();
//   auto client = kuilt::cluster_client_with_node(node);
//
// Who wants no more than to propose and observe has it shorter: kuilt/client.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kuilt/client.hpp"
#include "kuilt/detail/chrono.hpp"
#include "kuilt/detail/export.hpp"
#include "kuilt/detail/function.hpp"
#include "kuilt/loom.hpp"
#include "kuilt/raft_storage.hpp"
#include "kuilt/result.hpp"
#include "kuilt/seam_room.hpp"
#include "kuilt/types.hpp"

namespace kuilt {

/// Whom a learner of ours deals with. Its own affair: nobody replicates it, and the servers' own
/// configuration, which is in the log, knows nothing of learners that clients manage.
struct ClusterConfig {
  /// Servers that may feed this learner. A link to another one is refused by name: it becomes an
  /// event, and the next Seam is awaited. At least one.
  std::vector<NodeId> voters;
  /// This learner, and nobody else: others are none of its business.
  std::vector<NodeId> learners;
};

/// How a RaftNode reaches its servers: by one Seam at a time. On it goes the conversation between
/// a client and a server (docs/protocol.md): a learner observes and proposes. No vote and no append
/// ever does, in either direction.
///
/// Ownership: borrowed by its node, which it outlives. One node at a time.
class KUILT_API RaftTransport {
 public:
  /// Takes the Seam that is to be used from now on; null: there is none for now. The one before is
  /// closed. Does not wait, may be called from any thread, and calls nothing back.
  using OnSeam = std::function<void(std::shared_ptr<Seam>)>;

  virtual ~RaftTransport() = default;
  /// Called by a node at its start: names the current Seam, within this call or later, and then
  /// each that replaces it. At its end with nothing: when that returns, no call of the function
  /// before is under way, and none will come.
  virtual void use(OnSeam on_seam) = 0;
};

/// What `channel("raft")` of a room of a SeamRoomFactory is; of any other channel, one that is torn
/// as soon as it is used, and says why. Never null.
[[nodiscard]] KUILT_API std::shared_ptr<Seam> seam_of(const Channel& raft);

/// One Seam, for better or worse: once it is torn, the node has no link.
///
/// Threads: any. Ownership: shares the Seam.
class KUILT_API SeamRaftTransport final : public RaftTransport {
 public:
  /// Pre: not null, and not started.
  explicit SeamRaftTransport(std::shared_ptr<Seam> seam);
  explicit SeamRaftTransport(const Channel& raft);
  ~SeamRaftTransport() override;
  void use(OnSeam on_seam) override;

 private:
  std::shared_ptr<Seam> seam_;  ///< Until a node was told of it.
};

/// Its Seam can be swapped while the node runs: the node goes on where it was, over the new one.
///
///   while (playing) {
///     if (transport.await_need(1s)) transport.swap(another_seam());
///   }
///
/// Threads: any, at the same time. Ownership: shares the Seam in use.
class KUILT_API ManagedRaftTransport final : public RaftTransport {
 public:
  ManagedRaftTransport();  ///< Without one: the node waits for a swap.
  /// Pre: `seam` is not started.
  explicit ManagedRaftTransport(std::shared_ptr<Seam> seam);
  explicit ManagedRaftTransport(const Channel& raft);
  ~ManagedRaftTransport() override;

  /// Puts `seam` in the place of the one there is, be that torn, amid a conversation, or not begun;
  /// null takes it away. The one before is closed soon after. Does not wait. At any time, also from
  /// callbacks and events. Nothing is lost or repeated: the feed resumes after the last entry that
  /// is sound, and what is proposed and not answered goes out again under its own request id.
  /// Pre: `seam` was never given to a transport.
  void swap(std::shared_ptr<Seam> seam);
  void swap(const Channel& raft);
  /// Whether there is no Seam that can be used: none was given, or it was torn, or the node has
  /// given it up (its server was silent, refused us, or broke a rule of the feed: an event says
  /// so).
  [[nodiscard]] bool needs_seam() const;
  /// Waits until it does, or for `timeout`; whether it does.
  [[nodiscard]] bool await_need(std::chrono::nanoseconds timeout) const;
  void use(OnSeam on_seam) override;

 private:
  struct KUILT_LOCAL Impl;
  std::unique_ptr<Impl> impl_;
};
/// How a node goes about it; each has a preset.
struct RaftConfig {
  std::string name = {};   ///< As `ClientOptions`. Where a Room has said the hello: the Room's.
  std::string token = {};  ///< The same.
  RoomName room = {};      ///< Whose entries are learnt: of one room.
  std::chrono::nanoseconds attempt_timeout = std::chrono::seconds(3);
  std::chrono::nanoseconds silence_max = std::chrono::seconds(3);
  std::chrono::nanoseconds dial_timeout = std::chrono::seconds(3);  ///< From a Seam to its welcome.
  Dispatch dispatch = Dispatch::thread;
  /// As `ClientOptions::on_event`. A Seam that ends is `disconnected`, or `refused` if no server
  /// had admitted us on it; while there is none, that is told again every now and then.
  std::function<void(const ClientEvent&)> on_event = {};
};

/// What a node knows of itself.
struct RaftNodeStatus {
  NodeId id;
  std::string server;         ///< The name of the server it is linked to; empty: none.
  Position stored;            ///< All that is visible in the room through here is in the storage.
  std::uint64_t entries = 0;  ///< Stored by this node, since it was started.
  std::uint64_t resumes = 0;  ///< Times that the feed went on over another link.
  std::uint64_t violations = 0;  ///< Frames and replies that broke a rule of the feed.
  std::optional<FeedRule> last_violation = {};
  std::optional<Error> failure = {};  ///< Why nothing more will be stored.
};

/// A non-voting member of the periphery, whose links and storage are its application's. It stores
/// what it has checked: no gap, repeat, older term or other history gets past it, whoever is at the
/// other end. A frame that breaks a rule is dropped whole and named in an event; its link is ended,
/// and the feed resumes over the next one.
///
/// Threads: calls from any thread. It runs three: links, storing, callbacks.
/// Ownership: move-only; borrows transport and storage, which outlive it. Destruction stops. Never
/// destroy or stop it inside a call of its transport or its storage.
/// Failure: a storage that fails to append is not asked again (`status().failure`, and the error of
/// each observer). Neither is it after history_differs, wrong_cluster or compacted: this storage is
/// of no use any more. Proposals go on all the same.
class KUILT_API RaftNode {
 public:
  /// Begins; does not wait for a link. What the storage holds is read once and checked as if a
  /// server had sent it, then the feed goes on after it.
  /// Errors: invalid_argument (no voter; not exactly one learner; it is a voter; a room's name, a
  /// name or a token that is too long or not UTF-8; a timeout that is not above zero), corrupt (the
  /// storage holds what cannot be the log; the message names the rule and the place), and those of
  /// `RaftStorage::load` and `read`.
  [[nodiscard]] static Result<RaftNode> start(const ClusterConfig& cluster,
                                              RaftTransport& transport, RaftStorage& storage,
                                              RaftConfig config = {});
  RaftNode(RaftNode&&) noexcept;
  RaftNode& operator=(RaftNode&&) noexcept;
  ~RaftNode();

  [[nodiscard]] NodeId id() const;              ///< The learner that its configuration names.
  [[nodiscard]] RaftNodeStatus status() const;  ///< A moment old.
  /// Closes the Seam, stores what has been checked by now, and ends pending calls and observers as
  /// `ClusterClient::stop` does. May be repeated.
  void stop();

 private:
  friend KUILT_API ClusterClient cluster_client_with_node(const RaftNode& node);
  struct KUILT_LOCAL Impl;
  explicit RaftNode(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A client that proposes over the node's link, and observes what the node has stored: from any
/// place, as many observers as one likes, the past out of the storage and then what comes.
///
/// Several clients may share a node. Each ends its own observers when it is stopped or destroyed;
/// what was proposed through it belongs to the node, and goes on. One that outlives the node
/// behaves as one that was stopped.
/// It joins no rooms: those of its link come from a SeamRoomFactory.
/// Errors of its `observe`: invalid_argument (a room that the node does not follow), wrong_cluster,
/// history_differs, behind (a token beyond what is stored), stopped, and those of
/// `RaftStorage::read`.
[[nodiscard]] KUILT_API ClusterClient cluster_client_with_node(const RaftNode& node);

}  // namespace kuilt
