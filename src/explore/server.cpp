#include "explore/server.hpp"

#include <algorithm>
#include <utility>

namespace kuilt::explore {
namespace {

using namespace std::chrono_literals;

raft::Boot boot_from(const Setting& setting, Slot slot, std::uint64_t starts, const Disk& disk) {
  raft::Boot boot;
  boot.self = node_id(slot);
  // The same for all servers that started as often: a core compares those of one peer only, and an
  // exchange of members changes nothing.
  boot.boot = BootId(1, starts);
  boot.hard = disk.hard;
  boot.tail = disk.entries;
  boot.last = Index(disk.entries.size());
  for (const raft::Entry& entry : disk.entries) {
    const bool new_term = boot.terms.empty() || boot.terms.back().term != entry.at.term;
    if (new_term) boot.terms.push_back({entry.at.index, entry.at.term});
  }
  boot.commit = disk.commit;
  boot.configuration = setting.configuration;
  return boot;
}

std::string text_of_hard(const raft::HardState& hard, std::span<const NodeId> order) {
  const auto place = std::ranges::find(order, hard.vote) - order.begin();
  return std::to_string(hard.term.value()) + " " + std::to_string(place) + " ";
}

std::string text_of_write(const raft::Write& write, std::span<const NodeId> order) {
  const std::string cut =
      write.truncate_after ? std::to_string(write.truncate_after->value()) : "-";
  return text_of_hard(write.hard, order) + cut + " " + text_of(write.entries) + " " +
         std::to_string(write.commit.value()) + ";";
}

}  // namespace

Setting setting_of(std::size_t voters) {
  Setting setting;
  setting.options.heartbeat_interval = 1ms;
  setting.options.retransmit_after = 1s;
  setting.options.election_timeout_min = 1h - 1s;
  setting.options.election_timeout_max = 1h;
  setting.options.learner_silence_max = 1h;
  setting.options.disk_stall_max = 24h * 365;  // Longer than all timers of a slice together.
  auto configuration = std::make_shared<raft::Configuration>();
  for (Slot slot = 0; slot < voters; ++slot) {
    configuration->members.push_back({node_id(slot), std::string(1, letter(slot)), {}, {}, true});
  }
  setting.configuration = std::move(configuration);
  return setting;
}

Server::Server(std::shared_ptr<const Setting> setting, Slot slot, Disk disk)
    : setting_(std::move(setting)),
      slot_(slot),
      disk_(std::move(disk)),
      core_(setting_->options, boot_from(*setting_, slot_, starts_, disk_), slot_, now_) {
  if (setting_->raft_trace != nullptr) setting_->raft_trace->booted(Instant{}, core_);
  step(raft::Tick{});
}

Effects Server::step(const raft::Input& input) {
  raft::Output out = core_.step(now_, input);
  if (setting_->raft_trace != nullptr) {
    setting_->raft_trace->stepped(Instant{}, core_, input,
                                  out);  // No clock here is anybody's else.
  }
  if (out.write) disk_.queue.push_back(std::move(*out.write));
  wake_at_ = out.wake_at;
  Effects effects{outbox_.put(std::move(out.send)), out.refused};
  for (const raft::NeedEntries& need : out.need_entries) {
    Effects more = step(load(need));
    effects.sent.insert(effects.sent.end(), more.sent.begin(), more.sent.end());
  }
  return effects;
}

// Reading takes no time. What is not in memory is durable.
raft::Loaded Server::load(const raft::NeedEntries& need) const {
  raft::Loaded loaded{need.peer, need.first, {}};
  for (Index at = need.first; at <= need.last; at = at.next()) {
    loaded.entries.push_back(disk_.entries.at(static_cast<std::size_t>(at.value() - 1)));
  }
  return loaded;
}

Effects Server::time_out() {
  now_ = leads() ? now_ + setting_->options.election_timeout_max : wake_at_;
  return step(raft::Tick{});
}

Effects Server::beat() {
  now_ += setting_->options.heartbeat_interval;
  return step(raft::Tick{});
}

Effects Server::send_again() {
  now_ += setting_->options.retransmit_after;
  return step(raft::Tick{});
}

Effects Server::propose(const std::string& command) {
  const Position at{core_.last().index.next(), core_.term()};
  return step(raft::Propose{{{at, raft::EntryKind::command, Bytes(command), {}}}});
}

void Server::apply_first_write() {
  const raft::Write write = std::move(disk_.queue.front());
  disk_.queue.erase(disk_.queue.begin());
  if (setting_->disks_lie) return;
  disk_.hard = write.hard;
  if (write.truncate_after) {
    disk_.entries.resize(static_cast<std::size_t>(write.truncate_after->value()));
  }
  disk_.entries.insert(disk_.entries.end(), write.entries.begin(), write.entries.end());
  disk_.commit = write.commit;
}

Effects Server::finish_write() {
  const raft::WriteSeq seq = disk_.queue.front().seq;
  apply_first_write();
  Effects released{outbox_.written(seq), raft::Refusal::none};
  Effects effects = step(raft::Written{seq});
  released.sent.insert(released.sent.end(), effects.sent.begin(), effects.sent.end());
  return released;
}

Effects Server::crash(std::size_t survivors) {
  for (std::size_t i = 0; i < survivors; ++i) apply_first_write();
  disk_.queue.clear();
  outbox_ = raft::Outbox();
  ++starts_;
  core_ = raft::Core(setting_->options, boot_from(*setting_, slot_, starts_, disk_), slot_, now_);
  if (setting_->raft_trace != nullptr) setting_->raft_trace->booted(Instant{}, core_);
  return step(raft::Tick{});
}

Effects Server::receive(Slot from, const raft::Message& message) {
  return step(raft::Received{node_id(from), message});
}

Effects Server::receive_after_silence(Slot from, const raft::Message& message) {
  now_ = leads() ? now_ + setting_->options.election_timeout_max : wake_at_ - Duration(1);
  return receive(from, message);
}

Effects Server::lose_link(Slot to) { return step(raft::PeerLost{node_id(to)}); }

Effects Server::stall() {
  now_ += setting_->options.disk_stall_max;
  return step(raft::Tick{});
}

std::vector<raft::Entry> Server::log() const {
  std::vector<raft::Entry> log;
  for (Index i(1); i < core_.first_in_memory(); i = i.next()) {
    log.push_back(disk_.entries.at(static_cast<std::size_t>(i.value() - 1)));
  }
  for (Index i = core_.first_in_memory(); i <= core_.last().index; i = i.next()) {
    log.push_back(core_.entry_at(i));
  }
  return log;
}

std::string Server::fingerprint(std::span<const NodeId> order) const {
  std::string text = core_.fingerprint_without_timers(order);
  text += "start " + std::to_string(starts_) + " disk " + text_of_hard(disk_.hard, order) +
          text_of(disk_.entries) + " " + std::to_string(disk_.commit.value()) + ";";
  for (const raft::Write& write : disk_.queue) text += text_of_write(write, order);
  // In the order of the members, for messages to different ones have none among themselves.
  for (const NodeId to : order) {
    for (const raft::Outgoing& held : outbox_.held()) {
      if (held.to != to) continue;
      const auto before = [&](const raft::Write& write) { return write.seq < held.needs; };
      text += std::to_string(std::ranges::count_if(disk_.queue, before)) + " " +
              text_of(held.message) + ";";
    }
    text += "|";
  }
  return text;
}

std::string Server::text() const {
  const raft::HardState hard = core_.hard_state();
  std::string text(raft::name_of(core_.role()));
  text += " in term " + std::to_string(hard.term.value());
  if (!hard.vote.is_none()) {
    text += std::string(", vote ") + letter(slot_of(hard.vote, setting_->voters()));
  }
  text += "; log " + (core_.last().index == Index() ? "empty" : text_of(log()));
  text += "; durable " + std::to_string(core_.durable_index().value());
  text += ", commit " + std::to_string(core_.commit_index().value());
  if (!disk_.queue.empty()) {
    text += "; writes waiting: " + std::to_string(disk_.queue.size());
  }
  return text;
}

}  // namespace kuilt::explore
