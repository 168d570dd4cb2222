// boot.hpp: from what recovery reads to what a machine and its feeds start from.
//
// Server and simulator share it: the same entries give the same sessions, digests and
// configuration.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/feed.hpp"
#include "cluster/machine.hpp"
#include "kuilt/result.hpp"

namespace kuilt::cluster {

/// A snapshot that this server's directory holds, sound by its checksums.
struct BootSnapshot {
  Position at;  ///< Its cut.
  Bytes state;  ///< As `encode_state` wrote it.
};

/// Takes in a recovered log entry by entry, and keeps nothing that grows with it.
class BootBuilder {
 public:
  /// `at_base` is the configuration as of the log's base, without members for a server that has yet
  /// to hear of its cluster; unset for a log from (0, 0), whose first entry is the founding record.
  ///
  /// `snapshots`: each is compared with what the log says, where the log reaches its cut. A
  /// snapshot is written of a cut that is committed and durable: so one whose cut is in the log,
  /// with that very term, also proves that the log is committed through there. Servers tell of a
  /// commit with the next batch only, and the cut may have been the last.
  BootBuilder(Position base, std::uint64_t checkpoint_interval,
              raft::SharedConfiguration at_base = nullptr,
              std::vector<BootSnapshot> snapshots = {});

  /// The next entry of the log; `committed` if a batch vouched for that. Fills in a configuration
  /// from its bytes.
  /// Errors: corrupt (bytes that do not say what their record says, or no configuration first).
  Status take(const raft::Entry& entry, bool committed);

  /// The cut of the newest snapshot that is the log's: the session table is that snapshot's, with
  /// the log behind it. After the whole log was taken in.
  [[nodiscard]] std::optional<Position> restored() const { return restored_; }
  /// Sentences about snapshots whose cut is in the log, which says something else.
  [[nodiscard]] const std::vector<std::string>& complaints() const { return complaints_; }
  /// Whether a configuration that is known to be committed names this server, or did.
  [[nodiscard]] bool has_named(NodeId id) const { return named_.contains(id); }
  /// Known to be committed: as the log vouches (`commit`), or a snapshot proves.
  [[nodiscard]] Index proven(Index commit) const;

  /// What the log says on its own.
  struct Log {
    NodeId self;
    BootId boot;
    raft::HardState hard;
    std::vector<raft::TermRange> terms;
    Index last;
    std::vector<raft::Entry> tail;  ///< As storage hands it over: without configurations.
    Index commit;
  };
  struct Boots {
    MachineBoot machine;
    FeedBoot feed;
  };
  /// Errors: corrupt (no configuration in the log).
  Result<Boots> finish(Log log) &&;

 private:
  Status take_configuration(const raft::Entry& entry);
  void commit_pending();
  void meet_cut(Position cut);

  Position base_;
  raft::SharedConfiguration configuration_;  // The last committed one; later ones are in the tail.
  std::optional<ClientSessionTable> sessions_;
  RoomDigests digests_;
  CutTally cuts_;
  std::vector<BootSnapshot> snapshots_;
  std::vector<raft::Entry> pending_;  ///< Not vouched for as committed, by anything so far.
  raft::SharedConfiguration pending_configuration_;  ///< The last one among them.
  std::set<NodeId> named_;                           ///< By committed configurations.
  std::set<NodeId> pending_named_;                   ///< By those among the pending entries.
  std::optional<Position> restored_;
  std::vector<std::string> complaints_;
};

}  // namespace kuilt::cluster
