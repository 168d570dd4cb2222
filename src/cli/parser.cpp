#include "cli/parser.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>

namespace kuilt::cli {
namespace {

using Words = std::vector<std::string>;

Error wrong(std::string what) { return {ErrorCode::usage, std::move(what)}; }

template <class Row>
Row* find(std::vector<Row>& rows, const std::string& name) {
  const auto found =
      std::find_if(rows.begin(), rows.end(), [&](const Row& one) { return one.name == name; });
  return found == rows.end() ? nullptr : &*found;
}

bool looks_like_flag(const std::string& word) { return word.size() > 1 && word.front() == '-'; }

/// The words of one command: sorted first, set only when all of them are understood.
class Reader {
 public:
  Reader(Command& command, Words words) : command_(command), words_(std::move(words)) {}

  Status read();
  [[nodiscard]] bool wants_help() const { return wants_help_; }
  Status set();

 private:
  Status read_flag(const std::string& word);
  Status take(Flag& flag, std::optional<std::string> value);
  Status set_arguments();
  Status set_from_environment();
  [[nodiscard]] Error unknown(const std::string& word) const;
  [[nodiscard]] Status check_after_dashes() const;

  Command& command_;
  Words words_;
  std::size_t next_ = 0;
  std::map<std::string, Words> given_;
  Words loose_;
  Words after_dashes_;
  bool wants_help_ = false;
};

Status Reader::read() {
  bool only_arguments = false;
  while (next_ < words_.size()) {
    const std::string word = words_[next_++];
    if (only_arguments) {
      (command_.after_dashes ? after_dashes_ : loose_).push_back(word);
    } else if (word == "--") {
      only_arguments = true;
    } else if (word == "--help" || word == "-h") {
      wants_help_ = true;
      return Done{};
    } else if (!looks_like_flag(word)) {
      loose_.push_back(word);
    } else if (Status status = read_flag(word); !status) {
      return status;
    }
  }
  return Done{};
}

Status Reader::read_flag(const std::string& word) {
  if (word.starts_with("--")) {
    const std::size_t equals = word.find('=');
    Flag* flag = find(command_.flags, word.substr(0, equals));
    if (flag == nullptr) return unknown(word.substr(0, equals));
    if (equals == std::string::npos) return take(*flag, std::nullopt);
    return take(*flag, word.substr(equals + 1));
  }
  const auto flag = std::find_if(command_.flags.begin(), command_.flags.end(),
                                 [&](const Flag& one) { return one.letter == word[1]; });
  if (flag == command_.flags.end()) return unknown(word);
  return take(*flag, word.size() > 2 ? std::optional(word.substr(2)) : std::nullopt);
}

Status Reader::take(Flag& flag, std::optional<std::string> value) {
  if (!value && flag.value.kind == ValueKind::yes_no) value = "true";
  if (!value) {
    if (next_ == words_.size()) return wrong(flag.name + ": " + flag.value.form + " must follow");
    value = words_[next_++];
  }
  Words& values = given_[flag.name];
  if (!values.empty() && flag.value.kind != ValueKind::list) {
    return wrong(flag.name + " is given twice: \"" + values.front() + "\" and \"" + *value + "\"");
  }
  values.push_back(*std::move(value));
  return Done{};
}

Status Reader::set() {
  for (Flag& flag : command_.flags) {
    const auto given = given_.find(flag.name);
    if (given == given_.end()) continue;
    if (Status status = set_value(flag.value, given->second, flag.name); !status) return status;
    flag.origin = Origin::flag;
  }
  if (Status status = set_arguments(); !status) return status;
  return set_from_environment();
}

Status Reader::set_arguments() {
  std::size_t next = 0;
  for (const Argument& argument : command_.arguments) {
    const std::size_t left = loose_.size() - next;
    const std::size_t count = argument.value.kind == ValueKind::list ? left : std::min(left, 1UL);
    if (count == 0 && argument.is_required) return wrong(argument.name + " is missing");
    if (count == 0) continue;
    const auto first = loose_.begin() + static_cast<std::ptrdiff_t>(next);
    const Words values(first, first + static_cast<std::ptrdiff_t>(count));
    if (Status status = set_value(argument.value, values, argument.name); !status) return status;
    next += count;
  }
  if (next < loose_.size()) return unknown(loose_[next]);
  return check_after_dashes();
}

Status Reader::check_after_dashes() const {
  if (!command_.after_dashes || after_dashes_.empty()) return Done{};
  return command_.after_dashes->value.set(after_dashes_);
}

Status Reader::set_from_environment() {
  for (Flag& flag : command_.flags) {
    if (flag.reach == Reach::flag || flag.origin != Origin::preset) continue;
    const char* found = std::getenv(flag.variable().c_str());
    const std::string value = found == nullptr ? "" : found;
    if (value.empty()) continue;
    const Words words = flag.value.kind == ValueKind::list ? split(value) : Words{value};
    if (Status status = set_value(flag.value, words, flag.variable()); !status) return status;
    flag.origin = Origin::environment;
  }
  return Done{};
}

Error Reader::unknown(const std::string& word) const {
  const bool is_flag = looks_like_flag(word);
  const bool is_command = !is_flag && !command_.commands.empty();
  Words known;
  for (const Command& one : command_.commands) known.push_back(one.name);
  for (const Flag& one : command_.flags) known.push_back(one.name);
  std::string what = std::string("unknown ") +
                     (is_flag ? "flag" : (is_command ? "command" : "argument")) + " \"" + word +
                     "\"";
  const std::string meant = nearest(word, known);
  if (!meant.empty()) return wrong(what + "; did you mean " + meant + "?");
  if (command_.after_dashes && !is_flag) {
    what += "; " + command_.after_dashes->name + " stands behind \"--\"";
  }
  return wrong(what);
}

}  // namespace

Line parse(Command& root, const std::vector<std::string>& words) {
  Line line{.command = &root, .path = root.name, .wants_help = false, .complaint = std::nullopt};
  auto word = words.begin();
  for (; word != words.end(); ++word) {
    Command* named = find(line.command->commands, *word);
    if (named == nullptr) break;
    line.command = named;
    line.path += " " + named->name;
  }
  Reader reader(*line.command, {word, words.end()});
  Status status = reader.read();
  line.wants_help = reader.wants_help();
  if (line.wants_help) return line;
  if (status) status = reader.set();
  if (status && !line.command->run) status = wrong("a command is missing");
  if (!status) line.complaint = std::move(status).error();
  return line;
}

}  // namespace kuilt::cli
