#include "bench/bare_cluster.hpp"

#include <algorithm>

#include <cstring>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "bench/bare_file.hpp"
#include "bench/child.hpp"
#include "bench/stream.hpp"

namespace kuilt::bench {
namespace {

// Between bare servers: a kind and a count, then what the kind says.
enum class Kind : std::uint8_t {
  entries,    ///< From the leader; count entries follow.
  durable,    ///< To the leader: count more are on this disk.
  forward,    ///< To the leader; count requests follow.
  committed,  ///< From the leader: count more of those that you forwarded.
};
struct Header {
  Kind kind = Kind::entries;
  std::uint32_t count = 0;
};

struct Connections {
  std::vector<Descriptor> clients;
  std::vector<Descriptor> peers;  ///< Of the leader: its followers. Of a follower: the leader.
};

/// Counts whole messages in a stream of bytes, and looks at none.
class PeerInbox {
 public:
  PeerInbox(std::size_t entry_bytes, std::size_t request_bytes)
      : entry_bytes_(entry_bytes), request_bytes_(request_bytes) {}

  template <class Take>
  void take(BytesView bytes, const Take& take) {
    unread_ += bytes.text();
    std::size_t at = 0;
    while (unread_.size() - at >= sizeof(Header)) {
      Header header;
      std::memcpy(&header, unread_.data() + at, sizeof header);
      const std::size_t size = sizeof header + header.count * bytes_each(header.kind);
      if (unread_.size() - at < size) break;
      at += size;
      take(header);
    }
    unread_.erase(0, at);
  }

 private:
  [[nodiscard]] std::size_t bytes_each(Kind kind) const {
    switch (kind) {
      case Kind::entries: return entry_bytes_;
      case Kind::forward: return request_bytes_;
      case Kind::durable:
      case Kind::committed: return 0;
    }
    KUILT_FAIL("no such kind");
  }
  const std::size_t entry_bytes_;
  const std::size_t request_bytes_;
  std::string unread_;
};

class BareServer final : public StreamOwner {
 public:
  BareServer(const BareClusterOptions& options, std::size_t number, Connections connections);
  [[noreturn]] void run();

 private:
  /// Proposals in the order of the log, by whom they came.
  struct Run {
    std::size_t origin = 0;  ///< 0: our own clients; else the follower's place + 1.
    std::size_t count = 0;
  };
  [[nodiscard]] bool leads() const { return number_ == 0; }
  void on_bytes(Stream& stream, BytesView bytes) override;
  void on_broken(Stream&, const std::string&) override {}
  void on_client(std::size_t client, std::size_t bytes);
  void on_peer(std::size_t peer, const Header& header);
  void end_turn();
  void append();
  void write(std::size_t entries);
  void commit();
  void answer(std::size_t count);
  void tell(std::size_t peer, Header header, std::size_t payload_bytes);

  const BareClusterOptions options_;
  const std::size_t number_;
  BareFile file_;
  Loop loop_;
  std::vector<std::unique_ptr<Stream>> streams_;  ///< Clients first, then peers.
  std::size_t clients_;
  std::vector<std::size_t> partial_;  ///< Bytes of a client's next request.
  std::vector<PeerInbox> inboxes_;
  std::deque<std::size_t> waiting_;  ///< Own clients, in the order of their requests.
  std::deque<Run> runs_;
  std::vector<std::uint64_t> durable_;  ///< Of each server; ours first.
  std::uint64_t committed_ = 0;
  std::size_t fresh_ = 0;  ///< What came in this turn.
  std::vector<std::size_t> to_answer_;
};

BareServer::BareServer(const BareClusterOptions& options, std::size_t number,
                       Connections connections)
    : options_(options),
      number_(number),
      file_(options.directory + "/bare-" + std::to_string(number)),
      clients_(connections.clients.size()),
      partial_(clients_),
      inboxes_(connections.peers.size(), PeerInbox(options.entry_bytes, options.request_bytes)),
      durable_(options.voters),
      to_answer_(clients_) {
  for (auto* side : {&connections.clients, &connections.peers}) {
    for (Descriptor& socket : *side) {
      streams_.push_back(
          std::make_unique<Stream>(loop_, *this, std::move(socket), streams_.size()));
    }
  }
}

void BareServer::run() {
  while (true) {
    loop_.turn(now() + std::chrono::seconds(1));
    end_turn();
  }
}

void BareServer::on_bytes(Stream& stream, BytesView bytes) {
  if (stream.number() < clients_) return on_client(stream.number(), bytes.size());
  const std::size_t peer = stream.number() - clients_;
  inboxes_[peer].take(bytes, [&](const Header& header) { on_peer(peer, header); });
}

void BareServer::on_client(std::size_t client, std::size_t bytes) {
  const std::size_t have = partial_[client] + bytes;
  partial_[client] = have % options_.request_bytes;
  const std::size_t requests = have / options_.request_bytes;
  waiting_.insert(waiting_.end(), requests, client);
  if (leads() && requests > 0) runs_.push_back({0, requests});
  fresh_ += requests;
}

void BareServer::on_peer(std::size_t peer, const Header& header) {
  switch (header.kind) {
    case Kind::entries: write(header.count); return tell(peer, {Kind::durable, header.count}, 0);
    case Kind::durable: durable_[peer + 1] += header.count; return;
    case Kind::forward:
      runs_.push_back({peer + 1, header.count});
      fresh_ += header.count;
      return;
    case Kind::committed: return answer(header.count);
  }
}

void BareServer::end_turn() {
  if (fresh_ > 0 && leads()) append();
  if (fresh_ > 0 && !leads()) {
    tell(0, {Kind::forward, static_cast<std::uint32_t>(fresh_)}, fresh_ * options_.request_bytes);
  }
  fresh_ = 0;
  if (leads()) commit();
}

// The followers write while we do.
void BareServer::append() {
  for (std::size_t peer = 0; peer < inboxes_.size(); ++peer) {
    tell(peer, {Kind::entries, static_cast<std::uint32_t>(fresh_)}, fresh_ * options_.entry_bytes);
  }
  write(fresh_);
  durable_[0] += fresh_;
}

void BareServer::write(std::size_t entries) { file_.append(entries * options_.entry_bytes); }

void BareServer::commit() {
  std::vector<std::uint64_t> sorted = durable_;
  std::sort(sorted.begin(), sorted.end());
  const std::uint64_t majority = sorted[(sorted.size() - 1) / 2];
  std::vector<std::size_t> by_origin(options_.voters);
  while (committed_ < majority) {
    Run& run = runs_.front();
    const std::size_t count = std::min<std::size_t>(run.count, majority - committed_);
    by_origin[run.origin] += count;
    committed_ += count;
    run.count -= count;
    if (run.count == 0) runs_.pop_front();
  }
  for (std::size_t peer = 0; peer < inboxes_.size(); ++peer) {
    const auto count = static_cast<std::uint32_t>(by_origin[peer + 1]);
    if (count > 0) tell(peer, {Kind::committed, count}, 0);
  }
  answer(by_origin[0]);
}

// One write for each client, however many answers it gets.
void BareServer::answer(std::size_t count) {
  std::vector<std::size_t> concerned;
  for (; count > 0; --count) {
    const std::size_t client = waiting_.front();
    waiting_.pop_front();
    if (to_answer_[client]++ == 0) concerned.push_back(client);
  }
  for (const std::size_t client : concerned) {
    const std::size_t answers = std::exchange(to_answer_[client], 0);
    streams_[client]->send(std::string(answers * options_.answer_bytes, 'a'));
  }
}

void BareServer::tell(std::size_t peer, Header header, std::size_t payload_bytes) {
  std::string message(sizeof header + payload_bytes, 'p');
  std::memcpy(message.data(), &header, sizeof header);
  streams_[clients_ + peer]->send(message);
}

/// The clients of the bare servers.
class BareClients final : public StreamOwner {
 public:
  BareClients(const BareClusterOptions& options, std::vector<Descriptor> sockets)
      : options_(options), request_(options.request_bytes, 'r'), clients_(sockets.size()) {
    for (std::size_t i = 0; i < sockets.size(); ++i) {
      clients_[i].stream = std::make_unique<Stream>(loop_, *this, std::move(sockets[i]), i);
    }
  }

  Result<BareClusterFigures> run(Duration warm_up, Duration measured) {
    from_ = now() + warm_up;
    until_ = from_ + measured;
    for (Client& client : clients_) {
      for (std::size_t i = 0; i < options_.in_flight; ++i) request(client);
    }
    while (now() < until_ && !broken_) loop_.turn(until_);
    if (broken_) return Error(ErrorCode::io, Effect::none, "a bare server ended");
    BareClusterFigures figures{
        .answered = 0, .silent_clients = 0, .measured = measured, .latency = latencies_.spread()};
    for (const Client& client : clients_) {
      figures.answered += client.answered;
      figures.silent_clients += client.answered == 0 ? 1 : 0;
    }
    return figures;
  }

 private:
  struct Client {
    std::unique_ptr<Stream> stream;
    std::size_t partial = 0;
    std::uint64_t answered = 0;
    std::deque<Instant> sent;
  };
  void request(Client& client) {
    client.sent.push_back(now());
    client.stream->send(request_);
  }
  void on_bytes(Stream& stream, BytesView bytes) override {
    Client& client = clients_[stream.number()];
    client.partial += bytes.size();
    const Instant at = now();
    for (; client.partial >= options_.answer_bytes; client.partial -= options_.answer_bytes) {
      const Instant sent = client.sent.front();
      client.sent.pop_front();
      if (at >= from_ && at < until_) client.answered += 1;
      if (sent >= from_ && at < until_) latencies_.add(at - sent);
      request(client);
    }
  }
  void on_broken(Stream&, const std::string&) override { broken_ = true; }

  const BareClusterOptions options_;
  const std::string request_;
  Loop loop_;
  std::vector<Client> clients_;
  Instant from_{};
  Instant until_{};
  Samples latencies_;
  bool broken_ = false;
};

/// Both ends of all sockets, before there is any child.
Result<std::vector<Descriptor>> wire_up(const BareClusterOptions& options,
                                        std::vector<Connections>& servers) {
  std::string address;
  auto listener = listen_anywhere(address);
  if (!listener) return std::move(listener).error();
  std::vector<Descriptor> clients;
  const std::size_t followers = options.voters - 1;
  for (std::size_t i = 0; i < options.clients + followers; ++i) {
    auto socket = connect_to(address);
    if (!socket) return std::move(socket).error();
    Descriptor other = accept_from(*listener);
    if (!other.is_open()) return Error(ErrorCode::io, Effect::none, "accept a bare client");
    if (i < options.clients) {
      clients.push_back(*std::move(socket));
      servers[i % options.voters].clients.push_back(std::move(other));
    } else {
      servers[0].peers.push_back(std::move(other));
      servers[i - options.clients + 1].peers.push_back(*std::move(socket));
    }
  }
  return clients;
}

}  // namespace

double BareClusterFigures::per_second() const {
  return static_cast<double>(answered) / std::chrono::duration<double>(measured).count();
}

Result<BareClusterFigures> run_bare_cluster(const BareClusterOptions& options, Duration warm_up,
                                            Duration measured) {
  std::vector<Connections> servers(options.voters);
  auto clients = wire_up(options, servers);
  if (!clients) return std::move(clients).error().within("set up the bare cluster");
  std::vector<Child> children;
  for (std::size_t i = 0; i < options.voters; ++i) {
    children.emplace_back([&] {
      std::vector<Connections> others = std::move(servers);
      Connections own = std::move(others[i]);
      others.clear();
      clients->clear();  // A socket ends when nobody holds its other end any more.
      BareServer(options, i, std::move(own)).run();
    });
  }
  servers.clear();
  return BareClients(options, *std::move(clients)).run(warm_up, measured);
}

Result<Duration> bare_sync_time(const std::string& directory, std::size_t processes,
                                Duration measured) {
  const auto path = [&](std::size_t i) { return directory + "/bare-sync-" + std::to_string(i); };
  std::vector<Child> others;
  for (std::size_t i = 1; i < processes; ++i) {
    others.emplace_back([&] {
      for (BareFile file(path(i));;) file.append(1);
    });
  }
  BareFile file(path(0));
  Samples samples;
  for (const Instant until = now() + measured; now() < until;) {
    const Instant before = now();
    file.append(1);
    samples.add(now() - before);
  }
  return samples.percentile(0.5);
}

}  // namespace kuilt::bench
