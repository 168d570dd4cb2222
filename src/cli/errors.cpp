#include <cstdio>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"

namespace kuilt::cli {
namespace {

const char* effect_text(Effect effect) {
  switch (effect) {
    case Effect::none: return "no, certainly nothing happened";
    case Effect::unknown: return "yes, it may have happened";
  }
  return "";
}

void print(const ErrorInfo& row, bool json) {
  if (json) {
    const nlohmann::ordered_json out = {{"number", static_cast<int>(row.code)},
                                        {"name", row.name},
                                        {"may_have_happened", row.effect == Effect::unknown},
                                        {"exit_status", row.exit_code},
                                        {"meaning", row.meaning},
                                        {"way_out", row.way_out}};
    std::printf("%s\n", out.dump().c_str());
    return;
  }
  std::printf("%s (%d)\n  %s\n  May it have happened? %s.\n  Way out: %s\n  Exit status: %d\n",
              std::string(row.name).c_str(), static_cast<int>(row.code),
              std::string(row.meaning).c_str(), effect_text(row.effect),
              std::string(row.way_out).c_str(), row.exit_code);
}

int print_errors(const std::string& wanted, bool json) {
  bool found = wanted.empty();
  for (const ErrorInfo& row : error_table) {
    const bool matches = row.name == wanted || std::to_string(static_cast<int>(row.code)) == wanted;
    if (!wanted.empty() && !matches) continue;
    found = true;
    print(row, json);
  }
  if (found) return 0;
  return report(Error(ErrorCode::usage,
                      "there is no error \"" + wanted + "\"; `kuilt errors` lists all of them"));
}

}  // namespace

void add_errors(CLI::App& app, Common& common, Run& run) {
  auto* command = app.add_subcommand("errors", "What each error code means, and the way out");
  command->footer("Examples:\n  kuilt errors\n  kuilt errors session_expired");
  const auto wanted = std::make_shared<std::string>();
  command->add_option("CODE", *wanted, "Name or number of one code");
  command->add_option("-o,--output", common.output, "Form of what is printed")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  command->callback([&run, &common, wanted] {
    run = [&common, wanted] { return print_errors(*wanted, common.json()); };
  });
}

}  // namespace kuilt::cli
