// wire_values.hpp: values for the tests of the wire, random ones from a seed.
#pragma once

#include <string>
#include <vector>

#include "kuilt/bytes.hpp"
#include "kuilt/detail/rng.hpp"
#include "kuilt/types.hpp"

namespace kuilt::wire {

/// Small, medium and extreme numbers alike, so that varints of every length come up.
inline std::uint64_t random_number(Rng& rng) { return rng.next() >> rng.below(64); }
inline std::uint64_t random_positive(Rng& rng) { return random_number(rng) | 1U; }

inline std::string random_octets(Rng& rng, std::size_t size_max) {
  std::string out(rng.below(size_max + 1), '\0');
  for (char& c : out) c = static_cast<char>(rng.next() & 0xffU);
  return out;
}

/// UTF-8 of one to four bytes per character, control characters and quotes among them.
inline std::string random_text(Rng& rng, std::size_t characters_max) {
  static const std::vector<std::string> alphabet = {"a", "b", "/", "\"", "\\", "\n", "\t", "\x01",
                                                    "é", "ü", "€", "語", "𝄞",  " ",  "0",  "<"};
  std::string out;
  for (std::uint64_t left = rng.below(characters_max + 1); left > 0; --left) {
    out += alphabet[rng.below(alphabet.size())];
  }
  return out;
}

// In braces, which every compiler evaluates from left to right: golden files depend on it.
template <class T>
T random_id(Rng& rng) {
  return T{rng.next() | 1U, rng.next()};
}
inline Position random_position(Rng& rng) {
  return {Index(random_positive(rng)), Term(random_positive(rng))};
}
inline Duration random_duration(Rng& rng) {
  return Duration(static_cast<Duration::rep>(random_number(rng) >> 1));
}

}  // namespace kuilt::wire
