#include "server/secret.hpp"

#include <cstdio>
#include <memory>
#include <string>

#include "cli/commands.hpp"

namespace kuilt::cli {
namespace {

constexpr auto notes = R"(Examples:
  kuilt secret new cluster.secret
  scp cluster.secret other-machine:    the same file on every server of the cluster

Servers prove with it that they belong together; it is never sent. A file that exists is never
overwritten. It must be readable by its owner only (mode 0600), or `kuilt serve` refuses it.)";

int create(const std::string& path) {
  if (Status status = server::create_secret(path); !status) return report(status.error());
  std::printf("wrote %s; copy it to all servers, and give each --secret-file\n", path.c_str());
  return 0;
}

}  // namespace

Command secret_command() {
  const auto path = std::make_shared<std::string>();
  return {.name = "secret",
          .about = "The secret that the servers of a cluster share",
          .notes = notes,
          .commands = {{.name = "new",
                        .about = "Write a new secret",
                        .notes = notes,
                        .arguments = {{.name = "FILE",
                                       .value = file(*path),
                                       .help = "Where to; must not exist"}},
                        .run = [path](Command&) { return create(*path); }}}};
}

}  // namespace kuilt::cli
