// trace.hpp: what happened in a run: the last events to print, and a hash over all of them.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "kuilt/types.hpp"

namespace kuilt::sim {

/// Events are a sentence with `{}` for each number, and become text only when somebody looks.
class Trace {
 public:
  using Listener = std::function<void(const std::string& line)>;
  static constexpr std::size_t events_kept_max = 300;
  static constexpr std::size_t numbers_max = 4;

  explicit Trace(Listener listener) : listener_(std::move(listener)) {}

  /// Pre: `sentence` outlives the trace (a literal).
  void note(Instant at, std::string_view sentence, std::initializer_list<std::uint64_t> numbers);

  /// Equal for equal runs.
  [[nodiscard]] std::uint64_t hash() const { return hash_; }
  [[nodiscard]] std::vector<std::string> last_lines() const;

 private:
  struct Event {
    Instant at;
    std::string_view sentence;
    std::array<std::uint64_t, numbers_max> numbers{};
  };
  static std::string text_of(const Event& event);
  void mix(std::uint64_t value);

  Listener listener_;
  std::deque<Event> kept_;
  std::uint64_t hash_ = 0xcbf29ce484222325U;
};

/// Virtual time as people read it: "12.345678s".
[[nodiscard]] std::string text_of(Instant at);

}  // namespace kuilt::sim
