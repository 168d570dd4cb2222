// read_thread.hpp: reads of old log, so that none of them slows a proposal.
#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "kuilt/result.hpp"
#include "raft/messages.hpp"
#include "server/mailbox.hpp"
#include "storage/raft_storage.hpp"

namespace kuilt::server {

/// Answers reads of the durable log in the order in which they came.
///
/// Threads: one of its own; `read` from any. `on_done` runs on that thread.
/// Ownership: borrows the log, which outlives it.
class ReadThread {
 public:
  using OnDone = std::function<void(Result<std::vector<raft::Entry>>)>;
  explicit ReadThread(storage::RaftStorage& log);
  ~ReadThread();
  ReadThread(const ReadThread&) = delete;
  ReadThread& operator=(const ReadThread&) = delete;

  /// Drops what has not begun, then joins: no `on_done` after that.
  void stop();
  void read(Index first, Index last, std::size_t bytes_max, OnDone on_done);

 private:
  struct Order {
    Index first;
    Index last;
    std::size_t bytes_max;
    OnDone on_done;
  };
  void run();
  Result<std::vector<raft::Entry>> carry_out(const Order& order);

  storage::RaftStorage& log_;
  BlockingMailbox<Order> inbox_;
  std::thread thread_;
};

}  // namespace kuilt::server
