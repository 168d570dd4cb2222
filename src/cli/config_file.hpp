// config_file.hpp: the settings of a command as a TOML file: its keys are the flags' names.
#pragma once

#include <string>

#include "cli/command.hpp"
#include "kuilt/result.hpp"

namespace kuilt::cli {

/// Takes what neither flag nor environment has set.
/// Errors: usage (unreadable, not TOML, an unknown key, a value that the flag would not take; the
/// message names the line or the key).
Status read_config_file(Command& command, const std::string& path);

/// All settings with their present values, as a file that `read_config_file` takes.
[[nodiscard]] std::string config_text(const Command& command);

}  // namespace kuilt::cli
