#include "cluster/application.hpp"

#include <utility>

#include "wire/entry.hpp"

namespace kuilt::cluster {
namespace {

constexpr std::size_t refusal_bytes_max = 1024;

}  // namespace

Result<std::optional<LogEntry>> log_entry_of(const raft::Entry& entry) {
  if (entry.kind != raft::EntryKind::command) return std::optional<LogEntry>();
  const auto command = wire::decode_command(entry);
  if (!command) return Error(command.error());
  LogEntry seen{.index = entry.at.index,
                .term = entry.at.term,
                .command = {},
                .author = std::string(command->author),
                .request_id = command->request_id,
                .log_time = command->log_time,
                .room = std::string(command->room)};
  if (!command->body.empty()) {
    const auto offset = static_cast<std::size_t>(command->body.data() - entry.stored.data());
    seen.command = entry.stored.slice(offset, command->body.size());
  }
  return std::optional(std::move(seen));
}

Result<Bytes> apply(StateMachine& machine, const LogEntry& entry) {
  Bytes result;
  if (const auto thrown = thrown_by([&] { result = machine.apply(entry); })) {
    return Error(ErrorCode::apply_failed,
                 "apply of entry " + std::to_string(entry.index.value()) + " threw: " + *thrown);
  }
  return result;
}

std::optional<std::string> refusal_of(StateMachine& machine, const std::string& author,
                                      BytesView command) {
  Status status = Done{};
  const auto thrown = thrown_by([&] { status = machine.admit(author, command); });
  if (!thrown && status) return std::nullopt;
  std::string refusal = thrown ? "admit threw: " + *thrown : status.error().message();
  if (refusal.size() > refusal_bytes_max) refusal.resize(refusal_bytes_max);
  return refusal;
}

Result<SnapshotWriter> freeze(StateMachine& machine) {
  SnapshotWriter writer;
  if (const auto thrown = thrown_by([&] { writer = machine.freeze(); })) {
    return Error(ErrorCode::cancelled, "freeze threw: " + *thrown);
  }
  return writer;
}

Status write(const SnapshotWriter& writer, SnapshotSink& sink) {
  Status status = Done{};
  if (const auto thrown = thrown_by([&] { status = writer(sink); })) {
    return Error(ErrorCode::cancelled, "its writer threw: " + *thrown);
  }
  return status;
}

Result<Index> restore(StateMachine& machine, SnapshotSource& source, Position cut) {
  Status status = Done{};
  const auto thrown = thrown_by([&] { status = machine.restore(source); });
  if (!thrown && status) return cut.index;
  return Error(ErrorCode::restore_failed,
               "restore of the snapshot at index " + std::to_string(cut.index.value()) +
                   (thrown ? " threw: " + *thrown : ": " + status.error().message()));
}

}  // namespace kuilt::cluster
