// raft_storage.hpp: where a learner keeps what it has learnt.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kuilt/committed.hpp"
#include "kuilt/detail/export.hpp"
#include "kuilt/result.hpp"
#include "kuilt/types.hpp"

namespace kuilt {

/// The committed entries of one room, and the place through which they are complete. No vote is in
/// it, and nothing is ever taken back. (Snapshots, which will let a prefix go, come with those of
/// the servers.)
///
/// Threads: one call at a time.
/// Ownership: borrowed by its node, which it outlives. Never shared by two.
class KUILT_API RaftStorage {
 public:
  virtual ~RaftStorage() = default;
  /// Where the last `append` ended. Nothing, if there never was one.
  virtual Result<std::optional<ResumeToken>> load() = 0;
  /// Keeps `entries`, which follow all there are, and `through` with them: both or, after a crash
  /// or an error, neither. `entries` may be empty. Success promises whatever the storage does: a
  /// node that starts on it again resumes there.
  virtual Status append(std::span<const LogEntry> entries, const ResumeToken& through) = 0;
  /// Entries after `after`, in order and without a gap: about `bytes_max` of commands, but one at
  /// least if there is one.
  virtual Result<std::vector<LogEntry>> read(Index after, std::size_t bytes_max) = 0;
};

/// Keeps everything in memory, for as long as it lives: a node that starts on it again goes on
/// where the last one stopped; another process begins anew.
///
/// Threads: any. Failure: none but a lack of memory: it grows with the room.
class KUILT_API InMemoryRaftStorage final : public RaftStorage {
 public:
  InMemoryRaftStorage();  ///< Empty: a node begins at the start.
  ~InMemoryRaftStorage() override;
  Result<std::optional<ResumeToken>> load() override;
  Status append(std::span<const LogEntry> entries, const ResumeToken& through) override;
  Result<std::vector<LogEntry>> read(Index after, std::size_t bytes_max) override;

 private:
  struct KUILT_LOCAL Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kuilt
