#include "server/open.hpp"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "server/client_link.hpp"
#include "server/founders.hpp"
#include "server/joiners.hpp"
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

/// A cluster that goes on already: its log comes from the others, from the first entry on. Until
/// then the record says who they are.
Status write_joined(storage::DataDirectory& directory, storage::Disk& disk,
                    const storage::WalOptions& options, const storage::Identity& identity,
                    const raft::Configuration& record) {
  const Bytes bytes = wire::encode_configuration_record(record);
  if (Status status = directory.keep_joined(bytes); !status) return status;
  auto wal = storage::Wal::create(disk, options, identity, {}, Rng(random_session().low()));
  return wal ? Status(Done{}) : Status(std::move(wal).error());
}

/// The ids of a cluster are digests of the record that it was founded with. Any other record is one
/// of later members, and no log begins with it.
bool is_founding_record(const raft::Configuration& record) {
  return founding_record(record.members, record.parameters) == record;
}

/// Makes the directory one of that cluster. Last of all it is bound: a start that is killed before
/// begins anew.
Status enter(storage::DataDirectory& directory, storage::Disk& disk,
             const storage::WalOptions& options, const raft::Configuration& record) {
  const storage::Identity identity{record.cluster, record.history, *directory.node()};
  Status status = is_founding_record(record)
                      ? write_founding(disk, options, identity, record)
                      : write_joined(directory, disk, options, identity, record);
  return status ? directory.bind(record.cluster, record.history) : status;
}

// What all configurations of a cluster have in common.
raft::SharedConfiguration without_members(raft::Configuration configuration) {
  configuration.members.clear();
  configuration.outgoing.clear();
  configuration.wanted.clear();
  return std::make_shared<const raft::Configuration>(std::move(configuration));
}

struct Recovery {
  std::unique_ptr<storage::Wal> wal;
  cluster::BootBuilder::Boots boots;
  FoundSnapshots snapshots;
  Index last_cut;
  raft::SharedConfiguration in_force = nullptr;
  bool was_member = false;  ///< A committed configuration named this server.
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
                         storage::Disk* snapshot_disk, const NodeEvents& events,
                         const raft::SharedConfiguration& told = nullptr) {
  RecoveredSnapshots snapshots(snapshot_disk, identity, events.on_news);
  cluster::BootBuilder builder(Position{}, cluster::FeedOptions{}.checkpoint_interval,
                               told ? without_members(*told) : nullptr, snapshots.candidates());
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
  const bool was_member = builder.has_named(identity.node);
  auto boots = std::move(builder).finish({.self = identity.node,
                                          .boot = boot,
                                          .hard = found.hard,
                                          .terms = std::move(found.terms),
                                          .last = found.last,
                                          .tail = std::move(found.tail),
                                          .commit = found.commit});
  if (!boots) return std::move(boots).error().within("recover the log");
  const Index last_cut = boots->machine.cuts.last_cut();
  Recovery recovery{std::move(opened->wal), *std::move(boots), *std::move(found_snapshots),
                    last_cut};
  recovery.in_force = recovery.boots.machine.raft.configuration;
  for (const raft::Entry& entry : recovery.boots.machine.raft.tail) {
    const bool is_later = entry.at.index > recovery.boots.machine.raft.commit;
    if (is_later && entry.configuration) recovery.in_force = entry.configuration;
  }
  recovery.was_member = was_member;
  return recovery;
}

/// Whoever is not a member yet has been told by those who are; nobody else may be without a place.
Status complaint_about(const Recovery& recovery, const storage::Identity& identity,
                       const raft::SharedConfiguration& told) {
  const raft::Configuration& committed = *recovery.boots.machine.raft.configuration;
  if (committed.find(identity.node) != nullptr ||
      recovery.in_force->find(identity.node) != nullptr) {
    return Done{};
  }
  if (recovery.was_member) {
    return Error(ErrorCode::removed, Effect::none,
                 "this server, node " + identity.node.text() + ", was removed from cluster " +
                     identity.cluster.text() + ", as its log says");
  }
  if (told) return Done{};
  return Error(ErrorCode::corrupt, Effect::none,
               "the log has no configuration that names node " + identity.node.text())
      .within("recover the log");
}

wire::Limits limits_of(const raft::Parameters& parameters) {
  return {.command_bytes_max = parameters.command_bytes_max,
          .frame_bytes_max = wire::client_frame_bytes_max(parameters.command_bytes_max),
          .window_bytes_max = std::max<std::uint64_t>(parameters.command_bytes_max, 1U << 20) +
                              (std::uint64_t{64} << 10),
          .session_window = parameters.session_window};
}

Facts facts_of(const ServerOptions& options, const Recovery& recovery,
               const storage::Identity& identity, BootId boot, Members::Start start) {
  start.self = identity.node;
  start.committed = recovery.boots.machine.raft.configuration;
  start.in_force = recovery.in_force;
  start.was_member = recovery.was_member;
  start.own_url = url_of(options);
  auto members = std::make_shared<Members>(std::move(start));
  const auto self = members->find(identity.node);
  return {.node = identity.node,
          .boot = boot,
          .name = self ? self->name : options.name,
          .cluster = identity.cluster,
          .history = identity.history,
          .limits = limits_of(recovery.in_force->parameters),
          .client_heartbeat_interval = options.client_heartbeat_interval,
          .members = std::move(members)};
}

/// Once founded: whoever belongs to the cluster is linked, a member or not, for the proof of
/// belonging is all that counts (rule 6). A server that is still founding is told the record, one
/// that joins is heard.
PeerLinkEvents member_events(const Facts& facts, const std::shared_ptr<PeerLinks>& links,
                             const ToNode& to_node, const NodeEvents& events) {
  const auto strangers = std::make_shared<std::set<NodeId>>();
  const std::weak_ptr<PeerLinks> weak = links;
  const auto from_stranger = [=, members = facts.members](NodeId from, wire::PeerMessage& message) {
    if (auto* request = std::get_if<wire::JoinRequest>(&message)) {
      to_node(JoinAsked{from, std::move(*request)});
    } else if (std::holds_alternative<wire::FoundingOffer>(message) &&
               members->standing() == Standing::member) {
      const Bytes record = wire::encode_configuration_record(*members->view().committed);
      if (const auto alive = weak.lock()) alive->send(from, wire::FoundingHold{record, true});
    }
  };
  return {
      .on_up = [=](const wire::PeerHello& hello) -> Status {
        if (hello.cluster.is_none()) {
          strangers->insert(hello.node);
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
            if (strangers->contains(from)) return from_stranger(from, message);
            if (auto event = for_node(from, std::move(message))) to_node(*std::move(event));
          },
      .on_refused = [news = events.on_news](
                        const std::string& peer,
                        const Error& error) { news(refusal_text(peer, error)); },
  };
}

std::string peer_url_of(const ServerOptions& options) {
  return options.peer_advertise.empty() ? options.peer_listen : options.peer_advertise;
}

/// A cluster of one; or the record that all founding servers agree on; or who the members are of
/// the one that this server joins.
Result<raft::Configuration> found_or_join(const ServerOptions& options, NodeId self,
                                          const std::shared_ptr<PeerLinks>& links, BootId boot,
                                          const NodeEvents& events) {
  const std::string url = url_of(options);
  if (options.found.size() > 1) return found_together(options, self, boot, url, *links, events);
  if (!options.join.empty()) {
    const wire::JoinRequest request{options.name, peer_url_of(options), url};
    return join(options, self, boot, request, *links, events);
  }
  std::vector<raft::Member> alone = {{self, options.name, peer_url_of(options), url, true}};
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
    const PeerIdentity identity{facts.node, facts.boot, facts.name, facts.cluster, facts.history};
    links->be(identity, member_events(facts, links, to_node, events), facts.members->targets());
    return std::make_unique<WebSocketPeers>(links);
  };
}

/// What is there once the directory is bound.
struct BoundParts {
  std::shared_ptr<storage::DataDirectory> directory;
  std::shared_ptr<storage::Disk> disk;
  std::shared_ptr<PeerLinks> links;  ///< Null without a secret.
  BootId boot;
};

Result<raft::SharedConfiguration> told_to(const storage::DataDirectory& directory) {
  auto bytes = directory.joined();
  if (!bytes) return std::move(bytes).error();
  if (!*bytes) return raft::SharedConfiguration();
  auto record = wire::decode_configuration_record(**bytes);
  if (!record) {
    return Error(ErrorCode::corrupt, Effect::none,
                 "the file \"joined\" of the data directory is not what a server wrote: " +
                     record.error().message());
  }
  return std::make_shared<const raft::Configuration>(*std::move(record));
}

/// A server whose directory is bound, be it founded, joined or neither for a long time.
Result<std::unique_ptr<Node>> open_member(ServerOptions options, StateMachine* state_machine,
                                          const NodeEvents& events, BoundParts parts) {
  const storage::Identity identity = *parts.directory->identity();
  auto told = told_to(*parts.directory);
  if (!told) return std::move(told).error();
  // Of a start that was killed before it joined, and did not join in the end.
  if (*told && (*told)->cluster != identity.cluster) *told = nullptr;
  auto snapshot_disk = open_snapshots(parts.directory.get(), state_machine, events);
  auto recovery = recover(*parts.disk, wal_options(options), identity, parts.boot,
                          snapshot_disk.get(), events, *told);
  if (!recovery) return std::move(recovery).error();
  if (Status status = complaint_about(*recovery, identity, *told); !status) {
    return std::move(status).error();
  }
  Members::Start start;
  start.told = *told;
  Facts facts = facts_of(options, *recovery, identity, parts.boot, std::move(start));
  if (!facts.members->targets().empty() && !parts.links) {
    return Error(ErrorCode::invalid_argument,
                 "cluster " + facts.cluster.text() + " has " +
                     std::to_string(facts.members->targets().size() + 1) +
                     " servers, which prove themselves to each other: give --secret-file FILE");
  }
  auto connect = peers_over(parts.links, facts, events);
  return std::make_unique<Node>(
      NodeParts{std::move(options), std::move(facts), std::move(parts.directory),
                std::move(parts.disk), std::move(recovery->wal), std::move(recovery->boots),
                state_machine, std::move(snapshot_disk), std::move(recovery->snapshots),
                recovery->last_cut, events.on_news, std::move(connect)},
      events.on_failed);
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
  if (!options.secret_file.empty()) {
    auto made = make_links(options, self, boot, events);
    if (!made) return std::move(made).error();
    links = *std::move(made);
  }
  if (!directory->identity()) {
    const char* what = options.join.empty() ? "found the cluster" : "join the cluster";
    auto record = found_or_join(options, self, links, boot, events);
    if (!record) return std::move(record).error().within(what);
    Status status = enter(*directory, **disk, wal_options(options), *record);
    if (!status) return std::move(status).error().within(what);
  }
  return open_member(std::move(options), state_machine, events,
                     {directory, *std::move(disk), std::move(links), boot});
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
  const raft::Configuration& record = plan.record;
  const NodeId self = std::ranges::find(record.members, options.name, &raft::Member::name)->id;
  const storage::Identity identity{record.cluster, record.history, self};
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
    if (!is_founding_record(record)) {
      return Error(ErrorCode::directory_lost, "voter " + options.name +
                                                  " has a new directory, and the cluster's members "
                                                  "have changed since it was founded");
    }
    Status status = write_founding(*disk, wal_options(options), identity, plan.record);
    if (status && directory) status = directory->bind(identity.cluster, identity.history);
    if (!status) return std::move(status).error().within("write the founding record");
  }
  const auto boot = random_id<BootId>();
  auto snapshot_disk = open_snapshots(directory.get(), state_machine, events);
  auto recovery = recover(*disk, wal_options(options), identity, boot, snapshot_disk.get(), events);
  if (!recovery) return std::move(recovery).error();
  if (Status status = complaint_about(*recovery, identity, nullptr); !status) {
    return std::move(status).error();
  }
  Members::Start start;
  start.client_urls = plan.client_urls;
  Facts facts = facts_of(options, *recovery, identity, boot, std::move(start));
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
