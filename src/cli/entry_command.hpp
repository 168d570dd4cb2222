// entry_command.hpp: a program of the user's that is run for each entry of the log.
#pragma once

#include <string>
#include <vector>

#include "kuilt/committed.hpp"
#include "kuilt/result.hpp"

namespace kuilt::cli {

/// The variables KUILT_INDEX, KUILT_TERM, KUILT_AUTHOR and KUILT_ROOM say which entry it is; author
/// and room are escaped as `kuilt observe` prints them.
///
/// Threads: one caller. Needs remember_interrupts(): SIGINT and SIGTERM are passed on to the
/// program, whose end is waited for.
class EntryCommand {
 public:
  /// Errors: usage (there is no such program).
  static Result<EntryCommand> find(std::vector<std::string> words);

  /// Runs it to its end with `input` on its standard input, whether or not it reads that. Its
  /// output goes where ours goes. Returns its exit status; 128 + signal, if one ended it. Errors:
  /// io (it can't be started).
  [[nodiscard]] Result<int> run(const LogEntry& entry, std::string_view input) const;

  [[nodiscard]] const std::string& name() const { return words_.front(); }

 private:
  explicit EntryCommand(std::vector<std::string> words) : words_(std::move(words)) {}

  std::vector<std::string> words_;
};

}  // namespace kuilt::cli
