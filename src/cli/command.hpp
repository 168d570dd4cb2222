// command.hpp: the command line as data. One table of commands and their flags makes the parser,
// --help and docs/cli.md, the KUILT_* variables, the configuration file and shell completion.
//
// A command is described in the file that carries it out (commands.hpp).
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "kuilt/result.hpp"

namespace kuilt::cli {

/// How a value is written in the configuration file.
enum class ValueKind : std::uint8_t {
  text,
  number,
  yes_no,  ///< A flag without a value says yes.
  list,    ///< A flag that may be given several times.
};

/// What a shell offers where the value stands.
enum class Offer : std::uint8_t { nothing, words, files, folders, programs };

/// Where a value goes, what may stand there, and how it reads. Made by the functions below.
struct Value {
  ValueKind kind = ValueKind::text;
  std::string form = {};                ///< In --help, in place of the value: "N", "URL[,URL]".
  std::string limits = {};              ///< "1 to 4096"; in --help and in the error.
  std::vector<std::string> words = {};  ///< What a shell offers, if `offer` says words.
  Offer offer = Offer::nothing;
  /// Takes what was given; a list takes several. The error says what is wrong with the value.
  std::function<Status(const std::vector<std::string>&)> set = {};
  /// The present value, as `set` would take it. A list has any number, others one or none.
  std::function<std::vector<std::string>()> get = {};
};

/// Everything below borrows `target`, which must outlive the value.
Value text(std::string& target, std::string form = "TEXT");
Value file(std::string& target);
Value folder(std::string& target);
/// One of these and nothing else.
Value one_of(std::string& target, std::vector<std::string> words);
Value one_of(std::size_t& target, const std::vector<std::size_t>& numbers);
Value list(std::vector<std::string>& target, std::string form);
Value yes_no(bool& target);
/// Whole milliseconds, written with a unit: "500ms", "15s", "2m".
Value duration(std::chrono::milliseconds& target);
Value decimal(double& target, double least, double most);
/// A whole number from `least` to `most`, which `put` stores and `get` knows, if there is one.
Value whole_number(std::uint64_t least, std::uint64_t most, std::function<void(std::uint64_t)> put,
                   std::function<std::optional<std::uint64_t>()> get);

template <std::unsigned_integral T>
Value number(T& target, std::uint64_t least = 0,
             std::uint64_t most = std::numeric_limits<T>::max()) {
  return whole_number(
      least, most, [&target](std::uint64_t value) { target = static_cast<T>(value); },
      [&target] { return std::optional<std::uint64_t>(target); });
}
template <std::unsigned_integral T>
Value number(std::optional<T>& target, std::uint64_t least = 0,
             std::uint64_t most = std::numeric_limits<T>::max()) {
  return whole_number(
      least, most, [&target](std::uint64_t value) { target = static_cast<T>(value); },
      [&target] { return std::optional<std::uint64_t>(target); });
}

/// What else a flag can be set by; earlier ones win: flag, environment, file.
enum class Reach : std::uint8_t { flag, environment, file };

/// Who has set a value.
enum class Origin : std::uint8_t { preset, flag, environment, file };

/// "--room ROOM".
struct Flag {
  std::string name;  ///< With its dashes.
  char letter = 0;   ///< Of the short form; 0: none.
  Value value;
  std::string help;
  Reach reach = Reach::flag;
  Origin origin = Origin::preset;  ///< Set by the parser.

  /// "KUILT_CLIENTS_MAX" of "--clients-max".
  [[nodiscard]] std::string variable() const;
  /// "clients-max": the name without dashes, as in the configuration file.
  [[nodiscard]] std::string key() const;
};

/// What stands on the line without a name.
struct Argument {
  std::string name;  ///< As in --help: "TEXT".
  Value value;       ///< A list takes all that follow.
  std::string help;
  bool is_required = true;
};

/// One command, or a group of them, or both: what runs if none of the group is named.
struct Command {
  std::string name;
  std::string about;       ///< One line.
  std::string notes = {};  ///< Ends --help: examples, and what it prints.
  std::vector<Argument> arguments = {};
  std::optional<Argument> after_dashes = {};  ///< All that stands behind "--".
  std::vector<Flag> flags = {};
  std::vector<Command> commands = {};
  /// Returns the exit status. Not set: one of `commands` must be named.
  std::function<int(Command& self)> run = {};

  /// Pre: it has this flag.
  [[nodiscard]] const Flag& flag(const std::string& flag_name) const;
};

/// Sets a flag from words, or from the environment or a file: the error names `source` and the
/// value.
Status set_value(const Value& value, const std::vector<std::string>& words,
                 const std::string& source);

/// At the commas; empty parts are left out.
[[nodiscard]] std::vector<std::string> split(const std::string& text);
[[nodiscard]] std::string joined(const std::vector<std::string>& parts, const char* between = ",");
/// The word that was probably meant; empty if none is near.
[[nodiscard]] std::string nearest(const std::string& word, const std::vector<std::string>& words);

}  // namespace kuilt::cli
