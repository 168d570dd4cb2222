// admin_leader.hpp: orders to the server that leads, by its admin listener.
#pragma once

#include <string>
#include <vector>

#include "kuilt/result.hpp"

namespace kuilt::cli {

struct Leading {
  std::string name;
  std::string address;  ///< Of its admin listener.
};

/// Errors: no_server (none answers), no_leader, not_leader (its listener is not among those given).
Result<Leading> find_leader(const std::vector<std::string>& addresses);

/// For a query.
[[nodiscard]] std::string percent_encoded(const std::string& text);

/// POSTs `target`, and returns the JSON object that answers it when it is carried out.
/// Errors: no_server, bad_frame, and whatever error the server names.
Result<std::string> give_order(const std::string& address, const std::string& target);

}  // namespace kuilt::cli
