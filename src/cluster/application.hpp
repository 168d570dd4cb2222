// application.hpp: the rules by which any server, real or simulated, calls the application's code.
#pragma once

#include <exception>
#include <optional>
#include <string>

#include "cluster/admission.hpp"
#include "kuilt/committed.hpp"
#include "kuilt/result.hpp"
#include "kuilt/state_machine.hpp"
#include "raft/messages.hpp"

namespace kuilt::cluster {

/// What an observer sees of an entry; nothing, if it is no command.
/// Errors: bad_frame (bytes that are no entry).
[[nodiscard]] Result<std::optional<LogEntry>> log_entry_of(const raft::Entry& entry);

/// What `apply` returned.
/// Errors: apply_failed (it threw: nothing may be applied to that state machine any more).
[[nodiscard]] Result<Bytes> apply(StateMachine& machine, const LogEntry& entry);

/// Why `admit` does not let the command into the log, also if it threw; nothing, if it does.
[[nodiscard]] std::optional<std::string> refusal_of(StateMachine& machine,
                                                    const std::string& author, BytesView command);

/// What `freeze` has put aside; empty, if the state machine has no snapshots.
/// Errors: cancelled (it threw: no snapshot this time).
[[nodiscard]] Result<SnapshotWriter> freeze(StateMachine& machine);
/// Lets the writer write.
/// Errors: its own; cancelled (it threw).
[[nodiscard]] Status write(const SnapshotWriter& writer, SnapshotSink& sink);
/// The last entry that the state machine has taken in then.
/// Errors: restore_failed (it said no, or threw: nobody knows what the state machine holds).
[[nodiscard]] Result<Index> restore(StateMachine& machine, SnapshotSource& source, Position cut);

/// The text of what the application's code threw; nothing, if it did not.
template <class Call>
std::optional<std::string> thrown_by(Call call) {
  try {
    call();
    return std::nullopt;
  } catch (const std::exception& error) {
    return std::string(error.what());
  } catch (...) {
    return "something that is no std::exception";
  }
}

}  // namespace kuilt::cluster
