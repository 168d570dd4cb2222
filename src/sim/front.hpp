// front.hpp: one server's side of its client links: hello, proposals, feeds. What a shard is to the
// real server, without sockets.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cluster/feed.hpp"
#include "cluster/machine.hpp"
#include "cluster/room_outlet.hpp"
#include "sim/links.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::sim {

/// What the front needs of the server that it stands before.
class FrontOwner {
 public:
  virtual ~FrontOwner() = default;
  virtual void submit(cluster::Input input) = 0;
  virtual void to_rooms(cluster::RoomInput input) = 0;
  virtual void read_for_feed(const cluster::FeedLoad& load) = 0;
  virtual void wake_front_at(Instant when) = 0;
  virtual void send_to_client(LinkNumber link, Bytes frame) = 0;
  virtual void close_link(LinkNumber link) = 0;
  virtual void complain(const std::string& sentence) = 0;
  [[nodiscard]] virtual wire::Welcome welcome() const = 0;
  [[nodiscard]] virtual Instant local_now() const = 0;
};

class Front {
 public:
  Front(const cluster::FeedOptions& options, cluster::FeedBoot boot,
        std::size_t room_queue_bytes_max, FrontOwner& owner)
      : feed_(options, std::move(boot)), outlet_(room_queue_bytes_max), owner_(owner) {}

  void opened(LinkNumber link, wire::Encoding encoding);
  void frame(LinkNumber link, const Bytes& frame);
  void broken(LinkNumber link);
  void drained(LinkNumber link);

  void answer(const cluster::Answered& answered);
  void answer(const cluster::BarrierAnswered& answered);
  void deliver(const cluster::RoomFrame& frame);
  void publish(const std::shared_ptr<const cluster::CommittedBatch>& batch);
  void loaded(std::uint64_t number, Result<std::vector<raft::Entry>> entries);
  void tick();
  void heartbeat(const std::string& leader);

  [[nodiscard]] const cluster::Feed& feed() const { return feed_; }
  [[nodiscard]] std::uint64_t rooms_asked_anew() const { return rooms_asked_anew_; }
  [[nodiscard]] std::uint64_t room_drops() const { return outlet_.dropped(); }

 private:
  struct Conversation {
    wire::Encoding encoding{};
    bool admitted = false;
    std::string author;
    std::uint64_t client = 0;
    std::uint32_t number = 0;
    PeerId member;
    bool uses_rooms = false;
    std::size_t queued = 0;  ///< Bytes.
  };

  void hello(LinkNumber link, Conversation& conversation, const wire::Hello& hello);
  void evict(LinkNumber newcomer, const Conversation& conversation);
  void join(LinkNumber link, Conversation& conversation, wire::Join join);
  void send(LinkNumber link, Conversation& conversation, const wire::ServerMessage& message);
  void post(LinkNumber link, Conversation& conversation, Bytes frame);
  void end(LinkNumber link);
  void carry_out(const cluster::FeedOutput& output);

  cluster::Feed feed_;
  cluster::RoomOutlet outlet_;
  std::uint64_t rooms_asked_anew_ = 0;
  FrontOwner& owner_;
  std::map<LinkNumber, Conversation> links_;
};

}  // namespace kuilt::sim
