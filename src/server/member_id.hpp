// member_id.hpp: who a client is among the members of rooms.
#pragma once

#include <string>

#include "wire/client_messages.hpp"

namespace kuilt::server {

/// A digest of cluster, principal and the secret that the client showed: the same on every server
/// of the cluster, and of no use for finding the secret. Without a secret: drawn at random, for
/// this link alone.
[[nodiscard]] PeerId member_id(ClusterId cluster, const std::string& principal,
                               wire::ClientSecret secret);

}  // namespace kuilt::server
