#include "tests/process/log_history.hpp"

#include <set>
#include <utility>

#include "storage/posix_directory.hpp"
#include "storage/posix_disk.hpp"
#include "storage/wal.hpp"
#include "wire/entry.hpp"

namespace kuilt::process_tests {

Result<LogHistory> read_log(const std::string& data_directory) {
  auto directory = storage::DataDirectory::open(data_directory);
  if (!directory) return std::move(directory).error();
  auto disk = storage::PosixDisk::open((*directory)->log_path());
  if (!disk) return std::move(disk).error();
  LogHistory history;
  std::uint64_t hash = 0;
  std::set<std::pair<SessionId, RequestId>> requests;
  const auto sink = [&](const raft::Entry& entry, bool) -> Status {
    const std::string head = std::to_string(entry.at.index.value()) + " " +
                             std::to_string(entry.at.term.value()) + " " +
                             std::to_string(static_cast<int>(entry.kind));
    hash = wire::chain(wire::chain(hash, head), entry.stored);
    history.chain.push_back(hash);
    if (entry.kind != raft::EntryKind::command) return Done{};
    const auto command = wire::decode_command(entry);
    if (!command) return command.error();
    history.commands.emplace_back(command->body.text());
    history.indexes.push_back(entry.at.index.value());
    if (!requests.emplace(command->session, command->request_id).second) {
      history.repeats.emplace_back(command->body.text());
    }
    return Done{};
  };
  auto opened = storage::Wal::open(**disk, {}, *(*directory)->identity(),
                                   Rng(history.chain.size() + 1), sink);
  if (!opened) return std::move(opened).error();
  history.commit = opened->recovered.commit.value();
  return history;
}

}  // namespace kuilt::process_tests
