// identity.hpp: whose log a directory holds.
#pragma once

#include "kuilt/types.hpp"

namespace kuilt::storage {

/// Whose log this is: written into every segment, refused when it differs (rule 9).
struct Identity {
  ClusterId cluster;
  HistoryId history;
  NodeId node;
  friend bool operator==(const Identity&, const Identity&) = default;
};

}  // namespace kuilt::storage
