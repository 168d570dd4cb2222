// Three voters in this process, in memory. The leader is stopped; the log goes on.
#include <cstdio>

#include "kuilt/client.hpp"
#include "kuilt/server.hpp"

int main() {
  auto cluster = kuilt::ServerCluster::in_process({.voters = 3}).or_throw();
  cluster.start().or_throw();
  auto client = kuilt::ClusterClient::connect(cluster.endpoints()).or_throw();
  auto seen = client.observe(kuilt::from_start).or_throw();
  client.propose("action:move=1").get().or_throw();
  const std::string leader = cluster.leader();
  cluster.stop(leader).or_throw();
  const auto done = client.propose("action:move=2").get().or_throw();
  while (const auto next = seen.next()) {
    const auto* found = std::get_if<kuilt::Committed::Entry>(&*next);
    if (found == nullptr || found->entry.index != done.index) continue;
    std::printf("survived the end of %s; %s leads\n", leader.c_str(), cluster.leader().c_str());
    return 0;
  }
  return 1;
}
