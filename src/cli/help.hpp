// help.hpp: what --help prints of a command.
#pragma once

#include <string>

#include "cli/command.hpp"

namespace kuilt::cli {

/// `path` is its full name, as in "kuilt secret new".
[[nodiscard]] std::string help_text(const Command& command, const std::string& path);

}  // namespace kuilt::cli
