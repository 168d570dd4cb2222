// hash.hpp: XXH3-64, the one hash of entries and chains.
#pragma once

#include <cstdint>

#include "kuilt/bytes.hpp"

namespace kuilt::wire {

[[nodiscard]] std::uint64_t hash(BytesView bytes, std::uint64_t seed);

}  // namespace kuilt::wire
