// raft_storage.hpp: the log as a core's driver sees it: writes go in, completions come out.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "kuilt/result.hpp"
#include "raft/core.hpp"

namespace kuilt::storage {

/// Where the writes of one core go.
///
/// Failure: the first error that a completion carries is the last one: nothing after the last
/// successful completion is durable, ever (rule 12).
class RaftStorage {
 public:
  /// Every write through this one is durable; or why it is not.
  using Written = std::function<void(Result<raft::WriteSeq>)>;

  virtual ~RaftStorage() = default;
  /// Takes a batch of writes, in the order in which the core gave them. `Written` is called later,
  /// or before `submit` returns; once per batch or once for several.
  virtual void submit(std::vector<raft::Write> writes) = 0;
  /// Entries that are durable, in order, up to `bytes_max` of stored bytes but at least one.
  /// Errors: compacted, invalid_argument (beyond the durable log), corrupt, io.
  virtual Result<std::vector<raft::Entry>> read(Index first, Index last, std::size_t bytes_max) = 0;
};

/// A log that is gone with the process: for voters in one process, demos and tests.
///
/// Threads: one caller at a time. `written` is called before `submit` returns.
class InMemoryRaftStorage final : public RaftStorage {
 public:
  InMemoryRaftStorage(Position base, Written written) : base_(base), written_(std::move(written)) {}

  void submit(std::vector<raft::Write> writes) override;
  Result<std::vector<raft::Entry>> read(Index first, Index last, std::size_t bytes_max) override;

 private:
  [[nodiscard]] Index last() const { return Index(base_.index.value() + entries_.size()); }

  Position base_;
  std::vector<raft::Entry> entries_;  ///< From base_.index + 1 on.
  Written written_;
};

}  // namespace kuilt::storage
