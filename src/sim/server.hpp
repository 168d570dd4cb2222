// server.hpp: one simulated server: the real machine, feed and log planner on a simulated disk.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/boot.hpp"
#include "cluster/leader_notice.hpp"
#include "cluster/machine.hpp"
#include "cluster/rooms.hpp"
#include "sim/alarm.hpp"
#include "sim/applying.hpp"
#include "sim/clock.hpp"
#include "sim/disk.hpp"
#include "sim/front.hpp"
#include "sim/scene.hpp"
#include "sim/snapshotting.hpp"
#include "storage/wal.hpp"

namespace kuilt::sim {

/// What the driver is to the real server. A process comes and goes; the disk stays.
class Server final : public LinkEnd, private FrontOwner {
 public:
  /// `founders`: of the cluster, whether this server is one of them or not.
  Server(Scene& scene, ServerNumber number, raft::Configuration founders, Rng rng);
  /// Pre: before anything else; `peers` holds this server too, at its number.
  void meet(std::vector<Server*> peers) {
    peers_ = std::move(peers);
    peer_news_at_.resize(peers_.size());
  }

  /// Makes a log that holds the founding record alone; without one, a log that holds nothing.
  void make_log(const raft::Entry* founding);
  /// Pre: it runs.
  void change_members(raft::ChangeMembership change) {
    submit(cluster::ChangeMembers{0, std::move(change)});
  }
  /// Recovers and runs, after a while. Nothing happens if it runs or starts already.
  void start();
  void kill();
  void cut_power();
  /// A pause under way stays as it is: moved, what it holds back would change places with what
  /// follows.
  void pause(Instant until) {
    if (!paused()) paused_until_ = until;
  }
  void slow_disk(Instant until) { slow_until_ = until; }
  /// Nothing more is done with it until then, but what is under way.
  void hang_disk(Instant until) { hung_until_ = until; }
  /// No file can be made or grow until it is told that there is room again.
  void fill_disk(bool full) { disk_.fill(full); }
  /// Without a target it chooses one itself.
  void transfer_lead(std::optional<ServerNumber> target);

  void peer_frame(ServerNumber from, const Bytes& frame);
  /// The link to a peer broke, and is up again at once.
  void peer_link_torn(ServerNumber peer);

  [[nodiscard]] bool runs() const { return process_ != nullptr; }
  [[nodiscard]] bool leads() const;
  [[nodiscard]] const cluster::Machine& machine() const { return process_->machine; }
  [[nodiscard]] const cluster::RoomHub& rooms() const { return process_->rooms; }
  [[nodiscard]] ServerNumber number() const { return number_; }
  /// Everything in the process counted so far goes into the coverage, once.
  void settle_counters();

  [[nodiscard]] bool accepts() const override { return runs() && !paused(); }
  void link_opened(LinkNumber link, wire::Encoding encoding) override;
  void link_frame(LinkNumber link, Bytes frame) override;
  void link_broken(LinkNumber link) override;
  void link_drained(LinkNumber link) override;

 private:
  struct Process {
    Process(std::unique_ptr<storage::Wal> log, cluster::Machine started, const Plan& plan,
            cluster::FeedBoot feed, cluster::RoomHub hub, FrontOwner& owner, Server& server);
    std::unique_ptr<storage::Wal> wal;
    cluster::Machine machine;
    Front front;
    cluster::RoomHub rooms;
    std::unique_ptr<Snapshotting> snapshotting;  // Null if no snapshots are taken.
    std::unique_ptr<Applying> applying;          // Null without a state machine.
    Alarm machine_alarm;
    Alarm front_alarm;
    Alarm rooms_alarm;
    std::vector<cluster::Input> inputs;
    bool turn_is_due = false;
    std::vector<cluster::RoomInput> room_inputs;
    bool rooms_turn_is_due = false;
    std::deque<raft::Write> writes;  // Ordered, and not yet planned.
    std::optional<storage::Batch> batch;
    std::size_t next_op = 0;
    bool marked_idle = true;
    Instant published_at{};
    std::uint64_t last_read = 0;
    std::map<std::uint64_t, Index> read_floors;  // What was committed when each was asked for.
    cluster::LeaderNotice leader_notice;
  };

  // server.cpp: the process and its turns.
  void when_awake(Instant when, std::function<void()> action);
  [[nodiscard]] bool paused() const { return scene_.now() < paused_until_; }
  void turn();
  void carry_out(cluster::Output output);
  void send_to_peer(const cluster::PeerSend& send);
  void trace_core();
  void trace(raft::Action fate, ServerNumber from, ServerNumber to,
             const wire::PeerMessage& message);
  [[nodiscard]] cluster::RoomHub new_rooms();
  void rooms_turn();
  using ReadDone = std::function<void(Result<std::vector<raft::Entry>>)>;
  void read(Index first, Index last, std::size_t bytes_max, ReadDone done);
  void answer_load(const raft::NeedEntries& wanted);
  void publish(const std::shared_ptr<const cluster::CommittedBatch>& batch);
  /// What a recovery found of snapshots.
  struct FoundSnapshots {
    std::optional<storage::FileInfo> newest;
    std::optional<Position> restored;
    Index last_cut;
  };
  void start_applying(const cluster::FeedBoot& boot, const FoundSnapshots& found);
  [[nodiscard]] ApplyingSnapshots start_snapshots(const cluster::FeedBoot& boot,
                                                  const FoundSnapshots& found);
  void heartbeat();
  void read_own();
  void check_read(const wire::BarrierAnswer& answer);
  void greet_peers();
  void peer_is(ServerNumber peer, bool up);
  [[nodiscard]] cluster::LeaderView leader() const;

  // server_disk.cpp: the log and its recovery.
  void recover();
  void recovery_failed(const Error& error);
  void check_durable_again();
  [[nodiscard]] storage::SnapshotSurvey survey_snapshots();
  [[nodiscard]] FoundSnapshots judge(const storage::SnapshotSurvey& survey,
                                     const cluster::BootBuilder& builder);
  void write_on();
  void begin(storage::Batch batch);
  void run_op();
  void batch_done();
  void op_failed(const Error& error);
  void mark_idle();
  void die(bool power);
  [[nodiscard]] storage::Identity identity() const;
  [[nodiscard]] raft::SharedConfiguration known_at_base() const;
  [[nodiscard]] Duration latency_of(const storage::DiskOp& op);

  void submit(cluster::Input input) override;
  void to_rooms(cluster::RoomInput input) override;
  void read_for_feed(const cluster::FeedLoad& load) override;
  void wake_front_at(Instant when) override;
  void send_to_client(LinkNumber link, Bytes frame) override;
  void close_link(LinkNumber link) override { scene_.links.close(link, Side::server); }
  void complain(const std::string& sentence) override { scene_.invariants.complain(sentence); }
  [[nodiscard]] wire::Welcome welcome() const override;
  [[nodiscard]] Instant local_now() const override { return clock_.local(scene_.now()); }
  [[nodiscard]] Instant to_scene(Instant local) const { return clock_.scene(local); }

  Scene& scene_;
  const ServerNumber number_;
  const raft::Configuration configuration_;  ///< Of the founders.
  const NodeId id_;
  Rng rng_;
  SimDisk disk_;
  SimDisk snapshot_disk_;
  std::vector<Server*> peers_;
  std::uint64_t incarnation_ = 0;
  std::uint64_t transfers_ = 0;
  bool starting_ = false;
  Clock clock_;  ///< Monotonic clocks of servers have nothing to do with each other.
  Instant paused_until_{};
  Instant slow_until_{};
  Instant hung_until_{};
  std::vector<Instant> peer_news_at_;  ///< Up and down reach us in the order they happened.
  std::unique_ptr<Process> process_;
};

}  // namespace kuilt::sim
