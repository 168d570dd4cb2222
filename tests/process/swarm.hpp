// swarm.hpp: many clients at once, some of them in Python over JSON, and what they saw.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cli/witness.hpp"
#include "kuilt/client.hpp"
#include "tests/cli/process.hpp"

namespace kuilt::process_tests {

struct SwarmOptions {
  std::size_t clients = 45;
  std::size_t json_clients = 5;
  std::vector<std::string> urls;
  std::string label;  ///< Makes the commands of this swarm different from those of others.
};

/// Clients that propose at a steady pace until told to stop, and observe from the start.
///
/// Threads: public calls from one; the swarm runs its own.
class Swarm {
 public:
  explicit Swarm(SwarmOptions options);
  ~Swarm();

  /// Proposals each client keeps in flight, and how long it waits between two looks.
  void pace(std::size_t in_flight, std::chrono::milliseconds every);
  /// Waits until each client has as many proposals in flight as it may, and `count` more than now
  /// have been acknowledged: answers come in, and many more are on their way. Throws if that takes
  /// half a minute.
  void await_full_load(std::size_t count);
  /// Waits until `count` more than now have been acknowledged. Throws if that takes half a minute.
  void await_acknowledged(std::size_t count);
  /// Proposes no more, waits until every proposal has an outcome, and until every observer has
  /// reached the last entry that anybody was told of. Throws if either takes longer.
  void finish(std::chrono::seconds patience);
  /// After finish().
  [[nodiscard]] cli::Witness::Verdict verdict() const { return witness_.verdict(through_); }
  [[nodiscard]] const std::vector<std::string>& acknowledged() const { return acknowledged_; }
  /// Read barriers that gave an index; and those whose index was below one that somebody had been
  /// told of before.
  [[nodiscard]] std::size_t reads() const { return reads_; }
  [[nodiscard]] std::size_t stale_reads() const { return stale_reads_; }

 private:
  struct Member {
    std::size_t number = 0;
    std::uint64_t next = 1;
    std::atomic<std::size_t> in_flight = 0;
    std::unique_ptr<ClusterClient> client;
  };
  void start(Member& member);
  void propose(Member& member);
  void read(Member& member);
  void drive();
  void start_json();
  void read_json();
  void take_json(const std::string& line);
  [[nodiscard]] bool is_idle() const;
  [[nodiscard]] std::size_t acknowledged_count() const;
  [[nodiscard]] bool is_fully_loaded() const;

  const SwarmOptions options_;
  cli::Witness witness_;
  std::vector<std::unique_ptr<Member>> members_;
  std::atomic<std::size_t> in_flight_max_ = 2;
  std::atomic<std::int64_t> every_ms_ = 100;
  std::atomic<bool> stop_ = false;
  std::atomic<std::size_t> reads_under_way_ = 0;
  std::atomic<std::size_t> reads_ = 0;
  std::atomic<std::size_t> stale_reads_ = 0;
  std::uint64_t through_ = 0;  // The highest index that anybody was told of when all was answered.
  std::atomic<bool> json_stopped_ = false;
  std::atomic<std::int64_t> json_unanswered_ = 0;
  mutable std::mutex acknowledged_mutex_;
  std::vector<std::string> acknowledged_;
  std::unique_ptr<cli::Process> json_;
  std::thread driver_;
  std::thread json_reader_;
};

}  // namespace kuilt::process_tests
