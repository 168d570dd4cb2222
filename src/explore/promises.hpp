// promises.hpp: what Raft promises about a whole group over all its past, crashes included.
//
// raft/invariants.hpp looks at cores, and forgets with them. This remembers who led and what was
// decided, and looks at the disks too.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "explore/hash.hpp"
#include "explore/server.hpp"
#include "raft/invariants.hpp"

namespace kuilt::explore {

/// Equal numbers, equal entries.
using EntryNumber = std::uint32_t;
class EntryNumbers {
 public:
  EntryNumber of(const raft::Entry& entry);

 private:
  std::unordered_map<Hash, EntryNumber, HashOfHash> numbers_;
};

/// What promises are made about, of one server.
struct Facts {
  raft::View view;
  std::vector<EntryNumber> log;
  std::vector<EntryNumber> on_disk;
};
[[nodiscard]] Facts facts_of(const Server& server, EntryNumbers& numbers);

struct Decision {
  EntryNumber entry = 0;
  Term in;  ///< The term of the server that committed it first.
  friend bool operator==(const Decision&, const Decision&) = default;
};

/// What a group may never go back on.
struct Past {
  std::vector<Decision> decided;        ///< From index 1 on.
  std::vector<std::uint8_t> leader_of;  ///< By term: the slot + 1 of who led it; 0 for nobody.
};

/// What is decided already when a group begins.
[[nodiscard]] Past past_of(std::span<const Facts* const> group);
/// Takes in that `changed` went from `before` to what is in `group` now, and says what that broke.
[[nodiscard]] raft::Violation broken_by(const Facts& before, std::span<const Facts* const> group,
                                        Slot changed, Past& past);
/// What this message promises and the disk of its sender, as it leaves, does not hold (rule 1).
[[nodiscard]] raft::Violation broken_promise(const Disk& disk, NodeId self,
                                             const raft::Outgoing& outgoing);

}  // namespace kuilt::explore
