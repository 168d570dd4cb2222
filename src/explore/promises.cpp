#include "explore/promises.hpp"

#include <algorithm>
#include <variant>

#include "kuilt/detail/check.hpp"

namespace kuilt::explore {
namespace {

std::size_t disks_with(std::span<const Facts* const> group, std::size_t place, EntryNumber entry) {
  const auto holds = [&](const Facts* facts) {
    return place < facts->on_disk.size() && facts->on_disk[place] == entry;
  };
  return static_cast<std::size_t>(std::ranges::count_if(group, holds));
}

raft::Violation broken_by_leader(const Facts& before, const Facts& now, Slot slot, Past& past) {
  const Term term = now.view.hard.term;
  const auto place = static_cast<std::size_t>(term.value());
  if (past.leader_of.size() <= place) past.leader_of.resize(place + 1);
  auto& leader = past.leader_of[place];
  if (leader != 0 && leader != slot + 1) return "a term has one leader in all its time";
  leader = static_cast<std::uint8_t>(slot + 1);
  if (now.view.commit > before.view.commit && now.view.term_at(now.view.commit) != term) {
    return "only entries of the own term are committed by counting";
  }
  for (std::size_t i = 0; i < past.decided.size(); ++i) {
    if (past.decided[i].in >= term) continue;
    if (i >= now.log.size() || now.log[i] != past.decided[i].entry) {
      return "a leader has every entry that was decided before its term";
    }
  }
  return std::nullopt;
}

raft::Violation broken_by_commit(std::span<const Facts* const> group, Slot changed, Past& past) {
  const Facts& now = *group[changed];
  const auto commit = static_cast<std::size_t>(now.view.commit.value());
  if (commit > now.log.size()) return "what is committed is in the log";
  for (std::size_t i = 0; i < commit; ++i) {
    if (i == past.decided.size()) past.decided.push_back({now.log[i], now.view.hard.term});
    if (past.decided[i].entry != now.log[i]) return "an index is decided once";
  }
  return std::nullopt;
}

}  // namespace

EntryNumber EntryNumbers::of(const raft::Entry& entry) {
  const auto number = static_cast<EntryNumber>(numbers_.size());
  return numbers_.try_emplace(hash_of(text_of(entry)), number).first->second;
}

Facts facts_of(const Server& server, EntryNumbers& numbers) {
  Facts facts;
  facts.view = raft::view_of(server.core());
  for (const raft::Entry& entry : server.log()) facts.log.push_back(numbers.of(entry));
  for (const raft::Entry& entry : server.disk().entries) {
    facts.on_disk.push_back(numbers.of(entry));
  }
  return facts;
}

Past past_of(std::span<const Facts* const> group) {
  Past past;
  for (Slot slot = 0; slot < group.size(); ++slot) {
    KUILT_CHECK(!broken_by_commit(group, slot, past));
  }
  return past;
}

raft::Violation broken_by(const Facts& before, std::span<const Facts* const> group, Slot changed,
                          Past& past) {
  const Facts& now = *group[changed];
  if (now.view.role == raft::Role::leader) {
    if (const auto broken = broken_by_leader(before, now, changed, past)) return broken;
  }
  if (const auto broken = broken_by_commit(group, changed, past)) return broken;
  for (std::size_t i = 0; i < past.decided.size(); ++i) {
    if (disks_with(group, i, past.decided[i].entry) < group.size() / 2 + 1) {
      return "what is committed is durable on a majority, for ever";
    }
  }
  return std::nullopt;
}

raft::Violation broken_promise(const Disk& disk, NodeId self, const raft::Outgoing& outgoing) {
  const Term term = raft::term_of(outgoing.message);
  if (const auto* vote = std::get_if<raft::VoteReply>(&outgoing.message)) {
    const bool promises = vote->granted && !vote->pre && disk.hard.term <= term;
    const raft::HardState promised{term, outgoing.to};
    if (promises && disk.hard != promised) return "a vote leaves only when it is durable";
  }
  if (const auto* request = std::get_if<raft::VoteRequest>(&outgoing.message)) {
    const bool promises = !request->pre && disk.hard.term <= term;
    const raft::HardState promised{term, self};
    if (promises && disk.hard != promised) {
      return "a candidate asks for votes only when its own is durable";
    }
  }
  if (const auto* reply = std::get_if<raft::AppendReply>(&outgoing.message)) {
    const bool promises = reply->accepted && disk.hard.term <= term;
    if (promises && (disk.hard.term < term || disk.entries.size() < reply->durable.value())) {
      return "what an answer promises is durable when it leaves";
    }
  }
  return std::nullopt;
}

}  // namespace kuilt::explore
