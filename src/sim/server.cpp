#include "sim/server.hpp"

#include <algorithm>
#include <utility>

#include "kuilt/detail/overloaded.hpp"
#include "sim/counters.hpp"
#include "storage/snapshot_streams.hpp"

namespace kuilt::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration turn_delay_max = microseconds(100);
constexpr Duration read_delay_max = milliseconds(3);
constexpr Duration news_delay_max = milliseconds(50);
constexpr Duration heartbeat_interval = milliseconds(500);
constexpr Duration leaderless_after = seconds(1);
constexpr Duration own_read_interval_max = milliseconds(500);
// An Instant beyond any run: "never".
constexpr std::size_t snapshot_read_bytes = 3000;  // Small, so that a run has many.
constexpr Duration never_after = std::chrono::hours(24);

}  // namespace

Server::Process::Process(std::unique_ptr<storage::Wal> log, cluster::Machine started,
                         const Plan& plan, cluster::FeedBoot feed, cluster::RoomHub hub,
                         FrontOwner& owner, Server& server)
    : wal(std::move(log)),
      machine(std::move(started)),
      front(plan.feed, std::move(feed), plan.room_queue_bytes_max, owner),
      rooms(std::move(hub)),
      machine_alarm([&server](Instant when,
                              std::function<void()> action) { server.when_awake(when, action); },
                    [&server] { return server.scene_.now(); },
                    [&server] { server.submit(cluster::Tick{}); }),
      front_alarm([&server](Instant when,
                            std::function<void()> action) { server.when_awake(when, action); },
                  [&server] { return server.scene_.now(); }, [this] { front.tick(); }),
      rooms_alarm([&server](Instant when,
                            std::function<void()> action) { server.when_awake(when, action); },
                  [&server] { return server.scene_.now(); }, [&server] { server.rooms_turn(); }),
      leader_notice(server.scene_.now(), leaderless_after) {}

Server::Server(Scene& scene, ServerNumber number, raft::Configuration founders, Rng rng)
    : scene_(scene),
      number_(number),
      configuration_(std::move(founders)),
      id_(NodeId::named(name_of_server(number))),
      rng_(rng),
      disk_(Rng(rng_.next())),
      snapshot_disk_(Rng(scene.plan.snapshots_seed + number)) {}

// Runs the action in this process, if it lives then; later, if it is paused then.
void Server::when_awake(Instant when, std::function<void()> action) {
  scene_.agenda.at(when, [this, incarnation = incarnation_, action = std::move(action)] {
    if (incarnation != incarnation_) return;
    if (paused()) return when_awake(paused_until_, action);
    action();
  });
}

void Server::submit(cluster::Input input) {
  process_->inputs.push_back(std::move(input));
  if (std::exchange(process_->turn_is_due, true)) return;
  when_awake(scene_.now() + up_to(rng_, turn_delay_max), [this] { turn(); });
}

void Server::turn() {
  process_->turn_is_due = false;
  auto output = process_->machine.step(local_now(), std::exchange(process_->inputs, {}));
  carry_out(std::move(output));
  scene_.invariants.stepped(number_, process_->machine);
}

void Server::carry_out(cluster::Output output) {
  for (raft::Write& write : output.writes) {
    if (write.truncate_after) {
      scene_.note("s{} truncates its log after {}", {number_, write.truncate_after->value()});
    }
    scene_.invariants.ordered(number_, write);
    process_->writes.push_back(std::move(write));
  }
  write_on();
  for (const cluster::PeerSend& send : output.send) send_to_peer(send);
  for (const raft::NeedEntries& load : output.loads) answer_load(load);
  if (output.committed) {
    scene_.note(
        "s{} commits through {} of term {}",
        {number_, output.committed->through.index.value(), output.committed->through.term.value()});
    const Term term = process_->machine.raft().term();
    scene_.invariants.committed(number_, *output.committed,
                                leads() ? std::optional(term) : std::nullopt);
    for (const raft::Entry& entry : output.committed->entries) {
      scene_.invariants.complain(scene_.snapshots.committed(entry));
    }
    publish(output.committed);
    if (process_->applying) process_->applying->publish(*output.committed);
  }
  if (!output.ask.empty()) process_->applying->ask(output.ask);
  if (output.applied) process_->applying->taken();
  for (const cluster::ChangeJudged& judged : output.changes) {
    const bool begun = judged.refusal == raft::ChangeRefusal::none;
    scene_.coverage.count(begun ? "changes of members begun"
                                : "changes of members refused: " +
                                      std::string(raft::name_of(judged.refusal)));
  }
  if (output.configuration) {
    scene_.note("s{} has {} members, and {} before", {number_, output.configuration->members.size(),
                                                      output.configuration->outgoing.size()});
  }
  for (const cluster::Answered& answered : output.answers) process_->front.answer(answered);
  for (const cluster::BarrierAnswered& answered : output.barriers) {
    if (answered.link == cluster::own_program) {
      check_read(answered.answer);
    } else {
      process_->front.answer(answered);
    }
  }
  if (output.leadership) {
    scene_.note("s{} is {} of term {}",
                {number_, static_cast<std::uint64_t>(output.leadership->role),
                 output.leadership->term.value()});
    process_->leader_notice.led_by(scene_.now(), leader());
  }
  if (output.disk_stalled) {
    scene_.note("s{} finds that its disk hangs: {}", {number_, *output.disk_stalled ? 1U : 0U});
  }
  for (const cluster::PeerFault& fault : output.faults) {
    complain("no sound server sends what is refused as a fault: " +
             std::string(raft::name_of(fault.why)));
  }
  for (const cluster::TransferEnded& ended : output.transfers) {
    scene_.note("s{} hands over the lead: {}",
                {number_, static_cast<std::uint64_t>(ended.how.end)});
  }
  if (output.wake_at < local_now() + never_after) {
    process_->machine_alarm.set(to_scene(output.wake_at));
  }
}

void Server::send_to_peer(const cluster::PeerSend& send) {
  const auto to = std::ranges::find(peers_, send.to, &Server::id_);
  if (to == peers_.end()) return complain("messages go to members");
  const ServerNumber peer = (*to)->number();
  scene_.invariants.sends(number_, peer, send.message);
  const Bytes frame = wire::encode(send.message);
  const std::vector<Duration> arrivals = scene_.peers.send(number_, peer);
  if (arrivals.empty()) trace(raft::Action::drop_message, number_, peer, send.message);
  for (std::size_t copy = 1; copy < arrivals.size(); ++copy) {
    trace(raft::Action::duplicate_message, number_, peer, send.message);
  }
  for (const Duration delay : arrivals) {
    scene_.agenda.after(
        delay, [receiver = *to, from = number_, frame] { receiver->peer_frame(from, frame); });
  }
}

void Server::peer_frame(ServerNumber from, const Bytes& frame) {
  Result<wire::PeerMessage> message = wire::decode_peer(frame);
  if (!message) return complain("a peer's frame is readable: " + message.error().message());
  if (!runs()) return trace(raft::Action::drop_message, from, number_, *message);
  const NodeId sender = NodeId::named(name_of_server(from));
  const auto not_after_the_handshake = [&] { complain("a machine sends no handshake"); };
  const auto on_message = Overloaded{
      [&](raft::Message& m) { submit(cluster::FromPeer{sender, std::move(m)}); },
      [&](wire::Forward& m) { submit(cluster::FromPeer{sender, std::move(m)}); },
      [&](wire::ForwardReply& m) { submit(cluster::FromPeer{sender, std::move(m)}); },
      [&](wire::PeerRooms& m) { to_rooms(cluster::RoomsFromPeer{sender, std::move(m)}); },
      [&](wire::PeerRoomsTaken& m) { to_rooms(cluster::RoomsTakenByPeer{sender, m}); },
      [&](wire::PeerHello&) { not_after_the_handshake(); },
      [&](wire::PeerProof&) { not_after_the_handshake(); },
      [&](wire::FoundingOffer&) { not_after_the_handshake(); },
      [&](wire::FoundingHold&) { not_after_the_handshake(); },
      [&](wire::PeerGoodbye&) { not_after_the_handshake(); },
      [&](wire::JoinRequest&) { not_after_the_handshake(); },
      [&](wire::JoinReply&) { not_after_the_handshake(); },
  };
  std::visit(on_message, *message);
}

// From the first moment of a process on, for those who read the trace of Raft.
void Server::trace_core() {
  if (scene_.raft_trace == nullptr) return;
  scene_.raft_trace->booted(scene_.now(), process_->machine.raft());
  process_->machine.watch(
      [this](const raft::Core& core, const raft::Input& input, const raft::Output& out) {
        scene_.raft_trace->stepped(scene_.now(), core, input, out);
      });
}

void Server::trace(raft::Action fate, ServerNumber from, ServerNumber to,
                   const wire::PeerMessage& message) {
  const auto* of_raft = std::get_if<raft::Message>(&message);
  if (scene_.raft_trace == nullptr || of_raft == nullptr) return;
  scene_.raft_trace->message(scene_.now(), fate, NodeId::named(name_of_server(from)),
                             NodeId::named(name_of_server(to)), *of_raft);
}

cluster::RoomHub Server::new_rooms() {
  std::vector<NodeId> others;
  for (const Server* peer : peers_) {
    if (peer != this) others.push_back(peer->id_);
  }
  const std::uint64_t seed = scene_.plan.rooms_seed + (number_ << 16) + incarnation_;
  return {scene_.plan.room_options, others, seed, local_now()};
}

void Server::to_rooms(cluster::RoomInput input) {
  if (!scene_.plan.rooms) return;
  process_->room_inputs.push_back(std::move(input));
  if (std::exchange(process_->rooms_turn_is_due, true)) return;
  when_awake(scene_.now() + up_to(rng_, turn_delay_max), [this] { rooms_turn(); });
}

void Server::rooms_turn() {
  process_->rooms_turn_is_due = false;
  auto output = process_->rooms.step(local_now(), std::exchange(process_->room_inputs, {}));
  for (const cluster::RoomFrame& frame : output.frames) process_->front.deliver(frame);
  for (const cluster::PeerSend& send : output.peers) send_to_peer(send);
  if (output.wake_at < local_now() + never_after) {
    process_->rooms_alarm.set(to_scene(output.wake_at));
  }
}

void Server::greet_peers() {
  for (Server* peer : peers_) {
    if (peer == this || !peer->runs()) continue;
    peer_is(peer->number(), true);
    peer->peer_is(number_, true);
  }
}

void Server::transfer_lead(std::optional<ServerNumber> target) {
  if (!runs()) return;
  cluster::TransferLeadership request{++transfers_, {}};
  if (target) request.target = NodeId::named(name_of_server(*target));
  when_awake(scene_.now(), [this, request] { submit(request); });
}

void Server::peer_link_torn(ServerNumber peer) {
  if (!runs()) return;
  peer_is(peer, false);
  peer_is(peer, true);
}

void Server::peer_is(ServerNumber peer, bool up) {
  if (!runs()) return;
  Instant& last = peer_news_at_.at(peer);
  last = std::max(last, scene_.now() + up_to(rng_, news_delay_max));
  const NodeId id = NodeId::named(name_of_server(peer));
  when_awake(last, [this, id, up] {
    if (up) {
      submit(cluster::PeerUp{id});
      to_rooms(cluster::PeerUp{id});
    } else {
      submit(cluster::PeerDown{id});
      to_rooms(cluster::PeerDown{id});
    }
  });
}

// A read shows the log as it was when the read began or when it ended, as threads will have it.
void Server::read(Index first, Index last, std::size_t bytes_max, ReadDone done) {
  auto begun = process_->wal->reader();
  const Duration slowest = scene_.now() < slow_until_ ? scene_.plan.disk.slow_max : read_delay_max;
  const bool early = rng_.chance(50);
  when_awake(scene_.now() + up_to(rng_, slowest), [this, begun = std::move(begun), early, first,
                                                   last, bytes_max, done = std::move(done)] {
    const auto reader = early ? begun : process_->wal->reader();
    done(reader->read(disk_, first, last, bytes_max));
  });
}

void Server::answer_load(const raft::NeedEntries& wanted) {
  scene_.coverage.count("reads of old log");
  read(wanted.first, wanted.last, wanted.bytes_max,
       [this, wanted](Result<std::vector<raft::Entry>> entries) {
         raft::Loaded loaded{wanted.peer, wanted.first, {}};
         if (entries) loaded.entries = *std::move(entries);
         submit(std::move(loaded));
       });
}

void Server::read_for_feed(const cluster::FeedLoad& load) {
  read(load.first, load.last, load.bytes_max,
       [this, number = load.number](Result<std::vector<raft::Entry>> entries) {
         process_->front.loaded(number, std::move(entries));
       });
}

void Server::publish(const std::shared_ptr<const cluster::CommittedBatch>& batch) {
  const Instant when = scene_.now() + up_to(rng_, scene_.plan.publish_delay_max);
  process_->published_at = std::max(process_->published_at, when);
  when_awake(process_->published_at, [this, batch] { process_->front.publish(batch); });
}

ApplyingSnapshots Server::start_snapshots(const cluster::FeedBoot& boot,
                                          const FoundSnapshots& found) {
  if (!scene_.plan.snapshots) return {};
  const auto after = [this](const storage::DiskOp& op, std::function<void()> action) {
    when_awake(scene_.now() + latency_of(op), std::move(action));
  };
  const auto later = [this](std::function<void()> action) {
    when_awake(scene_.now() + up_to(rng_, read_delay_max), std::move(action));
  };
  const auto read_durable = [this](Index before, Index last) -> Result<std::vector<raft::Entry>> {
    auto entries = process_->wal->reader()->read(disk_, before.next(), last, snapshot_read_bytes);
    if (!entries) return std::vector<raft::Entry>();  // Not on the disk yet.
    return process_->applying->admit(before.next(), *std::move(entries));
  };
  const std::uint64_t seed = scene_.plan.snapshots_seed + (number_ << 16) + incarnation_;
  process_->snapshotting = std::make_unique<Snapshotting>(
      scene_, snapshot_disk_, Rng(seed),
      SnapshottingOwner{name_of_server(number_), identity(), boot.base, after, later, read_durable},
      found.newest);
  ApplyingSnapshots snapshots{process_->snapshotting.get(), found.last_cut, found.restored, {}};
  if (!found.restored) return snapshots;
  snapshots.open = [this, file = *found.newest]() -> Result<std::unique_ptr<SnapshotSource>> {
    auto reader = storage::SnapshotReader::open(snapshot_disk_, file, identity());
    if (!reader) return std::move(reader).error();
    return std::unique_ptr<SnapshotSource>(
        std::make_unique<storage::SnapshotFileSource>(*std::move(reader)));
  };
  return snapshots;
}

void Server::start_applying(const cluster::FeedBoot& boot, const FoundSnapshots& found) {
  if (!scene_.plan.machine.applies) return;
  const auto later = [this](std::function<void()> action) {
    when_awake(scene_.now() + up_to(rng_, scene_.plan.apply_delay_max), std::move(action));
  };
  process_->applying = std::make_unique<Applying>(
      scene_, boot,
      ApplyingOwner{name_of_server(number_),
                    [this](cluster::Input input) { submit(std::move(input)); }, later,
                    [this](Index first, Index last, std::size_t bytes_max, ReadDone done) {
                      read(first, last, bytes_max, std::move(done));
                    }},
      start_snapshots(boot, found));
}

void Server::heartbeat() {
  process_->front.heartbeat(process_->leader_notice.told(scene_.now()).name);
  when_awake(scene_.now() + heartbeat_interval, [this] { heartbeat(); });
}

// The program that the server runs in reads its state machine now and then.
void Server::read_own() {
  const std::uint64_t number = ++process_->last_read;
  process_->read_floors[number] = scene_.oracle.last().index;
  submit(cluster::BarrierCall{cluster::own_program, number, cluster::BarrierKind::applied});
  when_awake(scene_.now() + up_to(rng_, own_read_interval_max), [this] { read_own(); });
}

void Server::check_read(const wire::BarrierAnswer& answer) {
  const auto floor = process_->read_floors.extract(answer.number);
  if (floor.empty()) return complain("a read barrier is answered once");
  const auto* reached = std::get_if<wire::Reached>(&answer.outcome);
  scene_.coverage.count(reached != nullptr ? "own reads of servers" : "own reads refused");
  if (reached == nullptr) return;
  scene_.invariants.complain(scene_.oracle.read(floor.mapped(), reached->index));
  const Index applied = scene_.plan.machine.applies ? process_->machine.applied()
                                                    : process_->machine.raft().commit_index();
  if (applied < reached->index) complain("a server that reads its state has applied it so far");
}

bool Server::leads() const {
  return runs() && process_->machine.raft().role() == raft::Role::leader;
}

cluster::LeaderView Server::leader() const {
  const auto id = process_->machine.raft().leader();
  const auto found =
      std::ranges::find_if(peers_, [&](const Server* peer) { return id && peer->id_ == *id; });
  if (found == peers_.end()) return {};
  return {name_of_server((*found)->number()), endpoint_of_server((*found)->number())};
}

wire::Welcome Server::welcome() const {
  const raft::Core& core = process_->machine.raft();
  const Index commit = core.commit_index();
  wire::Welcome welcome;
  welcome.server = id_;
  welcome.server_name = name_of_server(number_);
  welcome.cluster = configuration_.cluster;
  welcome.history = configuration_.history;
  welcome.commit = {commit, core.term_at(commit).value_or(Term())};
  const cluster::LeaderView told = process_->leader_notice.told(scene_.now());
  welcome.leader = told.name;
  welcome.leader_url = told.url;
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    welcome.endpoints.push_back(endpoint_of_server((number_ + i) % peers_.size()));
  }
  welcome.heartbeat_interval = heartbeat_interval;
  welcome.limits = {
      .command_bytes_max = configuration_.parameters.command_bytes_max,
      .frame_bytes_max = wire::client_frame_bytes_max(configuration_.parameters.command_bytes_max),
      .window_bytes_max = std::uint64_t{1} << 20,
      .session_window = configuration_.parameters.session_window};
  return welcome;
}

void Server::link_opened(LinkNumber link, wire::Encoding encoding) {
  when_awake(scene_.now(), [this, link, encoding] { process_->front.opened(link, encoding); });
}
void Server::link_frame(LinkNumber link, Bytes frame) {
  when_awake(scene_.now(), [this, link, frame] { process_->front.frame(link, frame); });
}
void Server::link_broken(LinkNumber link) {
  when_awake(scene_.now(), [this, link] { process_->front.broken(link); });
}
void Server::link_drained(LinkNumber link) {
  when_awake(scene_.now(), [this, link] { process_->front.drained(link); });
}

void Server::wake_front_at(Instant when) {
  if (when < local_now() + never_after) process_->front_alarm.set(to_scene(when));
}

void Server::send_to_client(LinkNumber link, Bytes frame) {
  scene_.links.send(link, Side::server, std::move(frame));
}

void Server::settle_counters() {
  count(scene_.coverage, process_->machine.counters());
  count(scene_.coverage, process_->front.feed().counters());
  count(scene_.coverage, process_->rooms.counters());
  scene_.coverage.count("rosters asked anew", process_->front.rooms_asked_anew());
  scene_.coverage.count("room messages dropped for readers", process_->front.room_drops());
  scene_.coverage.count("expired sessions", process_->machine.sessions().expired());
}

}  // namespace kuilt::sim
