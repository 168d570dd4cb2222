#include "cli/config_file.hpp"

#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

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

bool is_setting(const CLI::Option& option) {
  return option.get_configurable() && !option.get_lnames().empty() &&
         option.get_lnames().front() != "help";
}

/// A basic string of TOML is escaped as one of JSON.
std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

std::string value_text(const CLI::Option& option) {
  const std::vector<std::string> given = option.results();
  if (option.get_expected_max() == 0)
    return option.count() > 0 && option.as<bool>() ? "true" : "false";
  if (option.get_expected_max() > 1) {
    std::string list;
    for (const std::string& one : given) list += (list.empty() ? "" : ", ") + quoted(one);
    return "[" + list + "]";
  }
  const std::string value = given.empty() ? option.get_default_str() : given.back();
  return option.get_type_name().starts_with("UINT") ? value : quoted(value);
}

}  // namespace

Status read_config_file(CLI::App& command, const std::string& path) {
  const toml::parse_result parsed = toml::parse_file(path);
  if (!parsed) {
    const auto line = parsed.error().source().begin.line;
    return wrong(path, (line > 0 ? "line " + std::to_string(line) + ": " : "") +
                           std::string(parsed.error().description()));
  }
  for (const auto& [name, value] : parsed.table()) {
    const std::string key(name.str());
    CLI::Option* option = command.get_option_no_throw("--" + key);
    if (option == nullptr || !is_setting(*option)) {
      return wrong(path, "unknown key \"" + key + "\"; the keys are the flags of `kuilt " +
                             command.get_name() + " --help`");
    }
    const auto values = values_of(value);
    if (!values) return wrong(path, key + " is neither text, nor a whole number, nor a list");
    if (option->count() > 0 || values->empty()) continue;
    try {
      option->add_result(*values);
      option->run_callback();
    } catch (const CLI::Error& error) {
      return wrong(path, error.what());
    }
  }
  return Done{};
}

std::string config_text(const CLI::App& command) {
  std::string text;
  for (const CLI::Option* option : command.get_options()) {
    if (!is_setting(*option)) continue;
    text += (text.empty() ? "# " : "\n# ") + option->get_description() + "\n" +
            option->get_lnames().front() + " = " + value_text(*option) + "\n";
  }
  return text;
}

}  // namespace kuilt::cli
