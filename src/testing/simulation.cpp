#include <algorithm>
#include <stdexcept>
#include <utility>

#include "cluster/application.hpp"
#include "kuilt/testing.hpp"
#include "sim/world.hpp"
#include "testing/user_program.hpp"

namespace kuilt::testing {
namespace {

constexpr std::size_t servers_max = 7;
constexpr std::size_t clients_max = 100;
constexpr std::size_t command_bytes_limit = std::size_t{1} << 20;
constexpr auto duration_max = std::chrono::hours(1);
// In front of each command stands the number of its proposal.
constexpr std::size_t seal_bytes_max = 21;
// Makes the source of when snapshots are taken from that of the rest.
constexpr std::uint64_t snapshots_salt = 0x736e617073;

std::optional<std::string> out_of_bounds(const char* name, std::size_t value, std::size_t max) {
  if (value >= 1 && value <= max) return std::nullopt;
  return std::string("the option ") + name + " is " + std::to_string(value) +
         ", it must be from 1 to " + std::to_string(max);
}

std::optional<std::string> complaint_about(const SimulationOptions& options) {
  if (auto found = out_of_bounds("servers", options.servers, servers_max)) return found;
  if (auto found = out_of_bounds("clients", options.clients, clients_max)) return found;
  if (auto found =
          out_of_bounds("command_bytes_max", options.command_bytes_max, command_bytes_limit)) {
    return found;
  }
  if (options.faults.frequency_percent < 1) {
    return "the option faults.frequency_percent is 0, it must be at least 1: use Faults::none()";
  }
  if (options.duration > std::chrono::nanoseconds(0) && options.duration <= duration_max) {
    return std::nullopt;
  }
  return "the option duration is " + std::to_string(options.duration.count()) +
         " ns, it must be above 0, and an hour at most";
}

bool allows(const Faults& faults, sim::Fault fault) {
  switch (fault) {
    case sim::Fault::power_cut:
    case sim::Fault::kill:
    case sim::Fault::full_disk:
    case sim::Fault::kill_then_power_cut: return faults.server_crashes;
    case sim::Fault::partition:
    case sim::Fault::one_way_partition:
    case sim::Fault::isolate_leader: return faults.partitions;
    case sim::Fault::pause_server:
    case sim::Fault::hung_disk:
    case sim::Fault::slow_disk: return faults.server_stalls;
    case sim::Fault::tear_peer_link:
    case sim::Fault::tear_client_link: return faults.torn_links;
    case sim::Fault::restart_client: return faults.client_crashes;
    case sim::Fault::pause_client:
    case sim::Fault::stop_reading: return faults.client_stalls;
    case sim::Fault::transfer_lead: return false;  // Asked for by operators, not a fault of theirs.
  }
  return false;
}

// As kuilt-sim draws it, but for what the user has decided, and what no user's code could live
// with: sessions that end within seconds.
sim::Plan draw_plan(Rng& rng, const SimulationOptions& options, bool has_state_machine) {
  sim::Plan plan = sim::draw_plan(rng, false, options.command_bytes_max + seal_bytes_max);
  plan.servers = options.servers;
  plan.clients = options.clients;
  plan.base = {};
  plan.chaos = options.duration;
  plan.quorum_only = false;
  plan.few_sessions = false;
  plan.parameters.sessions_max = raft::Parameters{}.sessions_max;
  plan.parameters.session_expiry = raft::Parameters{}.session_expiry;
  plan.machine.applies = has_state_machine;
  plan.machine.admits = has_state_machine;
  std::erase_if(plan.mean_interval,
                [&](const auto& fault) { return !allows(options.faults, fault.first); });
  for (auto& [fault, mean_interval] : plan.mean_interval) {
    mean_interval = std::max(Duration(std::chrono::milliseconds(1)),
                             mean_interval * 100 / options.faults.frequency_percent);
  }
  sim::draw_snapshots(Rng(options.seed ^ snapshots_salt), plan);
  plan.snapshot_trouble_percent = 0;
  if (!options.faults.lossy_links) {
    plan.peers = {.delay_min = plan.peers.delay_min, .delay_max = plan.peers.delay_max};
  }
  return plan;
}

Report report_of(sim::Report played) {
  Report report;
  report.seed = played.seed;
  report.violation = std::move(played.violation);
  report.ended_at = played.ended_at.time_since_epoch();
  report.trace_hash = played.trace_hash;
  report.events = played.events;
  report.counters = {played.coverage.totals().begin(), played.coverage.totals().end()};
  report.last_events = std::move(played.last_lines);
  report.committed = std::move(played.committed);
  return report;
}

}  // namespace

struct Simulation::Impl {
  SimulationOptions options;
  sim::StateMachines machines;
  SimulatedClient::Impl::Start program = [](SimulatedClient&) {};
  bool has_run = false;

  [[nodiscard]] sim::Report play() const;
};

sim::Report Simulation::Impl::play() const {
  Rng rng(options.seed);
  sim::Setup setup;
  setup.plan = draw_plan(rng, options, machines.make != nullptr);
  setup.machines = machines;
  setup.make_program = [this](sim::Client& client, Rng own) {
    return std::make_unique<SimulatedClient::Impl>(client, own, program);
  };
  sim::World world(options.seed, Rng(rng.next()), std::move(setup), options.on_event);
  return world.run();
}

Simulation::Simulation(SimulationOptions options)
    : impl_(std::make_unique<Impl>(Impl{.options = std::move(options), .machines = {}})) {}
Simulation::Simulation(Simulation&&) noexcept = default;
Simulation& Simulation::operator=(Simulation&&) noexcept = default;
Simulation::~Simulation() = default;

void Simulation::set_state_machine(std::function<std::unique_ptr<StateMachine>()> make,
                                   std::function<std::string(const StateMachine&)> show) {
  impl_->machines.make = [make = std::move(make)] {
    auto machine = make();
    if (!machine) throw std::runtime_error("it made no state machine");
    return machine;
  };
  impl_->machines.show = std::move(show);
}

void Simulation::client(std::function<void(SimulatedClient& me)> program) {
  impl_->program = std::move(program);
}

Report Simulation::run() {
  Report refused;
  refused.seed = impl_->options.seed;
  refused.violation = complaint_about(impl_->options);
  refused.expect(!std::exchange(impl_->has_run, true),
                 "a simulation runs once: make another one for another run");
  if (!refused.sound()) return refused;
  Report report = refused;
  const auto thrown = cluster::thrown_by([&] { report = report_of(impl_->play()); });
  return report.expect(!thrown, "the code under test threw: " + thrown.value_or(""));
}

}  // namespace kuilt::testing
