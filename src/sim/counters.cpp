#include "sim/counters.hpp"

namespace kuilt::sim {

void count(Coverage& coverage, const cluster::Counters& counters) {
  coverage.count("suppressed repeats", counters.suppressed_repeats);
  coverage.count("joined repeats", counters.joined_repeats);
  coverage.count("committed repeats", counters.committed_repeats);
  coverage.count("forwards", counters.forwards);
  coverage.count("lost forwards", counters.lost_forwards);
  coverage.count("re-forwards", counters.reforwards);
  coverage.count("stale answers", counters.stale_answers);
  coverage.count("truncations", counters.truncations);
  coverage.count("truncated entries", counters.truncated_entries);
  coverage.count("elections won", counters.elections_won);
  coverage.count("hand-overs of the lead", counters.transfers_done);
  coverage.count("hand-overs given back", counters.transfers_given_back);
  coverage.count("disks that hung", counters.disk_stalls);
  coverage.count("leaders that gave way", counters.gave_way);
  coverage.count("appended", counters.appended);
  coverage.count("refused as busy", counters.refused_busy);
  coverage.count("cuts", counters.cuts);
  coverage.count("admission questions", counters.asked);
  coverage.count("not admitted", counters.not_admitted);
  coverage.count("reads confirmed by a leader", counters.reads_led);
  coverage.count("reads confirmed via a leader", counters.reads_asked);
  coverage.count("reads that lost their leader", counters.reads_lost);
  coverage.count("reads that failed otherwise", counters.reads_failed);
  coverage.count("read rounds that were shared", counters.shared_read_rounds);
  for (const auto& [name, times] : counters.refused_peer_messages) {
    coverage.count("peer messages refused: " + name, times);
  }
}

void count(Coverage& coverage, const cluster::FeedCounters& counters) {
  coverage.count("resumes", counters.resumes);
  coverage.count("held resumes", counters.held_resumes);
  coverage.count("resumes mid-batch", counters.resumes_mid_batch);
  coverage.count("feed frames", counters.frames_sent);
  coverage.count("feed loads", counters.loads);
}

void count(Coverage& coverage, const cluster::RoomCounters& counters) {
  coverage.count("room joins", counters.joins);
  coverage.count("room joins refused", counters.refused_joins);
  coverage.count("members that left", counters.leaves);
  coverage.count("members that did not come back", counters.expired_members);
  coverage.count("members that came back in time", counters.kept_members);
  coverage.count("room messages refused", counters.refused_messages);
  coverage.count("room messages for nobody", counters.unreachable_messages);
  coverage.count("room messages dropped for peers", counters.dropped_for_peers);
  coverage.count("statements of rooms", counters.statements);
}

void count(Coverage& coverage, const client::ClientCore::Counters& counters) {
  coverage.count("attempts", counters.attempts);
  coverage.count("retries", counters.retries);
  coverage.count("dials", counters.dials);
  coverage.count("sessions re-opened", counters.sessions_reopened);
}

}  // namespace kuilt::sim
