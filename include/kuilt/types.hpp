// types.hpp: numbers and names that must not be mixed up.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kuilt/detail/chrono.hpp"

namespace kuilt {

/// An integer that only meets its own kind: a Term never compares with an Index by accident.
template <class Tag>
class Number {
 public:
  constexpr Number() = default;
  constexpr explicit Number(std::uint64_t value) : value_(value) {}
  [[nodiscard]] constexpr std::uint64_t value() const { return value_; }
  [[nodiscard]] constexpr Number next() const { return Number(value_ + 1); }
  friend constexpr auto operator<=>(Number, Number) = default;

 private:
  std::uint64_t value_ = 0;
};

using Term = Number<struct TermTag>;            ///< 0 is before the first election.
using Index = Number<struct IndexTag>;          ///< Position in the log; the first entry is 1.
using RequestId = Number<struct RequestIdTag>;  ///< Within one session; the first is 1.

/// One place in one log: the entry at `index`, written in `term`. (0, 0) is before the first.
/// Ordered by index, so compare terms explicitly where Raft's "up to date" is meant.
struct Position {
  Index index;
  Term term;
  friend constexpr auto operator<=>(const Position&, const Position&) = default;
};

/// 128 opaque bits. All zero means "none".
template <class Tag>
class Id {
 public:
  constexpr Id() = default;
  constexpr Id(std::uint64_t high, std::uint64_t low) : high_(high), low_(low) {}

  /// An id derived from a name: for tests and examples, where real ids are random.
  [[nodiscard]] static constexpr Id named(std::string_view name) {
    return Id(hash(name, 0xcbf29ce484222325U), hash(name, 0x84222325cbf29ce4U));
  }
  /// Reads what `text()` wrote: 32 hexadecimal digits. Nothing, if it is anything else.
  [[nodiscard]] static constexpr std::optional<Id> parse(std::string_view text) {
    if (text.size() != 32) return std::nullopt;
    const auto high = parse_half(text.substr(0, 16));
    const auto low = parse_half(text.substr(16));
    if (!high || !low) return std::nullopt;
    return Id(*high, *low);
  }

  [[nodiscard]] constexpr std::uint64_t high() const { return high_; }
  [[nodiscard]] constexpr std::uint64_t low() const { return low_; }
  [[nodiscard]] constexpr bool is_none() const { return high_ == 0 && low_ == 0; }
  /// 32 lower-case hexadecimal digits.
  [[nodiscard]] std::string text() const {
    std::string out(32, '0');
    for (std::size_t i = 0; i < 16; ++i) {
      out[15 - i] = "0123456789abcdef"[(high_ >> (4 * i)) & 15U];
      out[31 - i] = "0123456789abcdef"[(low_ >> (4 * i)) & 15U];
    }
    return out;
  }
  friend constexpr auto operator<=>(const Id&, const Id&) = default;

 private:
  // FNV-1a with a final mix, so that short names differ in all bits.
  [[nodiscard]] static constexpr std::uint64_t hash(std::string_view text, std::uint64_t state) {
    for (const char c : text) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9U;
    state = (state ^ (state >> 27)) * 0x94d049bb133111ebU;
    return state ^ (state >> 31);
  }
  [[nodiscard]] static constexpr std::optional<std::uint64_t> parse_half(std::string_view text) {
    std::uint64_t value = 0;
    for (const char c : text) {
      if (c >= '0' && c <= '9') {
        value = value * 16 + static_cast<std::uint64_t>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        value = value * 16 + static_cast<std::uint64_t>(c - 'a') + 10;
      } else {
        return std::nullopt;
      }
    }
    return value;
  }

  std::uint64_t high_ = 0;
  std::uint64_t low_ = 0;
};

using NodeId = Id<struct NodeIdTag>;        ///< One data directory of one server. Never reused.
using ClusterId = Id<struct ClusterIdTag>;  ///< Digest of the founding record.
using HistoryId =
    Id<struct HistoryIdTag>;  ///< Changes when `recover` or `restore` rewrites a past.
using SessionId = Id<struct SessionIdTag>;  ///< A secret of its client: never in the feed.
using BootId = Id<struct BootIdTag>;        ///< One start of one server process.

/// Monotonic time as the driver read it. Pure layers never read a clock: time arrives as data.
using Duration = std::chrono::nanoseconds;
using Instant = std::chrono::time_point<struct MonotonicClock, Duration>;  ///< Of it.

/// Log time: nanoseconds of leader time since the founding. No wall clock is in it.
using LogTime = Number<struct LogTimeTag>;

/// A named stream inside the log. The default room is the empty name.
using RoomName = std::string;

}  // namespace kuilt
