// recovered_snapshots.hpp: which of the snapshots in its directory a server starts from.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cluster/boot.hpp"
#include "server/snapshot_thread.hpp"
#include "storage/snapshots.hpp"

namespace kuilt::server {

/// First the files are looked through, then the log is read: only a snapshot that is sound, and
/// says what the log says, is used. Each of the others is reported by its name.
///
/// A snapshot has its name only after the log is durable through its cut. So one that is sound, and
/// of an entry that the log does not have, tells that the log has lost what this server promised to
/// keep. It must not vote or acknowledge any more.
class RecoveredSnapshots {
 public:
  using News = std::function<void(const std::string&)>;  ///< Lines for people.
  /// `disk` may be null: there are none.
  RecoveredSnapshots(storage::Disk* disk, const storage::Identity& identity, News news);

  /// For the BootBuilder.
  [[nodiscard]] std::vector<cluster::BootSnapshot> candidates() const;
  /// What was read of the log, and what the BootBuilder says of it.
  struct Log {
    Index last;
    const std::vector<raft::TermRange>& terms;
    std::optional<Position> restored;
    const std::vector<std::string>& complaints;
  };
  /// After the log was read.
  /// Errors: corrupt (the log lacks the cut of a sound snapshot).
  [[nodiscard]] Result<FoundSnapshots> judge(const Log& log) &&;

 private:
  [[nodiscard]] Status complaint_about(const Log& log) const;
  void pass_over_damaged(FoundSnapshots& found) const;

  News news_;
  storage::SnapshotSurvey survey_;
};

}  // namespace kuilt::server
