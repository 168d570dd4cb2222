#include "wire/hash.hpp"

#define XXH_INLINE_ALL  // Header only: no library to find at run time.
#include <xxhash.h>

namespace kuilt::wire {

std::uint64_t hash(BytesView bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace kuilt::wire
