// hash.hpp: states by 128 bits. Among a hundred million states, two that differ have the same with
// a probability of less than 10^-22.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace kuilt::explore {

struct Hash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend auto operator<=>(const Hash&, const Hash&) = default;
};
[[nodiscard]] Hash hash_of(std::string_view text);
[[nodiscard]] Hash hash_of(std::span<const std::uint32_t> words);

/// A set of hashes, 16 bytes each, half of its places in use or fewer.
class HashSet {
 public:
  /// False, if it was in already.
  bool insert(Hash hash);
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  bool place(Hash hash);
  void grow();

  std::vector<Hash> places_ = std::vector<Hash>(1024);
  std::size_t size_ = 0;
};

struct HashOfHash {
  std::size_t operator()(const Hash& hash) const { return hash.low; }
};

}  // namespace kuilt::explore
