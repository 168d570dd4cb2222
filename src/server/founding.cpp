#include "server/founding.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <openssl/evp.h>

namespace kuilt::server {
namespace {

template <class AnyId>
AnyId digest_of(std::string_view label, BytesView bytes) {
  std::string text(label);
  text += bytes.text();
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned int size = 0;
  KUILT_CHECK(EVP_Digest(text.data(), text.size(), out.data(), &size, EVP_sha256(), nullptr) == 1);
  const auto half = [&out](std::size_t from) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i) value = (value << 8) | out.at(from + i);
    return value;
  };
  return AnyId(half(0), half(8));
}

}  // namespace

raft::Configuration founding_record(std::vector<raft::Member> members,
                                    const raft::Parameters& parameters) {
  std::sort(members.begin(), members.end(),
            [](const raft::Member& a, const raft::Member& b) { return a.id < b.id; });
  raft::Configuration record{
      .cluster = {}, .history = {}, .members = std::move(members), .parameters = parameters};
  const Bytes bytes = wire::encode_configuration_record(record);
  record.cluster = digest_of<ClusterId>("kuilt cluster ", bytes);
  record.history = digest_of<HistoryId>("kuilt history ", bytes);
  return record;
}

std::uint64_t list_digest(std::vector<FoundingMember> list) {
  std::sort(list.begin(), list.end(),
            [](const FoundingMember& a, const FoundingMember& b) { return a.name < b.name; });
  std::string text;
  for (const FoundingMember& member : list) text += member.name + "=" + member.peer_address + ",";
  return digest_of<NodeId>("kuilt list ", text).high();
}

Founding::Founding(wire::FoundingOffer own, const std::vector<FoundingMember>& list,
                   const raft::Parameters& parameters)
    : own_(std::move(own)), parameters_(parameters) {
  for (const FoundingMember& member : list) list_.emplace(member.name, member);
  KUILT_CHECK(list_.contains(own_.name) && list_.size() > 1);
  offers_.emplace(own_.name, own_);
}

Founding::Output Founding::on_link(NodeId peer) {
  Output out;
  out.send.push_back({peer, own_});
  if (record_) {
    out.send.push_back(
        {peer, wire::FoundingHold{wire::encode_configuration_record(*record_), false}});
  }
  return out;
}

Founding::Output Founding::on_offer(const wire::FoundingOffer& offer) {
  if (offer.list_digest != own_.list_digest || !list_.contains(offer.name)) {
    Output out;
    out.failed = Error(ErrorCode::founding_differs,
                       "server " + offer.name + " was started with another --found list than " +
                           own_.name + "; give all servers the same");
    return out;
  }
  const auto known = offers_.find(offer.name);
  // Other details under the same id change nothing: a record once held is replaced only for a new
  // id, and ids never come back, so that no two records can gather all holds in turn.
  if (known != offers_.end() && known->second.node == offer.node) return {};
  // A server that lost its directory comes back under a new id: what it held before is void.
  if (known != offers_.end()) holds_.erase(known->second.node);
  offers_.insert_or_assign(offer.name, offer);
  record_.reset();
  if (offers_.size() < list_.size()) return {};

  std::vector<raft::Member> members;
  for (const auto& [name, made] : offers_) {
    members.push_back({made.node, name, made.peer_url, made.client_url, true});
  }
  record_ = founding_record(std::move(members), parameters_);
  Output out = consider();
  tell_all(out, wire::FoundingHold{wire::encode_configuration_record(*record_), false});
  return out;
}

Founding::Output Founding::on_hold(NodeId from, const wire::FoundingHold& hold) {
  if (hold.founded) return adopt(hold);
  holds_.insert_or_assign(from, hold.record);
  return consider();
}

/// All hold the same: then it is the record, whoever writes it first.
Founding::Output Founding::consider() {
  Output out;
  if (!record_) return out;
  const Bytes ours = wire::encode_configuration_record(*record_);
  for (const raft::Member& member : record_->members) {
    if (member.id == own_.node) continue;
    const auto held = holds_.find(member.id);
    if (held == holds_.end() || !(held->second == ours)) return out;
  }
  out.founded = record_;
  return out;
}

/// The cluster exists. Either it was founded with us, and only our writing was cut short, or it
/// was founded with a directory that is gone.
Founding::Output Founding::adopt(const wire::FoundingHold& hold) {
  Output out;
  auto record = wire::decode_configuration_record(hold.record);
  if (!record) {
    out.failed = std::move(record).error().within("read the founding record of another server");
  } else if (record->find(own_.node) == nullptr) {
    out.failed =
        Error(ErrorCode::directory_lost,
              "cluster " + record->cluster.text() + " was founded with another data directory of " +
                  own_.name + " (this one has node id " + own_.node.text() +
                  "); a lost server can't come back as the old member, replace it: kuilt members "
                  "replace");
  } else {
    out.founded = *std::move(record);
  }
  return out;
}

void Founding::tell_all(Output& out, const wire::PeerMessage& message) const {
  for (const auto& [name, offer] : offers_) {
    if (name != own_.name) out.send.push_back({offer.node, message});
  }
}

std::vector<std::string> Founding::missing() const {
  std::vector<std::string> names;
  for (const auto& [name, member] : list_) {
    if (!offers_.contains(name)) names.push_back(name);
  }
  return names;
}

}  // namespace kuilt::server
