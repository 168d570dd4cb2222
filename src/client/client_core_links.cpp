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

Rotation::Rotation(std::vector<std::string> endpoints) : endpoints_(std::move(endpoints)) {
  KUILT_CHECK(!endpoints_.empty());
}

std::optional<Rotation::Choice> Rotation::next(Instant now, const std::set<std::string>& in_use) {
  while (!hints_.empty()) {
    const std::string hinted = std::move(hints_.front());
    hints_.pop_front();
    if (!in_use.contains(hinted)) return Choice{hinted, now};
  }
  std::optional<std::size_t> best;
  Instant best_at;
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    const std::size_t place = (turn_ + i) % endpoints_.size();
    if (in_use.contains(endpoints_[place])) continue;
    const auto held = held_off_.find(endpoints_[place]);
    const Instant at = held == held_off_.end() ? now : std::max(now, held->second);
    if (best && at >= best_at) continue;
    best = place;
    best_at = at;
  }
  if (!best) return std::nullopt;
  if (best_at <= now) turn_ = (*best + 1) % endpoints_.size();
  return Choice{endpoints_[*best], best_at};
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

bool Rotation::has_other_than(const std::string& endpoint) const {
  const auto is_other = [&](const std::string& known) { return known != endpoint; };
  return !hints_.empty() || std::any_of(endpoints_.begin(), endpoints_.end(), is_other);
}

Duration silence_limit(const ClientOptions& options, const wire::Welcome& welcome) {
  constexpr Duration interval_max = std::chrono::minutes(1);  // What a server may talk us into.
  return std::max(options.silence_max, 2 * std::min(welcome.heartbeat_interval, interval_max));
}

}  // namespace kuilt::client
