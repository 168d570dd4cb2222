// Connects to a cluster, proposes a command, observes until it comes by.
// Usage: hello ws://host:port [ws://host:port ...]
#include <cstdio>
#include <string>
#include <vector>

#include "kuilt/client.hpp"

int main(int argc, char** argv) {
  const kuilt::ClusterEndpoints servers(std::vector<std::string>(argv + 1, argv + argc));
  auto client = kuilt::ClusterClient::connect(servers).or_throw();
  auto seen = client.observe(kuilt::from_start).or_throw();
  const auto done = client.propose("hello").get().or_throw();
  while (const auto next = seen.next()) {
    const auto* found = std::get_if<kuilt::Committed::Entry>(&*next);
    if (found == nullptr) continue;
    const std::string command(found->entry.command.text());
    std::printf("%s said %s\n", found->entry.author.c_str(), command.c_str());
    if (found->entry.index == done.index) return 0;
  }
  return 1;
}
