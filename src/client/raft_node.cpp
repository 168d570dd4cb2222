#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>

#include "client/brought_links.hpp"
#include "client/client_options.hpp"
#include "client/client_shell.hpp"
#include "client/learner_log.hpp"
#include "client/learner_reader.hpp"
#include "kuilt/raft.hpp"

namespace kuilt {
namespace {

Status complaint_about(const ClusterConfig& cluster) {
  const auto complain = [](std::string what) {
    return Error(ErrorCode::invalid_argument, std::move(what));
  };
  if (cluster.voters.empty()) return complain("voters is empty: name the servers that may feed it");
  if (cluster.learners.size() != 1) {
    return complain("learners has " + std::to_string(cluster.learners.size()) +
                    " ids; this learner's own id, and no other, belongs there");
  }
  const NodeId self = cluster.learners.front();
  if (self.is_none()) return complain("learners names no id: it is none");
  const auto& voters = cluster.voters;
  if (std::find(voters.begin(), voters.end(), self) != voters.end()) {
    return complain("learner " + self.text() +
                    " is among the voters: a client never votes; a server that does is made with "
                    "ServerCluster");
  }
  return Done{};
}

ClientOptions client_options(const RaftConfig& config) {
  ClientOptions options;
  options.name = config.name;
  options.token = config.token;
  options.attempt_timeout = config.attempt_timeout;
  options.silence_max = config.silence_max;
  options.dial_timeout = config.dial_timeout;
  options.dispatch = config.dispatch;
  options.on_event = config.on_event;
  return options;
}

client::ClientOptions core_options(const ClusterConfig& cluster, const ClientOptions& options,
                                   const std::optional<ResumeToken>& stored) {
  auto core = client::core_options({"seam"}, options);
  core.servers = cluster.voters;
  core.links_are_brought = true;
  if (stored) core.cluster = stored->cluster;
  return core;
}

From place_after(const std::optional<ResumeToken>& stored) {
  if (stored) return *stored;
  return from_start;
}

}  // namespace

struct RaftNode::Impl {
  Impl(const ClusterConfig& cluster, RaftTransport& borrowed,
       std::shared_ptr<detail::LearnerLog> kept, const RaftConfig& config);
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    stop();
    shell->drop_callbacks();
  }

  Status start(const RoomName& room);
  void stop();
  void store();
  void watch(const client::Event& event);

  const NodeId id;
  const Dispatch dispatch;
  RaftTransport& transport;
  const std::shared_ptr<detail::LearnerLog> log;
  const std::shared_ptr<client::BroughtLinks> links;
  const std::shared_ptr<detail::ClientShell> shell;
  std::shared_ptr<detail::Subscription> feed;

  mutable std::mutex status_mutex;
  RaftNodeStatus status;

  std::mutex stop_mutex;  // Guards what follows.
  bool running = false;
  std::thread storing;
};

RaftNode::Impl::Impl(const ClusterConfig& cluster, RaftTransport& borrowed,
                     std::shared_ptr<detail::LearnerLog> kept, const RaftConfig& config)
    : id(cluster.learners.front()),
      dispatch(config.dispatch),
      transport(borrowed),
      log(std::move(kept)),
      links(std::make_shared<client::BroughtLinks>([this] { shell->reroute(); })),
      shell(std::make_shared<detail::ClientShell>(
          core_options(cluster, client_options(config), log->through()), client_options(config),
          detail::random_bits(), detail::random_session(),
          [brought = links](const auto& executor, const std::string& /*endpoint*/,
                            const transport::SeamLimits& limits, client::DialDone done) {
            brought->dial(executor, limits, std::move(done));
          },
          [this](const client::Event& event) { watch(event); })) {
  status.id = id;
}

Status RaftNode::Impl::start(const RoomName& room) {
  auto observed = shell->observe(place_after(log->through()), room);
  if (!observed) return std::move(observed).error();
  feed = *std::move(observed);
  running = true;
  transport.use([this](std::shared_ptr<Seam> seam) { links->offer(std::move(seam)); });
  shell->start();
  storing = std::thread([this] { store(); });
  return Done{};
}

// In the order of the ways: no new Seam, then no new entry, then no link and no callback.
void RaftNode::Impl::stop() {
  {
    const std::lock_guard lock(stop_mutex);
    if (std::exchange(running, false)) {
      transport.use({});
      feed->end(Error(ErrorCode::stopped, Effect::none, "the node was stopped"));
      storing.join();
    }
  }
  shell->stop();
  links->close();
  log->close();
}

// All of a frame, or nothing: its entries are followed by the place through which it is complete.
void RaftNode::Impl::store() {
  std::vector<LogEntry> entries;
  while (auto piece = feed->next(std::nullopt)) {
    if (auto* entry = std::get_if<Committed::Entry>(&*piece)) {
      entries.push_back(std::move(entry->entry));
      continue;
    }
    if (Status stored = log->append(entries, *feed->token()); !stored) {
      log->end(stored.error());
      return feed->leave();
    }
    const std::lock_guard lock(status_mutex);
    status.entries += entries.size();
    entries.clear();
  }
  log->end(*feed->error());
}

void RaftNode::Impl::watch(const client::Event& event) {
  const std::lock_guard lock(status_mutex);
  switch (event.kind) {
    case client::EventKind::connected: status.server = event.text; return;
    case client::EventKind::disconnected: status.server.clear(); return;
    case client::EventKind::resumed: ++status.resumes; return;
    case client::EventKind::refused: return;
    case client::EventKind::feed_broken:
      ++status.violations;
      status.last_violation = event.rule;
      return;
  }
}

Result<RaftNode> RaftNode::start(const ClusterConfig& cluster, RaftTransport& transport,
                                 RaftStorage& storage, RaftConfig config) {
  const std::string doing = "start a node";
  if (Status sound = complaint_about(cluster); !sound) {
    return std::move(sound).error().within(doing);
  }
  if (Status sound = client::complaint_about(client_options(config)); !sound) {
    return std::move(sound).error().within(doing);
  }
  auto log = detail::LearnerLog::open(storage, config.room);
  if (!log) return std::move(log).error().within(doing);
  auto impl = std::make_unique<Impl>(cluster, transport, *std::move(log), config);
  if (Status started = impl->start(config.room); !started) {
    return std::move(started).error().within(doing);
  }
  return RaftNode(std::move(impl));
}

RaftNode::RaftNode(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RaftNode::RaftNode(RaftNode&&) noexcept = default;
RaftNode& RaftNode::operator=(RaftNode&&) noexcept = default;
RaftNode::~RaftNode() = default;

NodeId RaftNode::id() const { return impl_->id; }

RaftNodeStatus RaftNode::status() const {
  RaftNodeStatus status;
  {
    const std::lock_guard lock(impl_->status_mutex);
    status = impl_->status;
  }
  if (const auto through = impl_->log->through()) status.stored = through->position;
  status.failure = impl_->log->ended();
  return status;
}

void RaftNode::stop() { impl_->stop(); }

ClusterClient cluster_client_with_node(const RaftNode& node) {
  const auto& impl = *node.impl_;
  return ClusterClient(impl.shell, std::make_shared<detail::LearnerReader>(
                                       impl.log, impl.shell->callbacks(), impl.dispatch));
}

}  // namespace kuilt
