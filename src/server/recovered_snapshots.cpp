#include "server/recovered_snapshots.hpp"

#include <utility>

namespace kuilt::server {

RecoveredSnapshots::RecoveredSnapshots(storage::Disk* disk, const storage::Identity& identity,
                                       News news)
    : news_(std::move(news)) {
  if (disk == nullptr) return;
  auto survey = storage::survey_snapshots(*disk, identity);
  if (survey) {
    survey_ = *std::move(survey);
  } else {
    news_("no snapshot is used: " + survey.error().message());
  }
}

std::vector<cluster::BootSnapshot> RecoveredSnapshots::candidates() const {
  std::vector<cluster::BootSnapshot> candidates;
  for (const storage::SnapshotFile& one : survey_.sound) {
    candidates.push_back({one.header.at, one.state});
  }
  return candidates;
}

FoundSnapshots RecoveredSnapshots::judge(std::optional<Position> restored,
                                         const std::vector<std::string>& complaints) && {
  FoundSnapshots found;
  for (const storage::DamagedSnapshot& damaged : survey_.damaged) {
    news_("the snapshot " + damaged.name + " is not used: " + damaged.why.message());
    found.unusable.push_back(damaged.name);
  }
  for (const std::string& complaint : complaints) news_(complaint + ": it is not used");
  for (storage::SnapshotFile& one : survey_.sound) {
    if (restored && one.header.at <= *restored) {
      if (one.header.at == *restored) found.newest = std::move(one);
      continue;
    }
    // Newer than what is used: the log does not have its cut, or says something else there.
    if (complaints.empty()) {
      news_("the snapshot " + one.file.name + " is not of this log: it is not used");
    }
    found.unusable.push_back(one.file.name);
  }
  if (found.newest) found.newest->state = {};  // It is in the table by now.
  return found;
}

}  // namespace kuilt::server
