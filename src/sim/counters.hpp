// counters.hpp: what the real parts count, under the names of the coverage.
#pragma once

#include "client/client_core.hpp"
#include "cluster/feed.hpp"
#include "cluster/machine.hpp"
#include "cluster/rooms.hpp"
#include "sim/coverage.hpp"

namespace kuilt::sim {

void count(Coverage& coverage, const cluster::Counters& counters);
void count(Coverage& coverage, const cluster::FeedCounters& counters);
void count(Coverage& coverage, const cluster::RoomCounters& counters);
void count(Coverage& coverage, const client::ClientCore::Counters& counters);

}  // namespace kuilt::sim
