#include "cluster/boot.hpp"

#include <string>
#include <utility>

#include "wire/entry.hpp"

namespace kuilt::cluster {
namespace {

Error broken(const raft::Entry& entry, const std::string& what) {
  return Error(ErrorCode::corrupt, Effect::none,
               "entry " + std::to_string(entry.at.index.value()) + ": " + what);
}

}  // namespace

BootBuilder::BootBuilder(Position base, std::uint64_t checkpoint_interval,
                         raft::SharedConfiguration at_base)
    : base_(base), configuration_(std::move(at_base)), digests_(checkpoint_interval) {
  if (configuration_) sessions_.emplace(configuration_->parameters);
  if (base_ != Position{}) digests_.begin(base_, {});
}

Status BootBuilder::take_configuration(const raft::Entry& entry) {
  auto admitted = wire::admit_stored(entry.at, entry.kind, entry.stored);
  if (!admitted) return broken(entry, admitted.error().message());
  configuration_ = admitted->configuration;
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
  if (committed) {
    sessions_->release(entry.at.index);
    digests_.extend(entry);
  }
  return Done{};
}

Result<BootBuilder::Boots> BootBuilder::finish(Log log) && {
  if (!configuration_ || configuration_->find(log.self) == nullptr) {
    return Error(ErrorCode::corrupt, Effect::none,
                 "the log has no configuration that names node " + log.self.text());
  }
  for (raft::Entry& entry : log.tail) {
    if (entry.kind != raft::EntryKind::configuration) continue;
    auto admitted = wire::admit_stored(entry.at, entry.kind, std::move(entry.stored));
    if (!admitted) return std::move(admitted).error();
    entry = *std::move(admitted);
  }
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
  return Boots{{std::move(core), *std::move(sessions_)}, std::move(feed)};
}

}  // namespace kuilt::cluster
