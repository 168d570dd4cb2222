#include "server/metrics.hpp"

#include <utility>
#include <vector>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <nlohmann/json.hpp>

namespace kuilt::server {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

prometheus::ClientMetric with_value(MetricType type, double value) {
  prometheus::ClientMetric metric;
  if (type == MetricType::Gauge) {
    metric.gauge.value = value;
  } else {
    metric.counter.value = value;
  }
  return metric;
}

class Families {
 public:
  template <class Value>
  void gauge(const char* name, const char* help, Value value) {
    add(name, help, MetricType::Gauge, static_cast<double>(value));
  }
  template <class Value>
  void counter(const char* name, const char* help, Value value) {
    add(name, help, MetricType::Counter, static_cast<double>(value));
  }
  void by_reason(const char* name, const char* help,
                 const std::map<std::string, std::uint64_t>& counts) {
    MetricFamily family{name, help, MetricType::Counter, {}};
    for (const auto& [reason, count] : counts) {
      auto metric = with_value(MetricType::Counter, static_cast<double>(count));
      metric.label = {{"reason", reason}};
      family.metric.push_back(std::move(metric));
    }
    if (!family.metric.empty()) families_.push_back(std::move(family));
  }
  [[nodiscard]] std::string text() const {
    return prometheus::TextSerializer().Serialize(families_);
  }

 private:
  void add(const char* name, const char* help, MetricType type, double value) {
    families_.push_back({name, help, type, {with_value(type, value)}});
  }

  std::vector<MetricFamily> families_;
};

void add_core(Families& out, const CoreView& view) {
  const cluster::Counters& counted = view.counters;
  out.gauge("kuilt_term", "Current term", view.term.value());
  out.gauge("kuilt_is_leader", "1 if this server leads", view.role == raft::Role::leader);
  out.gauge("kuilt_has_leader", "1 if this server knows a leader", view.leader.has_value());
  out.gauge("kuilt_commit_index", "Last committed index", view.commit.value());
  out.gauge("kuilt_last_index", "Last index of the log", view.last.index.value());
  out.gauge("kuilt_durable_index", "Last index on this server's disk", view.durable.value());
  out.gauge("kuilt_disk_age_seconds", "Age of the oldest write that the disk is not done with",
            std::chrono::duration<double>(view.disk_age).count());
  out.gauge("kuilt_disk_stalled", "1 if that is too old: this server neither leads nor votes",
            view.disk_stalled);
  out.counter("kuilt_disk_stalls_total", "Times the disk was found to hang", counted.disk_stalls);
  out.counter("kuilt_gave_way_total", "Times this server gave up the lead as its disk hung",
              counted.gave_way);
  out.gauge("kuilt_waiting_proposals", "Proposals without an outcome", view.waiting);
  out.gauge("kuilt_sessions", "Sessions in the table", view.sessions);
  out.counter("kuilt_proposals_total", "Proposals taken from clients", counted.proposals);
  out.counter("kuilt_appended_total", "Commands appended as leader", counted.appended);
  out.counter("kuilt_suppressed_repeats_total", "Repeats kept out of the log",
              counted.suppressed_repeats);
  out.counter("kuilt_committed_repeats_total", "Of these, repeats of a committed entry",
              counted.committed_repeats);
  out.counter("kuilt_forwards_total", "Batches passed on to a leader", counted.forwards);
  out.counter("kuilt_reforwards_total", "Proposals passed on again", counted.reforwards);
  out.counter("kuilt_lost_forwards_total", "Forwards without an answer in time",
              counted.lost_forwards);
  out.counter("kuilt_stale_answers_total", "Answers of an earlier number or term, ignored",
              counted.stale_answers);
  out.counter("kuilt_truncations_total", "Times a new leader took back the end of the log",
              counted.truncations);
  out.counter("kuilt_truncated_entries_total", "Entries taken back", counted.truncated_entries);
  out.counter("kuilt_elections_won_total", "Elections won", counted.elections_won);
  out.counter("kuilt_cuts_total", "Cuts for snapshots appended as leader", counted.cuts);
  out.counter("kuilt_transfers_total", "Times this server handed over the lead",
              counted.transfers_done);
  out.counter("kuilt_transfers_given_back_total",
              "Times the server that was to take over the lead did not, and this one led on",
              counted.transfers_given_back);
  out.counter("kuilt_admission_questions_total", "Proposals that the state machine was asked about",
              counted.asked);
  out.counter("kuilt_not_admitted_total", "Of these, not admitted", counted.not_admitted);
  out.counter("kuilt_refused_busy_total", "Proposals refused as busy", counted.refused_busy);
  out.by_reason("kuilt_peer_messages_refused_total",
                "Messages of other servers that were not obeyed, by reason",
                counted.refused_peer_messages);
  out.counter("kuilt_read_barriers_total", "Read barriers taken from clients", counted.barriers);
  out.counter("kuilt_reads_led_total", "Reads confirmed as leader", counted.reads_led);
  out.counter("kuilt_reads_asked_total", "Reads confirmed by the leader elsewhere",
              counted.reads_asked);
  out.counter("kuilt_reads_failed_total", "Reads without an index: no leader, or a lead lost",
              counted.reads_lost + counted.reads_failed);
}

void add_log(Families& out, const LogThread::Figures& log) {
  out.counter("kuilt_log_syncs_total", "Batches synced, one fdatasync each", log.batches);
  out.counter("kuilt_log_entries_total", "Entries written", log.entries);
  out.counter("kuilt_log_bytes_total", "Bytes written", log.bytes);
  out.counter("kuilt_log_sync_seconds_total", "Time spent in fdatasync",
              static_cast<double>(log.sync_nanoseconds) * 1e-9);
}

void add_disk(Families& out, const DiskUsage& disk) {
  out.gauge("kuilt_log_disk_bytes", "Size of the log's files", disk.log_bytes);
  out.gauge("kuilt_disk_free_bytes", "Free on the disk that holds them", disk.free_bytes);
}

void add_clients(Families& out, const ShardFigures& shards) {
  out.gauge("kuilt_clients", "Admitted client links", shards.clients);
  out.gauge("kuilt_client_queued_bytes", "Bytes queued for clients", shards.queued_bytes);
  out.counter("kuilt_feed_frames_total", "Feed frames sent", shards.feed.frames_sent);
  out.counter("kuilt_feed_frames_encoded_total", "Feed frames encoded", shards.feed.frames_encoded);
  out.counter("kuilt_feed_entries_total", "Entries sent to learners", shards.feed.entries_sent);
  out.counter("kuilt_feed_loads_total", "Reads of old log for learners", shards.feed.loads);
  out.counter("kuilt_room_drops_total", "Messages that a client was too slow for",
              shards.room_frames_dropped);
  out.counter("kuilt_resumes_total", "Learners that resumed", shards.feed.resumes);
  out.counter("kuilt_held_resumes_total", "Resumes ahead of this server, held",
              shards.feed.held_resumes);
}

void add_rooms(Families& out, const RoomFigures& rooms) {
  const cluster::RoomCounters& counted = rooms.counters;
  out.gauge("kuilt_rooms", "Rooms with members, on any server", rooms.rooms);
  out.gauge("kuilt_room_links", "Client links of this server that are in rooms", rooms.links);
  out.counter("kuilt_room_joins_total", "Joins of rooms", counted.joins);
  out.counter("kuilt_room_joins_refused_total", "Joins beyond a bound", counted.refused_joins);
  out.counter("kuilt_room_leaves_total", "Members that left, or did not come back", counted.leaves);
  out.counter("kuilt_room_messages_total", "Messages taken from members", counted.messages);
  out.counter("kuilt_room_messages_refused_total", "Messages beyond a bound",
              counted.refused_messages);
  out.counter("kuilt_room_deliveries_total", "Messages for links of this server",
              counted.deliveries);
  out.counter("kuilt_room_peer_drops_total", "Messages that another server was too slow for",
              counted.dropped_for_peers);
  out.counter("kuilt_room_inputs_refused_total", "Joins and messages that came too fast",
              rooms.refused_inputs);
}

void add_snapshots(Families& out, const SnapshotFigures& figures) {
  const SnapshotStatus newest = figures.newest.value_or(SnapshotStatus{});
  out.gauge("kuilt_snapshot_index", "Cut of the newest snapshot on the disk; 0: none",
            newest.at.index.value());
  out.gauge("kuilt_snapshot_bytes", "Size of its file", newest.bytes);
  out.gauge("kuilt_snapshot_age_seconds", "Since it was written, or found at the start",
            static_cast<double>(newest.age.count()) * 1e-9);
  out.gauge("kuilt_snapshot_failing", "1 if the last one was given up", !figures.failure.empty());
  out.counter("kuilt_snapshots_total", "Snapshots written", figures.written);
  out.counter("kuilt_snapshots_given_up_total", "Snapshots given up", figures.given_up);
  out.counter("kuilt_cuts_passed_over_total", "Cuts that came while a snapshot was being written",
              figures.passed_over);
}

nlohmann::ordered_json snapshot_json(const ServerStatus& status) {
  if (!status.snapshot) return nullptr;
  return {{"index", status.snapshot->at.index.value()},
          {"term", status.snapshot->at.term.value()},
          {"bytes", status.snapshot->bytes},
          {"digest", status.snapshot->digest},
          {"age_seconds", status.snapshot->age / std::chrono::seconds(1)}};
}

}  // namespace

std::string metrics_text(const Node& node) {
  Families out;
  add_core(out, node.core_view());
  add_log(out, node.log_figures());
  if (const auto disk = node.disk()) add_disk(out, *disk);
  add_clients(out, node.shard_figures());
  add_rooms(out, node.room_figures());
  if (const auto applied = node.applied()) {
    out.gauge("kuilt_applied_index", "Last index that the state machine has applied",
              applied->value());
  }
  if (const auto snapshots = node.snapshot_figures()) add_snapshots(out, *snapshots);
  out.gauge("kuilt_peers_linked", "Members that this server has a link with",
            node.status().peers_linked);
  out.gauge("kuilt_members", "Members of the cluster, voters and learners", node.status().members);
  out.by_reason("kuilt_peers_refused_total",
                "Links between servers that one of the two refused, by reason",
                node.peer_refusals());
  return out.text();
}

std::string status_json(const Node& node) {
  const ServerStatus status = node.status();
  const LogThread::Figures log = node.log_figures();
  const auto disk = node.disk();
  const nlohmann::ordered_json applied =
      status.applied ? nlohmann::ordered_json(status.applied->value()) : nullptr;
  const nlohmann::ordered_json row = {
      {"name", status.name},
      {"id", status.id.text()},
      {"cluster", status.cluster.text()},
      {"history", status.history.text()},
      {"role", status.role},
      {"term", status.term.value()},
      {"leader", status.leader},
      {"commit", status.commit.value()},
      {"last", status.last.value()},
      {"durable", status.durable.value()},
      {"disk_age_ms", status.disk_age / std::chrono::milliseconds(1)},
      {"disk_stalled", status.disk_stalled},
      {"applied", applied},
      {"snapshot", snapshot_json(status)},
      {"snapshot_failure", status.snapshot_failure},
      {"clients", status.clients},
      {"voters", status.voters},
      {"members", status.members},
      {"peers_linked", status.peers_linked},
      {"log_bytes", disk ? disk->log_bytes : 0},
      {"disk_free_bytes", disk ? disk->free_bytes : 0},
      {"log_bytes_written", log.bytes},
      {"log_syncs", log.batches},
      {"failure", status.failure}};
  return row.dump();
}

}  // namespace kuilt::server
