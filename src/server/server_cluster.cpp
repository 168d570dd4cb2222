#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "kuilt/server.hpp"
#include "server/admin.hpp"
#include "server/changes.hpp"
#include "server/clock.hpp"
#include "server/committed_stream.hpp"
#include "server/node.hpp"
#include "server/open.hpp"
#include "server/service_manager.hpp"
#include "storage/posix_file.hpp"

namespace kuilt {

namespace net = boost::asio;
using server::Node;

namespace {

constexpr Duration drain_patience = std::chrono::seconds(3);
constexpr Duration hand_over_patience = std::chrono::seconds(2);
// The core ends each hand-over within its own bound; this one is for a core that stands still.
constexpr Duration transfer_patience = std::chrono::seconds(10);
constexpr Duration news_interval = std::chrono::milliseconds(50);
constexpr std::chrono::nanoseconds no_wait(0);
constexpr std::chrono::nanoseconds wait_max = std::chrono::hours(24 * 365);  // For ever.

}  // namespace

struct ServerCluster::Impl {
  struct Member {
    std::string name;
    std::unique_ptr<Node> node;  // Null once stopped.
  };

  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    admin.reset();  // It looks at the nodes.
    for (Member& member : members) member.node.reset();
  }

  server::NodeEvents events() {
    return {.on_failed =
                [this](const Error& error) {
                  tell("stopping: " + std::string(name_of(error.code())) + ": " + error.message());
                  // The others of the process go on without it.
                  if (has_several && error.code() == ErrorCode::removed) return;
                  failed_with = error.code();
                  failed = true;
                },
            .on_news = [this](const std::string& line) { tell(line); }};
  }
  void tell(const std::string& line) {
    const std::lock_guard lock(news_mutex);
    if (on_news) on_news(line);
  }
  /// Best effort: who runs without its word can still be told by people.
  void tell_manager(const std::string& state) {
    if (const Status status = server::tell_service_manager(state); !status) {
      tell(status.error().message());
    }
  }
  std::string summary() const;
  struct AskedRead {
    std::shared_ptr<server::OwnReads> reads;
    std::uint64_t number = 0;
    std::future<wire::BarrierOutcome> outcome;
  };
  Result<AskedRead> ask_read(const std::string& server) const;
  void hand_over();
  using TargetOf = std::function<Result<std::optional<NodeId>>(const raft::Configuration&)>;
  [[nodiscard]] Result<Node*> leading() const;
  void begin_transfer(const TargetOf& target_of, server::TransferDone done);
  static Result<ServerCluster> open(ServerOptions options, StateMachine* state_machine);
  static Result<ServerCluster> in_process(InProcessOptions options,
                                          const StateMachineOf* state_machine_of);

  bool has_several = false;  // Servers, all of one cluster.
  mutable std::mutex mutex;  // Guards the members' lifetime.
  std::vector<Member> members;
  std::string admin_listen;
  std::unique_ptr<server::Admin> admin;
  std::mutex news_mutex;
  std::function<void(const std::string&)> on_news;
  std::atomic<bool> failed = false;
  std::atomic<ErrorCode> failed_with = ErrorCode::io;  // Set before `failed`.
};

ServerCluster::ServerCluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ServerCluster::ServerCluster(ServerCluster&&) noexcept = default;
ServerCluster& ServerCluster::operator=(ServerCluster&&) noexcept = default;
ServerCluster::~ServerCluster() = default;

Result<ServerCluster> ServerCluster::open(ServerOptions options) {
  return Impl::open(std::move(options), nullptr);
}
Result<ServerCluster> ServerCluster::open(ServerOptions options, StateMachine& state_machine) {
  return Impl::open(std::move(options), &state_machine);
}
Result<ServerCluster> ServerCluster::in_process(InProcessOptions options) {
  return Impl::in_process(std::move(options), nullptr);
}
Result<ServerCluster> ServerCluster::in_process(InProcessOptions options,
                                                const StateMachineOf& state_machine_of) {
  return Impl::in_process(std::move(options), &state_machine_of);
}

Result<ServerCluster> ServerCluster::Impl::open(ServerOptions options,
                                                StateMachine* state_machine) {
  auto impl = std::make_unique<Impl>();
  impl->on_news = options.on_news;
  impl->admin_listen = options.admin_listen;
  const std::string name = options.name;
  auto node = server::open_node(std::move(options), state_machine, impl->events());
  if (!node) return std::move(node).error();
  impl->members.push_back({name, *std::move(node)});
  return ServerCluster(std::move(impl));
}

Result<ServerCluster> ServerCluster::Impl::in_process(InProcessOptions options,
                                                      const StateMachineOf* state_machine_of) {
  if (options.voters == 0) {
    return Error(ErrorCode::invalid_argument, "a cluster of 0 voters decides nothing; give 1 or 3");
  }
  if (options.voters % 2 == 0) {
    std::fprintf(stderr, "kuilt: %zu voters survive no more failures than %zu do\n", options.voters,
                 options.voters - 1);
  }
  auto impl = std::make_unique<Impl>();
  impl->has_several = options.voters > 1;
  if (!options.directory.empty()) {
    if (Status status = storage::make_directory(options.directory); !status) {
      return std::move(status).error();
    }
  }
  std::vector<ServerOptions> all;
  for (std::size_t i = 0; i < options.voters; ++i) {
    ServerOptions one;
    one.name = i < 26 ? std::string(1, static_cast<char>('a' + i)) : "n" + std::to_string(i);
    one.data = options.directory.empty() ? "" : options.directory + "/" + one.name;
    one.snapshot_after_bytes = options.snapshot_after_bytes;
    one.snapshot_after_entries = options.snapshot_after_entries;
    one.segment_bytes = options.directory.empty() ? std::uint64_t{4} << 20 : one.segment_bytes;
    one.shards = 1;
    auto listen = server::with_real_port("127.0.0.1:0");
    if (!listen) return std::move(listen).error();
    one.listen = *std::move(listen);
    all.push_back(std::move(one));
  }
  const auto plan = server::plan_mesh(all);
  if (!plan) return Error(plan.error());
  const auto mesh = std::make_shared<server::InProcessMesh>();
  for (ServerOptions& one : all) {
    const std::string name = one.name;
    StateMachine* own = state_machine_of == nullptr ? nullptr : &(*state_machine_of)(name);
    auto node = server::open_mesh_node(std::move(one), *plan, mesh, own, impl->events());
    if (!node) return std::move(node).error().within("voter " + name);
    impl->members.push_back({name, *std::move(node)});
  }
  return ServerCluster(std::move(impl));
}

Status ServerCluster::start() {
  const std::lock_guard lock(impl_->mutex);
  for (Impl::Member& member : impl_->members) {
    if (!member.node) continue;
    if (Status status = member.node->admit_clients(); !status) return status;
  }
  if (impl_->admin_listen.empty()) return Done{};
  auto admin = server::Admin::open(impl_->admin_listen, *impl_->members.front().node);
  if (!admin) return std::move(admin).error().within("listen for administration");
  impl_->admin = *std::move(admin);
  return Done{};
}

ClusterEndpoints ServerCluster::endpoints() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<std::string> urls;
  for (const Impl::Member& member : impl_->members) {
    if (!member.node) continue;
    for (std::string& url : member.node->client_urls()) urls.push_back(std::move(url));
  }
  return ClusterEndpoints(std::move(urls));
}

std::vector<ServerStatus> ServerCluster::status() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<ServerStatus> rows;
  for (const Impl::Member& member : impl_->members) {
    ServerStatus row;
    row.name = member.name;
    row.role = "stopped";
    rows.push_back(member.node ? member.node->status() : row);
  }
  return rows;
}

std::string ServerCluster::leader() const {
  const std::vector<ServerStatus> rows = status();
  const ServerStatus* newest = nullptr;
  for (const ServerStatus& row : rows) {
    if (row.leader.empty()) continue;
    if (newest == nullptr || row.term > newest->term) newest = &row;
  }
  return newest == nullptr ? "" : newest->leader;
}

VoterMesh ServerCluster::mesh() const {
  VoterMesh mesh;
  mesh.leader = leader();
  const std::lock_guard lock(impl_->mutex);
  for (const Impl::Member& member : impl_->members) {
    if (!member.node || !mesh.voters.empty()) continue;
    for (const raft::Member& one : member.node->members().now()->members) {
      if (one.voter) mesh.voters.push_back({one.name, one.id});
    }
  }
  const auto by_name = [](const auto& one, const auto& other) { return one.name < other.name; };
  std::sort(mesh.voters.begin(), mesh.voters.end(), by_name);
  return mesh;
}

// Nothing of the node is held while its answer is waited for: it may be stopped meanwhile.
Result<ServerCluster::Impl::AskedRead> ServerCluster::Impl::ask_read(
    const std::string& server) const {
  const std::lock_guard lock(mutex);
  for (const Member& member : members) {
    if (!member.node || (!server.empty() && member.name != server)) continue;
    server::OwnReads::Asked asked = member.node->read_barrier();
    return AskedRead{member.node->own_reads(), asked.number, std::move(asked.outcome)};
  }
  return Error(ErrorCode::invalid_argument, "no server \"" + server + "\" runs in this process");
}

Result<CommittedStream> ServerCluster::committed(Index after, const std::string& server) const {
  const std::lock_guard lock(impl_->mutex);
  for (const Impl::Member& member : impl_->members) {
    if (!member.node || (!server.empty() && member.name != server)) continue;
    const auto log = member.node->committed_log();
    if (Status status = log->complaint_about(after); !status) return std::move(status).error();
    return CommittedStream(std::make_unique<CommittedStream::Impl>(log, after));
  }
  return Error(ErrorCode::invalid_argument, "no server \"" + server + "\" runs in this process");
}

Result<Index> ServerCluster::read_barrier(std::chrono::nanoseconds timeout,
                                          const std::string& server) const {
  const auto deadline = std::chrono::steady_clock::now() + std::clamp(timeout, no_wait, wait_max);
  Error last(ErrorCode::timed_out, Effect::none, "this server had no answer in time");
  while (true) {
    auto asked = impl_->ask_read(server);
    if (!asked) return std::move(asked).error().within("read barrier");
    if (asked->outcome.wait_until(deadline) == std::future_status::timeout) {
      asked->reads->forget(asked->number);
      return std::move(last).within("read barrier");
    }
    const wire::BarrierOutcome outcome = asked->outcome.get();
    if (const auto* reached = std::get_if<wire::Reached>(&outcome)) return reached->index;
    const auto& refused = std::get<wire::RefusedOutcome>(outcome);
    last = Error(refused.code, Effect::none, refused.message);
    const bool is_final = refused.retry_after == Duration::zero();
    if (is_final || std::chrono::steady_clock::now() + refused.retry_after >= deadline) {
      return std::move(last).within("read barrier");
    }
    std::this_thread::sleep_for(refused.retry_after);
  }
}

Status ServerCluster::stop(const std::string& name) {
  std::unique_ptr<Node> stopped;
  const std::lock_guard lock(impl_->mutex);
  for (Impl::Member& member : impl_->members) {
    if (member.name != name || !member.node) continue;
    if (&member == &impl_->members.front()) impl_->admin.reset();
    stopped = std::move(member.node);
    return Done{};
  }
  return Error(ErrorCode::invalid_argument, "no server \"" + name + "\" runs in this process");
}

// The server that leads, if it runs here. Pre: the mutex is held.
Result<Node*> ServerCluster::Impl::leading() const {
  ServerStatus newest;
  for (const Member& member : members) {
    if (!member.node) continue;
    ServerStatus row = member.node->status();
    if (!row.leader.empty() && row.term >= newest.term) newest = std::move(row);
  }
  if (newest.leader.empty()) {
    return Error(ErrorCode::no_leader, Effect::none, "no server here knows of a leader");
  }
  const auto leads = [&](const Member& member) { return member.name == newest.leader; };
  const auto found = std::ranges::find_if(members, leads);
  if (found == members.end() || !found->node) {
    return Error(ErrorCode::not_leader, Effect::none,
                 "server " + newest.leader + " leads, and not in this process; ask it there");
  }
  return found->node.get();
}

void ServerCluster::Impl::begin_transfer(const TargetOf& target_of, server::TransferDone done) {
  const std::lock_guard lock(mutex);
  const auto leader = leading();
  if (!leader) return done(leader.error());
  auto target = target_of(*(*leader)->members().now());
  if (!target) return done(std::move(target).error());
  (*leader)->transfer_leadership(*target, std::move(done));
}

Result<std::string> ServerCluster::transfer_leadership(const std::string& name) {
  const auto named = [&name](const raft::Configuration& configuration) {
    return server::member_named(name, configuration);
  };
  const auto begin = [&](server::TransferDone done) {
    impl_->begin_transfer(named, std::move(done));
  };
  return server::await_transfer(begin, transfer_patience);
}

Result<std::string> ServerCluster::transfer_leadership(NodeId target) {
  const auto itself = [target](const raft::Configuration&) -> Result<std::optional<NodeId>> {
    return std::optional(target);
  };
  const auto begin = [&](server::TransferDone done) {
    impl_->begin_transfer(itself, std::move(done));
  };
  return server::await_transfer(begin, transfer_patience);
}

MembershipStatus ServerCluster::membership() const {
  const std::lock_guard lock(impl_->mutex);
  if (const auto leader = impl_->leading()) return (*leader)->membership();
  for (const Impl::Member& member : impl_->members) {
    if (member.node) return member.node->membership();
  }
  return {};
}

Result<MembershipStatus> ServerCluster::change_membership(
    const MembershipChange& change, const std::function<void(const MembershipStatus&)>& on_progress,
    std::chrono::nanoseconds timeout) {
  const auto deadline = server::now() + std::clamp<Duration>(timeout, Duration{}, wait_max);
  const auto begin = [&]() -> Result<server::ChangeBegun> {
    const std::lock_guard lock(impl_->mutex);
    const auto leader = impl_->leading();
    if (!leader) return leader.error();
    return (*leader)->begin_change(change);
  };
  auto begun = begin();
  if (!begun) return std::move(begun).error().within("change the members");
  return server::follow_change(*begun, deadline, on_progress);
}

// Others can take over only where they go on: not where all voters leave together.
void ServerCluster::Impl::hand_over() {
  if (members.size() != 1 || !members.front().node) return;
  const auto leader = members.front().node->hand_over(hand_over_patience);
  if (leader) tell("the lead went to server " + *leader);
}

Status ServerCluster::drain() {
  const std::lock_guard lock(impl_->mutex);
  impl_->hand_over();
  for (Impl::Member& member : impl_->members) {
    if (member.node) member.node->drain(drain_patience);
  }
  impl_->hand_over();  // Another server may have handed over to this one meanwhile.
  impl_->admin.reset();
  for (Impl::Member& member : impl_->members) member.node.reset();
  return Done{};
}

/// What the operator wants to know at a glance; equal as long as nothing changed.
std::string ServerCluster::Impl::summary() const {
  const ServerStatus row = members.front().node->status();
  const std::string linked =
      std::to_string(row.peers_linked + 1) + " of " + std::to_string(row.members) + " linked";
  if (row.role == "joining") return "joining: catches up with the log, " + linked;
  if (row.leader.empty()) return "no leader, " + linked;
  return "ready: leader " + row.leader + ", " + linked + (row.role == "learner" ? ", learner" : "");
}

int ServerCluster::run_until_signal() {
  net::io_context loop(1);
  net::signal_set signals(loop, SIGTERM, SIGINT);
  signals.async_wait([&loop](const boost::system::error_code&, int) { loop.stop(); });
  impl_->tell_manager("READY=1");
  net::steady_timer timer(loop);
  std::string told;
  const std::function<void()> look = [&] {
    if (impl_->failed) return loop.stop();
    if (std::string line = impl_->summary(); line != told) {
      impl_->tell(line);
      impl_->tell_manager("STATUS=" + line);
      told = std::move(line);
    }
    timer.expires_after(news_interval);
    timer.async_wait([&look](const boost::system::error_code& error) {
      if (!error) look();
    });
  };
  look();
  loop.run();
  if (impl_->failed) return info(impl_->failed_with).exit_code;
  impl_->tell("draining");
  impl_->tell_manager("STOPPING=1");
  const Status status = drain();
  return status ? 0 : info(status.error().code()).exit_code;
}

}  // namespace kuilt
