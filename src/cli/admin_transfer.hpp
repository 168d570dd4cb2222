// admin_transfer.hpp: the order to hand over the lead, to the server that has it.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "kuilt/result.hpp"

namespace kuilt::cli {

struct Transferred {
  std::string leader;
  std::string before;  ///< Who led when it was asked.
};

/// Asks the admin listeners who leads, and orders that server to hand over: to `target`, or, if it
/// is empty, to the one that suits best. While no leader is known, or it changes meanwhile, it
/// looks again, for `patience`. Errors: no_server (none answers), no_leader, not_leader (its
/// listener is not among those given), bad_frame, and those of ServerCluster::transfer_leadership.
Result<Transferred> transfer_lead(const std::vector<std::string>& addresses,
                                  const std::string& target, std::chrono::milliseconds patience);

}  // namespace kuilt::cli
