// boot.hpp: from what recovery reads to what a machine and its feeds start from.
//
// Server and simulator share it: the same entries give the same sessions, digests and
// configuration.
#pragma once

#include <optional>
#include <vector>

#include "cluster/feed.hpp"
#include "cluster/machine.hpp"
#include "kuilt/result.hpp"

namespace kuilt::cluster {

/// Takes in a recovered log entry by entry, and keeps nothing that grows with it.
class BootBuilder {
 public:
  /// `at_base` is the configuration as of the log's base; unset for a log from (0, 0), whose first
  /// entry is the founding record.
  BootBuilder(Position base, std::uint64_t checkpoint_interval,
              raft::SharedConfiguration at_base = nullptr);

  /// The next entry of the log; `committed` if a batch vouched for that. Fills in a configuration
  /// from its bytes.
  /// Errors: corrupt (bytes that do not say what their record says, or no configuration first).
  Status take(const raft::Entry& entry, bool committed);

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
  /// Errors: corrupt (no configuration in the log, or one that does not name `log.self`).
  Result<Boots> finish(Log log) &&;

 private:
  Status take_configuration(const raft::Entry& entry);

  Position base_;
  raft::SharedConfiguration configuration_;
  std::optional<ClientSessionTable> sessions_;
  RoomDigests digests_;
};

}  // namespace kuilt::cluster
