#include "server/secret.hpp"

#include <cstdio>
#include <memory>
#include <string>

#include "cli/commands.hpp"

namespace kuilt::cli {
namespace {

constexpr auto footer = R"(Examples:
  kuilt secret new cluster.secret
  scp cluster.secret other-machine:    the same file on every server of the cluster

Servers prove with it that they belong together; it is never sent. A file that exists is never
overwritten. It must be readable by its owner only (mode 0600), or `kuilt serve` refuses it.)";

int create(const std::string& file) {
  if (Status status = server::create_secret(file); !status) return report(status.error());
  std::printf("wrote %s; copy it to all servers, and give each --secret-file\n", file.c_str());
  return 0;
}

}  // namespace

void add_secret(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("secret", "The secret that the servers of a cluster share");
  command->require_subcommand(1);
  command->footer(footer);
  auto* make = command->add_subcommand("new", "Write a new secret");
  make->footer(footer);
  const auto file = std::make_shared<std::string>();
  make->add_option("FILE", *file, "Where to; must not exist")->required()->type_name("");
  make->callback([&run, file] { run = [file] { return create(*file); }; });
}

}  // namespace kuilt::cli
