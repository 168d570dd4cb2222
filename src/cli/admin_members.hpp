// admin_members.hpp: who the members are, as the server that leads says on its admin listener.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kuilt/result.hpp"

namespace kuilt::cli {

struct AdminMember {
  std::string name;
  std::string id;
  std::string standing;  ///< As in MemberStatus.
  std::string peer;
  std::string client;
  std::optional<std::uint64_t> behind;
};
struct AdminMembers {
  std::string stage;  ///< As in MembershipStatus.
  std::vector<AdminMember> members;
};

/// Asks the server that leads; any other one would know later.
/// Errors: no_server, no_leader, not_leader (its listener is not among those given), bad_frame.
Result<AdminMembers> ask_members(const std::vector<std::string>& addresses);

}  // namespace kuilt::cli
