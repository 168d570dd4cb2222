// outbox.hpp: holds each effect back until what it promises is durable (rule 1).
#pragma once

#include <vector>

#include "raft/core.hpp"

namespace kuilt::raft {

/// Messages wait here for the disk. Server and simulator share it.
///
/// Threads: none; one caller at a time. Messages to one peer keep their order among equals: a
/// message that needs nothing may overtake one that waits.
class Outbox {
 public:
  /// Takes messages of one step. Returns those that may leave now.
  std::vector<Outgoing> put(std::vector<Outgoing> messages);
  /// The disk is done through `seq`. Returns what may leave now, in the order it was put.
  std::vector<Outgoing> written(WriteSeq seq);
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  /// What waits, in the order it was put.
  [[nodiscard]] const std::vector<Outgoing>& held() const { return waiting_; }

 private:
  void hold(Outgoing outgoing);

  WriteSeq durable_;
  std::vector<Outgoing> waiting_;
};

}  // namespace kuilt::raft
