// session_file.hpp: a SessionStore that is one file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "kuilt/session.hpp"
#include "storage/posix_file.hpp"

namespace kuilt::client {

/// The file, and beside it PATH.lock, which tells a second opener who holds it. The lock is a file
/// of its own because the session's is renamed into place; it is never removed, for whoever waits
/// for it might hold a file that nobody finds any more. The path is followed once, when it is
/// opened: later the file is found by its name in that folder, wherever the path leads by then.
class SessionFile final : public SessionStore {
 public:
  /// Errors: session_locked, session_unwritable, disk_full, io.
  [[nodiscard]] static Result<std::unique_ptr<SessionFile>> open(std::string path);

  Result<std::optional<Bytes>> load() override;
  /// Pre: `replace` has succeeded, and no append has failed since.
  Status append(BytesView bytes) override;
  Status replace(BytesView bytes) override;

 private:
  SessionFile(std::string path, storage::File folder, std::string name, storage::File lock)
      : path_(std::move(path)),
        folder_(std::move(folder)),
        name_(std::move(name)),
        lock_(std::move(lock)) {}
  Status write_new(const std::string& name, BytesView bytes, storage::File& file) const;

  std::string path_;  ///< As it was given: for people.
  storage::File folder_;
  std::string name_;
  storage::File lock_;
  storage::File file_;  ///< What has that name, once it was replaced.
  std::uint64_t bytes_ = 0;
};

}  // namespace kuilt::client
