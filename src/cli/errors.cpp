#include <cstdio>
#include <memory>
#include <string>

#include "cli/commands.hpp"
#include "cli/json_line.hpp"

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
    std::printf("%s\n", JsonLine()
                            .add("number", static_cast<std::uint64_t>(row.code))
                            .add("name", row.name)
                            .add("may_have_happened", row.effect == Effect::unknown)
                            .add("exit_status", static_cast<std::uint64_t>(row.exit_code))
                            .add("meaning", row.meaning)
                            .add("way_out", row.way_out)
                            .text()
                            .c_str());
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
  std::vector<std::string> names;
  for (const ErrorInfo& row : error_table) names.emplace_back(row.name);
  const std::string meant = nearest(wanted, names);
  return report(Error(ErrorCode::usage, "there is no error \"" + wanted + "\"" +
                                            (meant.empty() ? "" : "; did you mean " + meant + "?") +
                                            " `kuilt errors` lists all of them"));
}

}  // namespace

Command errors_command() {
  struct Flags {
    Common common;
    std::string wanted;
  };
  const auto flags = std::make_shared<Flags>();
  Value code = text(flags->wanted);
  code.offer = Offer::words;
  for (const ErrorInfo& row : error_table) code.words.emplace_back(row.name);
  return {.name = "errors",
          .about = "What each error code means, and the way out",
          .notes = "Examples:\n  kuilt errors\n  kuilt errors session_expired",
          .arguments = {{.name = "CODE",
                         .value = code,
                         .help = "Name or number of one code; all of them if it is missing",
                         .is_required = false}},
          .flags = {output_flag(flags->common)},
          .run = [flags](Command&) { return print_errors(flags->wanted, flags->common.json()); }};
}

}  // namespace kuilt::cli
