#include "server/rooms_thread.hpp"

#include <deque>
#include <map>
#include <utility>

#include "kuilt/detail/overloaded.hpp"
#include "server/shard.hpp"

namespace kuilt::server {
namespace {

// What links and peers may put on the way to the rooms; a window of its own (rule 13).
constexpr std::size_t waiting_bytes_max = std::size_t{32} << 20;
/// Made for the shards, and not taken yet.
constexpr std::size_t undelivered_bytes_max = std::size_t{16} << 20;
constexpr std::size_t input_overhead = 256;  // Names and the input itself.

std::size_t size_of(const cluster::RoomInput& input) {
  const auto size = Overloaded{
      [](const cluster::RoomJoin& one) { return input_overhead + one.join.room.size(); },
      [](const cluster::RoomLeave& one) { return input_overhead + one.room.size(); },
      [](const cluster::RoomSay& one) {
        const wire::RoomMessage& said = one.message;
        return input_overhead + said.room.size() + said.channel.size() + said.body.size();
      },
      [](const cluster::RoomRefresh& one) { return input_overhead + one.room.size(); },
      // What must not be lost is bounded elsewhere: by the number of links, by a window of one
      // frame per peer.
      [](const cluster::RoomLinkClosed&) { return std::size_t{0}; },
      [](const cluster::RoomsFromPeer&) { return std::size_t{0}; },
      [](const cluster::RoomsTakenByPeer&) { return std::size_t{0}; },
      [](const cluster::PeerUp&) { return std::size_t{0}; },
      [](const cluster::PeerDown&) { return std::size_t{0}; },
      [](const cluster::RoomPeers&) { return std::size_t{0}; },
  };
  return std::visit(size, input);
}

}  // namespace

RoomsThread::RoomsThread(const cluster::RoomOptions& options, const std::vector<NodeId>& peers,
                         std::uint64_t seed)
    : hub_(options, peers, seed, now()) {}

RoomsThread::~RoomsThread() { stop(); }

void RoomsThread::start(Duties duties) {
  duties_ = std::move(duties);
  thread_ = std::thread([this] { run(); });
}

void RoomsThread::stop() {
  {
    const std::lock_guard lock(window_mutex_);
    stopped_ = true;
    window_changed_.notify_all();
  }
  inbox_.close();
  if (thread_.joinable()) thread_.join();
}

bool RoomsThread::put(cluster::RoomInput input) {
  const std::size_t bytes = size_of(input);
  if (bytes > 0 && waiting_bytes_.load(std::memory_order_relaxed) + bytes > waiting_bytes_max) {
    refused_inputs_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  waiting_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  inbox_.put({std::move(input), bytes});
  return true;
}

std::size_t RoomsThread::bytes_of(const std::vector<cluster::RoomFrame>& frames) {
  std::size_t bytes = 0;
  for (const cluster::RoomFrame& frame : frames) {
    bytes += sizeof frame + frame.frame.size() + frame.to.size() * sizeof(cluster::LinkId);
  }
  return bytes;
}

void RoomsThread::delivered(std::size_t bytes) {
  const std::lock_guard lock(window_mutex_);
  undelivered_bytes_ -= bytes;
  window_changed_.notify_one();
}

RoomFigures RoomsThread::figures() const {
  const std::lock_guard lock(figures_mutex_);
  RoomFigures figures = figures_;
  figures.refused_inputs = refused_inputs_.load(std::memory_order_relaxed);
  return figures;
}

void RoomsThread::run() {
  Instant wake_at = now();
  std::deque<std::size_t> bytes_of_waiting;  // One for each input that the hub has not taken.
  while (!inbox_.closed()) {
    std::vector<Waiting> waiting = inbox_.wait(wake_at);
    std::vector<cluster::RoomInput> inputs;
    inputs.reserve(waiting.size());
    for (Waiting& one : waiting) {
      bytes_of_waiting.push_back(one.bytes);
      inputs.push_back(std::move(one.input));
    }
    cluster::RoomOutput output = hub_.step(now(), std::move(inputs));
    for (; bytes_of_waiting.size() > hub_.waiting(); bytes_of_waiting.pop_front()) {
      waiting_bytes_.fetch_sub(bytes_of_waiting.front(), std::memory_order_relaxed);
    }
    wake_at = output.wake_at;
    publish_figures();
    carry_out(std::move(output));
  }
}

void RoomsThread::carry_out(cluster::RoomOutput output) {
  std::map<std::size_t, std::vector<cluster::RoomFrame>> by_shard;
  for (cluster::RoomFrame& frame : output.frames) {
    std::map<std::size_t, std::vector<cluster::LinkId>> links;
    for (const cluster::LinkId link : frame.to) links[shard_of(link)].push_back(link);
    for (auto& [shard, to] : links) {
      by_shard[shard].push_back({frame.kind, frame.room, frame.frame, std::move(to)});
    }
  }
  if (!output.peers.empty()) duties_.send(std::move(output.peers));
  for (auto& [shard, frames] : by_shard) {
    {
      const std::lock_guard lock(window_mutex_);
      undelivered_bytes_ += bytes_of(frames);
    }
    duties_.deliver(shard, std::move(frames));
  }
  std::unique_lock lock(window_mutex_);
  window_changed_.wait(lock,
                       [this] { return stopped_ || undelivered_bytes_ <= undelivered_bytes_max; });
}

void RoomsThread::publish_figures() {
  const std::lock_guard lock(figures_mutex_);
  figures_ = {hub_.rooms(), hub_.links(), 0, hub_.counters()};
}

}  // namespace kuilt::server
