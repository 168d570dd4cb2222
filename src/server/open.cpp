#include "server/open.hpp"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "server/client_link.hpp"
#include "server/founders.hpp"
#include "server/peer_links.hpp"
#include "server/recovered_snapshots.hpp"
#include "storage/memory_disk.hpp"
#include "storage/posix_directory.hpp"
#include "storage/posix_disk.hpp"
#include "wire/entry.hpp"

namespace kuilt::server {
namespace {

namespace net = boost::asio;

template <class AnyId>
AnyId random_id() {
  const SessionId random = random_session();
  return {random.high(), random.low()};
}

/// MemoryDisk for several threads: the log writes while others read.
class SharedMemoryDisk final : public storage::Disk {
 public:
  Status perform(const storage::DiskOp& op) override {
    const std::lock_guard lock(mutex_);
    return disk_.perform(op);
  }
  Result<std::vector<storage::FileInfo>> list() override {
    const std::lock_guard lock(mutex_);
    return disk_.list();
  }
  Result<Bytes> read(const storage::FileName& file, std::uint64_t offset,
                     std::size_t bytes) override {
    const std::lock_guard lock(mutex_);
    return disk_.read(file, offset, bytes);
  }

 private:
  std::mutex mutex_;
  storage::MemoryDisk disk_;
};

storage::WalOptions wal_options(const ServerOptions& options) {
  storage::WalOptions wal;
  wal.segment_bytes = options.segment_bytes;
  return wal;
}

std::string url_of(const ServerOptions& options) {
  return options.advertise.empty() ? "ws://" + options.listen : options.advertise;
}

/// A founding that was cut short before the directory was bound. With the record in its log the
/// cluster exists, for it was written only after all held it: the directory is bound to that one,
/// whatever addresses this start was given. Without it nothing has happened yet, and the log goes:
/// a directory that is not bound has never run.
Status complete_founding(storage::DataDirectory& directory, storage::Disk& disk,
                         const storage::WalOptions& options) {
  if (directory.identity()) return Done{};
  const auto owner = storage::Wal::owner(disk);
  if (!owner) return Error(owner.error());
  if (!*owner) return Done{};
  const storage::Identity identity{(*owner)->cluster, (*owner)->history, *directory.node()};
  auto opened = storage::Wal::open(disk, options, identity, Rng(random_session().low()),
                                   [](const raft::Entry&, bool) -> Status { return Done{}; });
  if (opened && opened->recovered.last > Index()) {
    return directory.bind(identity.cluster, identity.history);
  }
  if (!opened && opened.error().code() != ErrorCode::corrupt) return std::move(opened).error();
  return storage::Wal::remove(disk);
}

/// The founding record becomes the first entry, committed by agreement: all members hold it.
Status write_founding(storage::Disk& disk, const storage::WalOptions& options,
                      const storage::Identity& identity, const raft::Configuration& record) {
  auto wal = storage::Wal::create(disk, options, identity, {}, Rng(random_session().low()));
  if (!wal) return std::move(wal).error();
  const Position first{Index(1), Term(1)};
  raft::Write write{.seq = raft::WriteSeq(1),
                    .hard = {first.term, NodeId{}},
                    .truncate_after = std::nullopt,
                    .entries = {},
                    .commit = first.index};
  write.entries.push_back(wire::encode_configuration(
      first, LogTime{}, std::make_shared<const raft::Configuration>(record)));
  const storage::Batch batch = (*wal)->plan({&write, 1}).batch;
  if (Status status = storage::perform_all(disk, batch.ops); !status) return status;
  (*wal)->done();
  return Done{};
}

struct Recovery {
  std::unique_ptr<storage::Wal> wal;
  cluster::BootBuilder::Boots boots;
  FoundSnapshots snapshots;
  Index last_cut;
};

/// The folder of a server that takes snapshots; null for others. It does without, if that must be.
std::shared_ptr<storage::Disk> open_snapshots(const storage::DataDirectory* directory,
                                              const StateMachine* state_machine,
                                              const NodeEvents& events) {
  if (directory == nullptr || state_machine == nullptr) return nullptr;
  auto disk = storage::PosixDisk::open(directory->snapshots_path());
  if (disk) return *std::move(disk);
  events.on_news("no snapshots are taken: " + disk.error().message());
  return nullptr;
}

/// Reads all snapshots and then the log, which tells whether they are its own.
Result<Recovery> recover(storage::Disk& disk, const storage::WalOptions& options,
                         const storage::Identity& identity, BootId boot,
                         storage::Disk* snapshot_disk, const NodeEvents& events) {
  RecoveredSnapshots snapshots(snapshot_disk, identity, events.on_news);
  cluster::BootBuilder builder(Position{}, cluster::FeedOptions{}.checkpoint_interval, nullptr,
                               snapshots.candidates());
  auto opened = storage::Wal::open(disk, options, identity, Rng(random_session().low()),
                                   [&builder](const raft::Entry& entry, bool committed) {
                                     return builder.take(entry, committed);
                                   });
  if (!opened) return std::move(opened).error().within("recover the log");
  storage::Recovered& found = opened->recovered;
  auto found_snapshots = std::move(snapshots).judge({.last = found.last,
                                                     .terms = found.terms,
                                                     .restored = builder.restored(),
                                                     .complaints = builder.complaints()});
  if (!found_snapshots) return std::move(found_snapshots).error().within("recover the log");
  auto boots = std::move(builder).finish({.self = identity.node,
                                          .boot = boot,
                                          .hard = found.hard,
                                          .terms = std::move(found.terms),
                                          .last = found.last,
                                          .tail = std::move(found.tail),
                                          .commit = found.commit});
  if (!boots) return std::move(boots).error().within("recover the log");
  // Nothing changes the members of a cluster of real servers yet.
  if (boots->machine.raft.configuration->find(identity.node) == nullptr) {
    return Error(ErrorCode::corrupt, Effect::none,
                 "the log has no configuration that names node " + identity.node.text())
        .within("recover the log");
  }
  const Index last_cut = boots->machine.cuts.last_cut();
  return Recovery{std::move(opened->wal), *std::move(boots), *std::move(found_snapshots), last_cut};
}

wire::Limits limits_of(const raft::Parameters& parameters) {
  return {.command_bytes_max = parameters.command_bytes_max,
          .frame_bytes_max = wire::client_frame_bytes_max(parameters.command_bytes_max),
          .window_bytes_max = std::max<std::uint64_t>(parameters.command_bytes_max, 1U << 20) +
                              (std::uint64_t{64} << 10),
          .session_window = parameters.session_window};
}

Facts facts_of(const ServerOptions& options, const raft::Configuration& record, NodeId self,
               BootId boot) {
  Facts facts{.node = self,
              .boot = boot,
              .name = record.find(self)->name,
              .configuration = record,
              .endpoints = {},
              .limits = limits_of(record.parameters),
              .client_heartbeat_interval = options.client_heartbeat_interval};
  facts.endpoints.push_back(url_of(options));
  for (const raft::Member& member : record.members) {
    if (member.id != self) facts.endpoints.push_back(member.client_url);
  }
  return facts;
}

/// Once founded: members are linked, and a server that is still founding is told the record.
PeerLinkEvents member_events(const Facts& facts, const std::shared_ptr<PeerLinks>& links,
                             const ToNode& to_node, const NodeEvents& events) {
  const auto strangers = std::make_shared<std::set<NodeId>>();
  const std::weak_ptr<PeerLinks> weak = links;
  const raft::Configuration record = facts.configuration;
  return {
      .on_up = [=](const wire::PeerHello& hello) -> Status {
        if (hello.cluster.is_none()) {
          strangers->insert(hello.node);
        } else if (record.find(hello.node) == nullptr) {
          return Error(ErrorCode::unknown_node, "node " + hello.node.text() + " (" + hello.name +
                                                    ") is not a member of cluster " +
                                                    record.cluster.text());
        } else {
          to_node(cluster::PeerUp{hello.node});
        }
        return Done{};
      },
      .on_down =
          [=](NodeId peer) {
            if (strangers->erase(peer) == 0) to_node(cluster::PeerDown{peer});
          },
      .on_message =
          [=](NodeId from, wire::PeerMessage message) {
            if (!strangers->contains(from)) {
              if (auto event = for_node(from, std::move(message))) to_node(*std::move(event));
            } else if (std::holds_alternative<wire::FoundingOffer>(message)) {
              const wire::FoundingHold hold{wire::encode_configuration_record(record), true};
              if (const auto alive = weak.lock()) alive->send(from, hold);
            }
          },
      .on_refused = [news = events.on_news](
                        const std::string& peer,
                        const Error& error) { news(refusal_text(peer, error)); },
  };
}

/// A cluster of one; or the record that all founding servers agree on.
Result<raft::Configuration> found(const ServerOptions& options, NodeId self,
                                  const std::shared_ptr<PeerLinks>& links, BootId boot,
                                  const NodeEvents& events) {
  const std::string url = url_of(options);
  if (options.found.size() > 1) return found_together(options, self, boot, url, *links, events);
  std::vector<raft::Member> alone = {{self, options.name, options.peer_listen, url, true}};
  return founding_record(std::move(alone), {});
}

Result<std::unique_ptr<storage::DataDirectory>> open_directory(const std::string& path) {
  auto directory = storage::DataDirectory::open(path);
  if (!directory) return directory;
  if (!(*directory)->node()) {
    if (Status status = (*directory)->mint(random_id<NodeId>()); !status) {
      return std::move(status).error();
    }
  }
  return directory;
}

Status resolve_ports(ServerOptions& options) {
  std::vector<std::string*> addresses = {&options.listen, &options.peer_listen};
  for (std::string& also : options.listen_also) addresses.push_back(&also);
  for (std::string* address : addresses) {
    auto real = with_real_port(*address);
    if (!real) return std::move(real).error();
    *address = *std::move(real);
  }
  return Done{};
}

/// The node of a voter's directory; and what its log says of the cluster, if it is bound and
/// nobody has said it yet.
Result<NodeId> look_into(const ServerOptions& voter, std::optional<raft::Configuration>& record) {
  auto directory = open_directory(voter.data);
  if (!directory) return std::move(directory).error();
  auto disk = storage::PosixDisk::open((*directory)->log_path());
  if (!disk) return std::move(disk).error();
  const NodeId node = *(*directory)->node();
  if (Status status = complete_founding(**directory, **disk, wal_options(voter)); !status) {
    return std::move(status).error();
  }
  if (record || !(*directory)->identity()) return node;
  auto recovery = recover(**disk, wal_options(voter), *(*directory)->identity(),
                          random_id<BootId>(), nullptr, {});
  if (!recovery) return std::move(recovery).error();
  record = *recovery->boots.machine.raft.configuration;
  return node;
}

/// Whether these directories are those of the voters in the record. All had their ids before the
/// first was bound.
Status complaint_about(const raft::Configuration& record, const std::vector<raft::Member>& found) {
  if (record.members.size() != found.size()) {
    return Error(ErrorCode::invalid_argument,
                 "the directory holds a cluster of " + std::to_string(record.members.size()) +
                     " voters, not of " + std::to_string(found.size()) +
                     "; give the number that it was founded with");
  }
  for (const raft::Member& voter : found) {
    const raft::Member* known = record.find(voter.id);
    if (known == nullptr) {
      return Error(ErrorCode::directory_lost,
                   "cluster " + record.cluster.text() +
                       " was founded with another data directory of voter " + voter.name +
                       " (this one has node id " + voter.id.text() +
                       "); a lost voter can't come back as the old member: bring the old "
                       "directory back, or found a new cluster in another");
    }
    if (known->name != voter.name) {
      return Error(ErrorCode::directory_of_another, "the directory of voter " + voter.name +
                                                        " belongs to voter " + known->name +
                                                        "; each has its own");
    }
  }
  return Done{};
}

/// The links to other servers; null for a cluster of one.
Result<std::shared_ptr<PeerLinks>> make_links(const ServerOptions& options, NodeId self,
                                              BootId boot, const NodeEvents& events) {
  auto secret = load_secret(options.secret_file);
  if (!secret) return std::move(secret).error();
  PeerLinkOptions link_options;
  link_options.listen = options.peer_listen;
  link_options.secret = *std::move(secret);
  const PeerIdentity nobody_yet{self, boot, options.name, {}, {}};
  const PeerLinkEvents deaf{
      .on_up = [](const wire::PeerHello&) -> Status {
        return Error(ErrorCode::busy, "this server is still starting");
      },
      .on_down = [](NodeId) {},
      .on_message = [](NodeId, const wire::PeerMessage&) {},
      .on_refused = [news = events.on_news](
                        const std::string& peer,
                        const Error& error) { news(refusal_text(peer, error)); }};
  auto links = std::make_shared<PeerLinks>(std::move(link_options), nobody_yet, deaf);
  if (Status status = links->listen(); !status) return std::move(status).error();
  return links;
}

std::function<std::unique_ptr<PeerTransport>(ToNode)> peers_over(
    const std::shared_ptr<PeerLinks>& links, const Facts& facts, const NodeEvents& events) {
  return [links, facts, events](const ToNode& to_node) -> std::unique_ptr<PeerTransport> {
    if (!links) return std::make_unique<NoPeers>();
    std::vector<PeerTarget> targets;
    for (const raft::Member& member : facts.configuration.members) {
      if (member.id != facts.node) targets.push_back({member.name, member.peer_url});
    }
    const PeerIdentity identity{facts.node, facts.boot, facts.name, facts.configuration.cluster,
                                facts.configuration.history};
    links->be(identity, member_events(facts, links, to_node, events), std::move(targets));
    return std::make_unique<WebSocketPeers>(links);
  };
}

}  // namespace

Result<std::string> with_real_port(const std::string& address) {
  if (!address.ends_with(":0")) return address;
  const std::string host = address.substr(0, address.size() - 2);
  net::io_context io;
  boost::system::error_code error;
  const auto parsed = net::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
  if (error) return Error(ErrorCode::invalid_argument, "\"" + address + "\" is not IP:PORT");
  net::ip::tcp::acceptor acceptor(io);
  acceptor.open(net::ip::tcp::endpoint(parsed, 0).protocol(), error);
  if (!error) acceptor.bind({parsed, 0}, error);
  const auto bound = acceptor.local_endpoint(error);
  if (error) return Error(ErrorCode::io, Effect::none, "bind " + address + ": " + error.message());
  return host + ":" + std::to_string(bound.port());
}

Result<std::unique_ptr<Node>> open_node(ServerOptions options, StateMachine* state_machine,
                                        const NodeEvents& events) {
  if (Status status = complaint_about(options); !status) return std::move(status).error();
  if (Status status = resolve_ports(options); !status) return std::move(status).error();
  auto opened = open_directory(options.data);
  if (!opened) return std::move(opened).error();
  std::shared_ptr<storage::DataDirectory> directory = *std::move(opened);
  const NodeId self = *directory->node();
  const auto boot = random_id<BootId>();
  auto disk = storage::PosixDisk::open(directory->log_path());
  if (!disk) return std::move(disk).error();

  if (Status status = complete_founding(*directory, **disk, wal_options(options)); !status) {
    return std::move(status).error().within("complete the founding of the cluster");
  }

  std::shared_ptr<PeerLinks> links;
  const bool has_peers = options.found.size() > 1 || !options.secret_file.empty();
  if (has_peers) {
    auto made = make_links(options, self, boot, events);
    if (!made) return std::move(made).error();
    links = *std::move(made);
  }
  if (!directory->identity()) {
    auto record = found(options, self, links, boot, events);
    if (!record) return std::move(record).error().within("found the cluster");
    const storage::Identity identity{record->cluster, record->history, self};
    Status status = write_founding(**disk, wal_options(options), identity, *record);
    if (status) status = directory->bind(record->cluster, record->history);
    if (!status) return std::move(status).error().within("write the founding record");
  }
  auto snapshot_disk = open_snapshots(directory.get(), state_machine, events);
  auto recovery = recover(**disk, wal_options(options), *directory->identity(), boot,
                          snapshot_disk.get(), events);
  if (!recovery) return std::move(recovery).error();
  const raft::Configuration& record = *recovery->boots.machine.raft.configuration;
  if (record.members.size() > 1 && !links) {
    return Error(ErrorCode::invalid_argument,
                 "cluster " + record.cluster.text() + " has " +
                     std::to_string(record.members.size()) +
                     " servers, which prove themselves to each other: give --secret-file FILE");
  }
  Facts facts = facts_of(options, record, self, boot);
  auto connect = peers_over(record.members.size() > 1 ? links : nullptr, facts, events);
  return std::make_unique<Node>(
      NodeParts{std::move(options), std::move(facts), directory, *std::move(disk),
                std::move(recovery->wal), std::move(recovery->boots), state_machine,
                std::move(snapshot_disk), std::move(recovery->snapshots), recovery->last_cut,
                events.on_news, std::move(connect)},
      events.on_failed);
}

Result<MeshPlan> plan_mesh(const std::vector<ServerOptions>& voters) {
  MeshPlan plan;
  std::optional<raft::Configuration> record;
  std::vector<raft::Member> members;
  for (const ServerOptions& voter : voters) {
    auto node = voter.data.empty() ? random_id<NodeId>() : look_into(voter, record);
    if (!node) return std::move(node).error().within("voter " + voter.name);
    members.push_back({*node, voter.name, voter.name, "", true});
    plan.client_urls[voter.name] = url_of(voter);
  }
  if (record) {
    if (Status status = complaint_about(*record, members); !status) {
      return std::move(status).error();
    }
  }
  plan.record = record ? *std::move(record) : founding_record(std::move(members), {});
  return plan;
}

Result<std::unique_ptr<Node>> open_mesh_node(ServerOptions options, const MeshPlan& plan,
                                             const std::shared_ptr<InProcessMesh>& mesh,
                                             StateMachine* state_machine,
                                             const NodeEvents& events) {
  raft::Configuration live = plan.record;
  for (raft::Member& member : live.members) member.client_url = plan.client_urls.at(member.name);
  const NodeId self = std::ranges::find(live.members, options.name, &raft::Member::name)->id;
  const storage::Identity identity{live.cluster, live.history, self};
  std::shared_ptr<storage::DataDirectory> directory;
  std::shared_ptr<storage::Disk> disk = std::make_shared<SharedMemoryDisk>();
  if (!options.data.empty()) {
    auto opened = open_directory(options.data);
    if (!opened) return std::move(opened).error();
    directory = *std::move(opened);
    if (Status status = directory->check(identity); !status) return std::move(status).error();
    auto posix = storage::PosixDisk::open(directory->log_path());
    if (!posix) return std::move(posix).error();
    disk = *std::move(posix);
  }
  if (!directory || !directory->identity()) {
    Status status = write_founding(*disk, wal_options(options), identity, plan.record);
    if (status && directory) status = directory->bind(identity.cluster, identity.history);
    if (!status) return std::move(status).error().within("write the founding record");
  }
  const auto boot = random_id<BootId>();
  auto snapshot_disk = open_snapshots(directory.get(), state_machine, events);
  auto recovery = recover(*disk, wal_options(options), identity, boot, snapshot_disk.get(), events);
  if (!recovery) return std::move(recovery).error();
  Facts facts = facts_of(options, live, self, boot);
  const auto connect = [mesh, self](ToNode to_node) {
    return mesh->join(self, std::move(to_node));
  };
  return std::make_unique<Node>(
      NodeParts{std::move(options), std::move(facts), directory, disk, std::move(recovery->wal),
                std::move(recovery->boots), state_machine, std::move(snapshot_disk),
                std::move(recovery->snapshots), recovery->last_cut, events.on_news, connect},
      events.on_failed);
}

}  // namespace kuilt::server
