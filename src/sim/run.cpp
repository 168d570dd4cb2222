// run.cpp: what kuilt-sim plays: servers, limits, faults and an application, all from one seed.
#include "sim/run.hpp"

#include "sim/drawn_program.hpp"
#include "sim/world.hpp"

namespace kuilt::sim {
namespace {

// Makes the source of what goes on in rooms from that of the rest.
constexpr std::uint64_t rooms_salt = 0x726f6f6d73;
constexpr std::uint64_t transfers_salt = 0x6c656164;
// And that of snapshots.
constexpr std::uint64_t snapshots_salt = 0x736e617073;

// And that of how its members change.
constexpr std::uint64_t changes_salt = 0x6d656d62657273;

// And that of disks, clocks and sizes.
constexpr std::uint64_t troubles_salt = 0x67726179;

const World* current_run = nullptr;

Setup draw_setup(const RunOptions& options, Rng& rng) {
  Setup setup;
  setup.plan = draw_plan(rng, options.quick);
  draw_rooms(Rng(options.seed ^ rooms_salt), setup.plan);
  draw_transfers(Rng(options.seed ^ transfers_salt), setup.plan);
  draw_snapshots(Rng(options.seed ^ snapshots_salt), setup.plan);
  draw_changes(Rng(options.seed ^ changes_salt), setup.plan);
  draw_troubles(Rng(options.seed ^ troubles_salt), setup.plan);
  setup.make_program = [](Client& client, Rng own) {
    return std::make_unique<DrawnProgram>(client, own);
  };
  if (setup.plan.machine.applies) {
    setup.machines.make = [own = Rng(rng.next()),
                           trouble = setup.plan.snapshot_trouble_percent]() mutable {
      return std::make_unique<DigestMachine>(Rng(own.next()), trouble);
    };
    setup.machines.show = [](const kuilt::StateMachine& machine) {
      return dynamic_cast<const DigestMachine&>(machine).text();
    };
  }
  if (setup.plan.machine.admits) {
    setup.may_be_in_a_log = [](BytesView command) {
      return admittance_of(command) != Admittance::never;
    };
  }
  return setup;
}

}  // namespace

Report run(const RunOptions& options) {
  Rng rng(options.seed);
  Setup setup = draw_setup(options, rng);
  World world(options.seed, Rng(rng.next()), std::move(setup), options.listener,
              options.raft_listener);
  current_run = &world;
  Report report = world.run();
  current_run = nullptr;
  return report;
}

std::vector<std::string> last_lines_of_current_run() {
  if (current_run == nullptr) return {};
  return current_run->trace().last_lines();
}

}  // namespace kuilt::sim
