#include "cli/commands.hpp"

#include <pwd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>

namespace kuilt::cli {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::stringstream rest(text);
  for (std::string part; std::getline(rest, part, ',');) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
  return text;
}

/// The context has two lines: endpoints for clients, and admin listeners.
std::string context_line(int wanted) {
  std::ifstream file(context_file());
  std::string line;
  for (int i = 0; i <= wanted; ++i) {
    if (!std::getline(file, line)) return "";
  }
  return line;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

void add_common(CLI::App& command, Common& common) {
  command
      .add_option("-e,--endpoints", common.endpoints,
                  "Servers of the cluster, ws://host:port, separated by commas")
      ->envname("KUILT_ENDPOINTS")
      ->type_name("URL[,URL]");
  command.add_option("-o,--output", common.output, "Form of what is printed")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

std::string context_file() {
  const std::string config = environment("XDG_CONFIG_HOME");
  const std::string base = config.empty() ? environment("HOME") + "/.config" : config;
  return base + "/kuilt/context";
}

ClusterEndpoints endpoints_of(const Common& common) {
  if (!common.endpoints.empty()) return ClusterEndpoints(split(common.endpoints));
  const std::string line = context_line(0);
  if (!line.empty()) return ClusterEndpoints(split(line));
  return {"ws://127.0.0.1:7400"};
}

std::vector<std::string> admin_of(const std::string& flag) {
  if (!flag.empty()) return split(flag);
  const std::string line = context_line(1);
  if (!line.empty()) return split(line);
  return {"127.0.0.1:7402"};
}

void write_context(const ClusterEndpoints& endpoints, const std::vector<std::string>& admin) {
  std::error_code ignored;
  fs::create_directories(fs::path(context_file()).parent_path(), ignored);
  std::ofstream file(context_file());
  file << joined(endpoints.urls()) << '\n' << joined(admin) << '\n';
}

CLI::Option* add_duration(CLI::App& command, const char* name, std::uint64_t& milliseconds,
                          const char* help) {
  const std::map<std::string, std::uint64_t> units = {{"ms", 1}, {"s", 1000}, {"m", 60'000}};
  const std::string preset = milliseconds % 1000 == 0 ? std::to_string(milliseconds / 1000) + "s"
                                                      : std::to_string(milliseconds) + "ms";
  return command.add_option(name, milliseconds, help)
      ->transform(CLI::AsNumberWithUnit(
          units, static_cast<CLI::AsNumberWithUnit::Options>(CLI::AsNumberWithUnit::CASE_SENSITIVE |
                                                             CLI::AsNumberWithUnit::UNIT_REQUIRED)))
      ->type_name("TIME")
      ->default_str(preset);
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
  const std::string name = environment("USER");
  if (!name.empty()) return name;
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
  const fs::path path = fs::read_symlink("/proc/self/exe", error);
  return error ? "kuilt" : path.string();
}

}  // namespace kuilt::cli
