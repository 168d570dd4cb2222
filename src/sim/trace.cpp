#include "sim/trace.hpp"

#include <algorithm>

namespace kuilt::sim {

std::string text_of(Instant at) {
  const auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(at.time_since_epoch()).count();
  std::string fraction = std::to_string(micros % 1'000'000);
  fraction.insert(0, 6 - std::min<std::size_t>(6, fraction.size()), '0');
  return std::to_string(micros / 1'000'000) + "." + fraction + "s";
}

void Trace::note(Instant at, std::string_view sentence,
                 std::initializer_list<std::uint64_t> numbers) {
  Event event{at, sentence, {}};
  std::copy_n(numbers.begin(), std::min(numbers.size(), numbers_max), event.numbers.begin());

  mix(static_cast<std::uint64_t>(at.time_since_epoch().count()));
  for (const char c : sentence) mix(static_cast<unsigned char>(c));
  for (const std::uint64_t number : event.numbers) mix(number);

  if (listener_) listener_(text_of(event));
  kept_.push_back(event);
  if (kept_.size() > events_kept_max) kept_.pop_front();
}

std::vector<std::string> Trace::last_lines() const {
  std::vector<std::string> lines;
  lines.reserve(kept_.size());
  for (const Event& event : kept_) lines.push_back(text_of(event));
  return lines;
}

std::string Trace::text_of(const Event& event) {
  std::string line = sim::text_of(event.at) + "  ";
  std::size_t next = 0;
  for (std::size_t i = 0; i < event.sentence.size(); ++i) {
    if (event.sentence.substr(i, 2) == "{}" && next < numbers_max) {
      line += std::to_string(event.numbers.at(next++));
      ++i;
    } else {
      line += event.sentence[i];
    }
  }
  return line;
}

void Trace::mix(std::uint64_t value) {
  hash_ = (hash_ ^ value) * 0x100000001b3U;
  hash_ ^= hash_ >> 29;
}

}  // namespace kuilt::sim
