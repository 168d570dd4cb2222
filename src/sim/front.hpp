// front.hpp: one server's side of its client links: hello, proposals, feeds. What a shard is to the
// real server, without sockets.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cluster/feed.hpp"
#include "cluster/machine.hpp"
#include "sim/links.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::sim {

/// What the front needs of the server that it stands before.
class FrontOwner {
 public:
  virtual ~FrontOwner() = default;
  virtual void submit(cluster::Input input) = 0;
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
  Front(const cluster::FeedOptions& options, cluster::FeedBoot boot, FrontOwner& owner)
      : feed_(options, std::move(boot)), owner_(owner) {}

  void opened(LinkNumber link, wire::Encoding encoding);
  void frame(LinkNumber link, const Bytes& frame);
  void broken(LinkNumber link);
  void drained(LinkNumber link);

  void answer(const cluster::Answered& answered);
  void publish(const std::shared_ptr<const cluster::CommittedBatch>& batch);
  void loaded(std::uint64_t number, Result<std::vector<raft::Entry>> entries);
  void tick();
  void heartbeat(const std::string& leader);

  [[nodiscard]] const cluster::Feed& feed() const { return feed_; }

 private:
  struct Conversation {
    wire::Encoding encoding{};
    bool admitted = false;
    std::string author;
    std::uint64_t client = 0;
    std::uint32_t number = 0;
  };

  void hello(LinkNumber link, Conversation& conversation, const wire::Hello& hello);
  void evict(LinkNumber newcomer, const Conversation& conversation);
  void send(LinkNumber link, const Conversation& conversation, const wire::ServerMessage& message);
  void end(LinkNumber link);
  void carry_out(const cluster::FeedOutput& output);

  cluster::Feed feed_;
  FrontOwner& owner_;
  std::map<LinkNumber, Conversation> links_;
};

}  // namespace kuilt::sim
