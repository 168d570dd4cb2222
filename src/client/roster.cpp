// roster.cpp: finding members. Out of line: a header that does not sort compiles faster.
#include "kuilt/roster.hpp"

#include <algorithm>
#include <utility>

namespace kuilt {
namespace {

bool before(const RoomMember& a, const RoomMember& b) { return a.id < b.id; }

}  // namespace

Roster::Roster(std::vector<RoomMember> members) : members_(std::move(members)) {
  std::sort(members_.begin(), members_.end(), before);
  const auto same = [](const RoomMember& a, const RoomMember& b) { return a.id == b.id; };
  members_.erase(std::unique(members_.begin(), members_.end(), same), members_.end());
}
const RoomMember* Roster::find(PeerId id) const {
  const auto at = std::lower_bound(members_.begin(), members_.end(), RoomMember{id, {}}, before);
  return at != members_.end() && at->id == id ? &*at : nullptr;
}

}  // namespace kuilt
