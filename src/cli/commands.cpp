#include "cli/commands.hpp"

#include <pwd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "cli/contexts.hpp"

namespace kuilt::cli {

Flag endpoints_flag(Common& common) {
  return {.name = "--endpoints",
          .letter = 'e',
          .value = text(common.endpoints, "URL[,URL]"),
          .help = "Servers of the cluster, ws://host:port, separated by commas",
          .reach = Reach::environment};
}

Flag output_flag(Common& common) {
  return {.name = "--output",
          .letter = 'o',
          .value = one_of(common.output, {"text", "json"}),
          .help = "Form of what is printed"};
}

Flag admin_flag(std::string& admin) {
  return {.name = "--admin",
          .value = text(admin, "HOST:PORT[,...]"),
          .help = "Admin listeners, separated by commas",
          .reach = Reach::environment};
}

ClusterEndpoints endpoints_of(const Common& common) {
  if (!common.endpoints.empty()) return ClusterEndpoints(split(common.endpoints));
  if (const auto context = Contexts().current()) return ClusterEndpoints(context->endpoints);
  return {"ws://127.0.0.1:7400"};
}

std::vector<std::string> admin_of(const std::string& flag) {
  if (!flag.empty()) return split(flag);
  const auto context = Contexts().current();
  if (context && !context->admin.empty()) return context->admin;
  return {"127.0.0.1:7402"};
}

int exit_status_of(const Error& error) {
  constexpr int refused = 1;
  constexpr int not_sent = 3;
  constexpr int unknown = 4;
  const int usual = info(error.code()).exit_code;
  const bool denies = usual == refused || usual == not_sent;
  return denies && error.effect() == Effect::unknown ? unknown : usual;
}

std::string user_name() {
  const char* name = std::getenv("USER");
  if (name != nullptr && *name != '\0') return name;
  const passwd* row = ::getpwuid(::geteuid());
  return row == nullptr ? "anonymous" : row->pw_name;
}

int report(const Error& error) {
  const ErrorInfo& row = info(error.code());
  std::fprintf(stderr, "error %s: %s\n", std::string(row.name).c_str(), error.message().c_str());
  std::fprintf(stderr, "  %s\n", std::string(row.way_out).c_str());
  return exit_status_of(error);
}

std::string own_binary() {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "kuilt" : path.string();
}

}  // namespace kuilt::cli
