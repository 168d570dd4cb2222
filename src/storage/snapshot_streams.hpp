// snapshot_streams.hpp: the application's part of a snapshot file, as its state machine writes and
// reads it.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "kuilt/state_machine.hpp"
#include "storage/snapshots.hpp"

namespace kuilt::storage {

/// Puts what a state machine writes into a plan. The first failure is the last word: whatever the
/// writer makes of it, nothing more is written.
class SnapshotFileSink final : public SnapshotSink {
 public:
  using Perform = std::function<Status(std::vector<DiskOp>)>;
  SnapshotFileSink(SnapshotPlan& plan, Perform perform)
      : plan_(plan), perform_(std::move(perform)) {}

  Status write(BytesView bytes) override {
    if (failure_) return *failure_;
    Status status = perform_(plan_.add(SnapshotPart::application, bytes));
    if (!status) failure_ = status.error();
    return status;
  }
  [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }

 private:
  SnapshotPlan& plan_;
  Perform perform_;
  std::optional<Error> failure_;
};

/// Reads the application's part of a file, and nothing else of it.
class SnapshotFileSource final : public SnapshotSource {
 public:
  explicit SnapshotFileSource(SnapshotReader reader) : reader_(std::move(reader)) {}

  Result<Bytes> read(std::size_t bytes_max) override {
    while (rest_.empty()) {
      auto piece = reader_.next();
      if (!piece) return std::move(piece).error();
      if (!*piece) return Bytes();
      if ((*piece)->part == SnapshotPart::application) rest_ = std::move((*piece)->data);
    }
    const std::size_t taken = std::min(bytes_max, rest_.size());
    Bytes bytes = rest_.slice(0, taken);
    rest_ = rest_.slice(taken, rest_.size() - taken);
    return bytes;
  }

 private:
  SnapshotReader reader_;
  Bytes rest_;
};

}  // namespace kuilt::storage
