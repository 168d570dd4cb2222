#include "cli/help.hpp"

#include <algorithm>
#include <sstream>
#include <string_view>

namespace kuilt::cli {
namespace {

constexpr std::size_t left_width = 28;
constexpr std::size_t right_width = 100 - left_width;

/// UTF-8 in, letters out: what a terminal shows as one column each.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

std::string padding(std::size_t count) { return std::string(count, ' '); }

/// A term on the left, its explanation on the right, broken into lines.
std::string row(const std::string& term, const std::string& explanation) {
  std::string out = "  " + term;
  std::size_t column = width_of(out);
  if (column + 2 > left_width) {
    out += '\n';
    column = 0;
  }
  out += padding(left_width - column);
  std::size_t used = 0;
  std::istringstream words(explanation);
  for (std::string word; words >> word;) {
    const std::size_t width = width_of(word);
    if (used > 0 && used + 1 + width > right_width) {
      out += '\n' + padding(left_width);
      used = 0;
    }
    out += (used > 0 ? " " : "") + word;
    used += width + (used > 0 ? 1 : 0);
  }
  return out + '\n';
}

/// " (1 to 4096; preset 64; or KUILT_IN_FLIGHT)".
std::string remarks(const Flag& flag) {
  std::vector<std::string> parts;
  if (!flag.value.limits.empty()) parts.push_back(flag.value.limits);
  if (flag.value.kind == ValueKind::list) parts.emplace_back("may be given several times");
  const std::vector<std::string> preset = flag.value.get();
  if (!preset.empty() && flag.value.kind != ValueKind::yes_no) {
    parts.push_back("preset " + joined(preset));
  }
  if (flag.reach != Reach::flag) parts.push_back(flag.variable());
  return parts.empty() ? "" : " (" + joined(parts, "; ") + ")";
}

std::string usage_line(const Command& command, const std::string& path) {
  std::string line = "Usage: " + path;
  if (!command.commands.empty()) line += command.run ? " [COMMAND]" : " COMMAND";
  line += " [FLAGS]";
  for (const Argument& one : command.arguments) {
    const std::string name = one.name + (one.value.kind == ValueKind::list ? "..." : "");
    line += one.is_required ? " " + name : " [" + name + "]";
  }
  if (command.after_dashes) line += " [-- " + command.after_dashes->name + "]";
  return line + "\n";
}

std::string term_of(const Flag& flag) {
  const std::string letter = flag.letter == 0 ? "    " : std::string("-") + flag.letter + ", ";
  return letter + flag.name + (flag.value.form.empty() ? "" : " " + flag.value.form);
}

}  // namespace

std::string help_text(const Command& command, const std::string& path) {
  std::string out = command.about + "\n\n" + usage_line(command, path);
  if (!command.commands.empty()) out += "\nCommands:\n";
  for (const Command& one : command.commands) out += row(one.name, one.about);
  if (!command.arguments.empty() || command.after_dashes) out += "\nArguments:\n";
  for (const Argument& one : command.arguments) out += row(one.name, one.help);
  if (command.after_dashes) {
    out += row("-- " + command.after_dashes->name, command.after_dashes->help);
  }
  out += "\nFlags:\n";
  for (const Flag& one : command.flags) out += row(term_of(one), one.help + remarks(one));
  out += row("-h, --help", "Print this, and end");
  if (!command.notes.empty()) out += "\n" + command.notes + "\n";
  return out;
}

}  // namespace kuilt::cli
