#include "cluster/boot.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "cluster/committed_state.hpp"
#include "wire/entry.hpp"

namespace kuilt::cluster {
namespace {

Error broken(const raft::Entry& entry, const std::string& what) {
  return Error(ErrorCode::corrupt, Effect::none,
               "entry " + std::to_string(entry.at.index.value()) + ": " + what);
}

// What a cluster's configurations have in common, as long as no one of them is committed here.
raft::SharedConfiguration without_members(raft::Configuration configuration) {
  configuration.members.clear();
  configuration.outgoing.clear();
  configuration.wanted.clear();
  return std::make_shared<const raft::Configuration>(std::move(configuration));
}

}  // namespace

BootBuilder::BootBuilder(Position base, std::uint64_t checkpoint_interval,
                         raft::SharedConfiguration at_base, std::vector<BootSnapshot> snapshots)
    : base_(base),
      configuration_(std::move(at_base)),
      digests_(checkpoint_interval),
      cuts_(base.index),
      snapshots_(std::move(snapshots)) {
  if (configuration_) sessions_.emplace(configuration_->parameters);
  if (configuration_) {
    for (const raft::Member& member : configuration_->members) named_.insert(member.id);
  }
  if (base_ != Position{}) digests_.begin(base_, {});
}

// In force as soon as something vouches for it, or for an entry behind it.
Status BootBuilder::take_configuration(const raft::Entry& entry) {
  auto admitted = wire::admit_stored(entry.at, entry.kind, entry.stored);
  if (!admitted) return broken(entry, admitted.error().message());
  const raft::SharedConfiguration& found = admitted->configuration;
  if (!configuration_) configuration_ = without_members(*found);
  pending_configuration_ = found;
  for (const raft::Member& member : found->members) pending_named_.insert(member.id);
  if (!sessions_) sessions_.emplace(configuration_->parameters);
  return Done{};
}

Status BootBuilder::take(const raft::Entry& entry, bool committed) {
  if (entry.kind == raft::EntryKind::configuration) {
    if (Status status = take_configuration(entry); !status) return status;
  }
  if (!sessions_) return broken(entry, "comes before any configuration");
  if (entry.kind == raft::EntryKind::command) {
    const auto command = wire::decode_command(entry);
    if (!command) return broken(entry, command.error().message());
    sessions_->append(*command);
  }
  cuts_.append(entry);
  pending_.push_back(entry);
  if (committed) commit_pending();
  if (entry.kind == raft::EntryKind::cut) meet_cut(entry.at);
  return Done{};
}

void BootBuilder::commit_pending() {
  for (const raft::Entry& entry : pending_) digests_.extend(entry);
  if (!pending_.empty()) sessions_->release(pending_.back().at.index);
  pending_.clear();
  if (pending_configuration_) configuration_ = std::exchange(pending_configuration_, nullptr);
  named_.merge(pending_named_);
  pending_named_.clear();
}

// The table and the digests of the log are as of the cut right now, and so must the snapshot be. It
// goes on with the snapshot's: what a start without that part of the log would have.
void BootBuilder::meet_cut(Position cut) {
  for (const BootSnapshot& snapshot : snapshots_) {
    if (snapshot.at != cut) continue;
    RoomDigests digests = digests_;
    for (const raft::Entry& entry : pending_) digests.extend(entry);
    const auto& configuration = pending_configuration_ ? pending_configuration_ : configuration_;
    auto state = CommittedState::decode(snapshot.state);
    const bool is_equal =
        state && snapshot.state == encode_state(cut, *configuration, *sessions_, digests);
    if (!is_equal) {
      complaints_.push_back(
          "the snapshot at index " + std::to_string(cut.index.value()) + " of term " +
          std::to_string(cut.term.value()) +
          " says something else of sessions, rooms or configuration than the log before it" +
          (state ? "" : ": " + state.error().message()));
      continue;
    }
    commit_pending();
    sessions_ = state->sessions();
    restored_ = cut;
  }
}

Index BootBuilder::proven(Index commit) const {
  return restored_ ? std::max(commit, restored_->index) : commit;
}

Result<BootBuilder::Boots> BootBuilder::finish(Log log) && {
  if (!configuration_) {
    return Error(ErrorCode::corrupt, Effect::none, "the log has no configuration");
  }
  for (raft::Entry& entry : log.tail) {
    if (entry.kind != raft::EntryKind::configuration) continue;
    auto admitted = wire::admit_stored(entry.at, entry.kind, std::move(entry.stored));
    if (!admitted) return std::move(admitted).error();
    entry = *std::move(admitted);
  }
  log.commit = proven(log.commit);
  cuts_.release(log.commit);
  FeedBoot feed{.cluster = configuration_->cluster,
                .history = configuration_->history,
                .base = base_,
                .terms = {},
                .digests = std::move(digests_)};
  for (const raft::TermRange& range : log.terms) {
    if (range.first <= log.commit) feed.terms.push_back(range);
  }
  raft::Boot core{.self = log.self,
                  .boot = log.boot,
                  .hard = log.hard,
                  .base = base_,
                  .terms = std::move(log.terms),
                  .last = log.last,
                  .tail = std::move(log.tail),
                  .commit = log.commit,
                  .configuration = configuration_};
  return Boots{{std::move(core), *std::move(sessions_), std::move(cuts_)}, std::move(feed)};
}

}  // namespace kuilt::cluster
