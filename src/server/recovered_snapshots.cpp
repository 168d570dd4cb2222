#include "server/recovered_snapshots.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace kuilt::server {
namespace {

std::string text_of(Position at) {
  return "entry " + std::to_string(at.index.value()) + " of term " +
         std::to_string(at.term.value());
}

// The term of an entry of the log; none, where the log does not tell.
Term term_at(const std::vector<raft::TermRange>& terms, Index index) {
  const auto behind = std::ranges::upper_bound(terms, index, {}, &raft::TermRange::first);
  return behind == terms.begin() ? Term() : std::prev(behind)->term;
}

}  // namespace

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

// Committed entries stay what and where they are: a log that does not reach the cut, or has another
// term there, has lost them.
Status RecoveredSnapshots::complaint_about(const Log& log) const {
  for (const storage::SnapshotFile& one : survey_.sound) {
    const Position cut = one.header.at;
    const Index compared = std::min(cut.index, log.last);
    const Term term = term_at(log.terms, compared);
    if (cut.index <= log.last && (term == cut.term || term == Term())) continue;
    return Error(ErrorCode::corrupt, Effect::none,
                 "the snapshot " + one.file.name + " is of " + text_of(cut) +
                     ", which was durable in this log; but the log " +
                     (cut.index > log.last ? "ends with " : "has there ") +
                     text_of({compared, term}) +
                     ": it has forgotten entries that this server acknowledged, and perhaps votes. "
                     "Bring back the log that belongs to the snapshot, or give this server up as "
                     "one whose directory is lost");
  }
  return Done{};
}

void RecoveredSnapshots::pass_over_damaged(FoundSnapshots& found) const {
  for (const storage::DamagedSnapshot& damaged : survey_.damaged) {
    news_("the snapshot " + damaged.name + " is not used: " + damaged.why.message());
    const bool is_worthless = damaged.why.code() == ErrorCode::corrupt;
    (is_worthless ? found.unusable : found.untouched).push_back(damaged.name);
  }
}

Result<FoundSnapshots> RecoveredSnapshots::judge(const Log& log) && {
  FoundSnapshots found;
  pass_over_damaged(found);
  if (Status status = complaint_about(log); !status) return std::move(status).error();
  for (const std::string& complaint : log.complaints) news_(complaint + ": it is not used");
  for (storage::SnapshotFile& one : survey_.sound) {
    if (log.restored && one.header.at <= *log.restored) {
      if (one.header.at == *log.restored) found.newest = std::move(one);
      continue;
    }
    // Newer than what is used: the log says something else at its cut.
    if (log.complaints.empty()) {
      news_("the snapshot " + one.file.name + " is not of this log: it is not used");
    }
    found.unusable.push_back(one.file.name);
  }
  if (found.newest) found.newest->state = {};  // It is in the table by now.
  return found;
}

}  // namespace kuilt::server
