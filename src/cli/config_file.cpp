#include "cli/config_file.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "cli/json_line.hpp"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace kuilt::cli {
namespace {

Error wrong(const std::string& path, const std::string& what) {
  return Error(ErrorCode::usage, "--config " + path + ": " + what);
}

std::optional<std::string> scalar(const toml::node& value) {
  if (const auto text = value.value_exact<std::string>()) return text;
  if (const auto number = value.value_exact<std::int64_t>()) return std::to_string(*number);
  if (const auto yes = value.value_exact<bool>()) return *yes ? "true" : "false";
  return std::nullopt;
}

/// A value, or the values of a list; nothing, if no flag takes the like.
std::optional<std::vector<std::string>> values_of(const toml::node& value) {
  std::vector<std::string> values;
  if (const toml::array* list = value.as_array()) {
    for (const toml::node& one : *list) {
      auto text = scalar(one);
      if (!text) return std::nullopt;
      values.push_back(*std::move(text));
    }
    return values;
  }
  auto text = scalar(value);
  if (!text) return std::nullopt;
  values.push_back(*std::move(text));
  return values;
}

/// A basic string of TOML is escaped as one of JSON.
std::string value_text(const Value& value) {
  std::vector<std::string> words = value.get();
  switch (value.kind) {
    case ValueKind::number: return words.empty() ? "0" : words.front();
    case ValueKind::yes_no: return words.front();
    case ValueKind::text: return json_quoted(words.empty() ? "" : words.front());
    case ValueKind::list: break;
  }
  for (std::string& word : words) word = json_quoted(word);
  return "[" + joined(words, ", ") + "]";
}

}  // namespace

Status read_config_file(Command& command, const std::string& path) {
  const toml::parse_result parsed = toml::parse_file(path);
  if (!parsed) {
    const auto line = parsed.error().source().begin.line;
    return wrong(path, (line > 0 ? "line " + std::to_string(line) + ": " : "") +
                           std::string(parsed.error().description()));
  }
  for (const auto& [name, value] : parsed.table()) {
    const std::string key(name.str());
    const auto flag = std::find_if(command.flags.begin(), command.flags.end(), [&](const Flag& f) {
      return f.reach == Reach::file && f.key() == key;
    });
    if (flag == command.flags.end()) {
      return wrong(path, "unknown key \"" + key + "\"; the keys are the flags of `kuilt " +
                             command.name + " --help`");
    }
    const auto values = values_of(value);
    if (!values) return wrong(path, key + " is neither text, nor a whole number, nor a list");
    if (flag->origin != Origin::preset) continue;
    if (values->size() != 1 && flag->value.kind != ValueKind::list) {
      return wrong(path, key + " takes one value, not a list");
    }
    if (Status status = set_value(flag->value, *values, key); !status) {
      return wrong(path, status.error().message());
    }
    flag->origin = Origin::file;
  }
  return Done{};
}

std::string config_text(const Command& command) {
  std::string text;
  for (const Flag& flag : command.flags) {
    if (flag.reach != Reach::file) continue;
    text += (text.empty() ? "# " : "\n# ") + flag.help + "\n" + flag.key() + " = " +
            value_text(flag.value) + "\n";
  }
  return text;
}

}  // namespace kuilt::cli
