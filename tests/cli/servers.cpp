#include "tests/cli/servers.hpp"

#include <chrono>
#include <utility>

#include "cli/command.hpp"

namespace kuilt::cli {
namespace {

LocalCluster prepare(const TemporaryFolder& folder, std::size_t count) {
  auto prepared = LocalCluster::prepare({.binary = KUILT_BINARY,
                                         .directory = folder / "cluster",
                                         .servers = count,
                                         .extra_flags = {}});
  return std::move(prepared).or_throw();
}

}  // namespace

Servers::Servers(std::size_t count) : cluster_(prepare(folder_, count)) {
  constexpr auto patience = std::chrono::seconds(30);
  cluster_.start_all().or_throw();
  leader_ = cluster_.await_leader(patience).or_throw();
}

std::string Servers::urls() const { return joined(cluster_.endpoints().urls()); }

std::string Servers::admin() const {
  std::vector<std::string> addresses;
  for (const LocalServer& one : cluster_.servers()) addresses.push_back(one.admin_address);
  return joined(addresses);
}

std::vector<std::string> commands_in(const std::string& observed) {
  std::vector<std::string> commands;
  for (std::size_t at = 0; at < observed.size();) {
    const std::size_t end = observed.find('\n', at);
    const std::string line = observed.substr(at, end - at);
    commands.push_back(line.substr(line.rfind('\t') + 1));
    at = end + 1;
  }
  return commands;
}

int last_index_in(const std::string& proposed) {
  const std::string key = "\"index\":";
  return std::stoi(proposed.substr(proposed.rfind(key) + key.size()));
}

}  // namespace kuilt::cli
