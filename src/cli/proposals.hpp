// proposals.hpp: many proposals in flight, their outcomes printed in the order of the commands.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

#include "cli/propose_session.hpp"
#include "kuilt/client.hpp"

namespace kuilt::cli {

struct ProposalsOptions {
  std::string room;
  std::chrono::milliseconds deadline = std::chrono::seconds(15);
  std::size_t in_flight_max = 64;
  bool json = false;
  bool numbered = false;  ///< Errors name the line that the command came from.
};

/// Line k of what is printed is about command k, so that a pipe can be matched with its answers.
/// After the first failure it takes no more: what follows might build on what did not happen.
///
/// Threads: one caller; outcomes come on the client's callback thread.
class Proposals {
 public:
  /// With a session an outcome is acknowledged once it was printed, so that none is lost in
  /// between.
  Proposals(ClusterClient client, std::optional<ProposeSession> session, ProposalsOptions options);

  /// Waits until fewer than `in_flight_max` have no outcome, and proposes. False: it took nothing,
  /// because of an earlier failure, an interrupt, or because nobody reads the outcomes.
  [[nodiscard]] bool propose(const std::string& command);
  /// Waits for all outcomes; returns the exit status.
  int finish();

 private:
  using Clock = std::chrono::steady_clock;
  struct Slot {
    Clock::time_point begun;
    std::optional<RequestId> id = {};  ///< In the session.
    std::chrono::nanoseconds took{};
    std::optional<Result<Receipt>> result = {};
  };

  void done(std::uint64_t number, Result<Receipt> result);
  void print(std::uint64_t number, const Slot& slot);
  void print_text(std::uint64_t number, const Slot& slot);
  void print_json(std::uint64_t number, const Slot& slot);
  void settle(RequestId id, const Result<Receipt>& outcome);
  void failed(int status);
  /// Waits until at most `count` have no outcome. False: interrupted.
  bool await_at_most(std::size_t count, std::unique_lock<std::mutex>& lock);
  [[nodiscard]] bool goes_on() const;

  const ProposalsOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Slot> slots_;   ///< Without an outcome that is printed, in order.
  std::uint64_t first_ = 1;  ///< Number of the first of them.
  int status_ = 0;
  bool unread_ = false;    ///< Nobody reads standard output.
  bool given_up_ = false;  ///< Interrupted: nothing more is printed.
  std::optional<ProposeSession> session_;
  ClusterClient client_;  ///< Last, so that its callbacks end before what they use.
};

}  // namespace kuilt::cli
