// rooms_thread.hpp: the one thread on which a server's rooms live.
#pragma once

#include <atomic>
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
/// Threads: one of its own. `put` and `figures` from any.
class RoomsThread {
 public:
  /// Called on the thread; none of them may wait.
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
  mutable std::mutex figures_mutex_;
  RoomFigures figures_;
  std::thread thread_;
};

}  // namespace kuilt::server
