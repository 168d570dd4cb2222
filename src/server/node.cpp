#include "server/node.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include "kuilt/detail/overloaded.hpp"
#include "server/client_link.hpp"
#include "server/raft_options.hpp"
#include "storage/snapshot_streams.hpp"

namespace kuilt::server {
namespace {

cluster::MachineOptions machine_options(const ServerOptions& options, bool has_state_machine,
                                        bool takes_snapshots) {
  cluster::MachineOptions machine;
  machine.raft = raft_options_of(options);
  machine.applies = machine.admits = has_state_machine;
  // Without snapshots a cut is of no use, here or to those that this server leads.
  if (takes_snapshots) {
    machine.cuts = {options.snapshot_after_bytes, options.snapshot_after_entries};
  }
  return machine;
}

std::size_t shard_count(const ServerOptions& options) {
  if (options.shards > 0) return std::min(options.shards, shards_max);
  const std::size_t cores = std::thread::hardware_concurrency();
  return std::clamp<std::size_t>(cores > 2 ? cores - 2 : 1, 1, shards_max);
}

std::uint64_t random_seed() { return random_session().low(); }

std::vector<NodeId> others(const Facts& facts) {
  std::vector<NodeId> ids;
  for (const PeerTarget& target : facts.members->targets()) ids.push_back(target.id);
  return ids;
}

// Enough for a window of answers and one feed frame; what a slow reader may pin at most.
constexpr std::size_t client_outbox_bytes_max = std::size_t{4} << 20;

constexpr Duration disk_look_interval = std::chrono::seconds(10);
constexpr Duration fault_news_interval = std::chrono::minutes(1);

}  // namespace

Node::Node(NodeParts parts, std::function<void(const Error&)> on_failed)
    : options_(std::move(parts.options)),
      facts_(std::move(parts.facts)),
      directory_(std::move(parts.directory)),
      disk_(std::move(parts.disk)),
      snapshot_disk_(parts.snapshot_disk),
      on_failed_(std::move(on_failed)),
      on_news_(std::move(parts.on_news)),
      core_(machine_options(options_, parts.state_machine != nullptr, snapshot_disk_ != nullptr),
            std::move(parts.boots.machine), random_seed()),
      rooms_(cluster::RoomOptions{}, others(facts_), random_seed()),
      log_(
          *disk_, std::move(parts.wal),
          [this](Result<raft::WriteSeq> written) { on_written(std::move(written)); }, on_news_),
      reads_(log_),
      committed_(std::make_shared<CommittedLog>(log_, parts.boots.feed)) {
  start_shards(parts.boots.feed);
  start_applying(parts);
  peers_ = parts.connect_peers([this](PeerEvent event) { on_peer(event); });
  ready_peers_ = peers_.get();
  core_.start(core_duties());
  start_rooms();
}

Node::~Node() {
  ready_peers_ = nullptr;
  facts_.members->close();
  listener_.reset();
  core_.stop();
  own_reads_->stop();
  transfers_.close("server " + facts_.name + " was stopped");
  changes_.close("server " + facts_.name + " was stopped");
  rooms_.stop();
  apply_.reset();
  snapshots_.reset();
  committed_->close();
  peers_.reset();
  log_.stop();  // Before the shards: it tells them if its last write fails.
  reads_.stop();
  shards_.clear();
}

void Node::on_peer(PeerEvent& event) {
  const auto tell_both = [this](const auto& news) {
    core_.put(news);
    rooms_.put(news);
  };
  const auto on_event = Overloaded{
      [&](const cluster::PeerUp& up) { tell_both(up); },
      [&](const cluster::PeerDown& down) { tell_both(down); },
      [&](cluster::FromPeer& said) { core_.put(std::move(said)); },
      [&](cluster::RoomsFromPeer& said) { rooms_.put(std::move(said)); },
      [&](const cluster::RoomsTakenByPeer& taken) { rooms_.put(taken); },
      [&](const JoinAsked& asked) { on_join(asked); },
  };
  std::visit(on_event, event);
}

void Node::on_written(Result<raft::WriteSeq> written) {
  if (!written) return fail(written.error(), "the disk");
  core_.put(raft::Written{*written});
  look_at_disk();
}

// Here, for the log grows by writes alone; and so rarely that no write waits for it.
void Node::look_at_disk() {
  if (now() - disk_looked_at_ < disk_look_interval) return;
  disk_looked_at_ = now();
  const auto usage = disk();
  if (!usage) return;
  if (const auto news = disk_watch_.look(usage->free_bytes)) {
    on_news_(options_.data + ": " + *news);
  }
}

// Each reason once in a while: whoever sends nonsense sends a lot of it.
void Node::tell_of_fault(const cluster::PeerFault& fault) {
  const auto told = faults_told_at_.find(fault.why);
  if (told != faults_told_at_.end() && now() - told->second < fault_news_interval) return;
  faults_told_at_[fault.why] = now();
  const auto member = facts_.members->find(fault.peer);
  on_news_("refused a message of server " + (member ? member->name : fault.peer.text()) + ": " +
           std::string(raft::name_of(fault.why)) +
           "; no sound server of this cluster sends that (kuilt_peer_messages_refused_total)");
}

void Node::tell_of_disk(bool stalled) {
  if (!stalled) return on_news_(options_.data + ": disk_stalled is over: writes are done again");
  const auto limit = options_.disk_stall_max / std::chrono::milliseconds(1);
  on_news_(options_.data + ": disk_stalled: the disk is not done with a write after " +
           std::to_string(limit) +
           " ms (disk_stall_max); until it is, this server neither leads nor votes");
}

// Rule 12, and the same for a state that nobody may trust: such a server neither leads nor answers;
// its clients go elsewhere.
void Node::fail(const Error& error, const std::string& what) {
  stop_by_itself(error, {.code = ErrorCode::stopped,
                         .message = what + " of server " + facts_.name + " failed",
                         .retry_after = {},
                         .endpoints = {}});
}

void Node::stop_by_itself(const Error& error, const wire::Goodbye& goodbye) {
  {
    const std::lock_guard lock(failure_mutex_);
    if (!failure_.empty()) return;
    failure_ = error.message();
  }
  failed_ = true;
  core_.halt();
  own_reads_->stop();
  transfers_.close(goodbye.message);
  changes_.close(goodbye.message);
  facts_.members->close();
  for (const auto& shard : shards_) {
    wire::Goodbye told = goodbye;
    told.endpoints = facts_.members->other_endpoints();
    shard->drain(std::move(told));
  }
  on_failed_(error);
}

void Node::start_applying(NodeParts& parts) {
  if (parts.state_machine == nullptr) return;
  Snapshots snapshots = start_snapshots(parts);
  apply_ = std::make_unique<ApplyThread>(
      *parts.state_machine, *committed_, parts.boots.feed.base.index,
      ApplyThread::Events{
          .to_core = [this](cluster::Input input) { core_.put(std::move(input)); },
          .on_failed = [this](const Error& error) { fail(error, "the state machine"); },
          .on_news = on_news_},
      std::move(snapshots));
}

Snapshots Node::start_snapshots(NodeParts& parts) {
  if (!snapshot_disk_) return {};
  const storage::Identity identity{facts_.cluster, facts_.history, facts_.node};
  Snapshots snapshots{.thread = nullptr, .first_cut = parts.last_cut, .restored = {}, .open = {}};
  if (const auto& newest = parts.found_snapshots.newest) {
    snapshots.restored = newest->header.at;
    snapshots.open = [disk = snapshot_disk_, file = newest->file,
                      identity]() -> Result<std::unique_ptr<SnapshotSource>> {
      auto reader = storage::SnapshotReader::open(*disk, file, identity);
      if (!reader) return std::move(reader).error();
      return std::unique_ptr<SnapshotSource>(
          std::make_unique<storage::SnapshotFileSource>(*std::move(reader)));
    };
  }
  snapshots_ = std::make_unique<SnapshotThread>(
      SnapshotThread::Parts{.disk = *snapshot_disk_,
                            .identity = identity,
                            .log = *committed_,
                            .base = parts.boots.feed.base,
                            .found = std::move(parts.found_snapshots),
                            .on_news = on_news_});
  snapshots.thread = snapshots_.get();
  return snapshots;
}

void Node::start_rooms() {
  rooms_.start({
      .deliver =
          [this](std::size_t shard, std::vector<cluster::RoomFrame> frames) {
            shards_.at(shard)->deliver(std::move(frames));
          },
      .send = [this](std::vector<cluster::PeerSend> sends) { peers_->send(std::move(sends)); },
  });
}

void Node::start_shards(const cluster::FeedBoot& boot) {
  cluster::FeedOptions feed_options;
  const std::size_t count = shard_count(options_);
  for (std::size_t number = 0; number < count; ++number) {
    shards_.push_back(std::make_unique<Shard>(ShardOptions{.number = number}, facts_, feed_options,
                                              boot, registry_, shard_events(number)));
  }
  serve_as_a_member_or_not();
}

ShardEvents Node::shard_events(std::size_t number) {
  return {
      .to_core = [this](cluster::Input input) { core_.put(std::move(input)); },
      .load =
          [this, number](const cluster::FeedLoad& load) {
            const auto on_done = [this, number,
                                  of = load.number](Result<std::vector<raft::Entry>> entries) {
              shards_.at(number)->loaded(of, std::move(entries));
            };
            reads_.read(load.first, load.last, load.bytes_max, on_done);
          },
      .to_rooms = [this](cluster::RoomInput input) { return rooms_.put(std::move(input)); },
      .rooms_delivered =
          [this](const std::vector<cluster::RoomFrame>& frames) {
            rooms_.delivered(RoomsThread::bytes_of(frames));
          },
      .evict = [this](cluster::LinkId link) { shards_.at(shard_of(link))->evict(link); },
  };
}

CoreDuties Node::core_duties() {
  return {
      .write = [this](std::vector<raft::Write> writes) { log_.submit(std::move(writes)); },
      .send = [this](std::vector<cluster::PeerSend> sends) { peers_->send(std::move(sends)); },
      .load =
          [this](const raft::NeedEntries& need) {
            const auto on_done = [this, need](Result<std::vector<raft::Entry>> entries) {
              // A failed read is answered with nothing: the core asks again later.
              std::vector<raft::Entry> found;
              if (entries) found = *std::move(entries);
              core_.put(raft::Loaded{need.peer, need.first, std::move(found)});
            };
            reads_.read(need.first, need.last, need.bytes_max, on_done);
          },
      .publish =
          [this](const std::shared_ptr<const cluster::CommittedBatch>& batch) {
            for (const auto& shard : shards_) shard->publish(batch);
            committed_->publish(*batch);
            if (apply_) apply_->wake();
          },
      .ask =
          [this](std::vector<cluster::AdmissionQuestion> questions) {
            apply_->ask(std::move(questions));
          },
      .answer = [this](std::vector<cluster::Answered> answers) { answer(std::move(answers)); },
      .barriers =
          [this](std::vector<cluster::BarrierAnswered> barriers) { answer(std::move(barriers)); },
      .applied = [this] { apply_->taken(); },
      .lead = [this](const cluster::Leadership& leadership) { on_leadership(leadership); },
      .transferred =
          [this](const cluster::TransferEnded& ended) {
            transfers_.end(ended.number, told_of(ended.how, facts_.name, *facts_.members->now()));
          },
      .members =
          [this](raft::SharedConfiguration in_force, raft::SharedConfiguration committed) {
            on_members(std::move(in_force), std::move(committed));
          },
      .judged =
          [this](const cluster::ChangeJudged& judged) {
            changes_.end(judged.number, told_of(judged.refusal, facts_.name));
          },
      .fault = [this](const cluster::PeerFault& fault) { tell_of_fault(fault); },
      .disk = [this](bool stalled) { tell_of_disk(stalled); },
  };
}

void Node::answer(std::vector<cluster::Answered> answers) {
  if (shards_.size() == 1) return shards_.front()->answer(std::move(answers));
  std::vector<std::vector<cluster::Answered>> by_shard(shards_.size());
  for (cluster::Answered& answered : answers) {
    by_shard.at(shard_of(answered.link)).push_back(std::move(answered));
  }
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (!by_shard[i].empty()) shards_[i]->answer(std::move(by_shard[i]));
  }
}

void Node::answer(std::vector<cluster::BarrierAnswered> barriers) {
  std::vector<std::vector<cluster::BarrierAnswered>> by_shard(shards_.size());
  for (cluster::BarrierAnswered& answered : barriers) {
    if (answered.link == cluster::own_program) {
      own_reads_->answer(answered.answer);
    } else {
      by_shard.at(shard_of(answered.link)).push_back(std::move(answered));
    }
  }
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (!by_shard[i].empty()) shards_[i]->answer(std::move(by_shard[i]));
  }
}

OwnReads::Asked Node::read_barrier() {
  OwnReads::Asked asked = own_reads_->ask();
  core_.put(
      cluster::BarrierCall{cluster::own_program, asked.number, cluster::BarrierKind::applied});
  return asked;
}

void Node::on_leadership(const cluster::Leadership& leadership) {
  leadership_ = leadership;
  const LeaderView view = facts_.members->leader_view(leadership.leader);
  for (const auto& shard : shards_) shard->led_by(view);
}

Status Node::admit_clients() {
  const auto rules = transport::AcceptRules{
      .subprotocols = {"kuilt.v1", "kuilt.v1.json"},
      .allowed_origins = options_.allow_origins,
      .allowed_hosts = options_.allow_hosts,
      .origin_required = false,
      .links_max = options_.clients_max,
      .links_per_address_max = options_.clients_max,
      .text_subprotocol = "kuilt.v1.json",
  };
  transport::SeamLimits limits;
  limits.first_frame_bytes_max = wire::hello_bytes_max;
  limits.frame_bytes_max = facts_.limits.frame_bytes_max;
  limits.outbox_bytes_max = client_outbox_bytes_max;
  // Links are dealt out in turn. `listen` hands a Seam over on the executor that it chose.
  const auto next = std::make_shared<std::atomic<std::size_t>>(0);
  const auto choose = [this, next] { return shards_.at((*next)++ % shards_.size())->executor(); };
  const auto on_seam = [this](std::shared_ptr<transport::Seam> seam) {
    for (const auto& shard : shards_) {
      if (shard->executor() == seam->executor()) return shard->adopt(std::move(seam));
    }
  };
  std::vector<std::string> addresses = options_.listen_also;
  addresses.insert(addresses.begin(), options_.listen);
  auto listener =
      transport::listen(shards_.front()->executor(), addresses, rules, limits, choose, on_seam);
  if (!listener) return std::move(listener).error().within("listen for clients");
  listener_ = *std::move(listener);
  return Done{};
}

void Node::transfer_leadership(std::optional<NodeId> target, TransferDone done) {
  const std::uint64_t number = transfers_.add(std::move(done));
  core_.put(cluster::TransferLeadership{number, target});
}

std::optional<std::string> Node::hand_over(Duration patience) {
  constexpr auto rest = std::chrono::milliseconds(10);
  draining_ = true;
  const Instant deadline = now() + patience;
  const auto has_successor = [this] {
    return std::ranges::count_if(facts_.members->now()->members, &raft::Member::voter) > 1;
  };
  while (has_successor() && core_.view().role == raft::Role::leader && now() < deadline) {
    const auto begin = [this](TransferDone done) { transfer_leadership({}, std::move(done)); };
    const auto leader = await_transfer(begin, deadline - now());
    if (leader) return *leader;
    const Error& error = leader.error();
    const bool may_succeed = error.code() == ErrorCode::target_behind ||
                             error.code() == ErrorCode::busy || error.effect() == Effect::unknown;
    if (!may_succeed) break;
    std::this_thread::sleep_for(rest);
  }
  return std::nullopt;
}

void Node::drain(Duration patience) {
  draining_ = true;
  if (listener_) listener_->stop();
  for (const auto& shard : shards_) {
    shard->drain({.code = ErrorCode::draining,
                  .message = "server " + facts_.name + " is shutting down",
                  .retry_after = {},
                  .endpoints = facts_.members->other_endpoints()});
  }
  const Instant deadline = now() + patience;
  while (listener_ && listener_->links() > 0 && now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

std::vector<std::string> Node::client_urls() const {
  if (!options_.advertise.empty()) return {options_.advertise};
  std::vector<std::string> urls;
  if (!listener_) return urls;
  for (const std::string& address : listener_->addresses()) urls.push_back("ws://" + address);
  return urls;
}

ShardFigures Node::shard_figures() const {
  ShardFigures sum;
  for (const auto& shard : shards_) {
    const ShardFigures one = shard->figures();
    sum.clients += one.clients;
    sum.queued_bytes += one.queued_bytes;
    sum.room_frames_dropped += one.room_frames_dropped;
    sum.feed.frames_sent += one.feed.frames_sent;
    sum.feed.entries_sent += one.feed.entries_sent;
    sum.feed.frames_encoded += one.feed.frames_encoded;
    sum.feed.held_resumes += one.feed.held_resumes;
    sum.feed.resumes_mid_batch += one.feed.resumes_mid_batch;
    sum.feed.resumes += one.feed.resumes;
    sum.feed.loads += one.feed.loads;
  }
  return sum;
}

bool Node::is_ready() const {
  return !draining_ && facts_.members->standing() == Standing::member &&
         core_view().leader.has_value();
}

// One that has stopped by itself hears of no election any more: what it knew last is no news.
CoreView Node::core_view() const {
  CoreView view = core_.view();
  if (!failed_) return view;
  view.role = raft::Role::follower;
  view.leader.reset();
  return view;
}

std::optional<SnapshotFigures> Node::snapshot_figures() const {
  return snapshots_ ? std::optional(snapshots_->figures()) : std::nullopt;
}

std::optional<Index> Node::applied() const {
  return apply_ ? std::optional(apply_->applied()) : std::nullopt;
}

std::string Node::role_text(const CoreView& view) const {
  const Members::View seen = facts_.members->view();
  if (seen.standing == Standing::joining) return "joining";
  const bool votes = seen.in_force->votes(facts_.node);
  return votes || view.role == raft::Role::leader ? std::string(raft::name_of(view.role))
                                                  : "learner";
}

ServerStatus Node::status() const {
  const CoreView view = core_view();
  const raft::SharedConfiguration now = facts_.members->now();
  const auto voters = std::ranges::count_if(now->members, &raft::Member::voter);
  const SnapshotFigures snapshots = snapshot_figures().value_or(SnapshotFigures{});
  const std::lock_guard lock(failure_mutex_);
  return {
      .name = facts_.name,
      .id = facts_.node,
      .cluster = facts_.cluster,
      .history = facts_.history,
      .role = failure_.empty() ? role_text(view) : "stopped",
      .term = view.term,
      .leader = facts_.members->leader_view(view.leader).name,
      .commit = view.commit,
      .last = view.last.index,
      .durable = view.durable,
      .disk_age = view.disk_age,
      .disk_stalled = view.disk_stalled,
      .applied = applied(),
      .snapshot = snapshots.newest,
      .snapshot_failure = snapshots.failure,
      .clients = shard_figures().clients,
      .voters = static_cast<std::size_t>(voters),
      .members = now->members.size(),
      .peers_linked = peers_->linked(),
      .failure = failure_,
  };
}

}  // namespace kuilt::server
