// rooms_thread.hpp: the one thread on which a server's rooms live.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "cluster/rooms.hpp"
#include "server/mailbox.hpp"

namespace kuilt::server {

struct RoomFigures {
  std::size_t rooms = 0;
  std::size_t links = 0;  ///< Of this server, in at least one room.
  std::uint64_t refused_inputs = 0;
  cluster::RoomCounters counters;
};

/// Runs one RoomHub: drains all inputs per turn. Apart from the core, so that no flood of messages
/// delays a proposal.
///
/// What it has made for the shards and they have not taken is bounded too: it waits for them, and
/// its own inbox fills meanwhile.
///
/// Threads: one of its own. `put`, `delivered` and `figures` from any.
class RoomsThread {
 public:
  /// Called on the thread; none of them may wait. What `deliver` got is to be confirmed by
  /// `delivered`.
  struct Duties {
    std::function<void(std::size_t shard, std::vector<cluster::RoomFrame>)> deliver;
    std::function<void(std::vector<cluster::PeerSend>)> send;
  };
  /// `peers`: the other servers of the cluster.
  RoomsThread(const cluster::RoomOptions& options, const std::vector<NodeId>& peers,
              std::uint64_t seed);
  ~RoomsThread();
  RoomsThread(const RoomsThread&) = delete;
  RoomsThread& operator=(const RoomsThread&) = delete;

  /// Once; inputs that came earlier wait.
  void start(Duties duties);
  /// False, and nothing is taken: too many bytes wait already. The end of a link is always taken.
  bool put(cluster::RoomInput input);
  /// A shard has passed on frames of so many bytes, as `bytes_of` counts them.
  void delivered(std::size_t bytes);
  [[nodiscard]] static std::size_t bytes_of(const std::vector<cluster::RoomFrame>& frames);
  void stop();
  [[nodiscard]] RoomFigures figures() const;

 private:
  struct Waiting {
    cluster::RoomInput input;
    std::size_t bytes = 0;
  };
  void run();
  void carry_out(cluster::RoomOutput output);
  void publish_figures();

  cluster::RoomHub hub_;
  Duties duties_;
  BlockingMailbox<Waiting> inbox_;
  std::atomic<std::size_t> waiting_bytes_ = 0;
  std::atomic<std::uint64_t> refused_inputs_ = 0;
  std::mutex window_mutex_;  // Guards the two that follow.
  std::condition_variable window_changed_;
  std::size_t undelivered_bytes_ = 0;
  bool stopped_ = false;
  mutable std::mutex figures_mutex_;
  RoomFigures figures_;
  std::thread thread_;
};

}  // namespace kuilt::server
