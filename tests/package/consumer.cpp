// A program of a user: a cluster in its own process, a client, one command there and back.
#include <kuilt/client.hpp>
#include <kuilt/server.hpp>

#include <cstdio>
#include <string>
#include <variant>

int main() {
  auto cluster = kuilt::ServerCluster::in_process({.voters = 1, .directory = ""}).or_throw();
  cluster.start().or_throw();
  auto client = kuilt::ClusterClient::connect(cluster.endpoints()).or_throw();
  auto seen = client.observe(kuilt::from_start).or_throw();
  const auto done = client.propose("packed and unpacked").get().or_throw();
  while (const auto next = seen.next()) {
    const auto* found = std::get_if<kuilt::Committed::Entry>(&*next);
    if (found == nullptr || found->entry.index != done.index) continue;
    std::printf("observed: %s\n", std::string(found->entry.command.text()).c_str());
    return 0;
  }
  return 1;
}
