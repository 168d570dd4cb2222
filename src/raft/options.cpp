#include <string>

#include "raft/core.hpp"

namespace kuilt::raft {
namespace {

constexpr Duration timeout_limit = std::chrono::hours(1);
// Whoever has a reason to wait for a disk for ever may say so by this.
constexpr Duration stall_limit = std::chrono::hours(24 * 365);

std::string text(Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(duration).count()) +
         " us";
}

std::string text(std::size_t bytes) { return std::to_string(bytes) + " bytes"; }

template <class Value>
std::string below(const char* name, Value value, const char* limit_name, Value limit) {
  return std::string(name) + " is " + text(value) + ", but may not be below " + limit_name + ", " +
         text(limit);
}

}  // namespace

std::optional<std::string> complaint_about(const Options& options) {
  const Duration tick = std::chrono::milliseconds(1);
  if (options.heartbeat_interval < tick) {
    return below("heartbeat_interval", options.heartbeat_interval, "the finest timer", tick);
  }
  if (options.election_timeout_min < 2 * options.heartbeat_interval) {
    // One lost heartbeat must not start an election.
    return below("election_timeout_min", options.election_timeout_min, "2 * heartbeat_interval",
                 2 * options.heartbeat_interval);
  }
  if (options.election_timeout_max < options.election_timeout_min + tick) {
    // Without a spread, two candidates would split the votes for ever.
    return below("election_timeout_max", options.election_timeout_max,
                 "election_timeout_min + 1 ms", options.election_timeout_min + tick);
  }
  if (options.election_timeout_max > timeout_limit) {
    return "election_timeout_max is " + text(options.election_timeout_max) +
           ", but may not be above " + text(timeout_limit);
  }
  if (options.retransmit_after < options.heartbeat_interval) {
    return below("retransmit_after", options.retransmit_after, "heartbeat_interval",
                 options.heartbeat_interval);
  }
  if (options.disk_stall_max < options.heartbeat_interval) {
    // Below that a disk would be called hung before anybody could miss its server.
    return below("disk_stall_max", options.disk_stall_max, "heartbeat_interval",
                 options.heartbeat_interval);
  }
  if (options.disk_stall_max > stall_limit) {
    return "disk_stall_max is " + text(options.disk_stall_max) + ", but may not be above " +
           text(stall_limit);
  }
  if (options.append_bytes_max == 0) {
    return below("append_bytes_max", options.append_bytes_max, "one byte", std::size_t{1});
  }
  if (options.window_bytes_max < options.append_bytes_max) {
    return below("window_bytes_max", options.window_bytes_max, "append_bytes_max",
                 options.append_bytes_max);
  }
  if (options.uncommitted_bytes_max < options.append_bytes_max) {
    return below("uncommitted_bytes_max", options.uncommitted_bytes_max, "append_bytes_max",
                 options.append_bytes_max);
  }
  if (options.reads_max == 0) return "reads_max is 0, but no read could ever be answered";
  if (options.read_wait_max < options.retransmit_after) {
    // A read whose request is lost is asked for once more.
    return below("read_wait_max", options.read_wait_max, "retransmit_after",
                 options.retransmit_after);
  }
  if (options.learner_silence_max < options.election_timeout_max) {
    return below("learner_silence_max", options.learner_silence_max, "election_timeout_max",
                 options.election_timeout_max);
  }
  if (options.catch_up_rounds_max == 0) {
    return "catch_up_rounds_max is 0, but a learner needs one round at least";
  }
  if (options.term_jump_max == 0) return "term_jump_max is 0, but no term could ever be adopted";
  return std::nullopt;
}

}  // namespace kuilt::raft
