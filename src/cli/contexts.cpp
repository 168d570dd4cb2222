#include "cli/contexts.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "cli/command.hpp"

namespace kuilt::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t name_bytes_max = 64;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Error wrong(std::string what) { return {ErrorCode::usage, std::move(what)}; }

Error trouble(const std::string& what, const std::string& why) {
  return {ErrorCode::io, Effect::none, what + ": " + why};
}

/// A name is a file's name as well: it must not lead elsewhere.
Status check_name(const std::string& name) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  };
  if (!name.empty() && name.size() <= name_bytes_max && name.front() != '-' &&
      std::all_of(name.begin(), name.end(), is_plain)) {
    return Done{};
  }
  return wrong("context \"" + name + "\": a name has 1 to " + std::to_string(name_bytes_max) +
               " letters, digits, - and _, and no - in front");
}

Status check_endpoints(const std::vector<std::string>& endpoints) {
  if (endpoints.empty()) return wrong("--endpoints is missing, as in ws://10.0.0.1:7400");
  for (const std::string& url : endpoints) {
    constexpr std::string_view scheme = "ws://";
    if (url.starts_with(scheme) && url.size() > scheme.size()) continue;
    return wrong("--endpoints: \"" + url + "\" is not ws://HOST:PORT");
  }
  return Done{};
}

/// Whoever reads at the same time sees the old file or the new one.
Status replace(const std::string& file, const std::string& text) {
  std::error_code error;
  fs::create_directories(fs::path(file).parent_path(), error);
  const std::string written = file + ".new-" + std::to_string(::getpid());
  std::ofstream out(written);
  out << text;
  out.close();
  if (!out || std::rename(written.c_str(), file.c_str()) != 0) {
    return trouble("write " + file, std::strerror(errno));
  }
  return Done{};
}

}  // namespace

Contexts::Contexts() {
  const std::string config = environment("XDG_CONFIG_HOME");
  folder_ = (config.empty() ? environment("HOME") + "/.config" : config) + "/kuilt";
}

std::string Contexts::file_of(const std::string& name) const {
  return folder_ + "/contexts/" + name;
}

std::vector<Context> Contexts::all() const {
  std::vector<Context> contexts;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_ + "/contexts", error)) {
    if (auto one = find(entry.path().filename().string())) contexts.push_back(*std::move(one));
  }
  std::sort(contexts.begin(), contexts.end(),
            [](const Context& a, const Context& b) { return a.name < b.name; });
  return contexts;
}

std::optional<Context> Contexts::find(const std::string& name) const {
  if (!check_name(name)) return std::nullopt;
  std::ifstream in(file_of(name));
  std::string endpoints;
  std::string admin;
  if (!std::getline(in, endpoints)) return std::nullopt;
  std::getline(in, admin);
  return Context{name, split(endpoints), split(admin)};
}

std::string Contexts::in_use() const {
  std::ifstream in(file_in_use());
  std::string name;
  std::getline(in, name);
  return find(name) ? name : "";
}

Status Contexts::set(const Context& context) const {
  if (Status status = check_name(context.name); !status) return status;
  if (Status status = check_endpoints(context.endpoints); !status) return status;
  return replace(file_of(context.name),
                 joined(context.endpoints) + "\n" + joined(context.admin) + "\n");
}

Status Contexts::use(const std::string& name) const {
  if (Status status = check_known(name); !status) return status;
  return replace(file_in_use(), name + "\n");
}

Status Contexts::remove(const std::string& name) const {
  if (Status status = check_known(name); !status) return status;
  std::error_code error;
  fs::remove(file_of(name), error);
  if (error) return trouble("remove " + file_of(name), error.message());
  return Done{};
}

Status Contexts::check_known(const std::string& name) const {
  if (find(name)) return Done{};
  std::vector<std::string> names;
  for (const Context& one : all()) names.push_back(one.name);
  return wrong("there is no context \"" + name + "\"; " +
               (names.empty() ? "none was set: kuilt context set NAME --endpoints URL[,URL]"
                              : "there are: " + joined(names, ", ")));
}

}  // namespace kuilt::cli
