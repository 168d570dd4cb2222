// kuilt context: which clusters there are, and which one commands talk to.
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "cli/commands.hpp"
#include "cli/contexts.hpp"
#include "cli/json_line.hpp"
#include "cli/output.hpp"

namespace kuilt::cli {
namespace {

constexpr auto notes = R"(Examples:
  kuilt context set lab -e ws://10.0.0.1:7400,ws://10.0.0.2:7400 --admin 10.0.0.1:7402
  kuilt context use lab               propose, observe and status talk to it from now on
  kuilt context                       all of them; * stands before the one in use
  kuilt context show                  where commands would go, and who says so

Commands go by -e, else by KUILT_ENDPOINTS, else by the context in use, else to
ws://127.0.0.1:7400; status likewise by --admin, KUILT_ADMIN, the context, 127.0.0.1:7402.
`kuilt dev` sets the context dev and uses it. Contexts lie in ~/.config/kuilt/contexts.)";

struct Flags {
  Common common;
  std::string admin;
  std::string name;
};

int list(const Flags& flags) {
  const Contexts contexts;
  const std::string in_use = contexts.in_use();
  for (const Context& one : contexts.all()) {
    const bool is_in_use = one.name == in_use;
    const std::string line =
        flags.common.json() ? JsonLine()
                                  .add("name", one.name)
                                  .add("in_use", is_in_use)
                                  .add("endpoints", joined(one.endpoints))
                                  .add("admin", joined(one.admin))
                                  .text()
                            : (is_in_use ? "* " : "  ") + one.name + "\t" + joined(one.endpoints) +
                                  "\t" + (one.admin.empty() ? "-" : joined(one.admin));
    if (!put_line(line)) return 0;
  }
  return 0;
}

int use(const Flags& flags) {
  if (Status status = Contexts().use(flags.name); !status) return report(status.error());
  std::fprintf(stderr, "context %s is in use\n", flags.name.c_str());
  return 0;
}

int set(const Flags& flags) {
  const Contexts contexts;
  const Context context{flags.name, split(flags.common.endpoints), split(flags.admin)};
  if (Status status = contexts.set(context); !status) return report(status.error());
  const std::string in_use = contexts.in_use();
  if (in_use.empty()) return use(flags);
  std::fprintf(stderr, "context %s is set; %s\n", flags.name.c_str(),
               in_use == flags.name ? "it is in use"
                                    : ("to use it: kuilt context use " + flags.name).c_str());
  return 0;
}

int remove(const Flags& flags) {
  if (Status status = Contexts().remove(flags.name); !status) return report(status.error());
  std::fprintf(stderr, "context %s is removed\n", flags.name.c_str());
  return 0;
}

/// Who decided about a value that flag, environment or context may set.
std::string decided_by(const Flag& flag, bool in_context) {
  switch (flag.origin) {
    case Origin::flag: return flag.name;
    case Origin::environment: return flag.variable();
    case Origin::file:
    case Origin::preset: break;
  }
  return in_context ? "context " + Contexts().in_use() : "preset";
}

int show(const Command& self, const Flags& flags) {
  const auto current = Contexts().current();
  const std::string endpoints = joined(endpoints_of(flags.common).urls());
  const std::string admin = joined(admin_of(flags.admin));
  const std::string by = decided_by(self.flag("--endpoints"), current.has_value());
  const std::string admin_by = decided_by(self.flag("--admin"), current && !current->admin.empty());
  if (flags.common.json()) {
    return put_line(JsonLine()
                        .add("endpoints", endpoints)
                        .add("endpoints_from", by)
                        .add("admin", admin)
                        .add("admin_from", admin_by)
                        .text())
               ? 0
               : 1;
  }
  std::printf("endpoints  %s  (%s)\nadmin      %s  (%s)\n", endpoints.c_str(), by.c_str(),
              admin.c_str(), admin_by.c_str());
  return 0;
}

Argument name_of_context(Flags& flags) {
  return {.name = "NAME", .value = text(flags.name), .help = "Of the context"};
}

}  // namespace

Command context_command() {
  const auto flags = std::make_shared<Flags>();
  Flag endpoints = endpoints_flag(flags->common);
  endpoints.reach = Reach::flag;  // A context is what stands in for the variable.
  Flag admin = admin_flag(flags->admin);
  admin.reach = Reach::flag;
  return {.name = "context",
          .about = "The clusters that commands find by themselves",
          .notes = notes,
          .flags = {output_flag(flags->common)},
          .commands = {{.name = "list",
                        .about = "All contexts; * stands before the one in use",
                        .notes = notes,
                        .flags = {output_flag(flags->common)},
                        .run = [flags](Command&) { return list(*flags); }},
                       {.name = "use",
                        .about = "Talk to this cluster from now on",
                        .notes = notes,
                        .arguments = {name_of_context(*flags)},
                        .run = [flags](Command&) { return use(*flags); }},
                       {.name = "set",
                        .about = "Add a context, or change it",
                        .notes = notes,
                        .arguments = {name_of_context(*flags)},
                        .flags = {endpoints, admin},
                        .run = [flags](Command&) { return set(*flags); }},
                       {.name = "rm",
                        .about = "Remove a context",
                        .notes = notes,
                        .arguments = {name_of_context(*flags)},
                        .run = [flags](Command&) { return remove(*flags); }},
                       {.name = "show",
                        .about = "Where commands would go, and who says so",
                        .notes = notes,
                        .flags = {endpoints_flag(flags->common), admin_flag(flags->admin),
                                  output_flag(flags->common)},
                        .run = [flags](Command& self) { return show(self, *flags); }}},
          .run = [flags](Command&) { return list(*flags); }};
}

}  // namespace kuilt::cli
