// links.hpp: WebSockets between clients and servers: ordered both ways, and torn without a word.
#pragma once

#include <cstdint>
#include <deque>
#include <map>

#include "kuilt/detail/rng.hpp"
#include "sim/agenda.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::sim {

using LinkNumber = std::uint64_t;

/// A process that links end at.
class LinkEnd {
 public:
  virtual ~LinkEnd() = default;
  /// Whether it would accept a link now.
  [[nodiscard]] virtual bool accepts() const = 0;
  virtual void link_opened(LinkNumber link, wire::Encoding encoding) = 0;
  virtual void link_frame(LinkNumber link, Bytes frame) = 0;
  virtual void link_broken(LinkNumber link) = 0;
  /// Nothing that this end sent waits any more.
  virtual void link_drained(LinkNumber link) = 0;
};

enum class Side : std::uint8_t { client, server };

class Links {
 public:
  Links(Agenda& agenda, Rng rng) : agenda_(agenda), rng_(rng) {}

  /// Both ends must outlive the link. Both hear of it once it is open; only the dialler, if not.
  LinkNumber dial(LinkEnd& client, LinkEnd& server, wire::Encoding encoding);
  void send(LinkNumber link, Side from, Bytes frame);
  /// What is on the way still arrives, then the other end hears that it is over.
  void close(LinkNumber link, Side from);
  /// What is on the way is lost. Each end hears of it late, and the client perhaps never.
  void tear(LinkNumber link);
  /// The process at that end is gone: it hears nothing more.
  void die(const LinkEnd& end);
  /// The client reads nothing before `until`.
  void stop_reading(const LinkEnd& client, Instant until);

  [[nodiscard]] std::size_t open_links() const { return links_.size(); }
  /// A random one of the open links. Pre: there is one.
  [[nodiscard]] LinkNumber any_link();
  /// Tears arrive where they should, and delays are short, from now on.
  void heal() { healed_ = true; }

 private:
  struct Link {
    LinkEnd* client = nullptr;
    LinkEnd* server = nullptr;
    wire::Encoding encoding{};
    bool client_open = false;
    bool server_open = false;
    bool torn = false;
    Instant last_to_client{};
    Instant last_to_server{};
    std::size_t on_the_way_to_client = 0;
    Instant reads_at{};
  };

  void arrive_at_server(LinkNumber number);
  void arrive_at_client(LinkNumber number, const Bytes& frame);
  void break_end(LinkNumber number, Side side);
  [[nodiscard]] Duration delay();

  Agenda& agenda_;
  Rng rng_;
  std::map<LinkNumber, Link> links_;
  LinkNumber last_number_ = 0;
  bool healed_ = false;
};

}  // namespace kuilt::sim
