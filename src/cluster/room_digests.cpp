#include "cluster/room_digests.hpp"

#include <algorithm>
#include <utility>

#include "kuilt/detail/check.hpp"
#include "wire/entry.hpp"

namespace kuilt::cluster {

RoomDigests::RoomDigests(std::uint64_t checkpoint_interval)
    : checkpoint_interval_(checkpoint_interval) {
  KUILT_CHECK(checkpoint_interval > 0);
}

void RoomDigests::extend(const raft::Entry& entry) {
  switch (entry.kind) {
    case raft::EntryKind::no_op:
    case raft::EntryKind::configuration:
    case raft::EntryKind::cut: pass(entry.at); return;
    case raft::EntryKind::command: {
      const Result<wire::Command> command = wire::decode_command(entry);
      KUILT_CHECK(command.has_value());  // Every entry was checked when its bytes came in.
      extend(entry.at, command->room, wire::public_part(entry));
      return;
    }
  }
}

std::uint64_t RoomDigests::extend(Position at, std::string_view room, BytesView public_part) {
  pass(at);
  auto found = chains_.find(room);
  if (found == chains_.end()) found = chains_.emplace(RoomName(room), Chain{}).first;
  Chain& chain = found->second;
  // Checkpoints are kept late, by the first change that follows: a silent room costs nothing.
  const Index boundary = boundary_from(chain.changed);
  const bool is_kept =
      chain.kept.empty() ? chain.changed <= base_ : chain.changed <= chain.kept.back().index;
  if (!is_kept && boundary < at.index) chain.kept.push_back({boundary, chain.digest});
  chain.digest = wire::chain(chain.digest, public_part);
  chain.changed = at.index;
  return chain.digest;
}

void RoomDigests::pass(Position at) {
  KUILT_CHECK(at.index == through_.index.next());
  through_ = at;
}

void RoomDigests::begin(Position base, std::map<RoomName, std::uint64_t> chains) {
  base_ = base.index;
  through_ = base;
  chains_.clear();
  for (auto& [room, digest] : chains) {
    chains_.emplace(room, Chain{digest, base.index, {Checkpoint{base.index, digest}}});
  }
}

std::uint64_t RoomDigests::digest(std::string_view room) const {
  const auto found = chains_.find(room);
  return found == chains_.end() ? 0 : found->second.digest;
}

std::map<RoomName, std::uint64_t> RoomDigests::chains() const {
  std::map<RoomName, std::uint64_t> chains;
  for (const auto& [room, chain] : chains_) chains.emplace(room, chain.digest);
  return chains;
}

RoomDigests::Checkpoint RoomDigests::before(std::string_view room, Index index) const {
  KUILT_CHECK(base_ <= index && index <= through_.index);
  const auto found = chains_.find(room);
  if (found == chains_.end()) return {index, 0};
  const Chain& chain = found->second;
  if (chain.changed <= index) return {index, chain.digest};
  const auto later = std::ranges::upper_bound(chain.kept, index, {}, &Checkpoint::index);
  const std::uint64_t digest = later == chain.kept.begin() ? 0 : std::prev(later)->digest;
  // A change between the checkpoint found and the last boundary would have left a checkpoint there.
  const Index boundary(index.value() / checkpoint_interval_ * checkpoint_interval_);
  return {std::max(boundary, base_), digest};
}

Index RoomDigests::boundary_from(Index index) const {
  return Index((index.value() + checkpoint_interval_ - 1) / checkpoint_interval_ *
               checkpoint_interval_);
}

}  // namespace kuilt::cluster
