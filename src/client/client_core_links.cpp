#include "client/client_core_links.hpp"

#include <algorithm>
#include <utility>

namespace kuilt::client {

Duration full_jitter(Rng& rng, Duration limit) {
  if (limit <= Duration::zero()) return Duration::zero();
  return Duration(static_cast<Duration::rep>(rng.below(static_cast<std::uint64_t>(limit.count()))));
}

Duration doubled(Duration first, unsigned times, Duration most) {
  Duration value = first;
  for (unsigned i = 0; i < times && value < most; ++i) value *= 2;
  return std::min(value, most);
}

Rotation::Rotation(std::vector<std::string> endpoints, EndpointSelector selector)
    : endpoints_(std::move(endpoints)), selector_(std::move(selector)) {
  KUILT_CHECK(!endpoints_.empty());
}

Instant Rotation::free_at(const std::string& endpoint, Instant now) const {
  const auto held = held_off_.find(endpoint);
  return held == held_off_.end() ? now : std::max(now, held->second);
}

std::optional<Rotation::Choice> Rotation::next(Instant now, const std::set<std::string>& in_use) {
  while (!hints_.empty()) {
    last_ = std::move(hints_.front());
    hints_.pop_front();
    if (!in_use.contains(last_)) return Choice{last_, now, {}};
  }
  std::optional<std::size_t> best;
  Instant best_at;
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    const std::size_t place = (turn_ + i) % endpoints_.size();
    if (in_use.contains(endpoints_[place])) continue;
    const Instant at = free_at(endpoints_[place], now);
    if (best && at >= best_at) continue;
    best = place;
    best_at = at;
  }
  if (!best) return std::nullopt;
  if (best_at > now) return Choice{endpoints_[*best], best_at, {}};
  Choice choice = select(now, in_use, *best);
  last_ = choice.endpoint;
  return choice;
}

Rotation::Choice Rotation::select(Instant now, const std::set<std::string>& in_use,
                                  std::size_t round_robin) {
  Choice fallback{endpoints_[round_robin], now, {}};
  const std::size_t next_turn = (round_robin + 1) % endpoints_.size();
  if (!selector_) {
    turn_ = next_turn;
    return fallback;
  }
  EndpointChoice offered{{}, last_};
  for (const std::string& endpoint : endpoints_) {
    const bool free = !in_use.contains(endpoint) && free_at(endpoint, now) <= now;
    if (free) offered.candidates.push_back(endpoint);
  }
  const std::size_t place = selector_(offered);
  if (place < offered.candidates.size()) return Choice{offered.candidates[place], now, {}};
  turn_ = next_turn;
  fallback.complaint = "the selector chose place " + std::to_string(place) + " of " +
                       std::to_string(offered.candidates.size()) + "; round robin stands in";
  return fallback;
}

void Rotation::hint(const std::vector<std::string>& endpoints, const std::string& leaving) {
  constexpr std::size_t hints_max = 16;  // A cluster has fewer servers that clients may go to.
  if (endpoints.empty()) return;
  hints_.clear();
  for (const std::string& endpoint : endpoints) {
    const bool known = std::find(hints_.begin(), hints_.end(), endpoint) != hints_.end();
    if (endpoint != leaving && !known && hints_.size() < hints_max) hints_.push_back(endpoint);
  }
}

void Rotation::hold_off(const std::string& endpoint, Instant until) {
  // Hinted endpoints are tried once anyway: only the caller's own need to be remembered.
  const bool ours = std::find(endpoints_.begin(), endpoints_.end(), endpoint) != endpoints_.end();
  if (ours) held_off_[endpoint] = until;
}

void Rotation::forget() {
  hints_.clear();
  held_off_.clear();
}

bool Rotation::has_other_than(const std::string& endpoint) const {
  const auto is_other = [&](const std::string& known) { return known != endpoint; };
  return !hints_.empty() || std::any_of(endpoints_.begin(), endpoints_.end(), is_other);
}

Duration silence_limit(const ClientOptions& options, const wire::Welcome& welcome) {
  constexpr Duration interval_max = std::chrono::minutes(1);  // What a server may talk us into.
  return std::max(options.silence_max, 2 * std::min(welcome.heartbeat_interval, interval_max));
}

}  // namespace kuilt::client
