#define XXH_INLINE_ALL  // The header alone: nothing to link.
#include "explore/hash.hpp"

#include <xxhash.h>

#include <utility>

namespace kuilt::explore {
namespace {

Hash hash_of(const void* data, std::size_t bytes) {
  const XXH128_hash_t hash = XXH3_128bits(data, bytes);
  // All zeros marks a free place.
  return {hash.high64, hash.low64 | 1U};
}

}  // namespace

Hash hash_of(std::string_view text) { return hash_of(text.data(), text.size()); }

Hash hash_of(std::span<const std::uint32_t> words) {
  return hash_of(words.data(), words.size_bytes());
}

bool HashSet::insert(Hash hash) {
  if (2 * size_ >= places_.size()) grow();
  if (!place(hash)) return false;
  ++size_;
  return true;
}

bool HashSet::place(Hash hash) {
  const std::size_t mask = places_.size() - 1;
  for (std::size_t i = hash.high & mask;; i = (i + 1) & mask) {
    if (places_[i] == hash) return false;
    if (places_[i] == Hash{}) return places_[i] = hash, true;
  }
}

void HashSet::grow() {
  const std::vector<Hash> old = std::exchange(places_, std::vector<Hash>(places_.size() * 2));
  for (const Hash hash : old) {
    if (hash != Hash{}) place(hash);
  }
}

}  // namespace kuilt::explore
