// parser.hpp: what the words of a command line ask of the table.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/command.hpp"

namespace kuilt::cli {

/// What was understood.
struct Line {
  Command* command;                ///< The innermost that was named.
  std::string path;                ///< Its full name: "kuilt secret new".
  bool wants_help = false;         ///< Then no value is set.
  std::optional<Error> complaint;  ///< usage: why it can't run.
};

/// Finds the command that the leading words name, and sets its values: flags from the words, then
/// what they leave open from the environment. Forms: --flag VALUE, --flag=VALUE, -f VALUE, -fVALUE;
/// behind "--" nothing is a flag. A value is taken as it stands, whatever it looks like.
[[nodiscard]] Line parse(Command& root, const std::vector<std::string>& words);

}  // namespace kuilt::cli
