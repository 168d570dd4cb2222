#include "sim/network.hpp"

namespace kuilt::sim {

std::vector<Duration> PeerNetwork::send(ServerNumber from, ServerNumber to) {
  if (!reaches(from, to) || rng_.chance(weather_.loss_percent)) return {};
  std::vector<Duration> arrivals;
  const std::size_t copies = rng_.chance(weather_.duplicate_percent) ? 2 : 1;
  for (std::size_t copy = 0; copy < copies; ++copy) {
    Duration delay = weather_.delay_min + up_to(rng_, weather_.delay_max - weather_.delay_min);
    if (rng_.chance(weather_.spike_percent)) delay += up_to(rng_, weather_.spike_max);
    arrivals.push_back(delay);
  }
  return arrivals;
}

void PeerNetwork::mend(ServerNumber from, ServerNumber to) {
  const auto cut = cuts_.find({from, to});
  if (cut == cuts_.end()) return;  // Healed meanwhile.
  if (--cut->second == 0) cuts_.erase(cut);
}

bool PeerNetwork::reaches(ServerNumber from, ServerNumber to) const {
  return !cuts_.contains({from, to}) && !severed_.contains({from, to});
}

void PeerNetwork::heal() {
  cuts_.clear();
  severed_.clear();
  weather_ =
      PeerWeather{.delay_min = weather_.delay_min, .delay_max = std::chrono::milliseconds(5)};
}

}  // namespace kuilt::sim
