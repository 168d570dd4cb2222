// machine_group.hpp: machines wired together in virtual time, on a network that a test may spoil.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cluster/machine.hpp"
#include "kuilt/detail/rng.hpp"

namespace kuilt::cluster::test {

using namespace std::chrono_literals;

inline constexpr Position group_base{Index(1000), Term(7)};

inline NodeId node_id(std::size_t i) { return NodeId::named(std::string(1, char('a' + i))); }

inline wire::Proposal proposal(const std::string& session, std::uint64_t request_id,
                               std::uint64_t number = 1, const std::string& command = "x") {
  wire::Proposal made;
  made.number = number;
  made.session = SessionId::named(session);
  made.birth = group_base.index;
  made.request_id = RequestId(request_id);
  made.author = "ann";
  made.command = Bytes(command);
  return made;
}

/// What the state machines of a group return for the command at an index.
inline std::string result_of(Index index) { return "result " + std::to_string(index.value()); }

inline MachineBoot boot_of(std::size_t self, std::size_t machines) {
  raft::Configuration configuration;
  for (std::size_t i = 0; i < machines; ++i) {
    configuration.members.push_back({node_id(i), "", "", "", true});
  }
  std::sort(configuration.members.begin(), configuration.members.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  raft::Boot boot;
  boot.self = node_id(self);
  boot.boot = BootId::named(std::string("boot") + char('a' + self));
  boot.hard.term = group_base.term;
  boot.base = group_base;
  boot.last = boot.commit = group_base.index;
  boot.configuration = std::make_shared<const raft::Configuration>(configuration);
  return {std::move(boot), ClientSessionTable(configuration.parameters),
          CutTally(group_base.index)};
}

class MachineGroup {
 public:
  struct Flying {
    std::size_t from = 0;
    std::size_t to = 0;
    wire::PeerMessage message;
  };
  using Key = std::pair<LinkId, std::uint64_t>;

  explicit MachineGroup(std::size_t machines, MachineOptions options = {}, std::uint64_t seed = 1)
      : rng(seed), options_(options) {
    for (std::size_t i = 0; i < machines; ++i) {
      nodes_.emplace_back(Machine(options, boot_of(i, machines), seed * 100 + i, now));
    }
  }

  Machine& operator[](std::size_t i) { return nodes_[i].machine; }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }

  void give(std::size_t i, Input input) { nodes_[i].inbox.push_back(std::move(input)); }
  void submit(std::size_t i, std::uint64_t link, wire::Proposal one) {
    give(i, Submit{LinkId(link), {std::move(one)}});
  }
  void run_for(Duration time) {
    for (const Instant end = now + time; now < end;) turn();
  }
  bool run_until(const std::function<bool()>& met, Duration at_most = 10s) {
    for (const Instant end = now + at_most; now < end;) {
      if (met()) return true;
      turn();
    }
    return met();
  }
  std::size_t elect() {
    EXPECT_TRUE(run_until([&] { return leader().has_value(); }));
    run_for(200ms);  // All others know, and the first entry of the term is committed.
    return leader().value_or(0);
  }
  std::size_t follower() { return leader() == 0 ? 1 : 0; }
  // The one that leads in the highest term.
  [[nodiscard]] std::optional<std::size_t> leader() const {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const raft::Core& core = nodes_[i].machine.raft();
      if (core.role() != raft::Role::leader) continue;
      if (!best || nodes_[*best].machine.raft().term() < core.term()) best = i;
    }
    return best;
  }
  void isolate(std::size_t i) { isolated.insert(i); }
  [[nodiscard]] const MachineOptions& options() const { return options_; }
  [[nodiscard]] const std::vector<raft::Entry>& committed(std::size_t i) const {
    return nodes_[i].committed;
  }
  [[nodiscard]] const std::vector<raft::SharedConfiguration>& configurations(std::size_t i) const {
    return nodes_[i].configurations;
  }
  [[nodiscard]] std::optional<wire::Outcome> answer(std::uint64_t link,
                                                    std::uint64_t number = 1) const {
    const auto found = answers.find({LinkId(link), number});
    if (found == answers.end()) return std::nullopt;
    return found->second;
  }
  [[nodiscard]] std::optional<wire::BarrierOutcome> barrier(std::uint64_t link,
                                                            std::uint64_t number = 1) const {
    const auto found = barriers.find({LinkId(link), number});
    if (found == barriers.end()) return std::nullopt;
    return found->second;
  }
  [[nodiscard]] std::uint64_t count(std::uint64_t Counters::* which) const {
    std::uint64_t sum = 0;
    for (const Node& node : nodes_) sum += node.machine.counters().*which;
    return sum;
  }

  Instant now{};
  Rng rng;
  std::function<bool(const Flying&)> lost;      // Messages for which it says yes never arrive.
  std::function<Duration(const Flying&)> late;  // 1 ms unless it says otherwise.
  std::uint64_t copied_percent = 0;
  Duration disk_time = 0ms;
  std::map<std::size_t, Duration> disk_times;  // Of single machines, instead.
  // State machines that apply nothing at or after an index. The others do so at once.
  std::map<std::size_t, Index> stuck_at;
  // The state machines' word, on the server that leads.
  std::function<std::optional<std::string>(const AdmissionQuestion&)> refuses = [](const auto&) {
    return std::nullopt;
  };
  std::vector<AdmissionQuestion> questions;
  bool is_mute = false;  // Questions gather, and are not answered.
  std::set<std::size_t> isolated;
  std::map<Key, wire::Outcome> answers;
  std::map<Key, wire::BarrierOutcome> barriers;
  std::vector<TransferEnded> transfers;
  std::map<std::uint64_t, raft::ChangeRefusal> judged;  // Changes of members, by number.
  std::vector<Flying> sent;                             // Forwards and their replies.

 private:
  struct Node {
    explicit Node(Machine made) : machine(std::move(made)) {}
    Machine machine;
    std::vector<Input> inbox;
    std::vector<std::pair<Instant, raft::WriteSeq>> writes;
    std::vector<raft::Entry> committed;
    std::vector<raft::SharedConfiguration> configurations;  // That were put in force since boot.
    std::size_t applied = 0;                                // Of these.
    bool tells = false;  // Until the machine has taken in what it was told.
    std::vector<AdmissionQuestion> asked;
    Instant wake{};
  };

  void turn() {
    now += 1ms;
    for (auto end = flying_.upper_bound(now); flying_.begin() != end;) {
      deliver(std::move(flying_.extract(flying_.begin()).mapped()));
    }
    for (std::size_t i = 0; i < nodes_.size(); ++i) step(i);
  }
  void deliver(Flying flying) {
    if (isolated.contains(flying.from) || isolated.contains(flying.to)) return;
    const NodeId from = node_id(flying.from);
    if (auto* raft = std::get_if<raft::Message>(&flying.message)) {
      give(flying.to, FromPeer{from, std::move(*raft)});
    } else if (auto* forward = std::get_if<wire::Forward>(&flying.message)) {
      give(flying.to, FromPeer{from, std::move(*forward)});
    } else if (auto* reply = std::get_if<wire::ForwardReply>(&flying.message)) {
      give(flying.to, FromPeer{from, std::move(*reply)});
    }
  }
  void step(std::size_t i) {
    Node& node = nodes_[i];
    while (!node.writes.empty() && node.writes.front().first <= now) {
      node.inbox.emplace_back(raft::Written{node.writes.front().second});
      node.writes.erase(node.writes.begin());
    }
    if (options_.applies) apply(i);
    if (options_.admits) answer_questions(i);
    if (node.inbox.empty() && now < node.wake) return;
    Output out = node.machine.step(now, std::exchange(node.inbox, {}));
    for (const raft::Write& write : out.writes) {
      const auto own = disk_times.find(i);
      node.writes.emplace_back(now + 1ms + (own == disk_times.end() ? disk_time : own->second),
                               write.seq);
    }
    for (PeerSend& each : out.send) send(i, std::move(each));
    for (Answered& each : out.answers) {
      EXPECT_TRUE(answers.emplace(Key{each.link, each.answer.number}, each.answer.outcome).second)
          << "answered twice";
    }
    for (BarrierAnswered& each : out.barriers) {
      EXPECT_TRUE(barriers.emplace(Key{each.link, each.answer.number}, each.answer.outcome).second)
          << "answered twice";
    }
    for (const ChangeJudged& each : out.changes) judged[each.number] = each.refusal;
    if (out.configuration) node.configurations.push_back(out.configuration);
    if (out.committed) follow_commit(node, *out.committed);
    if (out.applied) node.tells = false;
    transfers.insert(transfers.end(), out.transfers.begin(), out.transfers.end());
    for (AdmissionQuestion& each : out.ask) {
      questions.push_back(each);
      node.asked.push_back(std::move(each));
    }
    EXPECT_TRUE(out.loads.empty());
    node.wake = out.wake_at;
  }
  void apply(std::size_t i) {
    Node& node = nodes_[i];
    if (node.tells || node.applied == node.committed.size()) return;
    Applied applied;
    while (node.applied < node.committed.size()) {
      const raft::Entry& entry = node.committed[node.applied];
      if (stuck_at.contains(i) && entry.at.index >= stuck_at.at(i)) break;
      ++node.applied;
      applied.through = entry.at.index;
      if (entry.kind != raft::EntryKind::command) continue;
      applied.results.push_back({entry.at.index, Bytes(result_of(entry.at.index))});
    }
    if (applied.through == Index()) return;
    node.tells = true;
    node.inbox.emplace_back(std::move(applied));
  }
  void answer_questions(std::size_t i) {
    Node& node = nodes_[i];
    if (is_mute) return;
    Verdicts verdicts;
    const Index applied =
        node.applied == 0 ? group_base.index : node.committed[node.applied - 1].at.index;
    std::erase_if(node.asked, [&](const AdmissionQuestion& question) {
      if (options_.applies && question.after > applied) return false;
      verdicts.verdicts.push_back({question.number, refuses(question)});
      return true;
    });
    if (!verdicts.verdicts.empty()) node.inbox.emplace_back(std::move(verdicts));
  }
  void send(std::size_t from, PeerSend each) {
    std::size_t to = 0;
    while (node_id(to) != each.to) ++to;
    Flying flying{from, to, std::move(each.message)};
    if (!std::holds_alternative<raft::Message>(flying.message)) sent.push_back(flying);
    if (lost && lost(flying)) return;
    const int copies = rng.chance(copied_percent) ? 2 : 1;
    for (int copy = 0; copy < copies; ++copy) {
      flying_.emplace(now + (late ? late(flying) : Duration(1ms)), flying);
    }
  }
  static void follow_commit(Node& node, const CommittedBatch& batch) {
    const Position last = node.committed.empty() ? group_base : node.committed.back().at;
    EXPECT_EQ(batch.prev, last) << "batches have no gap";
    EXPECT_EQ(batch.through, batch.entries.back().at);
    for (const raft::Entry& entry : batch.entries) {
      const std::uint64_t before =
          node.committed.empty() ? 1000 : node.committed.back().at.index.value();
      EXPECT_EQ(entry.at.index.value(), before + 1);
      node.committed.push_back(entry);
    }
  }

  MachineOptions options_;
  std::vector<Node> nodes_;
  std::multimap<Instant, Flying> flying_;
};

}  // namespace kuilt::cluster::test
