// read_index.cpp: linearizable reads without an entry in the log (Raft 8, dissertation 6.4).
//
// A read joins a heartbeat round that begins after it came in. Once a majority has answered that
// round, nobody had been elected in a later term when the read came in: each of the majority was
// still in the leader's term after that, and terms never go down. So whatever was committed by then
// was committed here, or by leaders before this one, whose entries are below the first commit of
// this term. Hence the commit index as of the round's beginning is enough.
#include <algorithm>
#include <iterator>
#include <utility>

#include "raft/core.hpp"

namespace kuilt::raft {

namespace {

// Every read waits for the same time, and wherever reads are, the oldest comes first.
void expire(std::vector<Reads::Own>& reads, Instant now, ReadFailure failure, Output& out) {
  const auto is_due = [now](const Reads::Own& read) { return read.due <= now; };
  const auto first_left = std::ranges::find_if_not(reads, is_due);
  for (auto read = reads.begin(); read != first_left; ++read) {
    out.reads.push_back({read->id, std::nullopt, failure});
  }
  reads.erase(reads.begin(), first_left);
}

void fail(std::vector<Reads::Own>& reads, Output& out) {
  for (const Reads::Own& read : std::exchange(reads, {})) {
    out.reads.push_back({read.id, std::nullopt, ReadFailure::leadership_lost});
  }
}

}  // namespace

void Core::on_read(const Read& read, Output& out) {
  std::size_t pending = reads_.waiting.size() + (reads_.asked ? reads_.asked->own.size() : 0);
  for (const Reads::Round& round : reads_.rounds) pending += round.own.size();
  if (pending >= options_.reads_max) {
    out.reads.push_back({read.id, std::nullopt, ReadFailure::busy});
  } else {
    reads_.waiting.push_back({read.id, now_ + options_.read_wait_max});
  }
}

// Runs at the end of every step: reads are answered here and nowhere else, by who leads then.
void Core::serve_reads(Output& out) {
  const Term leads_in = role_ == Role::leader ? hard_.term : Term(0);
  if (reads_.led_in != Term(0) && reads_.led_in != leads_in) fail_reads(out);
  reads_.led_in = leads_in;
  if (role_ == Role::leader) {
    take_back_reads();
    lead_reads(out);
  } else {
    ask_leader(out);
  }
}

// Whoever leads now may have committed more before these reads came in.
void Core::fail_reads(Output& out) {
  fail(reads_.waiting, out);
  for (Reads::Round& round : reads_.rounds) {
    fail(round.own, out);
    for (const Reads::OfPeer& reads : round.of_peers) answer(reads, std::nullopt, out);
  }
  for (const Reads::OfPeer& reads : reads_.of_peers) answer(reads, std::nullopt, out);
  reads_.rounds.clear();
  reads_.of_peers.clear();
}

// --- The leader's side ---

// Many reads share a round, and one round of reads is under way at a time. What came in during that
// one begins the next; if it is lost, the next heartbeat takes its place.
void Core::lead_reads(Output& out) {
  confirm_reads(out);
  const bool waits = !reads_.waiting.empty() || !reads_.of_peers.empty();
  if (!waits || !reads_.rounds.empty() || !committed_in_own_term() || gives_way()) return;
  broadcast_heartbeat(out);
  confirm_reads(out);  // Alone, this server is the majority.
}

// A round begins: all that waits joins it. Before the first commit of the term the commit index may
// be behind what earlier leaders have acknowledged.
void Core::begin_read_round() {
  if (reads_.waiting.empty() && reads_.of_peers.empty()) return;
  if (!committed_in_own_term()) return;
  reads_.rounds.push_back({.number = round_,
                           .index = commit_,
                           .own = std::exchange(reads_.waiting, {}),
                           .of_peers = std::exchange(reads_.of_peers, {})});
}

void Core::confirm_reads(Output& out) {
  while (!reads_.rounds.empty()) {
    const Reads::Round& round = reads_.rounds.front();
    const auto has_answered = [&](const Peer& peer) {
      return peer.id == self() || peer.progress.answered() >= round.number;
    };
    if (!majority(has_answered)) return;
    for (const Reads::Own& read : round.own) out.reads.push_back({read.id, round.index});
    for (const Reads::OfPeer& reads : round.of_peers) answer(reads, round.index, out);
    out.round_reads = std::max(out.round_reads, round.own.size() + round.of_peers.size());
    reads_.rounds.pop_front();
  }
}

void Core::answer(const Reads::OfPeer& reads, std::optional<Index> index, Output& out) const {
  const ReadReply reply{.term = hard_.term,
                        .number = reads.number,
                        .boot = reads.boot,
                        .confirmed = index.has_value(),
                        .index = index.value_or(Index(0))};
  send(reads.peer, reply, hard_write_, out);
}

Refusal Core::on_read_request(NodeId from, const ReadRequest& request, Output& out) {
  const Reads::OfPeer asked{from, request.boot, request.number};
  if (request.term != hard_.term || role_ != Role::leader) {
    answer(asked, std::nullopt, out);
    return request.term < hard_.term ? Refusal::stale_term : Refusal::not_leading;
  }
  const auto is_old = [&](const Reads::OfPeer& pending) {
    return pending.peer == from && pending.boot == asked.boot && pending.number >= asked.number;
  };
  const auto holds_old = [&](const Reads::Round& round) {
    return std::ranges::any_of(round.of_peers, is_old);
  };
  if (std::ranges::any_of(reads_.of_peers, is_old) ||
      std::ranges::any_of(reads_.rounds, holds_old)) {
    return Refusal::repeated_read_request;
  }
  // It has given up what it asked before, or is another life: so a peer has one place here.
  const auto is_given_up = [&](const Reads::OfPeer& pending) { return pending.peer == from; };
  std::erase_if(reads_.of_peers, is_given_up);
  for (Reads::Round& round : reads_.rounds) std::erase_if(round.of_peers, is_given_up);
  reads_.of_peers.push_back(asked);
  return Refusal::none;
}

// --- Everybody else's ---

// One request is out at a time; what comes in meanwhile joins the next.
void Core::ask_leader(Output& out) {
  const std::optional<NodeId> to = leader();
  if (reads_.asked && (reads_.asked->term != hard_.term || to != reads_.asked->to)) {
    take_back_reads();
  }
  if (!to || reads_.asked || reads_.waiting.empty() || now_ < reads_.ask_from) return;
  reads_.asked = Reads::Request{.to = *to,
                                .term = hard_.term,
                                .number = ++reads_.last_request,
                                .commit = commit_,
                                .due = now_ + options_.retransmit_after,
                                .own = std::exchange(reads_.waiting, {})};
  send(*to, ReadRequest{hard_.term, reads_.asked->number, boot_}, hard_write_, out);
}

// They wait again, in front: an answer to the request that carried them is late from now on.
void Core::take_back_reads() {
  reads_.ask_from = Instant{};
  if (!reads_.asked) return;
  std::vector<Reads::Own> first = std::move(reads_.asked->own);
  first.insert(first.end(), reads_.waiting.begin(), reads_.waiting.end());
  reads_.waiting = std::move(first);
  reads_.asked.reset();
}

void Core::ask_again_later() {
  take_back_reads();
  reads_.ask_from = now_ + options_.heartbeat_interval;
}

Refusal Core::on_read_reply(const ReadReply& reply, Output& out) {
  if (reply.term < hard_.term) return Refusal::stale_term;
  if (reply.term > hard_.term) {
    adopt(reply.term, out);
    return Refusal::none;
  }
  // An earlier life's reads are nobody's, and its numbers began at one as well.
  if (reply.boot != boot_) return Refusal::late_reply;
  if (!reads_.asked || reply.number != reads_.asked->number) return Refusal::late_reply;
  if (!reply.confirmed) {
    ask_again_later();
    return Refusal::none;
  }
  for (const Reads::Own& read : reads_.asked->own) out.reads.push_back({read.id, reply.index});
  reads_.asked.reset();
  return Refusal::none;
}

// --- Time ---

void Core::reads_on_time(Output& out) {
  const ReadFailure failure = leader() ? ReadFailure::timed_out : ReadFailure::no_leader;
  expire(reads_.waiting, now_, failure, out);
  for (Reads::Round& round : reads_.rounds) expire(round.own, now_, failure, out);
  if (!reads_.asked) return;
  expire(reads_.asked->own, now_, failure, out);
  if (now_ >= reads_.asked->due) take_back_reads();
}

Instant Core::reads_wake() const {
  Instant wake = Instant::max();
  const auto consider = [&](const std::vector<Reads::Own>& reads) {
    if (!reads.empty()) wake = std::min(wake, reads.front().due);
  };
  consider(reads_.waiting);
  for (const Reads::Round& round : reads_.rounds) consider(round.own);
  if (reads_.asked) {
    consider(reads_.asked->own);
    wake = std::min(wake, reads_.asked->due);
  }
  const bool asks_later = role_ != Role::leader && leader() && now_ < reads_.ask_from;
  if (asks_later && !reads_.waiting.empty()) wake = std::min(wake, reads_.ask_from);
  return wake;
}

}  // namespace kuilt::raft
