// testing.hpp: your state machine and your client code on a simulated cluster, from a seed, inside
// your own unit tests.
//
//   kuilt::testing::Report play(std::uint64_t seed) {
//     kuilt::testing::Simulation simulation({.seed = seed});
//     simulation.state_machine([] { return std::make_unique<Scores>(); });
//     simulation.client([](kuilt::testing::SimulatedClient& me) {
//       me.propose("score ann").then([](kuilt::Result<kuilt::Receipt> done) { ... });
//     });
//     return simulation.run();
//   }
//   const auto report = kuilt::testing::for_seeds(1, 200, play);
//   EXPECT_TRUE(report.sound()) << report.text();
//
// In a library of its own, kuilt::testing, which no program that runs needs. What is simulated, and
// what is not: docs/testing-your-application.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "kuilt/bytes.hpp"
#include "kuilt/client.hpp"
#include "kuilt/committed.hpp"
#include "kuilt/detail/chrono.hpp"
#include "kuilt/detail/export.hpp"
#include "kuilt/detail/function.hpp"
#include "kuilt/pending.hpp"
#include "kuilt/proposal.hpp"
#include "kuilt/raft_storage.hpp"
#include "kuilt/result.hpp"
#include "kuilt/state_machine.hpp"

namespace kuilt::testing {

/// What may go wrong. Each seed takes some of it and draws how bad it is, for faults that are all
/// on at once hide what only some of them show. False: on no seed.
struct Faults {
  /// SIGKILL, power cuts, and disks that are full for a while: what a server had not synced is gone
  /// or garbage; started again, it applies the whole log to a fresh state machine.
  bool server_crashes = true;
  bool server_stalls = true;  ///< Servers stand still for seconds, disks are slow, or hang.
  bool partitions = true;     ///< Servers do not reach each other, one way or both ways.
  bool lossy_links = true;    ///< Between servers: frames are lost, late, doubled.
  bool torn_links = true;     ///< Between clients and servers too.
  bool client_stalls = true;  ///< Clients stand still, or read nothing.
  /// A client's process dies, and what it had in memory with it; its program is called again.
  bool client_crashes = false;
  unsigned frequency_percent = 100;  ///< Of faults that strike: 200 is twice as often. At least 1.

  [[nodiscard]] static constexpr Faults none() {
    return {false, false, false, false, false, false, false, 100};
  }
};
/// What one run is made of.
struct SimulationOptions {
  std::uint64_t seed = 1;   ///< Decides everything: the same options give the same run.
  std::size_t servers = 3;  ///< 1 to 7.
  std::size_t clients = 2;  ///< 1 to 100.
  /// Virtual time with faults; then the world heals, and everything has a minute to settle. At
  /// most an hour.
  std::chrono::nanoseconds duration = std::chrono::seconds(10);
  Faults faults = {};                    ///< What may go wrong, and how often.
  std::size_t command_bytes_max = 4096;  ///< 1 to 1 MiB: the cluster's longest command.
  /// Hears every event of the run, a line each. Must not call back.
  std::function<void(const std::string& line)> on_event = {};
};

/// What became of a run.
struct KUILT_API Report {
  std::uint64_t seed = 0;
  std::optional<std::string> violation;  ///< The first sentence that does not hold.
  std::chrono::nanoseconds ended_at{};   ///< Virtual time.
  std::uint64_t trace_hash = 0;          ///< Equal for equal runs.
  std::uint64_t events = 0;
  std::map<std::string, std::uint64_t> counters;  ///< What happened, and how often.
  std::vector<std::string> last_events;           ///< Up to the violation, if there is one.
  std::vector<LogEntry> committed;  ///< All commands in the order of the log, of all rooms.

  [[nodiscard]] bool sound() const { return !violation; }
  /// An expectation of the caller's own: `sentence` becomes the violation if it does not hold and
  /// there is none yet.
  Report& expect(bool holds, std::string sentence) {
    if (!holds && !violation) violation = std::move(sentence);
    return *this;
  }
  /// For people: the last events, the violation, and how to replay it.
  [[nodiscard]] std::string text() const;
};

/// One client of the simulated cluster: the client that ships, in virtual time. What it shares with
/// ClusterClient has the same name and means the same, so that code may be a template over both.
///
/// Threads: the simulation's one. `then`, `on_committed`, `after` and coroutines run there, never
/// one inside another. `get()` can never wait in here: its answer is `usage`.
/// Ownership: the simulation's, until its `run` returns; the same object after a crash.
/// Failure: a callback that throws is a violation that names it (a real client would end the
/// process).
class KUILT_API SimulatedClient {
 public:
  class KUILT_LOCAL Impl;
  explicit SimulatedClient(Impl& impl) : impl_(impl) {}  ///< Made by the simulation.
  SimulatedClient(const SimulatedClient&) = delete;
  SimulatedClient& operator=(const SimulatedClient&) = delete;

  [[nodiscard]] std::size_t number() const;  ///< From 0 on; as an author it is "c0", "c1", ...
  [[nodiscard]] unsigned starts() const;     ///< How often its process has started: first 1.
  [[nodiscard]] std::chrono::nanoseconds now() const;  ///< Virtual time since the beginning.
  /// In [0, bound), from the seed. Pre: bound > 0.
  [[nodiscard]] std::uint64_t random(std::uint64_t bound);
  /// Calls `callback` once, after that much virtual time, unless the process dies before.
  void after(std::chrono::nanoseconds delay, std::function<void()> callback);
  /// The faults are over, and all servers are there. A program that goes on for ever must stop
  /// beginning anything new from now on: the run ends when nothing is under way any more.
  [[nodiscard]] bool ending() const;
  /// An expectation of the caller's own; if it does not hold, the run ends with this sentence.
  void expect(bool holds, const std::string& sentence);

  /// As `ClusterClient::propose`. When the process dies, nobody is called any more.
  Pending<Receipt> propose(BytesView command) { return propose(command, ProposeOptions{}); }
  Pending<Receipt> propose(BytesView command, const ProposeOptions& options);
  /// As `ClusterClient::on_committed`, but an index that is still to come is refused.
  Status on_committed(From from, std::function<void(const Committed&)> callback,
                      const ObserveOptions& options = {},
                      std::function<void(const Error&)> on_end = {});

 private:
  Impl& impl_;
};

/// One run of a cluster in virtual time: real consensus, log, sessions, feeds and clients, on
/// simulated disks, clocks and links.
///
/// Judged throughout: what kuilt promises (nothing acknowledged is lost, repeated or moved; what
/// was refused is not there; every observer sees the log, without gap or repeat; a healed cluster
/// settles), and what you promise: all state machines return the same from the same entries, also
/// one that was restarted, or asked to admit; `apply` does not throw; with `show`, states are equal
/// after each entry, and `admit` leaves them alone.
///
/// Threads: everything of yours is called on the thread that calls `run`.
/// Ownership: move-only; owns what it is given, and each state machine that is made.
/// Failure: never throws. Options out of bounds, and whatever is missing, are the report's
/// violation.
class KUILT_API Simulation {
 public:
  explicit Simulation(SimulationOptions options = {});  ///< Nothing runs before `run`.
  Simulation(Simulation&&) noexcept;
  Simulation& operator=(Simulation&&) noexcept;
  ~Simulation();

  /// What the servers run: `make()` returns a std::unique_ptr of it, for each start of a server,
  /// and for one more that is never restarted nor asked to admit: others are compared with that.
  /// Without: servers keep the log and nothing else.
  template <class Make>
  void state_machine(Make make) {
    set_state_machine(std::move(make), {});
  }
  /// `show(machine)` is its state as text, equal for equal states. It is called after each entry:
  /// keep states of tests small.
  template <class Make, class Show>
  void state_machine(Make make, Show show) {
    using Machine = typename std::invoke_result_t<Make&>::element_type;
    set_state_machine(std::move(make), [show = std::move(show)](const StateMachine& machine) {
      return std::string(show(static_cast<const Machine&>(machine)));
    });
  }
  /// What each client runs: called at each start of its process. It returns at once, and goes on in
  /// callbacks. What it captures survives crashes of clients, and is shared by them.
  void client(std::function<void(SimulatedClient& me)> program);

  /// Runs to the end, or to the first violation. Once: a second call is answered by a violation.
  [[nodiscard]] Report run();

 private:
  struct KUILT_LOCAL Impl;
  void set_state_machine(std::function<std::unique_ptr<StateMachine>()> make,
                         std::function<std::string(const StateMachine&)> show);
  std::unique_ptr<Impl> impl_;
};

/// Runs seeds `first` to `last`, and stops at the first whose report is not sound: that is what it
/// returns, and else the last report, with the counters of all. The first seed runs twice, and the
/// runs must be equal: if they are not, something of yours depends on more than the simulation (a
/// clock, an address, a random source), and no seed could be replayed.
///
/// With KUILT_SEED=N in the environment it runs that seed alone: a replay without a new build.
[[nodiscard]] KUILT_API Report for_seeds(std::uint64_t first, std::uint64_t last,
                                         const std::function<Report(std::uint64_t seed)>& run);

/// What a RaftStorage of yours does not keep of what it promises, in one sentence; nothing, if all
/// is well. For your own unit tests:
///
///   const auto broken = kuilt::testing::complaint_about_storage([&] { return open_mine(file); });
///   EXPECT_EQ(broken.value_or(""), "");
///
/// `open` opens one and the same storage, which is empty at first: what it returned before is let
/// go of by then, as by a process that ends. (One that keeps everything in memory returns the same
/// object each time.) A thousand entries are written. A storage that throws is let through.
///
/// What it cannot see: whether an append survives a crash in its middle, whole or not at all.
[[nodiscard]] KUILT_API std::optional<std::string> complaint_about_storage(
    const std::function<std::shared_ptr<RaftStorage>()>& open);

}  // namespace kuilt::testing
