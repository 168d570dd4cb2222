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
class RecoveredSnapshots {
 public:
  using News = std::function<void(const std::string&)>;  ///< Lines for people.
  /// `disk` may be null: there are none.
  RecoveredSnapshots(storage::Disk* disk, const storage::Identity& identity, News news);

  /// For the BootBuilder.
  [[nodiscard]] std::vector<cluster::BootSnapshot> candidates() const;
  /// After the log was read; what the BootBuilder says.
  [[nodiscard]] FoundSnapshots judge(std::optional<Position> restored,
                                     const std::vector<std::string>& complaints) &&;

 private:
  News news_;
  storage::SnapshotSurvey survey_;
};

}  // namespace kuilt::server
