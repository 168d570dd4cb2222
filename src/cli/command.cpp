#include "cli/command.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <numeric>
#include <sstream>
#include <string_view>
#include <utility>

namespace kuilt::cli {
namespace {

Error wrong(std::string what) { return {ErrorCode::usage, std::move(what)}; }

/// The whole text as a number; nothing, if it is anything else.
template <class T>
std::optional<T> parsed(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string decimal_text(double value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

struct Unit {
  std::string_view name;
  std::chrono::milliseconds length;
};
constexpr std::array units = {Unit{"ms", std::chrono::milliseconds(1)},
                              Unit{"s", std::chrono::seconds(1)},
                              Unit{"m", std::chrono::minutes(1)}};

std::optional<std::chrono::milliseconds> parsed_duration(const std::string& text) {
  constexpr std::uint64_t longest = 1'000'000;  // Of any unit: far from overflow.
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto count = parsed<std::uint64_t>(std::string_view(text).substr(0, digits));
  for (const Unit& unit : units) {
    if (!count || *count > longest || text.substr(digits) != unit.name) continue;
    return static_cast<std::int64_t>(*count) * unit.length;
  }
  return std::nullopt;
}

std::string duration_text(std::chrono::milliseconds value) {
  const bool whole = value.count() % 1000 == 0;
  return whole ? std::to_string(value.count() / 1000) + "s" : std::to_string(value.count()) + "ms";
}

/// A value of which one word is all.
Value single(ValueKind kind, std::string form, std::function<Status(const std::string&)> set,
             std::function<std::string()> get) {
  Value value;
  value.kind = kind;
  value.form = std::move(form);
  value.set = [set = std::move(set)](const std::vector<std::string>& words) {
    return set(words.back());
  };
  value.get = [get = std::move(get)]() -> std::vector<std::string> {
    std::string text = get();
    if (text.empty()) return {};
    return {std::move(text)};
  };
  return value;
}

Status check_one_of(const std::vector<std::string>& words, const std::string& word) {
  if (std::find(words.begin(), words.end(), word) != words.end()) return Done{};
  return wrong("is not one of " + joined(words, ", "));
}

/// How many letters to add, drop or change to make one word of the other (Levenshtein).
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

Value text(std::string& target, std::string form) {
  return single(
      ValueKind::text, std::move(form),
      [&target](const std::string& word) -> Status {
        target = word;
        return Done{};
      },
      [&target] { return target; });
}

Value file(std::string& target) {
  Value value = text(target, "FILE");
  value.offer = Offer::files;
  return value;
}

Value folder(std::string& target) {
  Value value = text(target, "DIRECTORY");
  value.offer = Offer::folders;
  return value;
}

Value one_of(std::string& target, std::vector<std::string> words) {
  Value value = text(target, joined(words, "|"));
  value.set = [&target, words](const std::vector<std::string>& given) -> Status {
    if (Status status = check_one_of(words, given.back()); !status) return status;
    target = given.back();
    return Done{};
  };
  value.offer = Offer::words;
  value.words = std::move(words);
  return value;
}

Value one_of(std::size_t& target, const std::vector<std::size_t>& numbers) {
  std::vector<std::string> words;
  for (const std::size_t one : numbers) words.push_back(std::to_string(one));
  Value value = number(target);
  value.set = [words, set = value.set](const std::vector<std::string>& given) -> Status {
    if (Status status = check_one_of(words, given.back()); !status) return status;
    return set(given);
  };
  value.form = joined(words, "|");
  value.offer = Offer::words;
  value.words = std::move(words);
  return value;
}

Value list(std::vector<std::string>& target, std::string form) {
  Value value;
  value.kind = ValueKind::list;
  value.form = std::move(form);
  value.set = [&target](const std::vector<std::string>& words) -> Status {
    target = words;
    return Done{};
  };
  value.get = [&target] { return target; };
  return value;
}

Value yes_no(bool& target) {
  const auto set = [&target](const std::string& word) -> Status {
    if (word != "true" && word != "false") return wrong("is neither true nor false");
    target = word == "true";
    return Done{};
  };
  return single(ValueKind::yes_no, "", set,
                [&target] { return std::string(target ? "true" : "false"); });
}

Value duration(std::chrono::milliseconds& target) {
  const auto set = [&target](const std::string& word) -> Status {
    const auto value = parsed_duration(word);
    if (!value) return wrong("is no time with a unit, as in 500ms, 15s or 2m");
    target = *value;
    return Done{};
  };
  return single(ValueKind::text, "TIME", set, [&target] { return duration_text(target); });
}

Value decimal(double& target, double least, double most) {
  const std::string limits = decimal_text(least) + " to " + decimal_text(most);
  const auto set = [&target, least, most, limits](const std::string& word) -> Status {
    const auto value = parsed<double>(word);
    if (!value || !(*value >= least && *value <= most)) {
      return wrong("is no number from " + limits);
    }
    target = *value;
    return Done{};
  };
  Value value =
      single(ValueKind::number, "NUMBER", set, [&target] { return decimal_text(target); });
  value.limits = limits;
  return value;
}

Value whole_number(std::uint64_t least, std::uint64_t most, std::function<void(std::uint64_t)> put,
                   std::function<std::optional<std::uint64_t>()> get) {
  const bool is_bounded = most < std::numeric_limits<std::uint32_t>::max();
  const std::string limits =
      std::to_string(least) + (is_bounded ? " to " + std::to_string(most) : " or more");
  const auto set = [=, put = std::move(put)](const std::string& word) -> Status {
    const auto value = parsed<std::uint64_t>(word);
    if (!value || *value < least || *value > most) {
      return wrong("is no whole number, " + limits);
    }
    put(*value);
    return Done{};
  };
  Value value = single(ValueKind::number, "N", set, [get = std::move(get)] {
    const auto present = get();
    return present ? std::to_string(*present) : "";
  });
  if (is_bounded || least > 0) value.limits = limits;
  return value;
}

std::string Flag::variable() const {
  std::string variable = "KUILT_";
  for (const char c : key()) {
    variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return variable;
}

std::string Flag::key() const { return name.substr(2); }

const Flag& Command::flag(const std::string& flag_name) const {
  const auto found = std::find_if(flags.begin(), flags.end(),
                                  [&](const Flag& one) { return one.name == flag_name; });
  KUILT_CHECK(found != flags.end());
  return *found;
}

Status set_value(const Value& value, const std::vector<std::string>& words,
                 const std::string& source) {
  Status status = value.set(words);
  if (status) return status;
  return Error(ErrorCode::usage,
               source + ": \"" + joined(words) + "\" " + status.error().message());
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::stringstream rest(text);
  for (std::string part; std::getline(rest, part, ',');) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

std::string joined(const std::vector<std::string>& parts, const char* between) {
  std::string text;
  for (const std::string& part : parts) text += (&part == &parts.front() ? "" : between) + part;
  return text;
}

std::string nearest(const std::string& word, const std::vector<std::string>& words) {
  std::string best;
  std::size_t best_distance = 1 + word.size() / 3;
  for (const std::string& one : words) {
    const std::size_t far = distance(word, one);
    if (far > best_distance || (far == best_distance && !best.empty())) continue;
    best = one;
    best_distance = far;
  }
  return best;
}

}  // namespace kuilt::cli
