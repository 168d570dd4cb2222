// trace.hpp: what a core does, told with the actions of Raft's TLA+ specification (Ongaro,
// raft.tla).
//
// The core knows nothing of it. A Tracer stands beside one, remembers how it stood before a step,
// and says which actions lead from there to where it stands now; what they do not explain is told
// as well. `docs/testing.md` has the names, and tools/check_trace.py follows the lines.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/core.hpp"

namespace kuilt::raft {

enum class Action : std::uint8_t {
  // The specification's.
  restart,
  timeout,
  request_vote,
  become_leader,
  client_request,
  advance_commit_index,
  append_entries,
  handle_request_vote_request,
  handle_request_vote_response,
  handle_append_entries_request,
  handle_append_entries_response,
  update_term,
  drop_stale_response,
  duplicate_message,  ///< The environment's, like the next two.
  drop_message,
  // Ours, for what the specification does not have.
  leftover_message,  ///< One that was on its way when the trace began.
  start_pre_vote,
  request_pre_vote,
  handle_pre_vote_request,
  handle_pre_vote_response,
  heartbeat,
  handle_heartbeat_request,
  handle_heartbeat_response,
  persist,    ///< More of the log is on the disk.
  step_down,  ///< In its own term: it hears no majority, or is no member any more.
  refuse_message,
  read_index,
  request_read_index,
  handle_read_index_request,
  handle_read_index_response,
  answer_read_index,
  finish_read,
  transfer_leadership,
  timeout_now,
  handle_timeout_now,
  end_transfer,
  change_membership,
  change_configuration,  ///< Another one is in force, by an entry or by its truncation.
  unexplained,           ///< The step did more than its actions say.
};
/// As the specification writes it: "HandleRequestVoteRequest".
[[nodiscard]] std::string_view name_of(Action action);

/// A server as the specification's variables have it.
struct Standing {
  Role role = Role::follower;
  HardState hard;
  Position last;
  Index commit;
  Index durable;
  friend bool operator==(const Standing&, const Standing&) = default;
};
[[nodiscard]] Standing standing_of(const Core& core);

/// What only the line of a restart tells.
struct Recovered {
  Position base;
  std::vector<TermRange> terms;
  SharedConfiguration committed;  ///< The last committed configuration.
  SharedConfiguration in_force;
};

/// One action. Only what belongs to it is set.
struct Transition {
  Action action = Action::unexplained;
  NodeId server;
  std::optional<NodeId> peer{};       ///< Whom the message is from or to, or who is to lead.
  std::optional<Message> message{};   ///< That came in or goes out.
  std::optional<Message> reply{};     ///< That goes back to `peer` at once.
  std::optional<Entry> entry{};       ///< That a leader appends.
  SharedConfiguration configuration;  ///< In force from now on.
  std::optional<ReadId> read{};
  std::optional<Index> index{};  ///< Of a read.
  std::string_view why;          ///< It is refused, or ends.
  std::optional<Recovered> recovered{};
  std::optional<Standing> after{};  ///< Set where an action may change it.
};

/// Beside one core, for one life of it.
class Tracer {
 public:
  explicit Tracer(const Core& core) : now_(standing_of(core)) {}

  /// Pre: `core` has just made this step, and every step before it was told here.
  std::vector<Transition> stepped(const Core& core, const Input& input, const Output& out);

 private:
  Standing now_;
};

/// The transitions of a group of cores as lines of JSON. The same steps give the same lines.
class TraceLines {
 public:
  using Sink = std::function<void(const std::string& line)>;
  using NameOf = std::function<std::string(NodeId)>;
  TraceLines(Sink sink, NameOf name_of) : sink_(std::move(sink)), name_of_(std::move(name_of)) {}

  /// A new life of a server begins.
  void booted(Instant at, const Core& core);
  /// Pre: `core` was booted here.
  void stepped(Instant at, const Core& core, const Input& input, const Output& out);
  /// What the environment does to a message between two servers.
  void message(Instant at, Action what, NodeId from, NodeId to, const Message& message);

 private:
  void tell(Instant at, const Transition& transition);

  Sink sink_;
  NameOf name_of_;
  std::map<NodeId, Tracer> tracers_;
  std::uint64_t lines_ = 0;
};

/// One line, without an end: a JSON object. `number` counts the lines, `at` is in microseconds.
[[nodiscard]] std::string line_of(const Transition& transition, std::uint64_t number, Instant at,
                                  const TraceLines::NameOf& name_of);

}  // namespace kuilt::raft
